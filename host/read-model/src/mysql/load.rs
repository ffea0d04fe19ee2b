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
use sqlx::{MySqlConnection, MySqlTransaction, Row as _, query, raw_sql};
use tokio::sync::Mutex;

use super::connection::Database;
use super::dialect::tables::Repeated;
use super::dialect::{Sql, catalog as sql, tables};
use super::error::{MySqlFault, Outcome};
use super::writer::{self, most_bytes};
use crate::adapter::Adapter;
use crate::catalog::{self, Word, load_ends, load_lost, no_load};
use crate::fault::Fault;
use crate::load::{BulkLoad, Loaded};
use crate::target::{Generation, GenerationId, GenerationState};

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
    match load.lost(&mut *database.readers.acquire().await?, sql::STATE_AND_EPOCH).await? {
        Some(why) => Err(Fault::Own(no_load(generation, why))),
        None => Ok(load),
    }
}

impl Load {
    /// Why this load must not go on.
    async fn lost<O>(
        &self,
        connection: &mut MySqlConnection,
        look: &'static str,
    ) -> Result<Option<String>, MySqlFault<O>> {
        let row = query(look).bind(self.id.0).fetch_one(connection).await?;
        let (state, epoch): (String, i64) = (row.try_get(0)?, row.try_get(1)?);
        Ok(load_lost(&state, epoch, self.epoch))
    }

    /// Nobody takes the generation over until the transaction ends.
    async fn hold(&self) -> Result<MySqlTransaction<'static>, LoadFault> {
        let mut transaction = self.database.write().await?;
        match self.lost(&mut transaction, sql::HOLD_STATE_AND_EPOCH).await? {
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
        query(sql::LOCK_GENERATION).bind(self.id.0).execute(&mut *transaction).await?;
        let found: Vec<Checkpoint> = catalog::lock_checkpoints(&mut *transaction, self.id).await?;
        let lost = self.lost::<CommitError>(&mut transaction, sql::STATE_AND_EPOCH).await?;
        let first = match (found.first(), lost) {
            (Some(first), None) => *first,
            (first, _) => {
                let found = first.copied();
                return Err(Fault::Own(CommitError::Superseded { shard: 0, expected: 0, found }));
            }
        };
        let ended = Checkpoint { log: first.log, point: loaded.through, layout: loaded.layout, epoch: self.epoch + 1 };
        query(sql::DELETE_CHECKPOINTS).bind(self.id.0).execute(&mut *transaction).await?;
        catalog::put_checkpoints(&mut *transaction, self.id, &ended, loaded.shards).await?;
        query(sql::DELETE_DEAD_LETTERS).bind(self.id.0).execute(&mut *transaction).await?;
        writer::put_dead_letters(&mut transaction, self.id, loaded.dead_letters).await?;
        let catch_up = GenerationState::CatchUp.word();
        query(sql::SET_STATE).bind(catch_up).bind(self.id.0).execute(&mut *transaction).await?;
        query(sql::SET_SHARDS).bind(i64::from(loaded.shards)).bind(self.id.0).execute(&mut *transaction).await?;
        query(sql::RAISE_EPOCH).bind(self.id.0).execute(&mut *transaction).await?;
        transaction.commit().await?;
        Ok(vec![ended; loaded.shards as usize])
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
