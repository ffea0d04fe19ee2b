//! How rows of a generation are written and found: many in a statement, each column an array.

use reel_projector::change::{KeyValues, Merge, Row, RowFilter, TableWrites};
use reel_projector::ports::CommitError;
use reel_projector::{ColumnType, Table, Value};
use sqlx::postgres::PgArguments;
use sqlx::{PgConnection, Postgres, Row as _, query};

use super::copy::{LikelyNew, Taken};
use super::dialect::{Sql, tables};
use super::error::PostgresFault;
use super::values::{self, ColumnArray};
use crate::model::{Tables, resolve};
use crate::pieces::{Limits, alike, pieces};
use crate::target::{Generation, GenerationId};

/// How many rows one statement writes at most, and about how many bytes.
const CHUNK_ROWS: usize = 10_000;
const LIMITS: Limits<fn(usize) -> usize> = Limits { fit: |rows| rows.clamp(1, CHUNK_ROWS), bytes: 16 << 20, size };

/// The tables of one generation.
pub(crate) struct Writer {
    id: GenerationId,
    tables: Vec<(Table, TableStatements)>,
}

/// What is said to one table over and over.
struct TableStatements {
    kinds: Vec<ColumnType>,
    key: Vec<u16>,
    key_kinds: Vec<ColumnType>,
    select: Sql,
    select_for_update: Sql,
    likely_new: LikelyNew,
    upsert: Sql,
    insert_missing: Sql,
    delete: Sql,
}

type CommitFault = PostgresFault<CommitError>;
type Query<'q> = sqlx::query::Query<'q, Postgres, PgArguments>;

impl Writer {
    pub(super) fn new(generation: &Generation) -> Writer {
        let id = generation.id;
        let tables = generation.manifest.tables.iter().map(|table| (table.clone(), TableStatements::new(id, table)));
        Writer { id, tables: tables.collect() }
    }

    async fn delete_where(
        &self,
        connection: &mut PgConnection,
        table: &Table,
        filters: &[RowFilter],
    ) -> Result<(), CommitFault> {
        for alike in alike(filters) {
            let values = alike.values();
            for some in values.chunks(CHUNK_ROWS) {
                let mut delete = query(tables::delete_where(self.id, table, &alike.equal, &alike.null));
                for (place, column) in alike.equal.iter().enumerate() {
                    let kind = table.columns[usize::from(*column)].kind;
                    delete = delete.bind(ColumnArray::of(kind, some.iter().map(|values| &values[place])));
                }
                delete.execute(&mut *connection).await?;
            }
        }
        Ok(())
    }
}

impl TableStatements {
    fn new(id: GenerationId, table: &Table) -> TableStatements {
        TableStatements {
            kinds: table.columns.iter().map(|column| column.kind).collect(),
            key: table.key.clone(),
            key_kinds: table.key_columns().map(|column| column.kind).collect(),
            select: tables::select(id, table),
            select_for_update: tables::select_for_update(id, table),
            likely_new: LikelyNew::new(id, table),
            upsert: tables::upsert(id, table),
            insert_missing: tables::insert_missing(id, table),
            delete: tables::delete(id, table),
        }
    }

    fn with_rows<'q>(&self, statement: &Sql, rows: &'q [Row]) -> Query<'q> {
        let mut query = query(statement.clone());
        for (place, kind) in self.kinds.iter().enumerate() {
            query = query.bind(ColumnArray::of(*kind, rows.iter().map(|row| &row[place])));
        }
        query
    }

    fn with_keys<'q>(&self, statement: &Sql, keys: impl Iterator<Item = &'q KeyValues> + Clone) -> Query<'q> {
        let mut query = query(statement.clone());
        for (place, kind) in self.key_kinds.iter().enumerate() {
            query = query.bind(ColumnArray::of(*kind, keys.clone().map(|key| &key[place])));
        }
        query
    }

    /// The rows under `keys`, in their order.
    async fn find<'q>(
        &self,
        connection: &mut PgConnection,
        statement: &Sql,
        keys: impl Iterator<Item = &'q KeyValues> + Clone,
    ) -> Result<Vec<Option<Row>>, sqlx::Error> {
        let mut found: Vec<Option<Row>> = keys.clone().map(|_| None).collect();
        for row in self.with_keys(statement, keys).fetch_all(&mut *connection).await? {
            let number: i64 = row.try_get(self.kinds.len())?;
            found[number as usize - 1] = Some(values::row(&row, &self.kinds)?);
        }
        Ok(found)
    }

    /// Locks the rows that are there, in key order, and writes what the merges make of them; then inserts the others. Where another
    /// shard inserts one at the same time, ours waits for it, inserts nothing, and is merged into that row.
    async fn merge(&self, connection: &mut PgConnection, table: &Table, merges: &[Merge]) -> Result<(), CommitFault> {
        let bases = self.find(connection, &self.select_for_update, merges.iter().map(|merge| &merge.key)).await?;
        let (there, missing): (Vec<_>, Vec<_>) = merges.iter().zip(bases).partition(|(_, base)| base.is_some());
        let changed = resolve(table, there)?;
        self.put(connection, &changed).await?;
        if missing.is_empty() {
            return Ok(());
        }
        let late: Vec<&Merge> = missing.iter().map(|(merge, _)| *merge).collect();
        let late = self.insert(connection, resolve(table, missing)?, late).await?;
        if late.is_empty() {
            return Ok(());
        }
        let bases = self.find(connection, &self.select_for_update, late.iter().map(|merge| &merge.key)).await?;
        let changed = resolve(table, late.into_iter().zip(bases))?;
        self.put(connection, &changed).await
    }

    async fn put(&self, connection: &mut PgConnection, rows: &[Row]) -> Result<(), CommitFault> {
        for rows in pieces(rows, LIMITS) {
            self.with_rows(&self.upsert, rows).execute(&mut *connection).await?;
        }
        Ok(())
    }

    /// Inserts rows where no row is, and answers with the merges of those that it did not insert.
    async fn insert<'m>(
        &self,
        connection: &mut PgConnection,
        rows: Vec<Row>,
        merges: Vec<&'m Merge>,
    ) -> Result<Vec<&'m Merge>, CommitFault> {
        let inserted = self.with_rows(&self.insert_missing, &rows).fetch_all(&mut *connection).await?;
        if inserted.len() == rows.len() {
            return Ok(Vec::new());
        }
        let inserted: Vec<KeyValues> =
            inserted.iter().map(|row| values::row(row, &self.key_kinds)).collect::<Result<_, _>>()?;
        let is_new = |row: &Row| inserted.iter().any(|key| self.key_of(row).eq(key.iter()));
        Ok(rows.iter().zip(merges).filter(|(row, _)| !is_new(row)).map(|(_, merge)| merge).collect())
    }

    fn key_of<'r>(&self, row: &'r Row) -> impl Iterator<Item = &'r Value> {
        self.key.iter().map(|column| &row[usize::from(*column)])
    }
}

impl Tables for Writer {
    type Session = PgConnection;

    async fn write(
        &self,
        connection: &mut PgConnection,
        table: usize,
        writes: &TableWrites,
    ) -> Result<(), CommitFault> {
        let (table, statements) = &self.tables[table];
        self.delete_where(connection, table, &writes.delete_where).await?;
        for keys in pieces(&writes.deletes, LIMITS) {
            statements.with_keys(&statements.delete, keys.iter()).execute(&mut *connection).await?;
        }
        let (new, others) = writes.upserts.split_at(writes.likely_new);
        match statements.likely_new.insert(connection, new).await? {
            Taken::All => statements.put(connection, others).await?,
            Taken::None => statements.put(connection, &writes.upserts).await?,
        }
        for merges in writes.merges.chunks(CHUNK_ROWS) {
            statements.merge(connection, table, merges).await?;
        }
        Ok(())
    }

    async fn find(
        &self,
        connection: &mut PgConnection,
        table: usize,
        keys: &[KeyValues],
    ) -> Result<Vec<Option<Row>>, sqlx::Error> {
        let (_, statements) = &self.tables[table];
        let mut rows = Vec::with_capacity(keys.len());
        for some in pieces(keys, LIMITS) {
            rows.extend(statements.find(connection, &statements.select, some.iter()).await?);
        }
        Ok(rows)
    }
}

/// About how many bytes a value takes on its way.
fn size(value: &Value) -> usize {
    match value {
        Value::Text(text) | Value::Json(text) => text.len() + 4,
        Value::Bytes(bytes) => bytes.len() + 4,
        _ => 12,
    }
}
