//! What a loop does with a generation: read rows, and commit rows with the checkpoint.

use std::sync::Arc;

use async_trait::async_trait;
use reel_events::Place;
use reel_projector::change::{KeyValues, Merge, Row, RowFilter, TableWrites};
use reel_projector::ports::{Commit, CommitError, DeadLetter};
use reel_projector::{Checkpoint, ColumnType, Manifest, ReadModel, ReadModelError, Table};
use rusqlite::{Connection, OptionalExtension, Statement, Transaction, params};

use super::connection::Database;
use super::dialect::{catalog as sql, tables};
use super::error::SqliteFault;
use super::session::Kept;
use super::values;
use crate::catalog::{CheckpointEntry, Word, kept};
use crate::fault::Fault;
use crate::target::{Generation, GenerationId};

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
    select: String,
    upsert: String,
    delete: String,
}

type CommitFault = SqliteFault<CommitError>;

impl Writer {
    pub(super) fn new(database: Arc<Database>, generation: &Generation) -> Writer {
        let id = generation.id;
        let statements = generation.manifest.tables.iter().map(|table| TableStatements::new(id, table)).collect();
        Writer { database, id, manifest: Arc::clone(&generation.manifest), statements }
    }

    fn write(&self, transaction: &Transaction<'_>, commit: &Commit<'_>) -> Result<(), CommitFault> {
        self.move_checkpoint(transaction, commit)?;
        for (index, writes) in commit.writes.tables.iter().enumerate() {
            if !writes.is_empty() {
                self.write_table(transaction, index, writes)?;
            }
        }
        put_dead_letters(transaction, self.id, commit.dead_letters)?;
        if settle(transaction, self.id, commit.settled)? != commit.settled.len() {
            return Err(self.superseded(transaction, commit)?);
        }
        Ok(())
    }

    fn move_checkpoint(&self, transaction: &Transaction<'_>, commit: &Commit<'_>) -> Result<(), CommitFault> {
        let from = CheckpointEntry::of(&commit.from);
        let moved = transaction.prepare_cached(sql::MOVE_CHECKPOINT)?.execute(params![
            kept(commit.to.position),
            commit.to.event.to_string(),
            self.id.0,
            commit.shard,
            from.log,
            from.position,
            from.event,
            from.layout,
            from.epoch,
        ])?;
        if moved == 1 {
            return Ok(());
        }
        Err(self.superseded(transaction, commit)?)
    }

    /// Somebody else has done this step, or owns the shard: what is there.
    fn superseded(&self, transaction: &Transaction<'_>, commit: &Commit<'_>) -> Result<CommitFault, CommitFault> {
        let found = find_checkpoint(transaction, self.id, commit.shard)?;
        Ok(Fault::Own(CommitError::Superseded { shard: commit.shard, expected: commit.from.point.position, found }))
    }

    fn write_table(
        &self,
        transaction: &Transaction<'_>,
        index: usize,
        writes: &TableWrites,
    ) -> Result<(), CommitFault> {
        let (table, statements) = (&self.manifest.tables[index], &self.statements[index]);
        for filter in &writes.delete_where {
            delete_where(transaction, self.id, table, filter)?;
        }
        let mut delete = transaction.prepare_cached(&statements.delete)?;
        for key in &writes.deletes {
            values::bind(&mut delete, key.iter())?;
            delete.raw_execute()?;
        }
        let mut upsert = transaction.prepare_cached(&statements.upsert)?;
        for row in &writes.upserts {
            values::bind(&mut upsert, row.iter())?;
            upsert.raw_execute()?;
        }
        let mut select = transaction.prepare_cached(&statements.select)?;
        for merge in &writes.merges {
            let row = resolve(&mut select, &statements.kinds, table, merge)?;
            values::bind(&mut upsert, row.iter())?;
            upsert.raw_execute()?;
        }
        Ok(())
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

#[async_trait]
impl ReadModel for Writer {
    async fn checkpoint(&self, shard: u32) -> Result<Option<Checkpoint>, ReadModelError> {
        let found = self.database.read_with(|transaction| find_checkpoint(transaction, self.id, shard)).await;
        found.map_err(|fault: SqliteFault<ReadModelError>| fault.told(&self.database.name, "reading a checkpoint"))
    }

    async fn read(&self, table: u16, keys: &[KeyValues]) -> Result<Vec<Option<Row>>, ReadModelError> {
        let statements = &self.statements[usize::from(table)];
        let rows = self.database.read_with(|transaction| {
            let mut select = transaction.prepare_cached(&statements.select)?;
            keys.iter().map(|key| Ok(find_row(&mut select, &statements.kinds, key)?)).collect()
        });
        rows.await.map_err(|fault: SqliteFault<ReadModelError>| {
            let name = &self.manifest.tables[usize::from(table)].name;
            fault.told(&self.database.name, &format!("reading rows of table {name} of generation {}", self.id.0))
        })
    }

    async fn commit(&self, commit: Commit<'_>) -> Result<(), CommitError> {
        let done = self.database.write_with(|transaction| self.write(transaction, &commit)).await;
        done.map_err(|fault| {
            let action = format!(
                "writing generation {} from position {} to {}",
                self.id.0, commit.from.point.position, commit.to.position
            );
            fault.told(&self.database.name, &action)
        })
    }
}

fn find_checkpoint<O>(
    transaction: &Transaction<'_>,
    id: GenerationId,
    shard: u32,
) -> Result<Option<Checkpoint>, SqliteFault<O>> {
    let mut statement = transaction.prepare_cached(sql::CHECKPOINT)?;
    let row = statement.query_row(params![id.0, shard], Kept::of).optional()?;
    row.map(|row| Ok(CheckpointEntry::from_row(&row)?.read()?)).transpose()
}

fn find_row(
    select: &mut Statement<'_>,
    kinds: &[ColumnType],
    key: &[reel_projector::Value],
) -> rusqlite::Result<Option<Row>> {
    values::bind(select, key)?;
    let mut rows = select.raw_query();
    rows.next()?.map(|row| values::row(row, kinds)).transpose()
}

fn resolve(select: &mut Statement<'_>, kinds: &[ColumnType], table: &Table, merge: &Merge) -> Result<Row, CommitFault> {
    let base = find_row(select, kinds, &merge.key)?;
    merge.resolve(table, base).map_err(|refusal| Fault::Own(CommitError::Refused(refusal)))
}

fn delete_where(
    transaction: &Transaction<'_>,
    id: GenerationId,
    table: &Table,
    filter: &RowFilter,
) -> rusqlite::Result<()> {
    let columns: Vec<u16> = filter.equal.iter().map(|(column, _)| *column).collect();
    let mut delete = transaction.prepare_cached(&tables::delete_where(id, table, &columns))?;
    values::bind(&mut delete, filter.equal.iter().map(|(_, value)| value))?;
    delete.raw_execute()?;
    Ok(())
}

pub(super) fn put_dead_letters(
    connection: &Connection,
    id: GenerationId,
    letters: &[DeadLetter],
) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached(sql::PUT_DEAD_LETTER)?;
    for letter in letters {
        statement.execute(params![
            id.0,
            kept(letter.position.number()),
            letter.event.to_string(),
            letter.stream,
            letter.kind,
            letter.reason.word(),
            letter.code,
            letter.message,
            letter.original,
        ])?;
    }
    Ok(())
}

/// Ends dead letters; how many there were of those named.
fn settle(transaction: &Transaction<'_>, id: GenerationId, settled: &[Place]) -> rusqlite::Result<usize> {
    let mut statement = transaction.prepare_cached(sql::SETTLE)?;
    let mut ended = 0;
    for position in settled {
        ended += statement.execute(params![id.0, kept(position.number())])?;
    }
    Ok(ended)
}
