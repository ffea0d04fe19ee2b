//! A tail of the store: events from a checkpoint on, and then as they are appended.
//!
//! Before the first batch, and again after the store failed, the tail makes sure that the store still is the one that the
//! checkpoint was made from. Else events would be dropped as already seen, or seen twice.

use std::sync::Arc;

use reel_events::{EventBatch, LogId, LogPoint};
use tokio::{sync::watch, task::JoinHandle};
use uuid::Uuid;

use crate::store::{EventStore, ReadLimit, StoreError};
use crate::topic::shard::Invented;

/// Events as they were tailed.
#[derive(Debug, Clone)]
pub struct Tailed {
    /// At least one, without a gap behind what was tailed before.
    pub events: EventBatch,
    /// The last of them: the next checkpoint.
    pub through: LogPoint,
    /// How far the log is known to reach; never below `through`.
    pub head: u64,
}

/// Why a tail cannot go on, by what its owner does next.
#[derive(Debug, thiserror::Error)]
pub enum TopicError {
    /// The store could not be read. What [`StoreError`] says holds here; the next call tries again.
    #[error("the event store cannot be tailed behind position {position}")]
    Store {
        /// Where the tail stands.
        position: u64,
        /// What the store said.
        #[source]
        source: StoreError,
    },
    /// The store holds another log than the checkpoint was made from.
    #[error(
        "the checkpoint at position {position} is of log {expected}, but the event store holds log {found}: {REMEDY}"
    )]
    OtherLog {
        /// The checkpoint's position.
        position: u64,
        /// The checkpoint's log.
        expected: LogId,
        /// The store's log.
        found: LogId,
    },
    /// The store ends before the checkpoint: it was emptied, or restored from an older copy.
    #[error(
        "the checkpoint is event {expected} at position {position}, but the event store ends at position {head}: {REMEDY}"
    )]
    EventMissing {
        /// The checkpoint's position.
        position: u64,
        /// The event that stood there.
        expected: Uuid,
        /// The last position that the store holds.
        head: u64,
    },
    /// Another event stands at the checkpoint's position: the store was restored from an older copy and written since.
    #[error(
        "the checkpoint is event {expected} at position {position}, but the event store holds event {found} there: {REMEDY}"
    )]
    OtherEvent {
        /// The checkpoint's position.
        position: u64,
        /// The event that stood there.
        expected: Uuid,
        /// The event that stands there now.
        found: Uuid,
    },
    /// The topic holds an event that the store does not.
    #[error(transparent)]
    Invented(#[from] Invented),
}

const REMEDY: &str = "bring the event store back as it was, or rebuild from the one that is there (--accept-new-log)";

impl TopicError {
    /// Whether the log is not the one that the checkpoint was made from: trying again does not help.
    #[must_use]
    pub fn is_log_changed(&self) -> bool {
        !matches!(self, TopicError::Store { .. })
    }
}

/// Reads a store from a checkpoint on, and waits at its end. While the caller works on one batch, the next is being read.
pub struct Tail {
    store: Arc<dyn EventStore>,
    log: LogId,
    at: LogPoint,
    head: watch::Receiver<u64>,
    verified: bool,
    ahead: Option<ReadAhead>,
}

/// A read that was begun before it was asked for.
struct ReadAhead {
    after: u64,
    limit: ReadLimit,
    read: JoinHandle<Result<EventBatch, StoreError>>,
}

impl Drop for ReadAhead {
    fn drop(&mut self) {
        self.read.abort();
    }
}

impl Tail {
    /// A tail of `store` behind the checkpoint (`log`, `from`). Nothing is read before [`Tail::next`].
    #[must_use]
    pub fn new(store: Arc<dyn EventStore>, log: LogId, from: LogPoint) -> Tail {
        let head = store.watch();
        Tail { store, log, at: from, head, verified: false, ahead: None }
    }

    /// A tail of all that `store` holds.
    #[must_use]
    pub fn from_start(store: Arc<dyn EventStore>) -> Tail {
        let log = store.log_id();
        Tail::new(store, log, LogPoint::START)
    }

    /// The last event that was tailed, or the checkpoint that it began with.
    #[must_use]
    pub fn at(&self) -> LogPoint {
        self.at
    }

    /// The next events; waits until there is one. A call that is dropped before it returned has taken nothing.
    ///
    /// # Errors
    /// Where the store fails, then the next call goes on from the same place; or where it is not the log that the checkpoint
    /// was made from, then every call says so.
    pub async fn next(&mut self, limit: ReadLimit) -> Result<Tailed, TopicError> {
        if !self.verified {
            verify(&*self.store, self.log, self.at).await?;
            self.verified = true;
        }
        let events = loop {
            self.head.borrow_and_update();
            let events = self.read(limit).await?;
            if !events.is_empty() {
                break events;
            }
            if self.head.changed().await.is_err() {
                return Err(self.failed(self.stopped()));
            }
        };
        let through = self.check(&events)?;
        self.at = through;
        let head = through.position.max(*self.head.borrow());
        // Where less than a batch is waiting, reading later makes a larger one.
        if head - through.position >= limit.events as u64 {
            self.read_ahead(limit);
        }
        Ok(Tailed { events, through, head })
    }

    /// Reads behind where the tail stands: what was read ahead if it is that, else anew.
    async fn read(&mut self, limit: ReadLimit) -> Result<EventBatch, TopicError> {
        let after = self.at.position;
        if self.ahead.as_ref().is_some_and(|ahead| ahead.after != after || ahead.limit != limit) {
            self.ahead = None;
        }
        let read = match &mut self.ahead {
            // The handle stays in its place until the answer is there, so that a dropped call loses nothing.
            Some(ahead) => match (&mut ahead.read).await {
                Ok(read) => read,
                Err(_) => Err(self.stopped()),
            },
            None => self.store.read(after, limit).await,
        };
        self.ahead = None;
        read.map_err(|source| {
            self.verified = false;
            self.failed(source)
        })
    }

    fn read_ahead(&mut self, limit: ReadLimit) {
        let (store, after) = (Arc::clone(&self.store), self.at.position);
        let read = tokio::spawn(async move { store.read(after, limit).await });
        self.ahead = Some(ReadAhead { after, limit, read });
    }

    /// The last of the events, which must follow on where the tail stands without a gap.
    fn check(&mut self, events: &EventBatch) -> Result<LogPoint, TopicError> {
        let (first, last) = (events.get(0).position, events.get(events.len() - 1));
        let expected = self.at.position + 1;
        if first == expected && last.position == self.at.position + events.len() as u64 {
            return Ok(LogPoint { position: last.position, event: last.id });
        }
        self.verified = false;
        let reason = format!(
            "it handed out positions {first} to {} as {} events behind position {}",
            last.position,
            events.len(),
            self.at.position
        );
        let location = format!("log {}", self.log);
        Err(self.failed(StoreError::Unreadable { location, reason }))
    }

    fn stopped(&self) -> StoreError {
        StoreError::Unavailable { location: format!("log {}", self.log), source: "it has stopped".into() }
    }

    fn failed(&self, source: StoreError) -> TopicError {
        TopicError::Store { position: self.at.position, source }
    }
}

/// Makes sure that the store is the log that the checkpoint (`log`, `at`) was made from: its event stands where it stood.
pub(super) async fn verify(store: &dyn EventStore, log: LogId, at: LogPoint) -> Result<(), TopicError> {
    let LogPoint { position, event: expected } = at;
    let failed = |source| TopicError::Store { position, source };
    let found = store.log_id();
    if found != log {
        return Err(TopicError::OtherLog { position, expected: log, found });
    }
    match store.point(position).await.map_err(failed)? {
        Some(point) if point == at => Ok(()),
        Some(LogPoint { event: found, .. }) => Err(TopicError::OtherEvent { position, expected, found }),
        None => {
            let head = store.head().await.map_err(failed)?.position;
            Err(TopicError::EventMissing { position, expected, head })
        }
    }
}
