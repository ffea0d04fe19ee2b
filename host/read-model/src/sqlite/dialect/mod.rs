//! SQLite's SQL: names, types, conditions. Statements of the catalog are in `catalog`, those of generations' tables and of the
//! views over them in `tables`. SQL text exists nowhere else for this database.

pub(super) mod catalog;
#[cfg(test)]
mod snapshots;
pub(super) mod tables;

use crate::query::Case;
use crate::sql::{Argument, Dialect, Values};

/// Settings of every connection: `LIKE` counts case, as it does elsewhere; what waits for a lock waits this long.
pub(super) const CONNECTION: &str =
    "PRAGMA busy_timeout = 5000; PRAGMA case_sensitive_like = ON; PRAGMA temp_store = MEMORY;";

/// Settings of the connection that writes. Rows and checkpoint are in one file, so a power failure that takes the last
/// commits takes both: `NORMAL` is safe, and much faster. What an operator does is written with [`FULL`].
pub(super) const WRITER: &str = "PRAGMA journal_mode = WAL; PRAGMA cache_size = -65536; PRAGMA wal_autocheckpoint = 4000; PRAGMA journal_size_limit = 67108864;";

/// Settings of the connections that read.
pub(super) const READER: &str = "PRAGMA query_only = ON; PRAGMA cache_size = -8192;";

/// Begins to read one moment of the data.
pub(super) const BEGIN_READING: &str = "BEGIN DEFERRED";

/// Begins to write.
pub(super) const BEGIN_WRITING: &str = "BEGIN IMMEDIATE";

/// Ends what was written.
pub(super) const COMMIT: &str = "COMMIT";

/// Ends what was read, and lets what was written be undone.
pub(super) const ROLL_BACK: &str = "ROLLBACK";

/// From here on a commit is on the disk before it is acknowledged.
pub(super) const FULL: &str = "PRAGMA synchronous = FULL";

/// From here on a commit may be lost in a power failure, with all commits behind it.
pub(super) const NORMAL: &str = "PRAGMA synchronous = NORMAL";

/// A name, quoted.
pub(super) fn quote(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// SQLite's way to say what databases say differently.
pub(super) struct Sqlite;

impl Dialect for Sqlite {
    fn quote(&self, name: &str) -> String {
        quote(name)
    }

    fn argument(&self, number: usize) -> String {
        format!("?{number}")
    }

    fn like(&self, column: &str, pattern: &str, case: Case) -> String {
        match case {
            Case::Sensitive => format!("{column} LIKE {pattern} ESCAPE '\\'"),
            Case::Insensitive => format!("lower({column}) LIKE {pattern} ESCAPE '\\'"),
        }
    }

    fn is_one_of<'q>(&self, column: &str, values: Values<'q>, arguments: &mut Vec<Argument<'q>>) -> String {
        let mut marks = Vec::with_capacity(values.values.len());
        for value in values.values {
            arguments.push(Argument::Value(values.kind, value));
            marks.push(self.argument(arguments.len()));
        }
        format!("{column} IN ({})", marks.join(", "))
    }
}
