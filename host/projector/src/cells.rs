//! What steps and removals see of a row, however it is kept: as values here, packed in a build (`bulk/packed.rs`).

use crate::change::Row;
use crate::value::{Taken, Value};

/// A row whose cells can be looked at.
pub(crate) trait Cells {
    /// The value of a column that the table has.
    fn cell(&self, column: u16) -> Taken<'_>;
}

/// Where a row stands, or does not.
pub(crate) trait Place {
    /// Whether there is a row.
    fn stands(&self) -> bool;

    /// A cell of the row, which stands.
    fn cell(&self, column: u16) -> Taken<'_>;

    /// Changes a cell of the row, which stands; none of its key.
    fn set(&mut self, column: u16, value: &Value);

    /// The row is another one now, or is gone.
    fn put(&mut self, row: Option<Row>);
}

impl Cells for Row {
    fn cell(&self, column: u16) -> Taken<'_> {
        Taken::from(&self[usize::from(column)])
    }
}

impl Place for Option<Row> {
    fn stands(&self) -> bool {
        self.is_some()
    }

    fn cell(&self, column: u16) -> Taken<'_> {
        self.as_ref().map_or(Taken::Null, |row| row.cell(column))
    }

    fn set(&mut self, column: u16, value: &Value) {
        if let Some(row) = self {
            row[usize::from(column)].clone_from(value);
        }
    }

    fn put(&mut self, row: Option<Row>) {
        *self = row;
    }
}
