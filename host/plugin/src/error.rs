//! Why a component cannot be used. What goes wrong while events are applied is [`reel_projector::ApplyError`].

use reel_projector::ManifestError;

/// Why a component was refused, or why none can be run here. Every text says what was found and what to do.
#[derive(Debug, thiserror::Error)]
pub enum PluginError {
    /// This host cannot run any component: its settings, its memory, its cache directory.
    #[error("the plugin engine cannot work: {doing}")]
    Engine {
        /// What was being done.
        doing: String,
        /// Why it failed.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The bytes are no WebAssembly component: something else, a part of one, a core module.
    #[error("not a plugin component: {0}")]
    NotAComponent(String),
    /// It imports what no plugin may.
    #[error("the component imports {import}, which no plugin may: {remedy}")]
    ForbiddenImport {
        /// The import, as the component names it.
        import: String,
        /// What to do.
        remedy: String,
    },
    /// It does not export what a plugin must, or with other types.
    #[error("the component does not fit the plugin contract: {0}")]
    Contract(String),
    /// It is larger than this host takes.
    #[error("the component is too large: {0}")]
    TooLarge(String),
    /// It cannot be made a component, is not valid, or the compiler gave up on it.
    #[error("the component cannot be compiled: {0}")]
    Invalid(String),
    /// `describe` did not answer.
    #[error("the component does not describe itself: {0}")]
    Describe(String),
    /// The manifest is wrong.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// The component does not take these settings.
    #[error("settings refused by the component: {0}")]
    Settings(String),
}

impl PluginError {
    pub(crate) fn engine(doing: &str, error: wasmtime::Error) -> PluginError {
        PluginError::Engine { doing: doing.to_owned(), source: error.into_boxed_dyn_error() }
    }
}
