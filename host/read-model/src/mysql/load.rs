//! Fills the tables of a generation at once: each made anew with its key and no index; rows in the order of the key, which InnoDB
//! keeps them in anyway, in many-row inserts; indexes and statistics behind them.
//!
//! Whatever is done to the tables is done while the generation's entry is held, at its epoch. So a host that lost the generation can
//! never touch a table that another one fills: taking it over waits for the entry.

use std::sync::Arc;

use async_trait::async_trait;
use reel_projector::change::Row;
use reel_projector::ports::CommitError;
use reel_projector::{Checkpoint, Manifest, ReadModelError};
use sqlx::{MySqlTransaction, raw_sql};
use tokio::sync::Mutex;

use super::connection::Database;
use super::dialect::tables::Repeated;
use super::dialect::{Sql, catalog as sql, tables};
use super::error::{MySqlFault, Outcome};
use super::writer::{self, most_bytes};
use crate::adapter::Adapter;
use crate::catalog::{self, load_ends, no_load};
use crate::fault::Fault;
use crate::load::{BulkLoad, Loaded};
use crate::target::{Generation, GenerationId};

type LoadFault = MySqlFault<ReadModelError>;
type FinishFault = MySqlFault<CommitError>;

/// A load on its way.
pub(super) struct Load {
    database: Arc<Database>,
    id: GenerationId,
    manifest: Arc<Manifest>,
    epoch: u64,
    tables: Vec<Filling>,
}

/// One table.
struct Filling {
    insert: Repeated,
    /// Held while the table is worked on.
    table: Mutex<Table>,
}

/// Whether a table was made anew by this load.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Table {
    Before,
    Anew,
}

/// Begins to fill a generation. Nothing is touched yet.
pub(super) async fn begin(database: &Arc<Database>, generation: &Generation, epoch: u64) -> Outcome<Load> {
    let (id, manifest) = (generation.id, Arc::clone(&generation.manifest));
    let filling = |table| Filling { insert: tables::insert(id, table), table: Mutex::new(Table::Before) };
    let tables = manifest.tables.iter().map(filling).collect();
    let load = Load { database: Arc::clone(database), id, manifest, epoch, tables };
    match catalog::lost(&mut *database.reader().await?, sql::STATE_AND_EPOCH, id, epoch).await? {
        Some(why) => Err(Fault::Own(no_load(generation, why))),
        None => Ok(load),
    }
}

impl Load {
    /// Nobody takes the generation over until the transaction ends.
    async fn hold(&self) -> Result<MySqlTransaction<'static>, LoadFault> {
        let mut transaction = self.database.write().await?;
        match catalog::lost(&mut *transaction, sql::HOLD_STATE_AND_EPOCH, self.id, self.epoch).await? {
            Some(why) => Err(Fault::Own(load_ends(&self.database.name, why))),
            None => Ok(transaction),
        }
    }

    async fn fill(&self, number: usize, rows: &[Row]) -> Result<(), LoadFault> {
        let filling = &self.tables[number];
        let mut table = filling.table.lock().await;
        self.make_anew(number, &mut table).await?;
        let mut held = self.hold().await?;
        writer::put(&mut held, &filling.insert, rows, most_bytes(&self.database)).await?;
        Ok(held.commit().await?)
    }

    async fn finish_table(&self, number: usize) -> Result<(), LoadFault> {
        let mut table = self.tables[number].table.lock().await;
        self.make_anew(number, &mut table).await?;
        let of = &self.manifest.tables[number];
        let statements = tables::create_indexes(self.id, of).into_iter().chain([tables::analyze(self.id, of)]);
        self.alter(statements).await
    }

    /// Makes the table anew, with its first rows: what is in it may be of a load that was given up.
    async fn make_anew(&self, number: usize, table: &mut Table) -> Result<(), LoadFault> {
        if *table == Table::Before {
            let of = &self.manifest.tables[number];
            let drop = tables::drop_table(&tables::table_name(self.id, of));
            let create = tables::create_table(self.id, of, self.database.server.collation);
            self.alter([drop, create].into_iter()).await?;
            *table = Table::Anew;
        }
        Ok(())
    }

    /// What changes a table ends its own transaction: the generation is held by another one.
    async fn alter(&self, statements: impl Iterator<Item = Sql>) -> Result<(), LoadFault> {
        let held = self.hold().await?;
        let mut connection = self.database.writers.acquire().await?;
        for statement in statements {
            raw_sql(statement).execute(&mut *connection).await?;
        }
        Ok(held.commit().await?)
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
