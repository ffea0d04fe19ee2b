//! The event store in one SQLite file: the store, its parts put together. What the file looks like is in `file`, how commits
//! get in is in `writer` and `commit`, how events get out is in `reader`.
//!
//! One process holds the file (a lock file beside it, held as long as the store lives). One thread writes; whatever is waiting
//! when it is free goes into one transaction, so that many callers share one flush to disk.

mod commit;
mod fault;
mod file;
mod ids;
mod number;
mod reader;
mod writer;

use std::{
    path::Path,
    sync::{Arc, PoisonError, RwLock, mpsc},
    thread::JoinHandle,
};

use async_trait::async_trait;
use reel_events::{EventBatch, LogId, LogPoint, StreamId};
use rusqlite::Connection;
use tokio::sync::{oneshot, watch};
use uuid::Uuid;

use self::{
    commit::Prepared,
    fault::Fault,
    file::{Lock, OpenFile},
    ids::Recent,
    reader::Readers,
    writer::{Request, Writer},
};
use super::{AppendError, Appended, EventStore, FoundCommit, Limits, NewCommit, ReadLimit, StoreError, portion};

/// An event store in one SQLite file. It works within a tokio runtime: reading uses its threads for blocking work.
pub struct SqliteStore {
    shared: Arc<Shared>,
    /// Nothing once the store is being dropped: that is how the writer learns of the end.
    requests: Option<mpsc::Sender<Request>>,
    writer: Option<JoinHandle<()>>,
}

/// What the writer, the readers and the store's owner have in common.
struct Shared {
    location: String,
    log: LogId,
    limits: Limits,
    head: watch::Sender<u64>,
    readers: Readers,
    recent: RwLock<Recent>,
    /// Goes last: the file is free for others when nobody here uses it.
    _lock: Lock,
}

impl SqliteStore {
    /// Opens the store in the file at `path`, and makes it where there is none. The directory must be there.
    ///
    /// # Errors
    /// [`StoreError::InUse`] where another process (or another store in this one) holds the file; [`StoreError::Unreadable`]
    /// where it is damaged, not a Reel event store, or written by a newer version; [`StoreError::Unavailable`] where the file
    /// cannot be made, opened or read.
    pub fn open(path: impl AsRef<Path>, limits: Limits) -> Result<SqliteStore, StoreError> {
        let path = path.as_ref();
        let location = path.display().to_string();
        let lock = Lock::take(path)?;
        let opened = file::open(path).map_err(|fault| fault.into_error(&location))?;
        SqliteStore::start(path, limits, lock, opened)
    }

    fn start(path: &Path, limits: Limits, lock: Lock, opened: OpenFile) -> Result<SqliteStore, StoreError> {
        let OpenFile { connection, log, end, recent } = opened;
        let shared = Arc::new(Shared {
            location: path.display().to_string(),
            log,
            limits,
            head: watch::Sender::new(end.position),
            readers: Readers::of(path),
            recent: RwLock::new(recent),
            _lock: lock,
        });
        let (requests, queue) = mpsc::channel();
        let writer = Writer::new(Arc::clone(&shared), connection, end);
        let thread = std::thread::Builder::new().name("event-store".to_owned()).spawn(move || writer.run(&queue));
        let thread = thread.map_err(|error| shared.unavailable(error))?;
        tracing::debug!(store = %shared.location, log = %log, head = end.position, "event store opened");
        Ok(SqliteStore { shared, requests: Some(requests), writer: Some(thread) })
    }

    /// Runs a query on a thread for blocking work.
    async fn query<T: Send + 'static>(
        &self,
        query: impl FnOnce(&Connection) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, StoreError> {
        let shared = Arc::clone(&self.shared);
        let work = move || shared.readers.run(query).map_err(|fault| fault.into_error(&shared.location));
        tokio::task::spawn_blocking(work).await.map_err(|error| self.shared.unavailable(error))?
    }

    /// Hands commits to the writer that fit one transaction; the answers have the same order.
    async fn write(&self, commits: Vec<Prepared>) -> Vec<Result<Appended, AppendError>> {
        let count = commits.len();
        let (answer, answers) = oneshot::channel();
        let sent = self.requests.as_ref().is_some_and(|requests| requests.send(Request { commits, answer }).is_ok());
        let answers = if sent { answers.await.ok() } else { None };
        answers.unwrap_or_else(|| {
            let stopped = Arc::new(self.shared.unavailable("its writer has stopped"));
            vec![Err(AppendError::Store(stopped)); count]
        })
    }
}

impl Shared {
    fn unavailable(&self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> StoreError {
        StoreError::Unavailable { location: self.location.clone(), source: source.into() }
    }
}

impl Drop for SqliteStore {
    /// Lets the writer end what it has begun, so that the file is free when this returns.
    fn drop(&mut self) {
        self.requests = None;
        if let Some(writer) = self.writer.take()
            && writer.join().is_err()
        {
            tracing::error!(store = %self.shared.location, "the event store's writer had panicked");
        }
    }
}

#[async_trait]
impl EventStore for SqliteStore {
    fn log_id(&self) -> LogId {
        self.shared.log
    }

    fn limits(&self) -> Limits {
        self.shared.limits
    }

    async fn append_all(&self, commits: Vec<NewCommit>) -> Vec<Result<Appended, AppendError>> {
        portion::append(commits, self.shared.limits, commit::MOST, |commits| self.write(commits)).await
    }

    async fn find_commit(&self, id: Uuid) -> Result<Option<FoundCommit>, StoreError> {
        // In memory first: what leaves the memory afterwards is in the tables before the query looks there.
        let recent = self.shared.recent.read().unwrap_or_else(PoisonError::into_inner).commit(id);
        self.query(move |connection| Ok(commit::find(connection, id, recent)?)).await
    }

    async fn read(&self, after: u64, limit: ReadLimit) -> Result<EventBatch, StoreError> {
        self.query(move |connection| reader::read(connection, after, limit)).await
    }

    async fn read_stream(&self, stream: &StreamId, after: u64, limit: ReadLimit) -> Result<EventBatch, StoreError> {
        let stream = stream.clone();
        self.query(move |connection| reader::read_stream(connection, &stream, after, limit)).await
    }

    async fn head(&self) -> Result<LogPoint, StoreError> {
        self.query(|connection| Ok(reader::end(connection)?.point())).await
    }

    async fn point(&self, position: u64) -> Result<Option<LogPoint>, StoreError> {
        if position == 0 {
            return Ok(Some(LogPoint::START));
        }
        self.query(move |connection| reader::point(connection, position)).await
    }

    fn watch(&self) -> watch::Receiver<u64> {
        self.shared.head.subscribe()
    }
}

#[cfg(test)]
mod tests;
