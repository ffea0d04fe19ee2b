//! Fills the tables of a generation at once: each in one transaction of a connection of its own, that makes the table anew, takes the
//! rows by bulk load, and makes key, indexes and statistics behind them. What does not get to its end leaves no trace.
//!
//! The transaction makes its table anew first and looks at the generation's epoch then. So a host that lost the generation can never
//! touch a table that another one filled: that one needed the table for itself, too.

use std::sync::Arc;

use reel_projector::ColumnType;
use reel_projector::change::Row;
use tiberius::SqlBulkCopyOption;
use tokio::sync::Mutex;

use super::bulk::Into;
use super::connection::{Database, Session, Transaction, query};
use super::dialect::tables::Source;
use super::dialect::{catalog as sql, tables};
use super::server::Kind;
use super::values;
use super::writer::{self, pieces};
use crate::adapter::Adapter;
use crate::filling::{self, Filling};

type LoadFault = filling::LoadFault<Database>;
type Of = filling::Of<Database>;

/// The tables of a load on its way.
pub(crate) struct Load {
    of: Arc<Of>,
    /// Each table's transaction, from its first rows to its last index.
    tables: Vec<Mutex<Option<Transaction>>>,
}

impl Load {
    /// Makes a table anew, empty and without its key: what is in it may be of a load that was given up.
    async fn make_anew(&self, number: usize) -> Result<Transaction, LoadFault> {
        let table = &self.of.manifest.tables[number];
        let mut transaction = self.of.database.write().await?;
        transaction.batch(&tables::drop_table(self.of.id, table)).await?;
        transaction.batch(&tables::create_heap(self.of.id, table)).await?;
        self.of.check(&mut transaction, sql::STATE_AND_EPOCH).await?;
        Ok(transaction)
    }

    async fn load(&self, session: &mut Session, number: usize, rows: &[Row]) -> Result<(), LoadFault> {
        let table = &self.of.manifest.tables[number];
        let kinds: Vec<ColumnType> = table.columns.iter().map(|column| column.kind).collect();
        let has_decimals = kinds.iter().any(|kind| matches!(kind, ColumnType::Decimal { .. }));
        if self.of.database.server.kind == Kind::Babelfish && has_decimals {
            let all: Vec<u16> = (0..kinds.len() as u16).collect();
            let stage = writer::stage(session, self.of.id, (number, table), &all, rows).await?;
            query(tables::insert(self.of.id, table, &Source::stage(&stage))).execute(session).await?;
            return Ok(());
        }
        let name = tables::physical(self.of.id, table);
        let into = Into { table: &name, kinds: &kinds, options: SqlBulkCopyOption::TableLock.into() };
        Ok(into.load(session, rows, |row| values::loaded(&kinds, row)).await?)
    }

    /// The key and the indexes bring their own statistics; those of single columns come when they are asked for. A server that does not
    /// take the statement does so by itself.
    async fn analyze(&self, number: usize) {
        let analyzed = async {
            let mut session = self.of.database.writer().await?;
            session.batch(&tables::analyze(self.of.id, &self.of.manifest.tables[number])).await
        };
        if let Err(error) = analyzed.await {
            tracing::debug!(database = self.of.database.name, %error, "no statistics");
        }
    }
}

impl Filling<Database> for Load {
    fn new(of: &Arc<Of>) -> Load {
        Load { of: Arc::clone(of), tables: of.manifest.tables.iter().map(|_| Mutex::default()).collect() }
    }

    async fn fill(&self, table: usize, rows: &[Row]) -> Result<(), LoadFault> {
        let mut open = self.tables[table].lock().await;
        // What fails half-way is not put back: it is undone.
        let mut transaction = match open.take() {
            Some(transaction) => transaction,
            None => self.make_anew(table).await?,
        };
        for some in pieces(rows) {
            self.load(&mut transaction, table, some).await?;
        }
        *open = Some(transaction);
        Ok(())
    }

    async fn index(&self, table: usize) -> Result<(), LoadFault> {
        let open = self.tables[table].lock().await.take();
        let mut transaction = match open {
            Some(transaction) => transaction,
            None => self.make_anew(table).await?,
        };
        let (id, of) = (self.of.id, &self.of.manifest.tables[table]);
        transaction.batch(&tables::add_key(id, table, of)).await?;
        for statement in tables::create_indexes(id, table, of) {
            transaction.batch(&statement).await?;
        }
        transaction.batch(&tables::keep_row_locks(id, of)).await?;
        transaction.commit().await?;
        self.analyze(table).await;
        Ok(())
    }
}
