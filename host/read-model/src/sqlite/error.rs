//! What SQLite's errors mean for the caller.

use rusqlite::{Error, ErrorCode};

use crate::fault::{DriverError, Fault, Severity};
use crate::target::CatalogError;

/// What goes wrong inside this adapter.
pub(super) type SqliteFault<O> = Fault<Error, O>;

/// What comes of work on the catalog.
pub(super) type Outcome<T> = Result<T, SqliteFault<CatalogError>>;

impl DriverError for Error {
    /// Locked by somebody else, a full disk, a disk that does not answer: passing.
    fn severity(&self) -> Severity {
        let code = self.sqlite_error_code();
        let transient = matches!(
            code,
            Some(
                ErrorCode::DatabaseBusy
                    | ErrorCode::DatabaseLocked
                    | ErrorCode::DiskFull
                    | ErrorCode::SystemIoFailure
                    | ErrorCode::CannotOpen
                    | ErrorCode::OutOfMemory
                    | ErrorCode::FileLockingProtocolFailed
                    | ErrorCode::OperationInterrupted
                    | ErrorCode::SchemaChanged
            )
        );
        if transient { Severity::Transient } else { Severity::Permanent }
    }

    /// SQLite waits itself for as long as makes sense.
    fn is_lock_timeout(&self) -> bool {
        false
    }

    /// A reader keeps its moment whole.
    fn is_undefined_table(&self) -> bool {
        false
    }
}
