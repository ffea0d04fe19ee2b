//! What can go wrong in the file, and which of the port's errors it is.

use reel_events::stored::StoredError;
use rusqlite::ErrorCode;

use crate::store::StoreError;

/// An error that does not know yet where the store is.
#[derive(Debug)]
pub(super) enum Fault {
    Sqlite(rusqlite::Error),
    Unreadable(String),
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Fault {
        Fault::Sqlite(error)
    }
}

impl From<String> for Fault {
    /// What is damaged.
    fn from(reason: String) -> Fault {
        Fault::Unreadable(reason)
    }
}

impl Fault {
    /// Events of the commit at `position` that cannot be decoded.
    pub(super) fn stored(position: u64, error: &StoredError) -> Fault {
        Fault::Unreadable(format!("in the commit at position {position}: {error}"))
    }

    pub(super) fn into_error(self, location: &str) -> StoreError {
        let location = location.to_owned();
        match self {
            Fault::Unreadable(reason) => StoreError::Unreadable { location, reason },
            Fault::Sqlite(error) => match error.sqlite_error_code() {
                Some(ErrorCode::NotADatabase) => {
                    let reason = "the file is not a SQLite database, so not a Reel event store".to_owned();
                    StoreError::Unreadable { location, reason }
                }
                Some(ErrorCode::DatabaseCorrupt) => StoreError::Unreadable { location, reason: error.to_string() },
                _ if is_wrong_type(&error) => StoreError::Unreadable { location, reason: error.to_string() },
                _ => StoreError::Unavailable { location, source: Box::new(error) },
            },
        }
    }
}

/// A column that does not hold what we write there.
fn is_wrong_type(error: &rusqlite::Error) -> bool {
    use rusqlite::Error::{FromSqlConversionFailure, IntegralValueOutOfRange, InvalidColumnType};
    matches!(error, FromSqlConversionFailure(..) | IntegralValueOutOfRange(..) | InvalidColumnType(..))
}
