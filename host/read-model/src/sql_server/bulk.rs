//! Bulk loads. The driver's takes no value beyond 65,535 bytes, whatever the column takes: rows with such a value come as arguments.

use reel_projector::{ColumnType, Value};
use tiberius::{SqlBulkCopyOptions, TokenRow};

use super::connection::{Session, query};
use super::dialect::tables;
use super::error::SqlServerError;
use super::values;

/// The most bytes of a value in a bulk load.
const LONGEST: usize = 65_535;

/// Where rows are loaded into, and how.
pub(super) struct Into<'t> {
    /// The table, quoted.
    pub(super) table: &'t str,
    /// What its columns are of, in their order.
    pub(super) kinds: &'t [ColumnType],
    pub(super) options: SqlBulkCopyOptions,
}

impl Into<'_> {
    /// Loads rows; `sent` is how a row goes there.
    pub(super) async fn load<'r, R: AsRef<[Value]>>(
        &self,
        session: &mut Session,
        rows: &'r [R],
        sent: impl Fn(&'r [Value]) -> TokenRow<'r>,
    ) -> Result<(), SqlServerError> {
        let (long, short): (Vec<&[Value]>, Vec<&[Value]>) =
            rows.iter().map(AsRef::as_ref).partition(|row| is_long(row));
        if !short.is_empty() {
            session.load(self.table, self.options, short.into_iter().map(&sent)).await?;
        }
        for row in long {
            let arguments = values::sent_as_arguments(self.kinds, sent(row));
            let insert = query(tables::insert_arguments(self.table, self.kinds.len()));
            arguments.into_iter().fold(insert, super::connection::Query::bind).execute(session).await?;
        }
        Ok(())
    }
}

fn is_long(row: &[Value]) -> bool {
    row.iter().any(|value| match value {
        // A byte of UTF-8 becomes two of UTF-16 at most.
        Value::Text(text) | Value::Json(text) => 2 * text.len() > LONGEST,
        Value::Bytes(bytes) => bytes.len() > LONGEST,
        _ => false,
    })
}
