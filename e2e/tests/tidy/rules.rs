//! What a tidy source file is: one function a rule, from a path and its text to what is wrong. Pure.

use std::fmt;

/// Above this many lines a file is about more than one thing.
const LINES: usize = 700;

/// Endings of what people write by hand; data, golden files and prose are not looked at.
const SOURCES: &[&str] =
    &["css", "html", "js", "json", "just", "mjs", "proto", "py", "rs", "sh", "sql", "toml", "ts", "wit", "yaml", "yml"];
const NAMED_SOURCES: &[&str] = &["Dockerfile", "justfile"];

/// Scripts without an ending live here.
const SCRIPTS: &[&str] = &["scripts/", ".ci/"];

/// Folders of what others wrote, or programs did.
const NOT_OURS: &[&str] = &["golden", "snapshots", "vendor", "vendored"];

/// Names that say nothing of what is inside.
const EMPTY_NAMES: &[&str] = &["common", "helper", "helpers", "manager", "managers", "util", "utils"];

/// Not to be written in code; each with what to do instead. The pieces keep this file from finding itself.
const UNWRITTEN: &[(&str, &str)] = &[
    (concat!("#[", "allow("), "use #[expect(…, reason = \"…\")], which fails once it is not needed"),
    (concat!("#![", "allow("), "use #![expect(…, reason = \"…\")], which fails once it is not needed"),
    (concat!("todo", "!("), "write it, or return an error that says what is missing"),
    (concat!("unimplemented", "!("), "write it, or return an error that says what is missing"),
    (concat!("dbg", "!("), "use tracing"),
];

/// Code that writes code into an author's crate cannot know whether an expectation would be met there.
const MAY_ALLOW: &str = "projections/sdk/macros/";

/// Where logic is pure, and what would end that: tokio is there for its channels only.
const PURE: &[&str] = &["events/src/", "host/projector/src/"];
const IMPURE: &[&str] =
    &["std::env", "std::fs", "std::net", "std::process", "tokio::fs", "tokio::net", "tokio::process"];

/// Folders of somebody's machine.
const MACHINES: &[&str] = &[concat!("/", "work"), concat!("/", "root"), concat!("/", "home")];

/// One thing that is wrong, at one line.
#[derive(Debug, PartialEq)]
pub(super) struct Finding {
    path: String,
    line: usize,
    what: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.what)
    }
}

/// Whether the rules look at this file.
pub(super) fn is_source(path: &str) -> bool {
    let (folders, name) = path.rsplit_once('/').unwrap_or(("", path));
    let ours = !folders.split('/').any(|folder| NOT_OURS.contains(&folder));
    let ending = name.rsplit_once('.').map(|(_, ending)| ending);
    let script = ending.is_none() && SCRIPTS.iter().any(|folder| path.starts_with(folder));
    ours && (script || NAMED_SOURCES.contains(&name) || ending.is_some_and(|ending| SOURCES.contains(&ending)))
}

/// All that is wrong with one file.
pub(super) fn check(path: &str, text: &str) -> Vec<Finding> {
    let mut found: Vec<(usize, String)> = Vec::new();
    found.extend(empty_name(path));
    found.extend(too_long(text));
    if is_rust(path) {
        found.extend(no_opening(text));
    }
    for (index, line) in text.lines().enumerate() {
        let said = [trailing_space(line), machine_path(line), rust_line(path, line)];
        found.extend(said.into_iter().flatten().map(|what| (index + 1, what)));
    }
    let finding = |(line, what)| Finding { path: path.to_owned(), line, what };
    found.into_iter().map(finding).collect()
}

fn is_rust(path: &str) -> bool {
    path.ends_with(".rs")
}

fn empty_name(path: &str) -> Option<(usize, String)> {
    let mut names = path.split('/').map(|part| part.split('.').next().unwrap_or(part));
    let name = names.find(|name| EMPTY_NAMES.contains(name))?;
    Some((1, format!("`{name}` says nothing of what is inside; name what it is about")))
}

fn too_long(text: &str) -> Option<(usize, String)> {
    let lines = text.lines().count();
    (lines > LINES).then(|| (LINES + 1, format!("{lines} lines, at most {LINES}; split it by meaning")))
}

fn no_opening(text: &str) -> Option<(usize, String)> {
    (!text.starts_with("//!")).then(|| (1, "opens without `//!`: say what lives here and what does not".to_owned()))
}

fn trailing_space(line: &str) -> Option<String> {
    (line.trim_end() != line).then(|| "ends with white space".to_owned())
}

fn machine_path(line: &str) -> Option<String> {
    let found = MACHINES.iter().find(|folder| names_folder(line, folder))?;
    Some(format!("`{found}` is a folder of one machine; take it from a variable or a relative path"))
}

/// Whether an absolute path in the line starts in this folder.
fn names_folder(line: &str, folder: &str) -> bool {
    line.match_indices(folder).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + folder.len()..].chars().next();
        let inside = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.');
        !before.is_some_and(|c| inside(c) || matches!(c, '/' | '}' | ')' | '*')) && !after.is_some_and(inside)
    })
}

/// What a line of Rust may not hold outside a comment.
fn rust_line(path: &str, line: &str) -> Option<String> {
    let code = line.trim_start();
    if !is_rust(path) || code.starts_with("//") {
        return None;
    }
    let mut unwritten = UNWRITTEN.iter().filter(|(pattern, _)| code.contains(pattern));
    let excused = |pattern: &str| pattern.ends_with("allow(") && path.starts_with(MAY_ALLOW);
    if let Some((pattern, instead)) = unwritten.find(|(pattern, _)| !excused(pattern)) {
        return Some(format!("`{pattern}`: {instead}"));
    }
    let impure = |name: &&&str| PURE.iter().any(|folder| path.starts_with(folder)) && code.contains(**name);
    if let Some(name) = IMPURE.iter().find(impure) {
        return Some(format!("`{name}`: this crate is pure logic; hand the outcome in through a port"));
    }
    let name = module_name(code).filter(|name| EMPTY_NAMES.contains(name))?;
    Some(format!("module `{name}` says nothing of what is inside; name what it is about"))
}

/// The name in `mod NAME`, whatever its visibility.
fn module_name(code: &str) -> Option<&str> {
    let (visibility, rest) = code.split_once("mod ")?;
    let declares = visibility.is_empty() || (visibility.starts_with("pub") && visibility.ends_with(' '));
    let name = rest.split(|c: char| !(c.is_alphanumeric() || c == '_')).next()?;
    declares.then_some(name)
}

#[path = "untidy.rs"]
mod untidy;
