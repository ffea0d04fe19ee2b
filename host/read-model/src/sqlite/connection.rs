//! Connections to one SQLite file: one that writes, some that read, and how async code waits for them.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::{Connection, DropBehavior, OpenFlags, Transaction, TransactionBehavior};
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::{Mutex as AsyncMutex, OwnedSemaphorePermit, Semaphore};

use super::dialect;
use super::error::SqliteFault;

/// How many may read at a time.
const READERS: usize = 8;

/// Statements that a connection keeps prepared.
const PREPARED: usize = 256;

/// One file.
pub(super) struct Database {
    /// The target's name.
    pub(super) name: String,
    path: PathBuf,
    writer: AsyncMutex<Connection>,
    free: Mutex<Vec<Connection>>,
    permits: Arc<Semaphore>,
}

/// How sure a commit must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Durability {
    /// On the disk: what an operator did.
    Full,
    /// A power failure may take the last ones, each whole: what a loop does again by itself.
    Normal,
}

/// A connection that reads; goes back when it is dropped.
pub(super) struct Reader {
    database: Arc<Database>,
    connection: Option<Connection>,
    _permit: OwnedSemaphorePermit,
}

impl Database {
    /// Opens the file, making it where it does not exist.
    pub(super) fn open(name: &str, path: &Path) -> rusqlite::Result<Database> {
        let writer = Connection::open(path)?;
        writer.execute_batch(dialect::CONNECTION)?;
        writer.execute_batch(dialect::WRITER)?;
        writer.execute_batch(dialect::NORMAL)?;
        writer.set_prepared_statement_cache_capacity(PREPARED);
        Ok(Database {
            name: name.to_owned(),
            path: path.to_owned(),
            writer: AsyncMutex::new(writer),
            free: Mutex::default(),
            permits: Arc::new(Semaphore::new(READERS)),
        })
    }

    /// Runs `work` in a transaction of the one connection that writes. If it fails, nothing was written.
    pub(super) async fn write<T, O>(
        &self,
        durability: Durability,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, SqliteFault<O>>,
    ) -> Result<T, SqliteFault<O>> {
        let mut writer = self.writer.lock().await;
        blocking(|| {
            if durability == Durability::Full {
                writer.execute_batch(dialect::FULL)?;
            }
            let done = transact(&mut writer, work);
            if durability == Durability::Full {
                writer.execute_batch(dialect::NORMAL)?;
            }
            done
        })
    }

    /// Runs `work` on one moment of the data.
    pub(super) async fn read<T, O>(
        self: &Arc<Self>,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, SqliteFault<O>>,
    ) -> Result<T, SqliteFault<O>> {
        let mut reader = self.reader().await?;
        blocking(|| work(&reader.begin()?))
    }

    /// A connection that reads, as soon as one is free.
    pub(super) async fn reader<O>(self: &Arc<Self>) -> Result<Reader, SqliteFault<O>> {
        let permits = Arc::clone(&self.permits);
        let permit = permits.acquire_owned().await.expect("the semaphore is never closed");
        let free = self.free.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let connection = match free {
            Some(connection) => connection,
            None => blocking(|| open_reader(&self.path))?,
        };
        Ok(Reader { database: Arc::clone(self), connection: Some(connection), _permit: permit })
    }
}

impl Reader {
    /// Begins to read one moment of the data.
    pub(super) fn begin(&mut self) -> rusqlite::Result<Transaction<'_>> {
        self.connection.as_mut().expect("taken only by drop").transaction_with_behavior(TransactionBehavior::Deferred)
    }

    /// Begins to read one moment of the data with `work`; [`Reader::held`] reads on in it, until this is dropped.
    pub(super) fn hold<T, O>(
        &mut self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, SqliteFault<O>>,
    ) -> Result<T, SqliteFault<O>> {
        blocking(|| {
            let mut transaction = self.begin()?;
            transaction.set_drop_behavior(DropBehavior::Ignore);
            work(&transaction)
        })
    }

    /// Reads on in the moment that [`Reader::hold`] began.
    pub(super) fn held<T>(&mut self, work: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> rusqlite::Result<T> {
        blocking(|| work(self.connection.as_ref().expect("taken only by drop")))
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let connection = self.connection.take().expect("taken only here");
        if !connection.is_autocommit() && connection.execute_batch(dialect::END_READING).is_err() {
            // The moment that it holds would be the next reader's: better to open another one.
            return;
        }
        self.database.free.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
    }
}

fn open_reader(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.execute_batch(dialect::CONNECTION)?;
    connection.execute_batch(dialect::READER)?;
    connection.set_prepared_statement_cache_capacity(PREPARED);
    Ok(connection)
}

fn transact<T, O>(
    connection: &mut Connection,
    work: impl FnOnce(&Transaction<'_>) -> Result<T, SqliteFault<O>>,
) -> Result<T, SqliteFault<O>> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let done = work(&transaction)?;
    transaction.commit()?;
    Ok(done)
}

/// Runs what blocks, on this thread: other tasks move to another one where the runtime has more.
fn blocking<T>(work: impl FnOnce() -> T) -> T {
    match Handle::try_current().map(|handle| handle.runtime_flavor()) {
        Ok(RuntimeFlavor::MultiThread) => tokio::task::block_in_place(work),
        _ => work(),
    }
}
