//! The plugins that tests deploy: built by `reel plugin build`, once; and files that are no plugins.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;

use crate::binary::{reel, repository};

/// The component of an example in `projections/`.
#[must_use]
pub fn example(name: &str) -> PathBuf {
    build(&repository().join("projections").join(name))
}

/// The component that misbehaves as its settings say: `e2e/guests/unruly`.
#[must_use]
pub fn unruly() -> PathBuf {
    build(&repository().join("e2e/guests/unruly"))
}

/// The same projection as its author mended it: `e2e/guests/mended`.
#[must_use]
pub fn mended() -> PathBuf {
    build(&repository().join("e2e/guests/mended"))
}

/// A projection whose every name is as long as it may be: `e2e/guests/longest`.
#[must_use]
pub fn longest() -> PathBuf {
    build(&repository().join("e2e/guests/longest"))
}

/// The component of a crate outside the repository, from what the repository's guests are built of: nothing is fetched.
#[must_use]
pub fn build_elsewhere(folder: &Path) -> PathBuf {
    let locked = repository().join("e2e/guests/unruly/Cargo.lock");
    std::fs::copy(locked, folder.join("Cargo.lock")).expect("the folder can be written to");
    build(folder)
}

fn build(folder: &Path) -> PathBuf {
    static BUILT: Mutex<Option<HashMap<PathBuf, PathBuf>>> = Mutex::new(None);
    // Held while it builds: whoever else wants it waits. A build that failed fails everybody.
    let mut built = BUILT.lock().expect("no build failed before");
    let built = built.get_or_insert_default();
    built.entry(folder.to_owned()).or_insert_with(|| run(folder)).clone()
}

fn run(folder: &Path) -> PathBuf {
    let mut command = Command::new(reel());
    command.args(["plugin", "build"]).arg(folder).stdin(Stdio::null()).stderr(Stdio::inherit());
    if !folder.starts_with(repository().join("projections")) {
        // A workspace of its own: its target folder does not belong among the sources.
        let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| repository().join("target"), PathBuf::from);
        command.env("CARGO_TARGET_DIR", target.join("guests"));
    }
    let output = command.output().expect("the binary was built, so it can be started");
    assert!(output.status.success(), "{} does not build", folder.display());
    PathBuf::from(String::from_utf8(output.stdout).expect("paths in this repository are UTF-8").trim_end())
}

/// A component that does nothing but import WASI's environment variables.
#[must_use]
pub fn imports_wasi() -> Vec<u8> {
    let name = b"wasi:cli/environment@0.2.0";
    let mut bytes = b"\0asm\x0d\0\x01\0".to_vec();
    // Type section: one instance type without members.
    bytes.extend([7, 3, 1, 0x42, 0]);
    // Import section: one import by that name, an instance of type 0.
    let length = u8::try_from(name.len()).expect("a short name");
    bytes.extend([10, length + 5, 1, 0, length]);
    bytes.extend(name);
    bytes.extend([5, 0]);
    bytes
}

/// A core module without anything.
pub const CORE_MODULE: &[u8] = b"\0asm\x01\0\0\0";
