//! Each rule of tidiness made to fail, and what looks like a failure and is none. The pieces keep this file itself tidy.

use super::{LINES, check, is_source};

const OPENING: &str = "//! A file.\n";

/// What is said of a Rust file with this line after its opening.
fn said(line: &str) -> Vec<String> {
    said_of("events/src/event.rs", line)
}

fn said_of(path: &str, line: &str) -> Vec<String> {
    check(path, &format!("{OPENING}{line}\n")).iter().map(ToString::to_string).collect()
}

#[track_caller]
fn refused(line: &str, expected: &str) {
    let said = said(line);
    assert_eq!(said.len(), 1, "{line}: {said:?}");
    assert!(said[0].starts_with("events/src/event.rs:2: "), "{said:?}");
    assert!(said[0].contains(expected), "{said:?}");
}

#[track_caller]
fn accepted(line: &str) {
    assert_eq!(said(line), Vec::<String>::new());
}

#[test]
fn a_rust_file_opens_by_saying_what_it_is() {
    let found = check("events/src/event.rs", "use std::fmt;\n");
    assert_eq!(found.len(), 1);
    assert!(found[0].to_string().starts_with("events/src/event.rs:1: opens without `//!`"));
    assert_eq!(check("events/src/event.rs", "").len(), 1);
    assert_eq!(check("deny.toml", "[bans]\n"), []);
}

#[test]
fn a_file_has_an_end() {
    let lines = |count: usize| format!("{OPENING}{}", "let a = 1;\n".repeat(count - 1));
    assert_eq!(check("events/src/event.rs", &lines(LINES)), []);
    let found = check("events/src/event.rs", &lines(LINES + 1));
    assert_eq!(found.len(), 1);
    assert!(found[0].to_string().starts_with("events/src/event.rs:701: 701 lines"), "{}", found[0]);
}

#[test]
fn lints_are_expected_not_allowed() {
    refused(concat!("#[", "allow(dead_code)]"), "expect");
    refused(concat!("    #![", "allow(dead_code, reason = \"…\")]"), "expect");
    accepted("#[expect(dead_code, reason = \"…\")]");
    accepted(concat!("// not #[", "allow(…)]"));
    let generated = concat!("#[", "allow(dead_code, reason = \"…\")]");
    assert!(said_of("projections/sdk/macros/src/table_code.rs", generated).is_empty());
    assert_eq!(said_of("projections/sdk/src/table.rs", generated).len(), 1);
}

#[test]
fn nothing_is_left_unwritten() {
    refused(concat!("    todo", "!()"), "write it");
    refused(concat!("_ => unimplemented", "!(\"later\"),"), "write it");
    refused(concat!("dbg", "!(&event);"), "tracing");
    assert_eq!(said_of("projections/sdk/macros/src/lib.rs", concat!("todo", "!()")).len(), 1);
}

#[test]
fn pure_crates_reach_for_nothing() {
    refused("use tokio::net::TcpStream;", "pure logic");
    refused("    std::fs::read(path)", "pure logic");
    accepted("use tokio::sync::mpsc;");
    assert!(said_of("event-log/src/store/file.rs", "use std::fs;").is_empty());
    assert!(said_of("events/tests/golden.rs", "use std::fs;").is_empty());
}

#[test]
fn names_say_what_is_inside() {
    for name in ["utils", "common", "helpers", "manager"] {
        refused(&format!("mod {name};"), "says nothing");
        refused(&format!("pub(super) mod {name} {{"), "says nothing");
        assert_eq!(check(&format!("events/src/{name}.rs"), OPENING).len(), 1);
        assert_eq!(check(&format!("events/src/{name}/mod.rs"), OPENING).len(), 1);
        assert_eq!(check(&format!("scripts/{name}.sh"), "").len(), 1);
    }
    accepted("mod commons;");
    accepted("let a = \"one mod common\";");
    assert_eq!(check("events/src/commonly_held.rs", OPENING), []);
}

#[test]
fn no_path_is_of_one_machine() {
    refused(concat!("let a = \"/", "work/data\";"), "one machine");
    refused(concat!("let a = \"/", "root\";"), "one machine");
    refused(concat!("// see /", "home/somebody/notes"), "one machine");
    accepted("let a = \"/workers/1\";");
    accepted(".github/workflows");
    accepted("https://example.org/root/page");
    accepted("$dir/work/data");
}

#[test]
fn lines_end_where_their_text_ends() {
    refused("let a = 1; ", "white space");
    refused("\t", "white space");
    assert_eq!(check("scripts/test", "set -e\t\n").len(), 1);
}

#[test]
fn sources_are_what_people_write() {
    for path in ["events/src/event.rs", "scripts/test", ".ci/run", "justfile", "wit/v1/projection.wit", "Cargo.toml"] {
        assert!(is_source(path), "{path}");
    }
    for path in
        ["Cargo.lock", "README.md", "events/tests/golden/stored-1.json", "host/server/vendor/htmx.js", "LICENSE"]
    {
        assert!(!is_source(path), "{path}");
    }
}
