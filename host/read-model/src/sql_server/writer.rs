//! What a loop does with a generation: read rows, and commit rows with the checkpoint.
//!
//! Rows and keys come to the server as arguments where they are few, else by bulk load into a temporary table of the session, its stage.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use reel_events::Place;
use reel_projector::change::{KeyValues, Merge, Row, RowFilter, TableWrites};
use reel_projector::key::encoded;
use reel_projector::ports::{Commit, CommitError, DeadLetter};
use reel_projector::{Checkpoint, Column, ColumnType, Manifest, ReadModel, ReadModelError, Table, Value};
use tiberius::{ColumnData, SqlBulkCopyOptions};

use super::connection::{Database, Query, Session, query};
use super::dialect::tables::Source;
use super::dialect::{catalog as sql, tables};
use super::error::{SqlServerError, SqlServerFault};
use super::values;
use crate::adapter::Adapter;
use crate::catalog::{self, CheckpointEntry, Word, kept};
use crate::fault::{DriverError, Fault};
use crate::target::{Generation, GenerationId};

/// How often a commit that met a deadlock, or a lock for too long, is begun anew at once.
const ATTEMPTS: u32 = 5;

/// Up to so many rows come as arguments.
const FEW: usize = 32;

/// How many rows one statement writes at most, and about how many bytes.
const CHUNK_ROWS: usize = 10_000;
const CHUNK_BYTES: usize = 16 << 20;

/// The tables and checkpoints of one generation.
pub(super) struct Writer {
    database: Arc<Database>,
    id: GenerationId,
    manifest: Arc<Manifest>,
}

/// One table of a generation, as statements see it.
#[derive(Clone, Copy)]
struct OneTable<'t> {
    id: GenerationId,
    number: usize,
    table: &'t Table,
}

/// Values where a statement finds them.
struct Placed<'r> {
    source: Source,
    arguments: Vec<ColumnData<'r>>,
}

type CommitFault = SqlServerFault<CommitError>;

impl Writer {
    pub(super) fn new(database: Arc<Database>, generation: &Generation) -> Writer {
        Writer { database, id: generation.id, manifest: Arc::clone(&generation.manifest) }
    }

    fn table(&self, number: usize) -> OneTable<'_> {
        OneTable { id: self.id, number, table: &self.manifest.tables[number] }
    }

    async fn write(&self, commit: &Commit<'_>) -> Result<(), CommitFault> {
        let mut transaction = self.database.write().await?;
        self.move_checkpoint(&mut transaction, commit).await?;
        for (number, writes) in commit.writes.tables.iter().enumerate() {
            if !writes.is_empty() {
                self.table(number).write(&mut transaction, writes).await?;
            }
        }
        put_dead_letters(&mut transaction, self.id, commit.dead_letters).await?;
        let ended = settle(&mut transaction, self.id, commit.settled).await?;
        if ended != commit.settled.len() as u64 {
            return Err(self.superseded(&mut transaction, commit).await?);
        }
        Ok(transaction.commit().await?)
    }

    async fn move_checkpoint(&self, session: &mut Session, commit: &Commit<'_>) -> Result<(), CommitFault> {
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
        if moved.execute(session).await? == 1 {
            return Ok(());
        }
        Err(self.superseded(session, commit).await?)
    }

    /// Somebody else has done this step, or owns the shard: what is there.
    async fn superseded(&self, session: &mut Session, commit: &Commit<'_>) -> Result<CommitFault, CommitFault> {
        let found = catalog::checkpoint(session, self.id, commit.shard).await?;
        Ok(Fault::Own(CommitError::Superseded { shard: commit.shard, expected: commit.from.point.position, found }))
    }
}

impl OneTable<'_> {
    async fn write(self, session: &mut Session, writes: &TableWrites) -> Result<(), CommitFault> {
        let OneTable { id, table, .. } = self;
        self.delete_where(session, &writes.delete_where).await?;
        for keys in chunks(&writes.deletes) {
            let placed = self.put(session, &table.key, keys).await?;
            placed.query(|source| tables::delete(id, table, source)).execute(session).await?;
        }
        self.upsert(session, &writes.upserts).await?;
        if !writes.merges.is_empty() {
            self.merge(session, &writes.merges).await?;
        }
        Ok(())
    }

    /// One statement for filters in a row that name the same columns with a value, and the same as NULL.
    async fn delete_where(self, session: &mut Session, filters: &[RowFilter]) -> Result<(), CommitFault> {
        let OneTable { id, table, .. } = self;
        for alike in filters.chunk_by(|a, b| shape(a) == shape(b)) {
            let (equal, null) = shape(&alike[0]);
            if equal.is_empty() {
                query(tables::delete_null(id, table, &null)).execute(session).await?;
                continue;
            }
            let values: Vec<KeyValues> = alike.iter().map(values_of).collect();
            for some in chunks(&values) {
                let placed = self.put(session, &equal, some).await?;
                let delete = placed.query(|source| tables::delete_where(id, table, (&equal, &null), source));
                delete.execute(session).await?;
            }
        }
        Ok(())
    }

    async fn upsert(self, session: &mut Session, rows: &[Row]) -> Result<(), SqlServerError> {
        let all: Vec<u16> = (0..self.table.columns.len() as u16).collect();
        for some in chunks(rows) {
            let placed = self.put(session, &all, some).await?;
            placed.query(|source| tables::upsert(self.id, self.table, source)).execute(session).await?;
        }
        Ok(())
    }

    /// Reads the rows that are there and writes what the merges make of them, and of those that are not. Whoever merges into this table
    /// waits for his turn: locks on rows and on the gaps between them would be taken in whatever order the server likes.
    async fn merge(self, session: &mut Session, merges: &[Merge]) -> Result<(), CommitFault> {
        query(sql::LOCK).bind(tables::merge_lock(self.id, self.table)).execute(session).await?;
        let keys: Vec<KeyValues> = merges.iter().map(|merge| merge.key.clone()).collect();
        let bases = self.find(session, &keys, tables::select_for_update).await?;
        let resolved = merges.iter().zip(bases).map(|(merge, base)| merge.resolve(self.table, base));
        let rows: Vec<Row> =
            resolved.collect::<Result<_, _>>().map_err(|refusal| Fault::Own(CommitError::Refused(refusal)))?;
        Ok(self.upsert(session, &rows).await?)
    }

    /// The rows under `keys`, in their order.
    async fn find(
        self,
        session: &mut Session,
        keys: &[KeyValues],
        select: fn(GenerationId, &Table, &Source) -> String,
    ) -> Result<Vec<Option<Row>>, SqlServerError> {
        let kinds: Vec<ColumnType> = self.table.columns.iter().map(|column| column.kind).collect();
        let mut found: HashMap<Vec<u8>, Row> = HashMap::with_capacity(keys.len());
        for some in chunks(keys) {
            let placed = self.put(session, &self.table.key, some).await?;
            for row in placed.query(|source| select(self.id, self.table, source)).rows(session).await? {
                let row = values::row(row, &kinds)?;
                let key: Vec<Value> = self.table.key.iter().map(|column| row[usize::from(*column)].clone()).collect();
                found.insert(encoded(&key), row);
            }
        }
        Ok(keys.iter().map(|key| found.get(&encoded(key)).cloned()).collect())
    }

    /// Puts values of some columns where a statement finds them.
    async fn put<'r, R: AsRef<[Value]>>(
        self,
        session: &mut Session,
        columns: &[u16],
        rows: &'r [R],
    ) -> Result<Placed<'r>, SqlServerError> {
        if rows.len() <= FEW.min(Source::fit(columns.len())) {
            let named: Vec<&Column> = columns.iter().map(|column| &self.table.columns[usize::from(*column)]).collect();
            let arguments = rows.iter().flat_map(|row| values::arguments(&named, row.as_ref())).collect();
            return Ok(Placed { source: Source::arguments(rows.len(), self.table, columns), arguments });
        }
        let stage = stage(session, self.id, (self.number, self.table), columns, rows).await?;
        Ok(Placed { source: Source::stage(&stage), arguments: Vec::new() })
    }
}

impl<'r> Placed<'r> {
    /// The statement that `make` makes of the source.
    fn query(self, make: impl FnOnce(&Source) -> String) -> Query<'r> {
        self.arguments.into_iter().fold(query(make(&self.source)), Query::bind)
    }
}

/// Loads values of some columns into their stage in this session, which holds nothing else then; its name.
pub(super) async fn stage<R: AsRef<[Value]>>(
    session: &mut Session,
    id: GenerationId,
    (number, table): (usize, &Table),
    columns: &[u16],
    rows: &[R],
) -> Result<String, SqlServerError> {
    let stage = tables::stage_name(id, number, columns);
    if session.stages.contains(&stage) {
        session.batch(&tables::clear_stage(&stage)).await?;
    } else {
        session.batch(&tables::create_stage(&stage, table, columns)).await?;
        session.stages.insert(stage.clone());
    }
    let kinds: Vec<ColumnType> = columns.iter().map(|column| table.columns[usize::from(*column)].kind).collect();
    session
        .load(&stage, SqlBulkCopyOptions::empty(), rows.iter().map(|row| values::staged(&kinds, row.as_ref())))
        .await?;
    Ok(stage)
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

#[async_trait]
impl ReadModel for Writer {
    async fn checkpoint(&self, shard: u32) -> Result<Option<Checkpoint>, ReadModelError> {
        let find = async { catalog::checkpoint(&mut *self.database.reader().await?, self.id, shard).await };
        find.await
            .map_err(|fault: SqlServerFault<ReadModelError>| fault.told(&self.database.name, "reading a checkpoint"))
    }

    async fn read(&self, table: u16, keys: &[KeyValues]) -> Result<Vec<Option<Row>>, ReadModelError> {
        let one = self.table(usize::from(table));
        let find = async {
            let mut session = self.database.writer().await?;
            Ok(one.find(&mut session, keys, tables::select).await?)
        };
        find.await.map_err(|fault: SqlServerFault<ReadModelError>| {
            let action = format!("reading rows of table {} of generation {}", one.table.name, self.id.0);
            fault.told(&self.database.name, &action)
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
    session: &mut Session,
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
            .bind(letter.original.as_deref().unwrap_or_default())
            .bind(letter.original.is_some());
        put.execute(session).await?;
    }
    Ok(())
}

/// Ends dead letters; how many there were of those named.
async fn settle(session: &mut Session, id: GenerationId, settled: &[Place]) -> Result<u64, CommitFault> {
    let mut ended = 0;
    for position in settled {
        ended += query(sql::SETTLE).bind(id.0).bind(kept(position.number())).execute(session).await?;
    }
    Ok(ended)
}

/// Pieces of rows or keys that fit into one statement each; a row that is too big alone gets a statement of its own.
pub(super) fn chunks<T: AsRef<[Value]>>(rows: &[T]) -> impl Iterator<Item = &[T]> {
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
        Value::Text(text) | Value::Json(text) => 2 * text.len() + 4,
        Value::Bytes(bytes) => bytes.len() + 4,
        _ => 12,
    }
}
