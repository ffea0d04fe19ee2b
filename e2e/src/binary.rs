//! Where the `reel` binary is: built once, by cargo.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use serde_json::Value;

/// The repository's folder.
#[must_use]
pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("e2e lies in the repository")
}

/// The `reel` binary.
///
/// # Panics
/// Where it does not build.
#[must_use]
pub fn reel() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| std::env::var_os("REEL_TEST_BINARY").map_or_else(build, PathBuf::from))
}

fn build() -> PathBuf {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(["build", "--package", "reel", "--bin", "reel", "--message-format", "json-render-diagnostics"]);
    let output = command.current_dir(repository()).stdin(Stdio::null()).stderr(Stdio::inherit()).output();
    let output = output.expect("cargo runs these tests, so it can be started");
    assert!(output.status.success(), "the reel binary does not build");
    let messages =
        output.stdout.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice::<Value>(line).ok());
    let mut executables = messages.filter_map(|message| message["executable"].as_str().map(PathBuf::from));
    executables.next_back().expect("cargo names what it built")
}
