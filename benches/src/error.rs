//! Why something could not be measured.

/// What went wrong, for the person who measures.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BenchError {
    /// What was measured did not do what it should.
    #[error("{0}")]
    Failed(String),
    /// Something below failed.
    #[error("{what}")]
    Caused {
        /// What we were doing.
        what: String,
        /// Why it failed.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl BenchError {
    /// For `map_err`: `what` we were doing.
    pub(crate) fn doing<E: Into<Box<dyn std::error::Error + Send + Sync>>>(what: &str) -> impl FnOnce(E) -> BenchError {
        let what = what.to_owned();
        move |source| BenchError::Caused { what, source: source.into() }
    }
}
