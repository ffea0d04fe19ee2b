//! What can go wrong with the server, and which of the port's errors it is.

use std::time::Duration;

use mongodb::error::{Error, ErrorKind, WriteFailure};

use crate::store::StoreError;

/// The server's numbers for errors that are told apart.
pub(super) mod code {
    /// The user may not do that.
    pub(crate) const UNAUTHORIZED: i32 = 13;
    /// Wrong user or password.
    pub(crate) const AUTHENTICATION_FAILED: i32 = 18;
    /// An index with this name has other options.
    pub(crate) const INDEX_OPTIONS_CONFLICT: i32 = 85;
    /// An index with these keys has other options.
    pub(crate) const INDEX_KEY_CONFLICT: i32 = 86;
    /// There is no such collection.
    pub(crate) const NO_COLLECTION: i32 = 26;
    /// A command that the server does not know.
    pub(crate) const COMMAND_NOT_FOUND: i32 = 59;
    /// A command that it knows, but does not do.
    pub(crate) const COMMAND_NOT_SUPPORTED: i32 = 115;
    /// The same.
    pub(crate) const NOT_IMPLEMENTED: i32 = 238;
    /// A stage of a pipeline that it does not know.
    pub(crate) const UNKNOWN_STAGE: i32 = 40324;
    /// Change streams need a replica set.
    pub(crate) const NO_REPLICA_SET: i32 = 40573;
    /// A key that a unique index has already.
    pub(crate) const DUPLICATE_KEY: i32 = 11000;
}

/// An error that does not know yet where the store is.
#[derive(Debug)]
pub(super) enum Fault {
    Driver(Error),
    /// No answer in time.
    Slow(Duration),
    /// What is stored is not ours, or damaged.
    Unreadable(String),
    /// What somebody has to set up in another way.
    Refused(String),
}

impl From<Error> for Fault {
    fn from(error: Error) -> Fault {
        Fault::Driver(error)
    }
}

impl From<String> for Fault {
    /// What is damaged.
    fn from(reason: String) -> Fault {
        Fault::Unreadable(reason)
    }
}

impl Fault {
    /// Whether the server does not let its user do that.
    pub(super) fn is_refusal(&self) -> bool {
        matches!(self, Fault::Driver(error) if is_refusal(error))
    }

    pub(super) fn into_error(self, location: &str) -> StoreError {
        let location = location.to_owned();
        match self {
            Fault::Unreadable(reason) => StoreError::Unreadable { location, reason },
            Fault::Refused(reason) => StoreError::Refused { location, reason },
            Fault::Slow(patience) => {
                let source = format!("no answer within {} s", patience.as_secs()).into();
                StoreError::Unavailable { location, source }
            }
            Fault::Driver(error) if is_refusal(&error) => StoreError::Refused { location, reason: error.to_string() },
            Fault::Driver(error) => StoreError::Unavailable { location, source: Box::new(error) },
        }
    }
}

fn is_refusal(error: &Error) -> bool {
    matches!(*error.kind, ErrorKind::Authentication { .. } | ErrorKind::IncompatibleServer { .. })
        || matches!(number(error), Some(code::UNAUTHORIZED | code::AUTHENTICATION_FAILED))
}

/// The server's number for an error, where it gave one.
pub(super) fn number(error: &Error) -> Option<i32> {
    match &*error.kind {
        ErrorKind::Command(command) => Some(command.code),
        ErrorKind::Write(WriteFailure::WriteError(write)) => Some(write.code),
        _ => None,
    }
}

/// The driver waits without end for a connection that says nothing any more.
pub(super) async fn within<T>(patience: Duration, asked: impl Future<Output = Result<T, Error>>) -> Result<T, Fault> {
    match tokio::time::timeout(patience, asked).await {
        Ok(answer) => Ok(answer?),
        Err(_) => Err(Fault::Slow(patience)),
    }
}
