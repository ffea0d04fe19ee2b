//! What makes a struct a table, and a table one of the projection's.

use crate::{
    manifest::TableDescription,
    rows::{CellWriter, RowReader},
};

/// A table, a row of which is a value of this type. Derive it: `#[derive(Table)]`.
pub trait Table: Sized {
    /// What the manifest says of it.
    const DESCRIPTION: TableDescription;

    /// Writes the whole row, in the order of the columns.
    fn write(self, row: &mut CellWriter<'_>);

    /// Reads a whole row, in the order of the columns.
    fn read(row: &mut RowReader<'_>) -> Self;
}

/// A table that the projection of this crate declares. `#[projection(tables(…))]` implements it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not among the projection's tables",
    label = "not declared",
    note = "add it to the list: `#[projection(…, tables({Self}))]`"
)]
pub trait Declared: Table {
    /// Place in the manifest's tables.
    const INDEX: u16;
}
