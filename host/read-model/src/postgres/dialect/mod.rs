//! PostgreSQL's SQL: names, types, conditions. Statements of the catalog are in `catalog`, those of generations' tables and of the
//! views over them in `tables`. SQL text exists nowhere else for this database.

pub(super) mod catalog;
#[cfg(test)]
mod snapshots;
pub(super) mod tables;

use crate::query::Case;
pub(super) use crate::sql::Sql;
use crate::sql::{Argument, Dialect, Values};

/// Settings of the connections that write. What comes in arrays is few beside the table, which the planner does not know while a table
/// is new: it must neither get a generic plan nor join by reading the whole table, as `DELETE` did. Nobody waits for a lock, or holds
/// one in his sleep, without end.
pub(super) const WRITER: [(&str, &str); 6] = [
    ("plan_cache_mode", "force_custom_plan"),
    ("enable_hashjoin", "off"),
    ("enable_mergejoin", "off"),
    ("jit", "off"),
    ("lock_timeout", "10s"),
    ("idle_in_transaction_session_timeout", "60s"),
];

/// Settings of the connections that read.
pub(super) const READER: [(&str, &str); 2] =
    [("default_transaction_read_only", "on"), ("idle_in_transaction_session_timeout", "60s")];

/// Begins to read one moment of the data.
pub(super) const BEGIN_READING: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";

/// In this transaction nobody is kept waiting for long while we wait for a lock.
pub(super) const SHORT_LOCKS: &str = "SET LOCAL lock_timeout = '500ms'";

/// From here on in this transaction, which holds the writers up already, a view that somebody reads is not waited for: the flip is tried
/// again.
pub(super) const SHORTER_LOCKS: &str = "SET LOCAL lock_timeout = '100ms'";

/// In this transaction an index may be sorted in this much memory.
pub(super) const INDEX_MEMORY: &str = "SET LOCAL maintenance_work_mem = '256MB'";

/// In this transaction the planner's statistics come of a fifth of the usual sample: they are gathered while a flip waits for them, and
/// autovacuum makes better ones within a minute, as the rows of the same transaction count as changed behind them.
pub(super) const ROUGH_STATISTICS: &str = "SET LOCAL default_statistics_target = 20";

/// A name, quoted.
pub(super) fn quote(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// PostgreSQL's way to say what databases say differently.
pub(super) struct Postgres;

impl Dialect for Postgres {
    fn quote(&self, name: &str) -> String {
        quote(name)
    }

    fn argument(&self, number: usize) -> String {
        format!("${number}")
    }

    fn like(&self, column: &str, pattern: &str, case: Case) -> String {
        // Text columns have the collation "C": `lower` knows the ASCII letters only, as in SQLite.
        match case {
            Case::Sensitive => format!("{column} LIKE {pattern}"),
            Case::Insensitive => format!("lower({column}) LIKE {pattern}"),
        }
    }

    fn is_one_of<'q>(&self, column: &str, values: Values<'q>, arguments: &mut Vec<Argument<'q>>) -> String {
        arguments.push(Argument::Values(values));
        format!("{column} = ANY ({})", self.argument(arguments.len()))
    }
}
