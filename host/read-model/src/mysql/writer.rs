//! How rows of a generation are written and found: many in a statement, each value an argument.

use std::collections::HashMap;

use reel_projector::change::{KeyValues, Merge, Row, RowFilter, TableWrites};
use reel_projector::key::encoded;
use reel_projector::ports::CommitError;
use reel_projector::{ColumnType, Table, Value};
use sqlx::mysql::MySqlArguments;
use sqlx::{MySql, MySqlConnection, query};

use super::connection::Database;
use super::dialect::tables::Repeated;
use super::dialect::{Sql, tables};
use super::error::{MySqlError, MySqlFault, is_duplicate};
use super::values::{self, Bound};
use crate::model::{Tables, resolve};
use crate::pieces::{self, Limits, alike};
use crate::target::{Generation, GenerationId};

/// The tables of one generation.
pub(crate) struct Writer {
    id: GenerationId,
    tables: Vec<(Table, TableStatements)>,
}

/// What is said to one table over and over.
struct TableStatements {
    kinds: Vec<ColumnType>,
    key: Vec<u16>,
    /// The most bytes of one statement.
    most: usize,
    select: Repeated,
    select_for_update: Repeated,
    upsert: Repeated,
    insert: Repeated,
    delete: Repeated,
}

type CommitFault = MySqlFault<CommitError>;
type Query<'q> = sqlx::query::Query<'q, MySql, MySqlArguments>;

impl Writer {
    pub(super) fn new(database: &Database, generation: &Generation) -> Writer {
        let (id, most) = (generation.id, most_bytes(database));
        let with_statements = |table: &Table| (table.clone(), TableStatements::new(id, table, most));
        Writer { id, tables: generation.manifest.tables.iter().map(with_statements).collect() }
    }

    async fn delete_where(
        &self,
        connection: &mut MySqlConnection,
        (table, statements): &(Table, TableStatements),
        filters: &[RowFilter],
    ) -> Result<(), sqlx::Error> {
        for alike in alike(filters) {
            if alike.equal.is_empty() {
                query(tables::delete_null(self.id, table, &alike.null)).execute(&mut *connection).await?;
                continue;
            }
            let delete = tables::delete_where(self.id, table, &alike.equal, &alike.null);
            put(connection, &delete, &alike.values(), statements.most).await?;
        }
        Ok(())
    }
}

impl Tables for Writer {
    type Session = MySqlConnection;

    async fn write(
        &self,
        connection: &mut MySqlConnection,
        table: usize,
        writes: &TableWrites,
    ) -> Result<(), CommitFault> {
        let of = &self.tables[table];
        let (table, statements) = of;
        self.delete_where(connection, of, &writes.delete_where).await?;
        statements.put(connection, &statements.delete, &writes.deletes).await?;
        statements.put(connection, &statements.upsert, &writes.upserts).await?;
        if !writes.merges.is_empty() {
            statements.merge(connection, table, writes.merges.iter().collect()).await?;
        }
        Ok(())
    }

    async fn find(
        &self,
        connection: &mut MySqlConnection,
        table: usize,
        keys: &[KeyValues],
    ) -> Result<Vec<Option<Row>>, MySqlError> {
        let (_, statements) = &self.tables[table];
        statements.find(connection, &statements.select, keys).await.map_err(MySqlError)
    }
}

impl TableStatements {
    fn new(id: GenerationId, table: &Table, most: usize) -> TableStatements {
        TableStatements {
            kinds: table.columns.iter().map(|column| column.kind).collect(),
            key: table.key.clone(),
            most,
            select: tables::select(id, table),
            select_for_update: tables::select_for_update(id, table),
            upsert: tables::upsert(id, table),
            insert: tables::insert(id, table),
            delete: tables::delete(id, table),
        }
    }

    fn with<'q>(&self, statement: &Repeated, rows: &'q [impl AsRef<[Value]>]) -> Query<'q> {
        bound(statement.of(rows.len()), rows.iter().flat_map(AsRef::as_ref))
    }

    async fn put<T: AsRef<[Value]> + Sync>(
        &self,
        connection: &mut MySqlConnection,
        by: &Repeated,
        rows: &[T],
    ) -> Result<(), sqlx::Error> {
        put(connection, by, rows, self.most).await
    }

    /// The rows under `keys`, in their order.
    async fn find(
        &self,
        connection: &mut MySqlConnection,
        statement: &Repeated,
        keys: &[KeyValues],
    ) -> Result<Vec<Option<Row>>, sqlx::Error> {
        let mut found: HashMap<Vec<u8>, Row> = HashMap::with_capacity(keys.len());
        for some in pieces(keys, statement, self.most) {
            for row in self.with(statement, some).fetch_all(&mut *connection).await? {
                let row = values::row(&row, &self.kinds)?;
                let key: Vec<Value> = self.key.iter().map(|column| row[usize::from(*column)].clone()).collect();
                found.insert(encoded(&key), row);
            }
        }
        Ok(keys.iter().map(|key| found.get(&encoded(key)).cloned()).collect())
    }

    /// Locks the rows that are there, in key order, and writes what the merges make of them; then inserts the others. Where another
    /// shard has inserted one meanwhile, the merges of those that are not inserted yet begin anew.
    async fn merge(
        &self,
        connection: &mut MySqlConnection,
        table: &Table,
        mut merges: Vec<&Merge>,
    ) -> Result<(), CommitFault> {
        while !merges.is_empty() {
            let keys: Vec<KeyValues> = merges.iter().map(|merge| merge.key.clone()).collect();
            let bases = self.find(connection, &self.select_for_update, &keys).await?;
            let (there, missing): (Vec<_>, Vec<_>) =
                merges.into_iter().zip(bases).partition(|(_, base)| base.is_some());
            self.put(connection, &self.upsert, &resolve(table, there)?).await?;
            merges = missing.iter().map(|(merge, _)| *merge).collect();
            let inserted = self.insert(connection, &resolve(table, missing)?).await?;
            merges.drain(..inserted);
        }
        Ok(())
    }

    /// Inserts rows up to the first statement that meets a row of another shard, which inserts none of its own; how many.
    async fn insert(&self, connection: &mut MySqlConnection, rows: &[Row]) -> Result<usize, CommitFault> {
        let mut inserted = 0;
        for some in pieces(rows, &self.insert, self.most) {
            match self.with(&self.insert, some).execute(&mut *connection).await {
                Ok(_) => inserted += some.len(),
                Err(error) if is_duplicate(&error) => break,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(inserted)
    }
}

/// Says `by` of all `rows`, in as few statements as take them.
pub(super) async fn put<T: AsRef<[Value]> + Sync>(
    connection: &mut MySqlConnection,
    by: &Repeated,
    rows: &[T],
    most: usize,
) -> Result<(), sqlx::Error> {
    for some in pieces(rows, by, most) {
        bound(by.of(some.len()), some.iter().flat_map(AsRef::as_ref)).execute(&mut *connection).await?;
    }
    Ok(())
}

/// A statement with its values.
pub(super) fn bound<'q>(statement: Sql, values: impl Iterator<Item = &'q Value>) -> Query<'q> {
    values.fold(query(statement), |query, value| query.bind(Bound(value)))
}

/// How many bytes of values one statement carries at most, so that the server takes it, with all that comes beside them.
pub(super) fn most_bytes(database: &Database) -> usize {
    (database.server.packet / 2).min(8 << 20)
}

fn pieces<'r, T: AsRef<[Value]>>(rows: &'r [T], by: &Repeated, most: usize) -> impl Iterator<Item = &'r [T]> {
    pieces::pieces(rows, Limits { fit: |rows| by.fit(rows), bytes: most, size })
}

/// About how many bytes a value takes on its way.
fn size(value: &Value) -> usize {
    match value {
        Value::Text(text) | Value::Json(text) => text.len() + 9,
        Value::Bytes(bytes) => bytes.len() + 9,
        _ => 32,
    }
}
