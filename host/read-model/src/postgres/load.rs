//! Fills the tables of a generation at once: each in one transaction of a connection of its own, that makes the table anew, takes
//! the rows by binary `COPY`, and makes key, indexes and statistics behind them. What does not get to its end leaves no trace.
//!
//! The transaction locks its table first and looks at the generation's epoch then. So a host that lost the generation can never
//! touch a table that another one filled: that one needed the same lock.

use std::sync::Arc;

use reel_projector::ColumnType;
use reel_projector::change::Row;
use sqlx::{Connection as _, PgConnection, query};
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinHandle;

use super::connection::Database;
use super::copy::messages;
use super::dialect::{INDEX_MEMORY, ROUGH_STATISTICS, catalog as sql, tables};
use super::values;
use crate::filling::{self, Filling};

/// How many messages may wait for the server.
const MESSAGES: usize = 4;

type LoadFault = filling::LoadFault<Database>;
type Of = filling::Of<Database>;

/// The tables of a load on its way.
pub(crate) struct Load {
    of: Arc<Of>,
    tables: Vec<Mutex<Option<Copying>>>,
}

/// One table's transaction, and the way to it.
struct Copying {
    orders: mpsc::Sender<Order>,
    task: JoinHandle<Result<(), LoadFault>>,
}

enum Order {
    /// Rows in the binary format.
    Rows(Vec<u8>),
    /// No more rows: make the key and the rest, and commit.
    Index,
}

impl Load {
    async fn send(&self, table: usize, orders: impl Iterator<Item = Order> + Send) -> Result<(), LoadFault> {
        let mut copying = self.tables[table].lock().await;
        let open = copying.get_or_insert_with(|| Copying::start(&self.of, table));
        for order in orders {
            if open.orders.send(order).await.is_err() {
                // It ended already, so it failed.
                let failed = copying.take().expect("there since above");
                return failed.task.await.expect("a load does not panic, and nobody aborts it");
            }
        }
        Ok(())
    }
}

impl Filling<Database> for Load {
    fn new(of: &Arc<Of>) -> Load {
        Load { of: Arc::clone(of), tables: of.manifest.tables.iter().map(|_| Mutex::default()).collect() }
    }

    async fn fill(&self, table: usize, rows: &[Row]) -> Result<(), LoadFault> {
        let kinds: Vec<ColumnType> = self.of.manifest.tables[table].columns.iter().map(|column| column.kind).collect();
        self.send(table, messages(rows, &kinds).map(Order::Rows)).await
    }

    async fn index(&self, table: usize) -> Result<(), LoadFault> {
        self.send(table, std::iter::once(Order::Index)).await?;
        let copying = self.tables[table].lock().await.take().expect("sent to just now");
        copying.task.await.expect("a load does not panic, and nobody aborts it")
    }
}

impl Copying {
    fn start(of: &Arc<Of>, table: usize) -> Copying {
        let (orders, received) = mpsc::channel(MESSAGES);
        let of = Arc::clone(of);
        Copying { orders, task: tokio::spawn(async move { fill(&of, table, received).await }) }
    }
}

/// One table from its first row to its statistics. Ends without a trace where nobody says that the rows are complete.
async fn fill(of: &Of, number: usize, mut orders: mpsc::Receiver<Order>) -> Result<(), LoadFault> {
    let (id, table) = (of.id, &of.manifest.tables[number]);
    let mut connection = of.database.writers.acquire().await?;
    let mut transaction = connection.begin().await?;
    query(tables::lock(id, table)).execute(&mut *transaction).await?;
    of.check(&mut transaction, sql::STATE_AND_EPOCH).await?;
    for statement in tables::create_anew(id, table) {
        query(statement).execute(&mut *transaction).await?;
    }
    if copy(&tables::copy_frozen(id, table), &mut transaction, &mut orders).await? == Copied::InPart {
        return Ok(transaction.rollback().await?);
    }
    query(INDEX_MEMORY).execute(&mut *transaction).await?;
    query(tables::add_key(id, number, table)).execute(&mut *transaction).await?;
    for statement in tables::create_indexes(id, number, table) {
        query(statement).execute(&mut *transaction).await?;
    }
    query(ROUGH_STATISTICS).execute(&mut *transaction).await?;
    query(tables::analyze(id, table)).execute(&mut *transaction).await?;
    Ok(transaction.commit().await?)
}

async fn copy(
    statement: &str,
    connection: &mut PgConnection,
    orders: &mut mpsc::Receiver<Order>,
) -> Result<Copied, LoadFault> {
    let mut copy = connection.copy_in_raw(statement).await?;
    copy.send(values::COPY_BEGIN).await?;
    loop {
        match orders.recv().await {
            Some(Order::Rows(bytes)) => copy.send(bytes).await.map(drop)?,
            Some(Order::Index) => {
                copy.send(values::COPY_END).await?;
                copy.finish().await?;
                return Ok(Copied::Whole);
            }
            None => {
                copy.abort("the load was given up").await?;
                return Ok(Copied::InPart);
            }
        }
    }
}

/// Whether all rows of a table came.
#[derive(PartialEq, Eq)]
enum Copied {
    Whole,
    InPart,
}
