//! MySQL's and MariaDB's SQL: names, types, conditions, always in a form that both take. Statements of the catalog are in `catalog`,
//! those of generations' tables and of the views over them in `tables`. SQL text exists nowhere else for these databases.

pub(super) mod catalog;
#[cfg(test)]
mod snapshots;
pub(super) mod tables;

use reel_projector::ColumnType;

use crate::query::{Case, Direction, Nulls};
pub(super) use crate::sql::Sql;
use crate::sql::{Argument, Dialect, Values};

/// What server this is.
pub(super) const VERSION: &str = "SELECT version(), @@max_allowed_packet, @@read_only";

/// Settings of every connection: nothing is truncated or wrapped, and no key list becomes a join with a table of its own.
pub(super) const CONNECTION: &str = "SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION,ERROR_FOR_DIVISION_BY_ZERO'\
     /*M! , in_predicate_conversion_threshold = 0 */";

/// Settings of the connections that write: nobody waits for a lock without end. Without locks on gaps between keys, which two shards
/// that insert at the same time would deadlock on.
pub(super) const WRITER: &str = "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED; \
     SET SESSION innodb_lock_wait_timeout = 10, lock_wait_timeout = 10";

/// Settings of the connections that read. Long texts are sorted by more of themselves than the server's 1,024 bytes.
pub(super) const READER: &str = "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ; SET SESSION max_sort_length = 65536, sort_buffer_size = 8388608, \
     lock_wait_timeout = 10";

/// Settings of the connections that make, flip and drop: who reads or writes is not kept waiting for long while we wait for a lock.
pub(super) const SHORT_LOCKS: &str = "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED; \
     SET SESSION innodb_lock_wait_timeout = 1, lock_wait_timeout = 1";

/// Begins to read one moment of the data.
pub(super) const BEGIN_READING: &str = "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY";

/// A name, quoted.
pub(super) fn quote(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// An argument of a type. What travels as text is made what it is before it is compared: a decimal against text would be compared as
/// two doubles.
fn typed(kind: ColumnType) -> String {
    match kind {
        ColumnType::Decimal { precision, scale } => format!("CAST(? AS DECIMAL({precision}, {scale}))"),
        ColumnType::Date => "CAST(? AS DATE)".to_owned(),
        ColumnType::Time => "CAST(? AS TIME(6))".to_owned(),
        ColumnType::Timestamp => "CAST(? AS DATETIME(6))".to_owned(),
        _ => "?".to_owned(),
    }
}

/// MySQL's way to say what databases say differently.
pub(super) struct MySql {
    /// The server's collation that compares bytewise and does not pad.
    pub(super) collation: &'static str,
}

impl Dialect for MySql {
    fn quote(&self, name: &str) -> String {
        quote(name)
    }

    fn argument(&self, _number: usize) -> String {
        "?".to_owned()
    }

    fn value(&self, _number: usize, kind: ColumnType) -> String {
        typed(kind)
    }

    fn like(&self, column: &str, pattern: &str, case: Case) -> String {
        match case {
            Case::Sensitive => format!("{column} LIKE {pattern}"),
            // `lower` knows all letters of Unicode; in a character set whose upper half has no letters with case it knows the ASCII
            // ones only, as on every other database. The bytes stay what they are.
            Case::Insensitive => format!(
                "CONVERT(CAST(lower(CONVERT(CAST({column} AS BINARY) USING hebrew)) AS BINARY) USING utf8mb4) COLLATE {} LIKE {pattern}",
                self.collation
            ),
        }
    }

    fn is_one_of<'q>(&self, column: &str, values: Values<'q>, arguments: &mut Vec<Argument<'q>>) -> String {
        arguments.extend(values.values.iter().map(|value| Argument::Value(values.kind, value)));
        format!("{column} IN ({})", vec![typed(values.kind); values.values.len()].join(", "))
    }

    fn ordered(&self, column: &str, direction: Direction, nulls: Option<Nulls>) -> String {
        // NULL is less than every value here.
        let place = match (nulls, direction) {
            (Some(Nulls::Last), Direction::Ascending) => format!("{column} IS NULL, "),
            (Some(Nulls::First), Direction::Descending) => format!("{column} IS NOT NULL, "),
            _ => String::new(),
        };
        let direction = if direction == Direction::Descending { " DESC" } else { "" };
        format!("{place}{column}{direction}")
    }
}
