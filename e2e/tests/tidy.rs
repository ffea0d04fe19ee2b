//! Holds every source file to the house style where neither rustfmt nor clippy looks. Reads the sources as text: what crates
//! may depend on is `architecture.rs`'s.

#[path = "tidy/rules.rs"]
mod rules;

use rules::{Finding, check};
use std::{
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
    process::Command,
};

/// Longer files pass, up to the limit, but are named to whoever runs this test with `--nocapture`.
const LONG: usize = 500;

#[test]
fn sources_are_tidy() {
    let mut findings: Vec<Finding> = Vec::new();
    for (path, text) in sources() {
        let lines = text.lines().count();
        if lines > LONG {
            println!("{path}: {lines} lines; is it about one thing?");
        }
        findings.extend(check(&path, &text));
    }
    let said: Vec<String> = findings.iter().map(ToString::to_string).collect();
    assert!(said.is_empty(), "{} untidy places:\n{}", said.len(), said.join("\n"));
}

/// The text of every source file that git knows or would add, with its path from the root.
fn sources() -> Vec<(String, String)> {
    let files = files();
    assert!(files.iter().any(|path| path == "e2e/tests/tidy.rs"), "git lists this very file");
    let sources = files.into_iter().filter(|path| rules::is_source(path));
    sources.filter_map(|path| Some((path.clone(), text(&path)?))).collect()
}

fn files() -> Vec<String> {
    let listed = Command::new("git")
        .args(["-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(root())
        .output()
        .expect("git is installed");
    let said = String::from_utf8_lossy(&listed.stderr);
    assert!(listed.status.success(), "the sources are listed by git, in a clone: {said}");
    let paths = String::from_utf8(listed.stdout).expect("file names are UTF-8");
    paths.split_terminator('\0').map(str::to_owned).collect()
}

/// Nothing for a file that is deleted, but not yet in git's eyes.
fn text(path: &str) -> Option<String> {
    match fs::read_to_string(root().join(path)) {
        Ok(text) => Some(text),
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        Err(error) => panic!("{path}: {error}"),
    }
}

fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().expect("e2e is a folder of the workspace").to_owned()
}
