//! Fills the tables of a generation at once: each made anew with its key and no index; rows in the order of the key, which InnoDB
//! keeps them in anyway, in many-row inserts; indexes and statistics behind them.
//!
//! Whatever is done to the tables is done while the generation's entry is held, at its epoch. So a host that lost the generation can
//! never touch a table that another one fills: taking it over waits for the entry.

use std::sync::Arc;

use reel_projector::change::Row;
use sqlx::{MySqlTransaction, raw_sql};
use tokio::sync::Mutex;

use super::connection::Database;
use super::dialect::tables::Repeated;
use super::dialect::{Sql, catalog as sql, tables};
use super::writer::{self, most_bytes};
use crate::adapter::Adapter;
use crate::filling::{self, Filling};

type LoadFault = filling::LoadFault<Database>;
type Of = filling::Of<Database>;

/// The tables of a load on its way.
pub(crate) struct Load {
    of: Arc<Of>,
    tables: Vec<Filled>,
}

/// One table.
struct Filled {
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

impl Load {
    /// Nobody takes the generation over until the transaction ends.
    async fn hold(&self) -> Result<MySqlTransaction<'static>, LoadFault> {
        let mut transaction = self.of.database.write().await?;
        self.of.check(&mut transaction, sql::HOLD_STATE_AND_EPOCH).await?;
        Ok(transaction)
    }

    /// Makes the table anew, with its first rows: what is in it may be of a load that was given up.
    async fn make_anew(&self, number: usize, table: &mut Table) -> Result<(), LoadFault> {
        if *table == Table::Before {
            let of = &self.of.manifest.tables[number];
            let drop = tables::drop_table(&tables::table_name(self.of.id, of));
            let create = tables::create_table(self.of.id, of, self.of.database.server.collation);
            self.alter([drop, create].into_iter()).await?;
            *table = Table::Anew;
        }
        Ok(())
    }

    /// What changes a table ends its own transaction: the generation is held by another one.
    async fn alter(&self, statements: impl Iterator<Item = Sql>) -> Result<(), LoadFault> {
        let held = self.hold().await?;
        let mut connection = self.of.database.writers.acquire().await?;
        for statement in statements {
            raw_sql(statement).execute(&mut *connection).await?;
        }
        Ok(held.commit().await?)
    }
}

impl Filling<Database> for Load {
    fn new(of: &Arc<Of>) -> Load {
        let filled = |table| Filled { insert: tables::insert(of.id, table), table: Mutex::new(Table::Before) };
        Load { of: Arc::clone(of), tables: of.manifest.tables.iter().map(filled).collect() }
    }

    async fn fill(&self, table: usize, rows: &[Row]) -> Result<(), LoadFault> {
        let filled = &self.tables[table];
        let mut made = filled.table.lock().await;
        self.make_anew(table, &mut made).await?;
        let mut held = self.hold().await?;
        writer::put(&mut held, &filled.insert, rows, most_bytes(&self.of.database)).await?;
        Ok(held.commit().await?)
    }

    async fn index(&self, table: usize) -> Result<(), LoadFault> {
        let mut made = self.tables[table].table.lock().await;
        self.make_anew(table, &mut made).await?;
        let (id, of) = (self.of.id, &self.of.manifest.tables[table]);
        self.alter(tables::create_indexes(id, of).into_iter().chain([tables::analyze(id, of)])).await
    }
}
