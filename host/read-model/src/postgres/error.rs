//! What PostgreSQL's errors mean for the caller.

use std::borrow::Cow;

use sqlx::Error;
use sqlx::error::DatabaseError;
use sqlx::postgres::PgDatabaseError;

use crate::fault::{DriverError, Fault, Severity};
use crate::target::CatalogError;

/// What goes wrong inside this adapter.
pub(super) type PostgresFault<O> = Fault<Error, O>;

/// What comes of work on the catalog.
pub(super) type Outcome<T> = Result<T, PostgresFault<CatalogError>>;

impl DriverError for Error {
    /// A lost connection, a deadlock or a lock that takes too long, a full disk, a server that shuts down or became a standby:
    /// passing. So is a server that knows the user or the database no more: it did once, or we would not be here.
    fn severity(&self) -> Severity {
        let transient = match self {
            Error::Io(_) | Error::Tls(_) | Error::Protocol(_) => true,
            Error::PoolTimedOut | Error::PoolClosed | Error::WorkerCrashed => true,
            Error::Database(_) => code(self).is_some_and(|code| {
                let classes = ["08", "28", "40", "53", "57", "58"];
                classes.iter().any(|class| code.starts_with(class))
                    || matches!(code.as_str(), "55P03" | "25006" | "3D000")
            }),
            _ => false,
        };
        if transient { Severity::Transient } else { Severity::Permanent }
    }

    fn is_lock_timeout(&self) -> bool {
        matches!(code(self).as_deref(), Some("55P03" | "40P01"))
    }

    fn is_undefined_table(&self) -> bool {
        code(self).as_deref() == Some("42P01")
    }
}

/// The SQLSTATE, where the server answered.
pub(super) fn code(error: &Error) -> Option<String> {
    error.as_database_error().and_then(DatabaseError::code).map(Cow::into_owned)
}

/// What the server adds to its message.
pub(super) fn detail(error: &Error) -> Option<&str> {
    error.as_database_error()?.try_downcast_ref::<PgDatabaseError>()?.detail()
}

/// Whether a key is there already.
pub(super) fn is_duplicate(error: &Error) -> bool {
    error.as_database_error().is_some_and(DatabaseError::is_unique_violation)
}

/// Whether something else depends on what was to be dropped.
pub(super) fn is_depended_on(error: &Error) -> bool {
    code(error).as_deref() == Some("2BP01")
}
