//! What a loop does with a generation: read rows, and commit rows with the checkpoint.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use reel_events::Place;
use reel_projector::change::{KeyValues, Merge, Row, RowFilter, TableWrites};
use reel_projector::key::encoded;
use reel_projector::ports::{Commit, CommitError, DeadLetter};
use reel_projector::{Checkpoint, ColumnType, Manifest, ReadModel, ReadModelError, Table, Value};
use sqlx::mysql::MySqlArguments;
use sqlx::{MySql, MySqlConnection, query};

use super::connection::Database;
use super::dialect::tables::Repeated;
use super::dialect::{Sql, catalog as sql, tables};
use super::error::{MySqlFault, is_duplicate};
use super::values::{self, Bound};
use crate::adapter::Adapter;
use crate::catalog::{self, CheckpointEntry, Word, kept};
use crate::fault::{DriverError, Fault};
use crate::target::{Generation, GenerationId};

/// How often a commit that met a deadlock, or a lock for too long, is begun anew at once.
const ATTEMPTS: u32 = 5;

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
    pub(super) fn new(database: Arc<Database>, generation: &Generation) -> Writer {
        let (id, most) = (generation.id, most_bytes(&database));
        let statements = generation.manifest.tables.iter().map(|table| TableStatements::new(id, table, most)).collect();
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

    async fn move_checkpoint(&self, connection: &mut MySqlConnection, commit: &Commit<'_>) -> Result<(), CommitFault> {
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
        // The driver has the server count rows that were found, not rows that changed.
        if moved.execute(&mut *connection).await?.rows_affected() == 1 {
            return Ok(());
        }
        Err(self.superseded(connection, commit).await?)
    }

    /// Somebody else has done this step, or owns the shard: what is there.
    async fn superseded(
        &self,
        connection: &mut MySqlConnection,
        commit: &Commit<'_>,
    ) -> Result<CommitFault, CommitFault> {
        let found = catalog::checkpoint(connection, self.id, commit.shard).await?;
        Ok(Fault::Own(CommitError::Superseded { shard: commit.shard, expected: commit.from.point.position, found }))
    }

    async fn write_table(
        &self,
        connection: &mut MySqlConnection,
        index: usize,
        writes: &TableWrites,
    ) -> Result<(), CommitFault> {
        let (table, statements) = (&self.manifest.tables[index], &self.statements[index]);
        self.delete_where(connection, table, &writes.delete_where).await?;
        for keys in pieces(&writes.deletes, &statements.delete, statements.most) {
            statements.with(&statements.delete, keys).execute(&mut *connection).await?;
        }
        statements.put(connection, &statements.upsert, &writes.upserts).await?;
        if !writes.merges.is_empty() {
            statements.merge(connection, table, writes.merges.iter().collect()).await?;
        }
        Ok(())
    }

    /// One statement for filters in a row that name the same columns with a value, and the same as NULL.
    async fn delete_where(
        &self,
        connection: &mut MySqlConnection,
        table: &Table,
        filters: &[RowFilter],
    ) -> Result<(), CommitFault> {
        for alike in filters.chunk_by(|a, b| shape(a) == shape(b)) {
            let (equal, null) = shape(&alike[0]);
            if equal.is_empty() {
                query(tables::delete_null(self.id, table, &null)).execute(&mut *connection).await?;
                continue;
            }
            let delete = tables::delete_where(self.id, table, &equal, &null);
            let values: Vec<KeyValues> = alike.iter().map(values_of).collect();
            for some in pieces(&values, &delete, most_bytes(&self.database)) {
                bound(delete.of(some.len()), some.iter().flatten()).execute(&mut *connection).await?;
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

/// The values that a filter compares with.
fn values_of(filter: &RowFilter) -> KeyValues {
    filter.equal.iter().map(|(_, value)| value).filter(|value| **value != Value::Null).cloned().collect()
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

    async fn put(&self, connection: &mut MySqlConnection, by: &Repeated, rows: &[Row]) -> Result<(), sqlx::Error> {
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
        find.await.map_err(|fault: MySqlFault<ReadModelError>| fault.told(&self.database.name, "reading a checkpoint"))
    }

    async fn read(&self, table: u16, keys: &[KeyValues]) -> Result<Vec<Option<Row>>, ReadModelError> {
        let statements = &self.statements[usize::from(table)];
        let find = async {
            let mut connection = self.database.writers.acquire().await?;
            Ok(statements.find(&mut connection, &statements.select, keys).await?)
        };
        find.await.map_err(|fault: MySqlFault<ReadModelError>| {
            let name = &self.manifest.tables[usize::from(table)].name;
            fault.told(&self.database.name, &format!("reading rows of table {name} of generation {}", self.id.0))
        })
    }

    async fn commit(&self, commit: Commit<'_>) -> Result<(), CommitError> {
        let mut attempt = 1;
        loop {
            match self.write(&commit).await {
                // Nothing of it was written: the transaction is rolled back as a whole.
                Err(Fault::Database(error)) if error.is_lock_timeout() && attempt < ATTEMPTS => attempt += 1,
                done => return done.map_err(|fault| self.told(fault, &commit)),
            }
        }
    }
}

impl Writer {
    fn told(&self, fault: CommitFault, commit: &Commit<'_>) -> CommitError {
        let (from, to) = (commit.from.point.position, commit.to.position);
        fault.told(&self.database.name, &format!("writing generation {} from position {from} to {to}", self.id.0))
    }
}

pub(super) async fn put_dead_letters(
    connection: &mut MySqlConnection,
    id: GenerationId,
    letters: &[DeadLetter],
) -> Result<(), CommitFault> {
    for letter in letters {
        let put = query(sql::PUT_DEAD_LETTER)
            .bind(id.0)
            .bind(kept(letter.position.number()))
            .bind(letter.event.to_string())
            .bind(&letter.stream)
            .bind(&letter.kind)
            .bind(letter.reason.word())
            .bind(&letter.code)
            .bind(&letter.message)
            .bind(&letter.original);
        put.execute(&mut *connection).await?;
    }
    Ok(())
}

/// Ends dead letters; how many there were of those named.
async fn settle(connection: &mut MySqlConnection, id: GenerationId, settled: &[Place]) -> Result<u64, CommitFault> {
    let mut ended = 0;
    for position in settled {
        let settle = query(sql::SETTLE).bind(id.0).bind(kept(position.number()));
        ended += settle.execute(&mut *connection).await?.rows_affected();
    }
    Ok(ended)
}

/// Says `by` of all `rows`, in as few statements as take them.
pub(super) async fn put(
    connection: &mut MySqlConnection,
    by: &Repeated,
    rows: &[Row],
    most: usize,
) -> Result<(), sqlx::Error> {
    for some in pieces(rows, by, most) {
        bound(by.of(some.len()), some.iter().flatten()).execute(&mut *connection).await?;
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

/// Pieces of rows or keys that fit into one statement each; a row that is too big alone gets a statement of its own.
fn pieces<'r, T: AsRef<[Value]>>(rows: &'r [T], by: &Repeated, most: usize) -> impl Iterator<Item = &'r [T]> {
    let mut rest = rows;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let mut bytes = 0;
        let fit = rest.iter().take(by.fit(rest.len())).take_while(|row| {
            bytes += row.as_ref().iter().map(size).sum::<usize>();
            bytes <= most
        });
        let (piece, behind) = rest.split_at(by.fit(fit.count()));
        rest = behind;
        Some(piece)
    })
}

/// About how many bytes a value takes on its way.
fn size(value: &Value) -> usize {
    match value {
        Value::Text(text) | Value::Json(text) => text.len() + 9,
        Value::Bytes(bytes) => bytes.len() + 9,
        _ => 32,
    }
}
