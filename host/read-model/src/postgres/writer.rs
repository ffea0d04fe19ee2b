//! What a loop does with a generation: read rows, and commit rows with the checkpoint.

use std::sync::Arc;

use async_trait::async_trait;
use reel_events::Place;
use reel_projector::change::{KeyValues, Merge, Row, RowFilter, TableWrites};
use reel_projector::ports::{Commit, CommitError, DeadLetter};
use reel_projector::{Checkpoint, ColumnType, Manifest, ReadModel, ReadModelError, Table, Value};
use sqlx::postgres::PgArguments;
use sqlx::{PgConnection, Postgres, Row as _, query};

use super::connection::Database;
use super::dialect::{Sql, catalog as sql, tables};
use super::error::PostgresFault;
use super::values::{self, ColumnArray};
use crate::adapter::Adapter;
use crate::catalog::{self, CheckpointEntry, Word, kept};
use crate::fault::Fault;
use crate::target::{Generation, GenerationId};

/// How many rows one statement writes at most, and about how many bytes.
const CHUNK_ROWS: usize = 10_000;
const CHUNK_BYTES: usize = 16 << 20;

/// The tables and checkpoints of one generation.
pub(super) struct Writer {
    database: Arc<Database>,
    id: GenerationId,
    manifest: Arc<Manifest>,
    statements: Vec<TableStatements>,
}

/// What is said to one table over and over.
struct TableStatements {
    kinds: Vec<ColumnType>,
    key: Vec<u16>,
    key_kinds: Vec<ColumnType>,
    select: Sql,
    select_for_update: Sql,
    upsert: Sql,
    insert_missing: Sql,
    delete: Sql,
}

type CommitFault = PostgresFault<CommitError>;
type Query<'q> = sqlx::query::Query<'q, Postgres, PgArguments>;

impl Writer {
    pub(super) fn new(database: Arc<Database>, generation: &Generation) -> Writer {
        let id = generation.id;
        let statements = generation.manifest.tables.iter().map(|table| TableStatements::new(id, table)).collect();
        Writer { database, id, manifest: Arc::clone(&generation.manifest), statements }
    }

    async fn write(&self, commit: &Commit<'_>) -> Result<(), CommitFault> {
        let mut transaction = self.database.write().await?;
        self.move_checkpoint(&mut transaction, commit).await?;
        for (index, writes) in commit.writes.tables.iter().enumerate() {
            if !writes.is_empty() {
                self.write_table(&mut transaction, index, writes).await?;
            }
        }
        put_dead_letters(&mut transaction, self.id, commit.dead_letters).await?;
        let ended = settle(&mut transaction, self.id, commit.settled).await?;
        if ended != commit.settled.len() as u64 {
            return Err(self.superseded(&mut transaction, commit).await?);
        }
        Ok(transaction.commit().await?)
    }

    async fn move_checkpoint(&self, connection: &mut PgConnection, commit: &Commit<'_>) -> Result<(), CommitFault> {
        let from = CheckpointEntry::of(&commit.from);
        let moved = query(sql::MOVE_CHECKPOINT)
            .bind(kept(commit.to.position))
            .bind(commit.to.event.to_string())
            .bind(self.id.0)
            .bind(i64::from(commit.shard))
            .bind(from.log)
            .bind(from.position)
            .bind(from.event)
            .bind(from.layout)
            .bind(from.epoch);
        if moved.execute(&mut *connection).await?.rows_affected() == 1 {
            return Ok(());
        }
        Err(self.superseded(connection, commit).await?)
    }

    /// Somebody else has done this step, or owns the shard: what is there.
    async fn superseded(&self, connection: &mut PgConnection, commit: &Commit<'_>) -> Result<CommitFault, CommitFault> {
        let found = catalog::checkpoint(connection, self.id, commit.shard).await?;
        Ok(Fault::Own(CommitError::Superseded { shard: commit.shard, expected: commit.from.point.position, found }))
    }

    async fn write_table(
        &self,
        connection: &mut PgConnection,
        index: usize,
        writes: &TableWrites,
    ) -> Result<(), CommitFault> {
        let (table, statements) = (&self.manifest.tables[index], &self.statements[index]);
        self.delete_where(connection, table, &writes.delete_where).await?;
        for keys in chunks(&writes.deletes) {
            statements.with_keys(&statements.delete, keys.iter()).execute(&mut *connection).await?;
        }
        for rows in chunks(&writes.upserts) {
            statements.with_rows(&statements.upsert, rows).execute(&mut *connection).await?;
        }
        for merges in writes.merges.chunks(CHUNK_ROWS) {
            statements.merge(connection, table, merges).await?;
        }
        Ok(())
    }

    /// One statement for all filters in a row that name the same columns with a value, and the same as NULL.
    async fn delete_where(
        &self,
        connection: &mut PgConnection,
        table: &Table,
        filters: &[RowFilter],
    ) -> Result<(), CommitFault> {
        for alike in filters.chunk_by(|a, b| shape(a) == shape(b)) {
            let (equal, null) = shape(&alike[0]);
            let kinds: Vec<ColumnType> = equal.iter().map(|column| table.columns[usize::from(*column)].kind).collect();
            for some in alike.chunks(CHUNK_ROWS) {
                let mut delete = query(tables::delete_where(self.id, table, &equal, &null));
                for (place, kind) in kinds.iter().enumerate() {
                    delete = delete.bind(ColumnArray::of(*kind, some.iter().map(|filter| nth_value(filter, place))));
                }
                delete.execute(&mut *connection).await?;
            }
        }
        Ok(())
    }
}

/// Which columns a filter compares with a value, and which with NULL.
fn shape(filter: &RowFilter) -> (Vec<u16>, Vec<u16>) {
    let (null, equal): (Vec<_>, Vec<_>) = filter.equal.iter().partition(|(_, value)| *value == Value::Null);
    (equal.iter().map(|(column, _)| *column).collect(), null.iter().map(|(column, _)| *column).collect())
}

fn nth_value(filter: &RowFilter, place: usize) -> &Value {
    let mut values = filter.equal.iter().map(|(_, value)| value).filter(|value| **value != Value::Null);
    values.nth(place).expect("filters of one shape have as many values")
}

impl TableStatements {
    fn new(id: GenerationId, table: &Table) -> TableStatements {
        TableStatements {
            kinds: table.columns.iter().map(|column| column.kind).collect(),
            key: table.key.clone(),
            key_kinds: table.key_columns().map(|column| column.kind).collect(),
            select: tables::select(id, table),
            select_for_update: tables::select_for_update(id, table),
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
        let changed = resolve(table, late.into_iter().zip(bases).collect())?;
        self.put(connection, &changed).await
    }

    async fn put(&self, connection: &mut PgConnection, rows: &[Row]) -> Result<(), CommitFault> {
        if !rows.is_empty() {
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

fn resolve(table: &Table, merges: Vec<(&Merge, Option<Row>)>) -> Result<Vec<Row>, CommitFault> {
    let resolved = merges.into_iter().map(|(merge, base)| merge.resolve(table, base));
    resolved.collect::<Result<_, _>>().map_err(|refusal| Fault::Own(CommitError::Refused(refusal)))
}

#[async_trait]
impl ReadModel for Writer {
    async fn checkpoint(&self, shard: u32) -> Result<Option<Checkpoint>, ReadModelError> {
        let find = async {
            let mut connection = self.database.readers.acquire().await?;
            catalog::checkpoint(&mut *connection, self.id, shard).await
        };
        find.await
            .map_err(|fault: PostgresFault<ReadModelError>| fault.told(&self.database.name, "reading a checkpoint"))
    }

    async fn read(&self, table: u16, keys: &[KeyValues]) -> Result<Vec<Option<Row>>, ReadModelError> {
        let statements = &self.statements[usize::from(table)];
        let find = async {
            let mut connection = self.database.writers.acquire().await?;
            let mut rows = Vec::with_capacity(keys.len());
            for some in chunks(keys) {
                rows.extend(statements.find(&mut connection, &statements.select, some.iter()).await?);
            }
            Ok(rows)
        };
        find.await.map_err(|fault: PostgresFault<ReadModelError>| {
            let name = &self.manifest.tables[usize::from(table)].name;
            fault.told(&self.database.name, &format!("reading rows of table {name} of generation {}", self.id.0))
        })
    }

    async fn commit(&self, commit: Commit<'_>) -> Result<(), CommitError> {
        self.write(&commit).await.map_err(|fault| {
            let action = format!(
                "writing generation {} from position {} to {}",
                self.id.0, commit.from.point.position, commit.to.position
            );
            fault.told(&self.database.name, &action)
        })
    }
}

pub(super) async fn put_dead_letters(
    connection: &mut PgConnection,
    id: GenerationId,
    letters: &[DeadLetter],
) -> Result<(), CommitFault> {
    if letters.is_empty() {
        return Ok(());
    }
    let texts =
        |text: fn(&DeadLetter) -> &str| letters.iter().map(|letter| text(letter).to_owned()).collect::<Vec<_>>();
    let put = query(sql::PUT_DEAD_LETTERS)
        .bind(id.0)
        .bind(letters.iter().map(|letter| kept(letter.position.number())).collect::<Vec<_>>())
        .bind(letters.iter().map(|letter| letter.event.to_string()).collect::<Vec<_>>())
        .bind(texts(|letter| &letter.stream))
        .bind(texts(|letter| &letter.kind))
        .bind(texts(|letter| letter.reason.word()))
        .bind(texts(|letter| &letter.code))
        .bind(texts(|letter| &letter.message))
        .bind(letters.iter().map(|letter| letter.original.clone()).collect::<Vec<_>>());
    put.execute(&mut *connection).await?;
    Ok(())
}

/// Ends dead letters; how many there were of those named.
async fn settle(connection: &mut PgConnection, id: GenerationId, settled: &[Place]) -> Result<u64, CommitFault> {
    if settled.is_empty() {
        return Ok(0);
    }
    let positions: Vec<i64> = settled.iter().map(|position| kept(position.number())).collect();
    Ok(query(sql::SETTLE).bind(id.0).bind(positions).execute(&mut *connection).await?.rows_affected())
}

/// Pieces of rows or keys that fit into one statement each; a row that is too big alone gets a statement of its own.
fn chunks<T: AsRef<[Value]>>(rows: &[T]) -> impl Iterator<Item = &[T]> {
    let mut rest = rows;
    std::iter::from_fn(move || {
        let mut bytes = 0;
        let fit = rest.iter().take(CHUNK_ROWS).take_while(|row| {
            bytes += row.as_ref().iter().map(size).sum::<usize>();
            bytes <= CHUNK_BYTES
        });
        let count = fit.count().max(1).min(rest.len());
        let (chunk, behind) = rest.split_at(count);
        rest = behind;
        (!chunk.is_empty()).then_some(chunk)
    })
}

/// About how many bytes a value takes on its way.
fn size(value: &Value) -> usize {
    match value {
        Value::Text(text) | Value::Json(text) => text.len() + 4,
        Value::Bytes(bytes) => bytes.len() + 4,
        _ => 12,
    }
}
