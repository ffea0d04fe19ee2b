//! Fills the tables of a generation at once: each in one transaction of a connection of its own, that makes the table anew, takes
//! the rows by binary `COPY`, and makes key, indexes and statistics behind them. What does not get to its end leaves no trace.
//!
//! The transaction locks its table first and looks at the generation's epoch then. So a host that lost the generation can never
//! touch a table that another one filled: that one needed the same lock.

use std::sync::Arc;

use async_trait::async_trait;
use reel_projector::change::Row;
use reel_projector::ports::CommitError;
use reel_projector::{Checkpoint, ColumnType, Manifest, ReadModelError};
use sqlx::{Connection as _, PgConnection, query};
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinHandle;

use super::connection::Database;
use super::dialect::{INDEX_MEMORY, catalog as sql, tables};
use super::error::{Outcome, PostgresFault};
use super::{values, writer};
use crate::adapter::Adapter;
use crate::catalog::{self, load_ends, no_load};
use crate::fault::Fault;
use crate::load::{BulkLoad, Loaded};
use crate::target::{Generation, GenerationId};

/// About how many bytes go to the server in one message.
const MESSAGE_BYTES: usize = 256 << 10;
/// How many messages may wait for the server.
const MESSAGES: usize = 4;

type LoadFault = PostgresFault<ReadModelError>;
type FinishFault = PostgresFault<CommitError>;

/// A load on its way.
pub(super) struct Load {
    of: Arc<Of>,
    tables: Vec<Mutex<Option<Copying>>>,
}

/// What a load fills, and by which right.
struct Of {
    database: Arc<Database>,
    id: GenerationId,
    manifest: Arc<Manifest>,
    epoch: u64,
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

/// Begins to fill a generation. Nothing is touched yet.
pub(super) async fn begin(database: &Arc<Database>, generation: &Generation, epoch: u64) -> Outcome<Load> {
    let manifest = Arc::clone(&generation.manifest);
    let tables = manifest.tables.iter().map(|_| Mutex::default()).collect();
    let of = Of { database: Arc::clone(database), id: generation.id, manifest, epoch };
    let mut reader = database.reader().await?;
    if let Some(why) = catalog::lost(&mut *reader, sql::STATE_AND_EPOCH, of.id, epoch).await? {
        return Err(Fault::Own(no_load(generation, why)));
    }
    Ok(Load { of: Arc::new(of), tables })
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

    fn told(&self, fault: LoadFault, table: u16) -> ReadModelError {
        let name = &self.of.manifest.tables[usize::from(table)].name;
        fault.told(&self.of.database.name, &format!("filling table {name} of generation {}", self.of.id.0))
    }
}

#[async_trait]
impl BulkLoad for Load {
    async fn rows(&self, table: u16, rows: &[Row]) -> Result<(), ReadModelError> {
        let kinds: Vec<ColumnType> =
            self.of.manifest.tables[usize::from(table)].columns.iter().map(|column| column.kind).collect();
        let messages = messages(rows, &kinds);
        self.send(usize::from(table), messages).await.map_err(|fault| self.told(fault, table))
    }

    async fn index(&self, table: u16) -> Result<(), ReadModelError> {
        let done = async {
            self.send(usize::from(table), std::iter::once(Order::Index)).await?;
            let copying = self.tables[usize::from(table)].lock().await.take().expect("sent to just now");
            copying.task.await.expect("a load does not panic, and nobody aborts it")
        };
        done.await.map_err(|fault| self.told(fault, table))
    }

    async fn finish(self: Box<Self>, loaded: Loaded<'_>) -> Result<Vec<Checkpoint>, CommitError> {
        let done = self.of.finish(loaded).await;
        done.map_err(|fault| {
            let action = format!("ending the load of generation {}", self.of.id.0);
            fault.told(&self.of.database.name, &action)
        })
    }
}

/// Rows encoded, in messages of a bearable size.
fn messages<'r>(rows: &'r [Row], kinds: &'r [ColumnType]) -> impl Iterator<Item = Order> + Send + 'r {
    let mut rest = rows.iter();
    std::iter::from_fn(move || {
        let mut bytes = Vec::with_capacity(MESSAGE_BYTES + (MESSAGE_BYTES >> 3));
        while bytes.len() < MESSAGE_BYTES
            && let Some(row) = rest.next()
        {
            values::copy_row(row, kinds, &mut bytes);
        }
        (!bytes.is_empty()).then_some(Order::Rows(bytes))
    })
}

impl Copying {
    fn start(of: &Arc<Of>, table: usize) -> Copying {
        let (orders, received) = mpsc::channel(MESSAGES);
        let of = Arc::clone(of);
        Copying { orders, task: tokio::spawn(async move { of.fill(table, received).await }) }
    }
}

impl Of {
    /// One table from its first row to its statistics. Ends without a trace where nobody says that the rows are complete.
    async fn fill(&self, number: usize, mut orders: mpsc::Receiver<Order>) -> Result<(), LoadFault> {
        let table = &self.manifest.tables[number];
        let mut connection = self.database.writers.acquire().await?;
        let mut transaction = connection.begin().await?;
        query(tables::lock(self.id, table)).execute(&mut *transaction).await?;
        if let Some(why) = catalog::lost(&mut *transaction, sql::STATE_AND_EPOCH, self.id, self.epoch).await? {
            return Err(Fault::Own(load_ends(&self.database.name, why)));
        }
        for statement in tables::create_anew(self.id, table) {
            query(statement).execute(&mut *transaction).await?;
        }
        if self.copy(number, &mut transaction, &mut orders).await? == Copied::InPart {
            return Ok(transaction.rollback().await?);
        }
        query(INDEX_MEMORY).execute(&mut *transaction).await?;
        query(tables::add_key(self.id, number, table)).execute(&mut *transaction).await?;
        for statement in tables::create_indexes(self.id, number, table) {
            query(statement).execute(&mut *transaction).await?;
        }
        query(tables::analyze(self.id, table)).execute(&mut *transaction).await?;
        Ok(transaction.commit().await?)
    }

    async fn copy(
        &self,
        number: usize,
        connection: &mut PgConnection,
        orders: &mut mpsc::Receiver<Order>,
    ) -> Result<Copied, LoadFault> {
        let mut copy = connection.copy_in_raw(&tables::copy(self.id, &self.manifest.tables[number])).await?;
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

    async fn finish(&self, loaded: Loaded<'_>) -> Result<Vec<Checkpoint>, FinishFault> {
        let mut transaction = self.database.write().await?;
        let ended = catalog::end_load(&mut *transaction, self.id, self.epoch, &loaded).await?;
        for letters in loaded.dead_letters.chunks(LETTERS) {
            writer::put_dead_letters(&mut transaction, self.id, letters).await?;
        }
        transaction.commit().await?;
        Ok(ended)
    }
}

/// Dead letters in one statement.
const LETTERS: usize = 10_000;

/// Whether all rows of a table came.
#[derive(PartialEq, Eq)]
enum Copied {
    Whole,
    InPart,
}
