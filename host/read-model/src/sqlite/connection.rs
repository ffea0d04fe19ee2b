//! Connections to one SQLite file: one that writes, some that read, and how async code waits for them.

use std::ops::{Deref, DerefMut};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::{Connection, OpenFlags};
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard, OwnedSemaphorePermit, Semaphore};

use super::dialect;

/// How many may read at a time.
const READERS: usize = 8;

/// Statements that a connection keeps prepared.
const PREPARED: usize = 256;

/// One file.
pub(super) struct Database {
    /// The target's name.
    pub(super) name: String,
    path: PathBuf,
    writer: Arc<AsyncMutex<Connection>>,
    free: Arc<Mutex<Vec<Connection>>>,
    permits: Arc<Semaphore>,
}

/// A connection that reads; goes back when it is dropped.
pub(crate) struct Reader {
    free: Arc<Mutex<Vec<Connection>>>,
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
            writer: Arc::new(AsyncMutex::new(writer)),
            free: Arc::default(),
            permits: Arc::new(Semaphore::new(READERS)),
        })
    }

    /// Begins to write by the one connection that does.
    pub(super) async fn begin(&self, synchronous: Synchronous) -> rusqlite::Result<Writing> {
        let connection = Arc::clone(&self.writer).lock_owned().await;
        blocking(|| {
            let writing = Writing { connection, synchronous };
            if synchronous == Synchronous::Full {
                writing.execute_batch(dialect::FULL)?;
            }
            writing.execute_batch(dialect::BEGIN_WRITING)?;
            Ok(writing)
        })
    }

    /// A connection that reads, as soon as one is free.
    pub(super) async fn reader(&self) -> rusqlite::Result<Reader> {
        let permits = Arc::clone(&self.permits);
        let permit = permits.acquire_owned().await.expect("the semaphore is never closed");
        let free = self.free.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let connection = match free {
            Some(connection) => connection,
            None => blocking(|| open_reader(&self.path))?,
        };
        Ok(Reader { free: Arc::clone(&self.free), connection: Some(connection), _permit: permit })
    }
}

impl Reader {
    /// Begins to read one moment of the data, until this is dropped.
    pub(super) fn hold(&mut self) -> rusqlite::Result<()> {
        blocking(|| self.execute_batch(dialect::BEGIN_READING))
    }
}

impl Deref for Reader {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        self.connection.as_ref().expect("taken only by drop")
    }
}

impl DerefMut for Reader {
    fn deref_mut(&mut self) -> &mut Connection {
        self.connection.as_mut().expect("taken only by drop")
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let connection = self.connection.take().expect("taken only here");
        if !connection.is_autocommit() && connection.execute_batch(dialect::ROLL_BACK).is_err() {
            // The moment that it holds would be the next reader's: better to open another one.
            return;
        }
        self.free.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
    }
}

/// A transaction of the one connection that writes. Dropped before its end it is rolled back.
pub(crate) struct Writing {
    connection: OwnedMutexGuard<Connection>,
    synchronous: Synchronous,
}

/// What a power failure may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Synchronous {
    /// Nothing that is committed: what an operator does.
    Full,
    /// The last commits, each whole: what a loop does again by itself.
    Normal,
}

impl Writing {
    pub(super) fn commit(self) -> rusqlite::Result<()> {
        blocking(|| self.execute_batch(dialect::COMMIT))
    }
}

impl Deref for Writing {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.connection
    }
}

impl DerefMut for Writing {
    fn deref_mut(&mut self) -> &mut Connection {
        &mut self.connection
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        let end = || {
            if !self.is_autocommit() {
                self.execute_batch(dialect::ROLL_BACK)?;
            }
            match self.synchronous {
                Synchronous::Full => self.execute_batch(dialect::NORMAL),
                Synchronous::Normal => Ok(()),
            }
        };
        if let Err(error) = blocking(end) {
            tracing::warn!(%error, "a transaction of SQLite did not end well");
        }
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

/// Runs what blocks, on this thread: other tasks move to another one where the runtime has more.
pub(super) fn blocking<T>(work: impl FnOnce() -> T) -> T {
    match Handle::try_current().map(|handle| handle.runtime_flavor()) {
        Ok(RuntimeFlavor::MultiThread) => tokio::task::block_in_place(work),
        _ => work(),
    }
}
