//! What MySQL's and MariaDB's errors mean for the caller.

use sqlx::mysql::MySqlDatabaseError;

use crate::fault::{DriverError, Fault, Severity};
use crate::target::CatalogError;

/// The driver's error. A type of its own, because the driver has one type for all databases, and the same number means something
/// else on each.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub(crate) struct MySqlError(pub(super) sqlx::Error);

/// What goes wrong inside this adapter.
pub(super) type MySqlFault<O> = Fault<MySqlError, O>;

/// What comes of work on the catalog.
pub(super) type Outcome<T> = Result<T, MySqlFault<CatalogError>>;

impl<O> From<sqlx::Error> for MySqlFault<O> {
    fn from(error: sqlx::Error) -> MySqlFault<O> {
        Fault::Database(MySqlError(error))
    }
}

/// Passing errors of the server: too many connections, a lock that takes too long, a deadlock, a full disk, a statement or session that
/// was killed, a shutdown, a server that became a replica, a table that was made anew at this moment. So is a server that knows the
/// user or the database no more: it did once, or we would not be here.
const TRANSIENT: [u16; 24] = [
    1020, 1021, 1028, 1040, 1041, 1044, 1045, 1049, 1053, 1114, 1180, 1203, 1205, 1213, 1226, 1290, 1317, 1412, 1792,
    1836, 1927, 1969, 3024, 3168,
];

impl MySqlError {
    /// Whether it would happen again.
    pub(super) fn is_permanent(&self) -> bool {
        self.severity() == Severity::Permanent
    }
}

impl DriverError for MySqlError {
    fn severity(&self) -> Severity {
        let transient = match &self.0 {
            sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::Protocol(_) => true,
            sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed | sqlx::Error::WorkerCrashed => true,
            sqlx::Error::Database(_) => number(&self.0).is_some_and(|number| TRANSIENT.contains(&number)),
            _ => false,
        };
        if transient { Severity::Transient } else { Severity::Permanent }
    }

    /// A transaction that was chosen to end a deadlock needs no more than another try either.
    fn is_lock_timeout(&self) -> bool {
        matches!(number(&self.0), Some(1205 | 1213))
    }

    /// Or it was made anew since the reader's moment.
    fn is_undefined_table(&self) -> bool {
        matches!(number(&self.0), Some(1146 | 1412))
    }
}

/// The server's own number, where it answered.
pub(super) fn number(error: &sqlx::Error) -> Option<u16> {
    Some(error.as_database_error()?.try_downcast_ref::<MySqlDatabaseError>()?.number())
}

/// Whether a row with this key is there already.
pub(super) fn is_duplicate(error: &sqlx::Error) -> bool {
    number(error) == Some(1062)
}

/// Whether a table has this column already.
pub(super) fn is_duplicate_column(error: &sqlx::Error) -> bool {
    number(error) == Some(1060)
}

/// Whether the login has not the right to do this.
pub(super) fn is_denied(error: &sqlx::Error) -> bool {
    matches!(number(error), Some(1044 | 1142 | 1143 | 1227 | 1370))
}
