//! The projection that is measured: the posts example, as a component and natively.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use clap::ValueEnum;
use reel_plugin::{Engine, EngineConfig, LoadedComponent, componentize};
use reel_projector::Plugin;
use reel_sdk::native::NativePlugin;
use serde::{Deserialize, Serialize};

use crate::error::BenchError;

/// How the projection runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Runs {
    /// As a component, in WebAssembly.
    Wasm,
    /// Compiled into this program.
    Native,
}

impl Runs {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Runs::Wasm => "wasm",
            Runs::Native => "native",
        }
    }
}

/// The component in its two forms.
pub(crate) struct Posts {
    pub(crate) bytes: Vec<u8>,
    pub(crate) loaded: LoadedComponent,
}

impl Posts {
    /// Loads the component at `path`; where none is given, builds it.
    pub(crate) fn load(path: Option<&Path>) -> Result<Posts, BenchError> {
        let bytes = component(path)?;
        let engine =
            Engine::new(EngineConfig::default()).map_err(BenchError::doing("starting the WebAssembly engine"))?;
        let loaded = engine.load(&bytes).map_err(BenchError::doing("loading the component"))?;
        Ok(Posts { bytes, loaded })
    }

    /// The projection as the loop's plugin.
    pub(crate) fn plugin(&self, runs: Runs) -> Result<Box<dyn Plugin>, BenchError> {
        Ok(match runs {
            Runs::Wasm => Box::new(
                self.loaded.instantiate_plugin("{}").map_err(BenchError::doing("instantiating the component"))?,
            ),
            Runs::Native => Box::new(
                NativePlugin::of(reel_projection_posts::posts)
                    .map_err(BenchError::doing("reading the projection's manifest"))?,
            ),
        })
    }
}

/// The component's bytes: of the file at `path`; where none is given, built from this workspace.
pub(crate) fn component(path: Option<&Path>) -> Result<Vec<u8>, BenchError> {
    match path {
        Some(path) => {
            std::fs::read(path).map_err(BenchError::doing(&format!("reading the component {}", path.display())))
        }
        None => build(),
    }
}

/// Builds the posts example as `reel plugin build` does.
fn build() -> Result<Vec<u8>, BenchError> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the benches stand in the workspace");
    let built = Command::new("cargo")
        .args(["build", "--quiet", "--package", "reel-projection-posts", "--lib"])
        .args(["--target", "wasm32-unknown-unknown", "--profile", "plugin"])
        .current_dir(workspace)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .status()
        .map_err(BenchError::doing("starting cargo"))?;
    if !built.success() {
        return Err(BenchError::Failed(
            "the posts example does not compile; --component FILE takes one that was built".into(),
        ));
    }
    let module = target_directory(workspace).join("wasm32-unknown-unknown/plugin/reel_projection_posts.wasm");
    let module = std::fs::read(&module).map_err(BenchError::doing(&format!("reading {}", module.display())))?;
    componentize(&module).map_err(BenchError::doing("making a component of the posts example"))
}

fn target_directory(workspace: &Path) -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| workspace.join("target"), PathBuf::from)
}
