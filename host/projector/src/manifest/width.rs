//! How wide a key or an index may be, so that every database can have it.

use super::{Column, ColumnType};

/// Most bytes of a key or an index: what SQL Server takes in one that is not clustered, the least of all databases.
pub(super) const MAX_BYTES: u64 = 1_700;
/// The same of the others, for people: SQLite sets none.
pub(super) const OTHERS: &str = "2704 in PostgreSQL, 3072 in MySQL and MariaDB";
/// Most columns of a key or an index: MySQL takes 16, PostgreSQL and SQL Server 32.
pub(super) const MAX_COLUMNS: usize = 16;

/// How many bytes the column takes in a key or an index, at most, in whichever database takes most.
///
/// # Errors
/// Why the column cannot be in a key or an index, and what to do.
pub(super) fn bytes(column: &Column) -> Result<u64, String> {
    let name = &column.name;
    let no_length = |kind| {
        format!(
            "column {name} is {kind} without a length, which not every database can index: declare \"length\" on it"
        )
    };
    match column.kind {
        ColumnType::Boolean => Ok(1),
        ColumnType::Int16 => Ok(2),
        ColumnType::Int32 | ColumnType::Date => Ok(4),
        ColumnType::Int64 | ColumnType::Time | ColumnType::Timestamp => Ok(8),
        ColumnType::Decimal { .. } | ColumnType::Uuid => Ok(16),
        ColumnType::Text { length: Some(length) } => Ok(4 * u64::from(length)),
        ColumnType::Bytes { length: Some(length) } => Ok(length.into()),
        ColumnType::Text { length: None } => Err(no_length("text")),
        ColumnType::Bytes { length: None } => Err(no_length("bytes")),
        ColumnType::Json => Err(format!(
            "column {name} is json, which is stored as text without a length and cannot be indexed: keep the part that rows are \
             found by in a column of its own"
        )),
        ColumnType::Double => Err(format!(
            "column {name} is double, which is no safe way to find rows, as two doubles that look alike may differ: use decimal \
             or an integer"
        )),
    }
}
