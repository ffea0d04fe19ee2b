//! The Wasmtime adapter of [`reel_projector::Plugin`]: loads a component, refuses what it must not import, reads its manifest,
//! and runs batches of events through fresh, limited instances of it.
//!
//! ```text
//! core module ─ componentize ─▶ component ─ Engine::load ─▶ LoadedComponent ─ instantiate_plugin ─▶ WasmPlugin: Plugin
//! ```
//!
//! Only this crate names wasmtime. What a plugin may emit (tables, columns, values, ownership) is not judged here but by the
//! [`reel_projector::Sink`]; here, what crosses the boundary is made whole: spans, counts and indices. No number that a guest
//! sends is trusted.
//!
//! What isolation remains to be had: compiling happens in this process, on a thread of its own, after limits on the size of the
//! component and of its functions. A component made to exhaust the compiler's memory within those limits can still take the
//! process down. Whoever must rule that out runs [`Engine::load`] in a child process first, with the same cache directory.

mod bindings;
mod call;
pub mod component;
mod deliver;
mod engine;
mod error;
mod host;
mod in_use;
mod lift;
mod limits;
mod load;
mod lower;
mod plugin;
mod safe_integers;
mod trap;
mod wire;

pub use component::{Inspection, componentize, inspect};
pub use engine::{Engine, EngineConfig};
pub use error::PluginError;
pub use limits::{CallLimits, CompileLimits};
pub use load::LoadedComponent;
pub use plugin::WasmPlugin;
