//! What SQL Server's errors mean for the caller.

use std::io;

use tiberius::error::Error;

use crate::fault::{DriverError, Fault, Severity};
use crate::target::CatalogError;

/// The driver's error, or the pool's.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SqlServerError {
    /// The server answered with an error.
    #[error("{message} (error {number})")]
    Server {
        /// The server's own number.
        number: u32,
        /// The server's words.
        message: String,
    },
    /// The server was not reached, or the conversation broke off.
    #[error(transparent)]
    Driver(Error),
    /// No connection could be had in time.
    #[error("no connection could be had in time{}", .last.as_deref().map(|last| format!(" ({last})")).unwrap_or_default())]
    NoConnection {
        /// What connecting failed with lately.
        last: Option<String>,
    },
}

/// What goes wrong inside this adapter.
pub(super) type SqlServerFault<O> = Fault<SqlServerError, O>;

/// What comes of work on the catalog.
pub(super) type Outcome<T> = Result<T, SqlServerFault<CatalogError>>;

impl From<Error> for SqlServerError {
    fn from(error: Error) -> SqlServerError {
        match error {
            Error::Server(token) => {
                SqlServerError::Server { number: token.code(), message: token.message().to_owned() }
            }
            other => SqlServerError::Driver(other),
        }
    }
}

impl From<io::Error> for SqlServerError {
    fn from(error: io::Error) -> SqlServerError {
        SqlServerError::Driver(error.into())
    }
}

/// A deadlock, a lock that takes too long, a conflict of snapshots.
const LOCKS: [u32; 6] = [1204, 1205, 1222, 3960, 3961, LOCK_REFUSED];

/// No memory, no thread, no space for rows or for the log.
const SHORT: [u32; 11] = [701, 802, 845, 1101, 1105, 8628, 8645, 8651, 9001, 9002, 41_839];

/// A session that was killed or broke off, a shutdown, a database that starts, moves, or became a replica.
const AWAY: [u32; 30] = [
    64, 121, 233, 596, 615, 921, 922, 923, 924, 926, 927, 952, 955, 976, 978, 979, 982, 983, 988, 3906, 3908, 4221,
    6005, 6006, 10_053, 10_054, 10_060, 17_142, 17_197, 18_401,
];

/// A server that knows the login or the database no more: it did once, or we would not be here.
const UNKNOWN: [u32; 4] = [911, 916, 4060, 18_456];

/// Azure's ways to say "not now".
const AZURE: [u32; 11] = [10_928, 10_929, 40_143, 40_197, 40_501, 40_540, 40_613, 42_108, 49_918, 49_919, 49_920];

/// Passing errors of the server.
fn is_passing(number: u32) -> bool {
    [LOCKS.as_slice(), &SHORT, &AWAY, &UNKNOWN, &AZURE].iter().any(|class| class.contains(&number))
}

/// Our own number where an application lock was not to be had.
const LOCK_REFUSED: u32 = 51_222;

/// What a server that speaks T-SQL over another engine (Babelfish) says where it has no number of SQL Server's for it.
const UNNUMBERED: u32 = 33_557_097;

impl SqlServerError {
    /// Whether it would happen again.
    pub(super) fn is_permanent(&self) -> bool {
        self.severity() == Severity::Permanent
    }

    /// The server's own number, where it answered.
    pub(super) fn number(&self) -> Option<u32> {
        match self {
            SqlServerError::Server { number, .. } => Some(*number),
            _ => None,
        }
    }

    fn unnumbered(&self, words: &[&str]) -> bool {
        matches!(self, SqlServerError::Server { number: UNNUMBERED, message } if words.iter().any(|words| message.contains(words)))
    }

    /// Whether something else depends on what was to be dropped.
    pub(super) fn is_depended_on(&self) -> bool {
        matches!(self.number(), Some(3726 | 3729)) || self.unnumbered(&["depend on it"])
    }

    /// Whether the login has not the right to do this.
    pub(super) fn is_denied(&self) -> bool {
        let numbered = matches!(self.number(), Some(229 | 230 | 262 | 297 | 300 | 1088 | 2760 | 15_151 | 15_247));
        numbered || self.unnumbered(&["permission denied", "must be owner"])
    }
}

impl DriverError for SqlServerError {
    fn severity(&self) -> Severity {
        let transient = match self {
            SqlServerError::Server { number, .. } => {
                is_passing(*number) || self.is_lock_timeout() || self.unnumbered(&["terminating connection"])
            }
            SqlServerError::Driver(error) => {
                matches!(error, Error::Io { .. } | Error::Protocol(_) | Error::Routing { .. })
            }
            SqlServerError::NoConnection { .. } => true,
        };
        if transient { Severity::Transient } else { Severity::Permanent }
    }

    /// A transaction that was chosen to end a deadlock, or met another one's changes, needs no more than another try either.
    fn is_lock_timeout(&self) -> bool {
        let numbered = matches!(self.number(), Some(1205 | 1222 | 3960 | LOCK_REFUSED));
        numbered || self.unnumbered(&["lock timeout", "could not serialize", "deadlock"])
    }

    /// Or it was changed since the reader's moment.
    fn is_undefined_table(&self) -> bool {
        matches!(self.number(), Some(208 | 3961)) || self.unnumbered(&["does not exist"])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(number: u32, message: &str) -> SqlServerError {
        SqlServerError::Server { number, message: message.to_owned() }
    }

    #[test]
    fn what_is_tried_again() {
        for number in [1205, 1222, 3960, LOCK_REFUSED] {
            let error = server(number, "…");
            assert!(error.is_lock_timeout() && !error.is_permanent(), "{error}");
        }
        let timeout = server(UNNUMBERED, "canceling statement due to lock timeout");
        assert!(timeout.is_lock_timeout() && !timeout.is_permanent());
        assert!(server(2627, "Violation of PRIMARY KEY constraint").is_permanent());
        assert!(server(UNNUMBERED, "syntax error").is_permanent());
        assert!(!SqlServerError::NoConnection { last: None }.is_permanent());
    }

    /// Of Microsoft's lists: what is full, who was killed, a fail-over of an availability group, and Azure's moves.
    #[test]
    fn full_killed_and_failed_over_pass() {
        for number in
            [1101, 1105, 9002, 596, 6005, 976, 978, 983, 988, 10_053, 10_054, 3906, 4221, 4060, 40_197, 40_501, 40_613]
        {
            let error = server(number, "…");
            assert!(!error.is_permanent() && !error.is_lock_timeout(), "{error}");
        }
        let broken = std::io::Error::from(io::ErrorKind::ConnectionReset);
        assert!(!SqlServerError::from(broken).is_permanent());
        let routed = Error::Routing { host: "there".to_owned(), port: 1433 };
        assert!(!SqlServerError::from(routed).is_permanent());
        for number in [102, 208, 229, 515, 547, 2601, 2627, 4816, 4823, 8115, 8152] {
            assert!(server(number, "…").is_permanent(), "error {number} is tried again without end");
        }
    }

    #[test]
    fn what_the_server_says_is_shown_with_its_number() {
        let error = server(4060, "Cannot open database \"x\"");
        assert_eq!(error.to_string(), "Cannot open database \"x\" (error 4060)");
        let error = SqlServerError::NoConnection { last: Some("refused".to_owned()) };
        assert_eq!(error.to_string(), "no connection could be had in time (refused)");
    }
}
