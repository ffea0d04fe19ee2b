//! Fills the tables of a generation at once: multi-row inserts in the order of the key, which SQLite appends, then the indexes.
//!
//! There is one writer, and live generations write through it too: so a load takes it for some thousand rows at a time, and looks
//! at the generation's epoch each time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use reel_projector::change::Row;
use reel_projector::ports::CommitError;
use reel_projector::{Checkpoint, Manifest, ReadModelError, Table};
use rusqlite::Transaction;

use super::connection::{Database, blocking};
use super::dialect::{catalog as sql, tables};
use super::error::{Outcome, SqliteFault};
use super::{values, writer};
use crate::catalog::{self, load_ends, load_lost, no_load};
use crate::fault::Fault;
use crate::load::{BulkLoad, Loaded};
use crate::target::{Generation, GenerationId};

/// Rows in one transaction.
const TRANSACTION_ROWS: usize = 5_000;
/// Arguments in one statement at most: SQLite takes 32,766, but its own work on them grows faster than the number.
const ARGUMENTS: usize = 500;

type LoadFault = SqliteFault<ReadModelError>;
type FinishFault = SqliteFault<CommitError>;

/// A load on its way.
pub(super) struct Load {
    database: Arc<Database>,
    id: GenerationId,
    manifest: Arc<Manifest>,
    epoch: u64,
    /// Which tables this load has made anew.
    made: Vec<AtomicBool>,
}

/// Begins to fill a generation. Nothing is touched yet.
pub(super) async fn begin(database: &Arc<Database>, generation: &Generation, epoch: u64) -> Outcome<Load> {
    let manifest = Arc::clone(&generation.manifest);
    let made = manifest.tables.iter().map(|_| AtomicBool::new(false)).collect();
    let load = Load { database: Arc::clone(database), id: generation.id, manifest, epoch, made };
    match database.read_with(|transaction| load.lost(transaction)).await? {
        Some(why) => Err(Fault::Own(no_load(generation, why))),
        None => Ok(load),
    }
}

impl Load {
    /// Runs `work` on one table, unless the generation was lost.
    async fn on_table(
        &self,
        number: usize,
        work: impl FnOnce(&Transaction<'_>, &Table) -> rusqlite::Result<()>,
    ) -> Result<(), ReadModelError> {
        let table = &self.manifest.tables[number];
        let done = self.database.write_with(|transaction| {
            if let Some(why) = self.lost(transaction)? {
                return Err(Fault::Own(load_ends(&self.database.name, why)));
            }
            if !self.made[number].load(Ordering::Relaxed) {
                for statement in tables::create_anew(self.id, table) {
                    transaction.execute(&statement, [])?;
                }
            }
            Ok(work(transaction, table)?)
        });
        done.await.map_err(|fault: LoadFault| {
            fault.told(&self.database.name, &format!("filling table {} of generation {}", table.name, self.id.0))
        })?;
        self.made[number].store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Why this load must not go on.
    fn lost<O>(&self, transaction: &Transaction<'_>) -> Result<Option<String>, SqliteFault<O>> {
        let mut statement = transaction.prepare_cached(sql::STATE_AND_EPOCH)?;
        let (state, epoch): (String, i64) = statement.query_row([self.id.0], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(load_lost(&state, epoch, self.epoch))
    }

    async fn end(&self, loaded: Loaded<'_>) -> Result<Vec<Checkpoint>, FinishFault> {
        let mut transaction = self.database.begin().await?;
        let ended = catalog::end_load(&mut *transaction, self.id, self.epoch, &loaded).await?;
        blocking(|| writer::put_dead_letters(&transaction, self.id, loaded.dead_letters))?;
        transaction.commit()?;
        Ok(ended)
    }
}

#[async_trait]
impl BulkLoad for Load {
    async fn rows(&self, table: u16, rows: &[Row]) -> Result<(), ReadModelError> {
        for some in rows.chunks(TRANSACTION_ROWS) {
            self.on_table(usize::from(table), |transaction, table| insert(transaction, self.id, table, some)).await?;
        }
        Ok(())
    }

    async fn index(&self, table: u16) -> Result<(), ReadModelError> {
        let number = usize::from(table);
        self.on_table(number, |transaction, table| {
            for statement in tables::create_indexes(self.id, number, table) {
                transaction.execute(&statement, [])?;
            }
            transaction.execute_batch(&tables::analyze(self.id, table))
        })
        .await
    }

    async fn finish(self: Box<Self>, loaded: Loaded<'_>) -> Result<Vec<Checkpoint>, CommitError> {
        let done = self.end(loaded).await;
        done.map_err(|fault| fault.told(&self.database.name, &format!("ending the load of generation {}", self.id.0)))
    }
}

fn insert(transaction: &Transaction<'_>, id: GenerationId, table: &Table, rows: &[Row]) -> rusqlite::Result<()> {
    for some in rows.chunks((ARGUMENTS / table.columns.len()).max(1)) {
        let mut insert = transaction.prepare_cached(&tables::insert(id, table, some.len()))?;
        values::bind(&mut insert, some.iter().flatten())?;
        insert.raw_execute()?;
    }
    Ok(())
}
