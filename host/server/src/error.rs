//! Why the host did not do what an operator asked, by what the operator does next.

use reel_projector::ReadModelError;
use reel_read_model::CatalogError;

/// Why the host did not do something.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// What was sent cannot be deployed: mend it and send it again.
    #[error("{0}")]
    Refused(String),
    /// There is no such projection, generation, target or dead letter.
    #[error("{0}")]
    NotFound(String),
    /// It is not in a state in which that can be done.
    #[error("{0}")]
    Conflict(String),
    /// A database does not answer: try again.
    #[error("{action} did not work")]
    Unavailable {
        /// What was being done.
        action: &'static str,
        /// Why not.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A database refuses, or its catalog is not usable: a person must look.
    #[error("{action} did not work")]
    Broken {
        /// What was being done.
        action: &'static str,
        /// Why not.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl HostError {
    /// Rows were not read.
    pub(crate) fn reading(error: ReadModelError) -> HostError {
        HostError::catalog("reading rows", error.into())
    }

    /// What became of a catalog call.
    pub(crate) fn catalog(action: &'static str, error: CatalogError) -> HostError {
        match error {
            CatalogError::NotFound(_) => HostError::NotFound(error.to_string()),
            CatalogError::Conflict { .. } | CatalogError::NameTaken { .. } | CatalogError::Moved => {
                HostError::Conflict(error.to_string())
            }
            CatalogError::ReadModel(ReadModelError::Unavailable { .. }) => {
                HostError::Unavailable { action, source: error.into() }
            }
            other => HostError::Broken { action, source: other.into() },
        }
    }
}
