//! `reel plugin build`, `reel plugin inspect`: from a Rust crate to a component, and what is in one. Where a crate comes from: `new`.

mod new;

use std::path::{Path, PathBuf};
use std::process::Stdio;

use reel_plugin::{Engine, EngineConfig, componentize};
use reel_projector::chain;
use serde_json::{Value, json};
use tokio::process::Command;

use crate::args::Plugin;
use crate::client::{Client, Output};
use crate::error::CliError;
use crate::print;

const TARGET: &str = "wasm32-unknown-unknown";

/// How plugins are compiled, whatever the crate's own workspace says: small and fast, panics without unwinding.
const PROFILE: [&str; 8] = [
    "profile.reel-plugin.inherits='release'",
    "profile.reel-plugin.opt-level=3",
    "profile.reel-plugin.lto='fat'",
    "profile.reel-plugin.codegen-units=1",
    "profile.reel-plugin.panic='abort'",
    // As in the tests that their authors run: a number that does not fit is a panic, not another number.
    "profile.reel-plugin.overflow-checks=true",
    "profile.reel-plugin.debug=false",
    "profile.reel-plugin.strip='debuginfo'",
];

pub(crate) async fn run(client: &Client, plugin: Plugin) -> Result<(), CliError> {
    match plugin {
        Plugin::New { dir, name, sdk } => {
            let name = new::make(&dir, name, sdk)?;
            let shown = dir.display().to_string();
            if client.output == Output::Json {
                return print::json(&json!({ "name": name, "folder": shown }));
            }
            print::line(&format!(
                "{shown} holds a projection that works, {name}. Test it: (cd {shown} && cargo test). Build it: reel plugin build {shown}"
            ))
        }
        Plugin::Build { dir } => {
            let path = build(&dir).await?;
            let shown = path.display().to_string();
            if client.output == Output::Json {
                print::json(&json!({ "component": shown }))
            } else {
                print::line(&shown)
            }
        }
        Plugin::Inspect { file } => inspect(client, &file),
    }
}

/// Builds the plugin in `dir`; answers with the path of its component.
pub(crate) async fn build(dir: &Path) -> Result<PathBuf, CliError> {
    if !dir.join("Cargo.toml").exists() {
        return Err(CliError::NotFound(format!(
            "{} has no Cargo.toml: name the folder of a Rust crate",
            dir.display()
        )));
    }
    ensure_target(dir).await?;
    let core = compile(dir).await?;
    let bytes =
        std::fs::read(&core).map_err(|error| CliError::caused(format!("{} cannot be read", core.display()), error))?;
    let component = componentize(&bytes)
        .map_err(|error| CliError::caused(format!("{} makes no component", core.display()), error))?;
    let path = core.with_extension("component.wasm");
    put(&path, &component).map_err(|error| CliError::caused(format!("{} cannot be written", path.display()), error))?;
    Ok(path)
}

/// Puts the component in its place at once: whoever reads the file meanwhile (another build of the same plugin, a deploy) finds the one
/// before or this one, never half of it.
fn put(path: &Path, component: &[u8]) -> std::io::Result<()> {
    let draft = path.with_extension(format!("{}.draft", std::process::id()));
    std::fs::write(&draft, component)?;
    std::fs::rename(&draft, path)
}

/// Installs the compilation target where rustup is there and it is not.
async fn ensure_target(dir: &Path) -> Result<(), CliError> {
    let rustup = |arguments: &[&str]| {
        let mut command = Command::new("rustup");
        command.args(arguments).current_dir(dir).stderr(Stdio::inherit());
        command
    };
    // Without rustup the compiler itself says what is missing.
    let Ok(installed) = rustup(&["target", "list", "--installed"]).output().await else { return Ok(()) };
    if String::from_utf8_lossy(&installed.stdout).lines().any(|line| line == TARGET) {
        return Ok(());
    }
    let added = rustup(&["target", "add", TARGET]).status().await;
    match added {
        Ok(status) if status.success() => Ok(()),
        _ => Err(CliError::Failed(format!(
            "the Rust target {TARGET} is missing and could not be added: run rustup target add {TARGET}"
        ))),
    }
}

/// Compiles the crate; answers with the path of its core module.
async fn compile(dir: &Path) -> Result<PathBuf, CliError> {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args([
        "build",
        "--lib",
        "--target",
        TARGET,
        "--profile",
        "reel-plugin",
        "--message-format",
        "json-render-diagnostics",
    ]);
    for setting in PROFILE {
        command.args(["--config", setting]);
    }
    // Not `output()`, which would keep what the compiler says to itself.
    command.current_dir(dir).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::inherit());
    let cargo = command.spawn().map_err(|error| CliError::caused("cargo cannot be started", error))?;
    let output = cargo.wait_with_output().await.map_err(|error| CliError::caused("cargo broke off", error))?;
    if !output.status.success() {
        return Err(CliError::Failed(format!("the plugin in {} does not compile", dir.display())));
    }
    let manifest = dir.join("Cargo.toml");
    let manifest = manifest.canonicalize().unwrap_or(manifest);
    artifact(&output.stdout, &manifest).ok_or_else(|| {
        let message = "the crate makes no WebAssembly module: its Cargo.toml needs [lib] crate-type = [\"cdylib\"]";
        CliError::Failed(format!("{}: {message}", dir.display()))
    })
}

/// The WebAssembly file among cargo's messages.
fn artifact(messages: &[u8], manifest: &Path) -> Option<PathBuf> {
    let messages = messages.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice::<Value>(line).ok());
    let ours = |message: &Value| {
        message["reason"] == "compiler-artifact"
            && message["manifest_path"].as_str().is_some_and(|path| Path::new(path) == manifest)
    };
    let files: Vec<Value> =
        messages.filter(ours).filter_map(|message| message["filenames"].as_array().cloned()).flatten().collect();
    files.iter().filter_map(Value::as_str).find(|file| file.ends_with(".wasm")).map(PathBuf::from)
}

fn inspect(client: &Client, file: &Path) -> Result<(), CliError> {
    let bytes = std::fs::read(file).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => CliError::NotFound(format!("there is no file {}", file.display())),
        _ => CliError::caused(format!("{} cannot be read", file.display()), error),
    })?;
    let inspection =
        reel_plugin::inspect(&bytes).map_err(|error| CliError::caused(file.display().to_string(), error))?;
    let engine = Engine::new(EngineConfig::default())
        .map_err(|error| CliError::caused("the WebAssembly engine cannot be started", error))?;
    let loaded = engine.load(&bytes);
    let manifest: Option<Value> =
        loaded.as_ref().ok().and_then(|loaded| serde_json::from_str(loaded.manifest_json()).ok());
    let answer = json!({
        "digest": inspection.digest,
        "bytes": inspection.size,
        "imports": inspection.imports,
        "exports": inspection.exports,
        "refused": loaded.err().map(|error| chain(&error)),
        "manifest": manifest,
    });
    match client.output {
        Output::Json => print::json(&answer),
        Output::Text => print::line(&serde_json::to_string_pretty(&answer).expect("answers are plain data")),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    #[test]
    fn who_reads_a_component_while_it_is_built_anew_reads_the_one_before_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("posts.component.wasm");
        put(&path, b"the first").unwrap();
        let mut reader = std::fs::File::open(&path).unwrap();
        put(&path, b"another").unwrap();
        let mut read = Vec::new();
        reader.read_to_end(&mut read).unwrap();
        assert_eq!(read, b"the first");
        assert_eq!(std::fs::read(&path).unwrap(), b"another");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "no draft stays behind");
    }
}
