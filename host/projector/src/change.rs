//! Changes as plugins send them, and what the fold makes of them for a read model to write.

use reel_events::EventRef;

use crate::manifest::Table;
use crate::step::Step;
use crate::value::{Value, ValueRef};

/// What a change does to a row; the same as the WIT's `operation`, where each is described.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operation {
    /// Insert the row, or replace it whole.
    Upsert,
    /// Insert the row; where the key exists, nothing happens.
    InsertIfAbsent,
    /// Set columns of a row that must exist.
    Patch,
    /// Set columns of a row that may exist.
    PatchIfPresent,
    /// Add to integer and decimal columns, creating the row.
    Add,
    /// Lower columns to the given values, creating the row.
    Minimum,
    /// Raise columns to the given values, creating the row.
    Maximum,
    /// Delete by primary key.
    Delete,
    /// Delete by the leading columns of an index.
    DeleteWhere,
}

/// One change, as a plugin sent it, with its spans resolved; nothing else of it is checked.
#[derive(Debug, Clone, Copy)]
pub struct Change<'a> {
    /// Index in the batch that the host gave to [`crate::Plugin::apply`].
    pub event: usize,
    /// Index in the manifest's tables; may be out of range.
    pub table: u16,
    /// What it does.
    pub operation: Operation,
    /// The columns it names.
    pub cells: &'a [Cell<'a>],
}

/// A column and a value for it.
#[derive(Debug, Clone, Copy)]
pub struct Cell<'a> {
    /// Index in the table's columns; may be out of range.
    pub column: u16,
    /// The value.
    pub value: ValueRef<'a>,
}

/// A whole row: a value for each column, in declared order.
pub type Row = Box<[Value]>;

/// The values of a primary key, in key order.
pub type KeyValues = Box<[Value]>;

/// Why an event cannot be applied: always the event's fault, the same on every database and in every batch.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct Refusal {
    /// Index of the event in the batch; nothing = one of the batch's events, found by applying them in smaller pieces.
    pub event: Option<usize>,
    /// Stable, few distinct values: `value-out-of-domain`, `not-owned`, `row-missing`…
    pub code: &'static str,
    /// For people: table, column, what was found and what was expected.
    pub message: String,
}

/// What one batch does to the tables of a generation, folded: per table and key one outcome.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Writes {
    /// By table, in the manifest's order; every table has its entry.
    pub tables: Vec<TableWrites>,
}

/// What one batch does to one table. A read model applies it in this order: `delete_where`, `deletes`, `upserts`, `merges`.
/// Keys are unique across `deletes`, `upserts` and `merges`, and each list is in key order (`upserts` in two parts), so that
/// concurrent writers lock rows in one order.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TableWrites {
    /// Rows to delete by the values of some columns.
    pub delete_where: Vec<RowFilter>,
    /// Rows to delete by key.
    pub deletes: Vec<KeyValues>,
    /// Rows to insert or replace whole: those that are most likely new, then the others.
    pub upserts: Vec<Row>,
    /// How many of `upserts`, from the first on, are most likely new: nothing is known of them, or that they are not there. A
    /// hint, and not a promise.
    pub likely_new: usize,
    /// Rows of a shared table, that other shards change too: to be locked, read, resolved by [`Merge::resolve`] and written
    /// whole, inside the transaction.
    pub merges: Vec<Merge>,
}

/// Equality on some columns; NULL equals NULL.
#[derive(Debug, Clone, PartialEq)]
pub struct RowFilter {
    /// Column and value.
    pub equal: Box<[(u16, Value)]>,
}

impl TableWrites {
    /// Whether nothing is to be written.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.delete_where.is_empty() && self.deletes.is_empty() && self.upserts.is_empty() && self.merges.is_empty()
    }

    /// How many rows it writes, each `delete_where` counted once.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.delete_where.len() + self.deletes.len() + self.upserts.len() + self.merges.len()
    }
}

/// Changes of one row that commute with those of other shards, in the order of their events.
#[derive(Debug, Clone, PartialEq)]
pub struct Merge {
    /// The row's key.
    pub key: KeyValues,
    pub(crate) steps: Vec<Step>,
}

impl Merge {
    /// The row that the changes make of `base`, the row as it stands in the database (nothing: it does not exist, and is created
    /// from the column defaults).
    ///
    /// # Errors
    /// Where a sum leaves the column's range: the event that does it is named.
    pub fn resolve(&self, table: &Table, base: Option<Row>) -> Result<Row, Refusal> {
        let mut row = base;
        for step in &self.steps {
            step.apply(table, &self.key, &mut row)?;
        }
        Ok(row.expect("every step of a merge creates the row"))
    }
}

impl Refusal {
    /// A refusal of one event.
    #[must_use]
    pub fn of(event: usize, code: &'static str, message: impl Into<String>) -> Refusal {
        Refusal { event: Some(event), code, message: message.into() }
    }
}

/// For messages: which event.
#[must_use]
pub fn describe(event: &EventRef<'_>) -> String {
    format!("event {} at position {} of stream {}", event.kind, event.position, event.stream)
}
