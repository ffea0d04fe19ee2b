//! Fills the tables of a generation at once: each in one transaction of a connection of its own, that makes the table anew, takes the
//! rows by bulk load, and makes key, indexes and statistics behind them. What does not get to its end leaves no trace.
//!
//! The transaction makes its table anew first and looks at the generation's epoch then. So a host that lost the generation can never
//! touch a table that another one filled: that one needed the table for itself, too.

use std::sync::Arc;

use async_trait::async_trait;
use reel_projector::change::Row;
use reel_projector::ports::CommitError;
use reel_projector::{Checkpoint, ColumnType, Manifest, ReadModelError};
use tiberius::SqlBulkCopyOption;
use tokio::sync::Mutex;

use super::connection::{Database, Session, Transaction, query};
use super::dialect::tables::Source;
use super::dialect::{catalog as sql, tables};
use super::error::{Outcome, SqlServerFault};
use super::server::Kind;
use super::values;
use super::writer::{self, chunks};
use crate::adapter::Adapter;
use crate::catalog::{self, load_ends, no_load};
use crate::fault::Fault;
use crate::load::{BulkLoad, Loaded};
use crate::target::{Generation, GenerationId};

type LoadFault = SqlServerFault<ReadModelError>;
type FinishFault = SqlServerFault<CommitError>;

/// A load on its way.
pub(super) struct Load {
    database: Arc<Database>,
    id: GenerationId,
    manifest: Arc<Manifest>,
    epoch: u64,
    /// Each table's transaction, from its first rows to its last index.
    tables: Vec<Mutex<Option<Transaction>>>,
}

/// Begins to fill a generation. Nothing is touched yet.
pub(super) async fn begin(database: &Arc<Database>, generation: &Generation, epoch: u64) -> Outcome<Load> {
    let manifest = Arc::clone(&generation.manifest);
    let tables = manifest.tables.iter().map(|_| Mutex::default()).collect();
    let load = Load { database: Arc::clone(database), id: generation.id, manifest, epoch, tables };
    match catalog::lost(&mut *database.reader().await?, sql::STATE_AND_EPOCH, load.id, epoch).await? {
        Some(why) => Err(Fault::Own(no_load(generation, why))),
        None => Ok(load),
    }
}

impl Load {
    /// Makes a table anew, empty and without its key: what is in it may be of a load that was given up.
    async fn make_anew(&self, number: usize) -> Result<Transaction, LoadFault> {
        let table = &self.manifest.tables[number];
        let mut transaction = self.database.write().await?;
        transaction.batch(&tables::drop_table(self.id, table)).await?;
        transaction.batch(&tables::create_heap(self.id, table)).await?;
        match catalog::lost(&mut *transaction, sql::STATE_AND_EPOCH, self.id, self.epoch).await? {
            Some(why) => Err(Fault::Own(load_ends(&self.database.name, why))),
            None => Ok(transaction),
        }
    }

    async fn fill(&self, number: usize, rows: &[Row]) -> Result<(), LoadFault> {
        let mut open = self.tables[number].lock().await;
        // What fails half-way is not put back: it is undone.
        let mut transaction = match open.take() {
            Some(transaction) => transaction,
            None => self.make_anew(number).await?,
        };
        for some in chunks(rows) {
            self.load(&mut transaction, number, some).await?;
        }
        *open = Some(transaction);
        Ok(())
    }

    async fn load(&self, session: &mut Session, number: usize, rows: &[Row]) -> Result<(), LoadFault> {
        let table = &self.manifest.tables[number];
        let kinds: Vec<ColumnType> = table.columns.iter().map(|column| column.kind).collect();
        let has_decimals = kinds.iter().any(|kind| matches!(kind, ColumnType::Decimal { .. }));
        if self.database.server.kind == Kind::Babelfish && has_decimals {
            let all: Vec<u16> = (0..kinds.len() as u16).collect();
            let stage = writer::stage(session, self.id, (number, table), &all, rows).await?;
            query(tables::insert(self.id, table, &Source::stage(&stage))).execute(session).await?;
            return Ok(());
        }
        let name = tables::physical(self.id, table);
        let rows = rows.iter().map(|row| values::loaded(&kinds, row));
        Ok(session.load(&name, SqlBulkCopyOption::TableLock.into(), rows).await?)
    }

    async fn finish_table(&self, number: usize) -> Result<(), LoadFault> {
        let open = self.tables[number].lock().await.take();
        let mut transaction = match open {
            Some(transaction) => transaction,
            None => self.make_anew(number).await?,
        };
        let table = &self.manifest.tables[number];
        transaction.batch(&tables::add_key(self.id, number, table)).await?;
        for statement in tables::create_indexes(self.id, number, table) {
            transaction.batch(&statement).await?;
        }
        transaction.batch(&tables::keep_row_locks(self.id, table)).await?;
        transaction.commit().await?;
        self.analyze(number).await;
        Ok(())
    }

    /// The key and the indexes bring their own statistics; those of single columns come when they are asked for. A server that does not
    /// take the statement does so by itself.
    async fn analyze(&self, number: usize) {
        let analyzed = async {
            let mut session = self.database.writer().await?;
            session.batch(&tables::analyze(self.id, &self.manifest.tables[number])).await
        };
        if let Err(error) = analyzed.await {
            tracing::debug!(database = self.database.name, %error, "no statistics");
        }
    }

    async fn end(&self, loaded: Loaded<'_>) -> Result<Vec<Checkpoint>, FinishFault> {
        let mut transaction = self.database.write().await?;
        let ended = catalog::end_load(&mut *transaction, self.id, self.epoch, &loaded).await?;
        writer::put_dead_letters(&mut transaction, self.id, loaded.dead_letters).await?;
        transaction.commit().await?;
        Ok(ended)
    }

    fn told(&self, fault: LoadFault, table: u16) -> ReadModelError {
        let name = &self.manifest.tables[usize::from(table)].name;
        fault.told(&self.database.name, &format!("filling table {name} of generation {}", self.id.0))
    }
}

#[async_trait]
impl BulkLoad for Load {
    async fn rows(&self, table: u16, rows: &[Row]) -> Result<(), ReadModelError> {
        self.fill(usize::from(table), rows).await.map_err(|fault| self.told(fault, table))
    }

    async fn index(&self, table: u16) -> Result<(), ReadModelError> {
        self.finish_table(usize::from(table)).await.map_err(|fault| self.told(fault, table))
    }

    async fn finish(self: Box<Self>, loaded: Loaded<'_>) -> Result<Vec<Checkpoint>, CommitError> {
        let done = self.end(loaded).await;
        done.map_err(|fault| fault.told(&self.database.name, &format!("ending the load of generation {}", self.id.0)))
    }
}
