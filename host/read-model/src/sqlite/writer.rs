//! How rows of a generation are written and found: one in a call, which costs little here.

use std::sync::Arc;

use reel_projector::change::{KeyValues, Row, RowFilter, TableWrites};
use reel_projector::ports::CommitError;
use reel_projector::{ColumnType, Manifest, Table, Value};
use rusqlite::{Connection, Error, Statement};

use super::dialect::tables;
use super::error::SqliteFault;
use super::values;
use crate::fault::Fault;
use crate::model::Tables;
use crate::target::{Generation, GenerationId};

/// The tables of one generation.
pub(crate) struct Writer {
    id: GenerationId,
    manifest: Arc<Manifest>,
    statements: Vec<TableStatements>,
}

/// What is said to one table over and over.
struct TableStatements {
    kinds: Vec<ColumnType>,
    select: String,
    upsert: String,
    delete: String,
}

type CommitFault = SqliteFault<CommitError>;

impl Writer {
    pub(super) fn new(generation: &Generation) -> Writer {
        let (id, manifest) = (generation.id, Arc::clone(&generation.manifest));
        let statements = manifest.tables.iter().map(|table| TableStatements::new(id, table)).collect();
        Writer { id, manifest, statements }
    }
}

/// In one step off the runtime, like all that [`Adapter::run`](crate::adapter::Adapter::run) runs: nothing waits here.
impl Tables for Writer {
    type Session = Connection;

    async fn write(&self, connection: &mut Connection, table: usize, writes: &TableWrites) -> Result<(), CommitFault> {
        let (table, statements) = (&self.manifest.tables[table], &self.statements[table]);
        for filter in &writes.delete_where {
            delete_where(connection, self.id, table, filter)?;
        }
        let mut delete = connection.prepare_cached(&statements.delete)?;
        for key in &writes.deletes {
            say(&mut delete, key)?;
        }
        let mut upsert = connection.prepare_cached(&statements.upsert)?;
        for row in &writes.upserts {
            say(&mut upsert, row)?;
        }
        let mut select = connection.prepare_cached(&statements.select)?;
        for merge in &writes.merges {
            let base = find_row(&mut select, &statements.kinds, &merge.key)?;
            let row = merge.resolve(table, base).map_err(|refusal| Fault::Own(CommitError::Refused(refusal)))?;
            say(&mut upsert, &row)?;
        }
        Ok(())
    }

    async fn find(
        &self,
        connection: &mut Connection,
        table: usize,
        keys: &[KeyValues],
    ) -> Result<Vec<Option<Row>>, Error> {
        let statements = &self.statements[table];
        let mut select = connection.prepare_cached(&statements.select)?;
        keys.iter().map(|key| find_row(&mut select, &statements.kinds, key)).collect()
    }
}

impl TableStatements {
    fn new(id: GenerationId, table: &Table) -> TableStatements {
        TableStatements {
            kinds: table.columns.iter().map(|column| column.kind).collect(),
            select: tables::select(id, table),
            upsert: tables::upsert(id, table),
            delete: tables::delete(id, table),
        }
    }
}

fn say(statement: &mut Statement<'_>, values: &[Value]) -> Result<(), Error> {
    values::bind(statement, values)?;
    statement.raw_execute()?;
    Ok(())
}

fn find_row(select: &mut Statement<'_>, kinds: &[ColumnType], key: &[Value]) -> Result<Option<Row>, Error> {
    values::bind(select, key)?;
    let mut rows = select.raw_query();
    rows.next()?.map(|row| values::row(row, kinds)).transpose()
}

fn delete_where(connection: &Connection, id: GenerationId, table: &Table, filter: &RowFilter) -> Result<(), Error> {
    let columns: Vec<u16> = filter.equal.iter().map(|(column, _)| *column).collect();
    let mut delete = connection.prepare_cached(&tables::delete_where(id, table, &columns))?;
    values::bind(&mut delete, filter.equal.iter().map(|(_, value)| value))?;
    delete.raw_execute()?;
    Ok(())
}
