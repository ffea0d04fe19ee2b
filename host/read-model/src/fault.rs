//! What goes wrong inside an adapter before the caller's error is made of it: the database's own error, or an answer that is an
//! error for the caller.

use std::error::Error;

use reel_projector::ReadModelError;

use crate::catalog::Unreadable;

/// `E` is the driver's error, `O` the error of the port's method.
#[derive(Debug)]
pub(crate) enum Fault<E, O> {
    /// The database did not do it.
    Database(E),
    /// What is in the database is not what was written there.
    Unreadable(Unreadable),
    /// The port's own error.
    Own(O),
}

impl<E: DriverError, O> From<E> for Fault<E, O> {
    fn from(error: E) -> Fault<E, O> {
        Fault::Database(error)
    }
}

impl<E, O> From<Unreadable> for Fault<E, O> {
    fn from(unreadable: Unreadable) -> Fault<E, O> {
        Fault::Unreadable(unreadable)
    }
}

/// Whether it makes sense to try again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Severity {
    /// Passing.
    Transient,
    /// It will happen again.
    Permanent,
}

/// A driver's error.
pub(crate) trait DriverError: Error + Send + Sync + Sized + 'static {
    /// Whether it makes sense to try again.
    fn severity(&self) -> Severity;

    /// Whether locks were not to be had in time, and nothing else is wrong: whoever asks again soon may get them.
    fn is_lock_timeout(&self) -> bool;

    /// Whether a table is not there, though the catalog says so.
    fn is_undefined_table(&self) -> bool;
}

impl<E: DriverError, O: From<ReadModelError>> Fault<E, O> {
    /// The caller's error: `target` is the read database, `action` what was being done.
    pub(crate) fn told(self, target: &str, action: &str) -> O {
        let source: Box<dyn Error + Send + Sync> = match self {
            Fault::Own(own) => return own,
            Fault::Database(error) if error.severity() == Severity::Transient => {
                return O::from(ReadModelError::Unavailable { target: target.to_owned(), source: Box::new(error) });
            }
            Fault::Database(error) => Box::new(error),
            Fault::Unreadable(unreadable) => Box::new(unreadable),
        };
        O::from(ReadModelError::Refused { target: target.to_owned(), action: action.to_owned(), source })
    }
}
