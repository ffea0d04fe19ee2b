//! The event store in MongoDB, or in what speaks its protocol: the store, its parts put together. How commits get in is decided in
//! `protocol` and done in `writer` and `look`; how events get out is in `reader`; what lies in the database is in `collections` and
//! `document`.
//!
//! Many processes may write one log. In each, one task writes; whatever is waiting when it is free goes into one ordered insert.

mod collections;
mod document;
mod fault;
mod location;
mod look;
pub(crate) mod protocol;
mod reader;
mod watcher;
mod writer;

use std::sync::Arc;

use async_trait::async_trait;
use mongodb::{Client, Database};
use reel_events::{EventBatch, LogId, LogPoint, StreamId};
use tokio::{
    sync::{mpsc, oneshot, watch},
    task::AbortHandle,
};
use uuid::Uuid;

use self::{
    collections::{Commits, Opened},
    fault::Fault,
    location::Location,
    protocol::{EventIds, Knowledge},
    writer::{Prepared, Request, Writer},
};
use super::{AppendError, Appended, EventStore, FoundCommit, Limits, NewCommit, ReadLimit, StoreError, portion};

/// An event store in a MongoDB database. It works within a tokio runtime.
pub struct MongoStore {
    shared: Arc<Shared>,
    database: Database,
    requests: mpsc::UnboundedSender<Request>,
    watcher: AbortHandle,
}

/// What the writer, the watcher and the store's owner have in common.
struct Shared {
    location: String,
    log: LogId,
    limits: Limits,
    commits: Commits,
    event_ids: EventIds,
    head: watch::Sender<u64>,
}

/// The database that `url` names, for what else is kept beside the log, and its location without user and password. Nothing is
/// asked of the server yet.
///
/// # Errors
/// [`StoreError::Refused`] where the URL is wrong.
pub(crate) async fn database(url: &str) -> Result<(Database, String), StoreError> {
    let Location { options, database, shown, .. } = Location::parse(url).await?;
    let client = Client::with_options(options).map_err(|error| Fault::from(error).into_error(&shown))?;
    Ok((client.database(&database), shown))
}

impl MongoStore {
    /// Opens the store at `url` (`mongodb://…`, `mongodb+srv://…`), and makes it where there is none. Writes are always
    /// acknowledged by a majority and on disk, and never sent twice by the driver, whatever the URL says. A server that is no
    /// member of a replica set is accepted with the parameter `reel-standalone=true`.
    ///
    /// # Errors
    /// [`StoreError::Refused`] where the URL is wrong, the server stands alone, or the user lacks a permission;
    /// [`StoreError::Unreadable`] where the database holds something else, or was written by a newer version;
    /// [`StoreError::Unavailable`] where the server does not answer.
    pub async fn open(url: &str, limits: Limits) -> Result<MongoStore, StoreError> {
        let location = Location::parse(url).await?;
        let shown = location.shown.clone();
        let named = |fault: Fault| fault.into_error(&shown);
        let Opened { database, commits, log, event_ids } = collections::open(location).await.map_err(named)?;
        let end = look::end(&commits).await.map_err(named)?;
        let head = watch::Sender::new(end.position);
        let shared = Arc::new(Shared { location: shown.clone(), log, limits, commits, event_ids, head });
        let (requests, queue) = mpsc::unbounded_channel();
        tokio::spawn(Writer::new(Arc::clone(&shared), Knowledge::of(end)).run(queue));
        let watcher = tokio::spawn(watcher::run(Arc::clone(&shared))).abort_handle();
        tracing::debug!(store = %shared.location, %log, head = end.position, ?event_ids, "event store opened");
        Ok(MongoStore { shared, database, requests, watcher })
    }

    /// The database that the log is in, with majority reads and writes: for what else must be kept beside it.
    #[must_use]
    pub fn database(&self) -> &Database {
        &self.database
    }

    /// Servers and database, without user and password.
    #[must_use]
    pub fn location(&self) -> &str {
        &self.shared.location
    }

    /// Hands commits to the writer that fit one insert; the answers have the same order.
    async fn write(&self, commits: Vec<Prepared>) -> Vec<Result<Appended, AppendError>> {
        let count = commits.len();
        let (answer, answers) = oneshot::channel();
        let sent = self.requests.send(Request { commits, answer }).is_ok();
        let answers = if sent { answers.await.ok() } else { None };
        answers.unwrap_or_else(|| {
            let location = self.shared.location.clone();
            let stopped = Arc::new(StoreError::Unavailable { location, source: "its writer has stopped".into() });
            vec![Err(AppendError::Store(stopped)); count]
        })
    }

    fn named<T>(&self, answer: Result<T, Fault>) -> Result<T, StoreError> {
        answer.map_err(|fault| fault.into_error(&self.shared.location))
    }
}

impl Shared {
    /// How far the log is known to reach.
    fn known(&self) -> u64 {
        *self.head.borrow()
    }

    /// The log is known to reach `position`; whether that is news.
    fn reached(&self, position: u64) -> bool {
        self.head.send_if_modified(|head| {
            let further = position > *head;
            *head = position.max(*head);
            further
        })
    }
}

impl Drop for MongoStore {
    /// The writer ends by itself when it has answered everybody.
    fn drop(&mut self) {
        self.watcher.abort();
    }
}

#[async_trait]
impl EventStore for MongoStore {
    fn log_id(&self) -> LogId {
        self.shared.log
    }

    fn limits(&self) -> Limits {
        self.shared.limits
    }

    async fn append_all(&self, commits: Vec<NewCommit>) -> Vec<Result<Appended, AppendError>> {
        portion::append(commits, self.shared.limits, writer::MOST, |commits| self.write(commits)).await
    }

    async fn find_commit(&self, id: Uuid) -> Result<Option<FoundCommit>, StoreError> {
        self.named(reader::find_commit(&self.shared.commits, id).await)
    }

    async fn read(&self, after: u64, limit: ReadLimit) -> Result<EventBatch, StoreError> {
        self.named(reader::read(&self.shared.commits, after, limit).await)
    }

    async fn read_stream(&self, stream: &StreamId, after: u64, limit: ReadLimit) -> Result<EventBatch, StoreError> {
        self.named(reader::read_stream(&self.shared.commits, stream, after, limit).await)
    }

    async fn head(&self) -> Result<LogPoint, StoreError> {
        self.named(reader::head(&self.shared.commits, self.shared.known()).await)
    }

    async fn point(&self, position: u64) -> Result<Option<LogPoint>, StoreError> {
        if position == 0 {
            return Ok(Some(LogPoint::START));
        }
        let found = self.named(reader::point(&self.shared.commits, position).await)?;
        // Whoever else in this process wonders whether the log reaches so far need not ask.
        self.shared.reached(found.map_or(0, |found| found.position));
        Ok(found)
    }

    fn watch(&self) -> watch::Receiver<u64> {
        self.shared.head.subscribe()
    }
}
