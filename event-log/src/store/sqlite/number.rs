//! Positions, versions and counts as SQLite has them: signed numbers of 64 bits. Not here: times, which are signed anyway.

use rusqlite::Row;

/// For a query; beyond SQLite's range nothing is stored.
pub(super) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// From a row; a negative number is not one of ours.
pub(super) fn unsigned(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    let number: i64 = row.get(column)?;
    u64::try_from(number).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(column, number))
}
