//! Why a verb did not do what it was asked, and the exit code that says so.

use std::process::ExitCode;

/// Why a verb failed, by exit code.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CliError {
    /// 1: it was tried, and did not work.
    #[error("{0}")]
    Failed(String),
    /// 1: the same, with a cause.
    #[error("{action}")]
    Caused {
        action: String,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// 2: it makes no sense as it was asked.
    #[error("{0}")]
    Usage(String),
    /// 3: there is no such thing.
    #[error("{0}")]
    NotFound(String),
    /// 4: not in this state.
    #[error("{0}")]
    Conflict(String),
    /// 5: nobody answers.
    #[error("{0}")]
    NotReachable(String),
}

impl CliError {
    /// A failure with its cause.
    pub(crate) fn caused(
        action: impl Into<String>,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> CliError {
        CliError::Caused { action: action.into(), source: source.into() }
    }

    /// The process's exit code.
    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self {
            CliError::Failed(_) | CliError::Caused { .. } => 1,
            CliError::Usage(_) => 2,
            CliError::NotFound(_) => 3,
            CliError::Conflict(_) => 4,
            CliError::NotReachable(_) => 5,
        })
    }
}
