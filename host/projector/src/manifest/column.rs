//! What a column takes: the one place that decides, for all databases, whether a value is inside the domain.

use super::Column;
use crate::value::{DomainError, Value, ValueRef};

impl Column {
    /// Takes a value from a plugin: checks it against the column's type, length, width and nullability, and owns it.
    ///
    /// # Errors
    /// Where the value is outside what the column takes; nothing is truncated, wrapped or rounded.
    pub fn accept(&self, value: ValueRef<'_>) -> Result<Value, DomainError> {
        let _ = value;
        unreachable!("being written")
    }
}
