//! The store port: what every event store promises, whatever database it is kept in.
//!
//! A commit is the events of one command, on one stream. It is atomic; its events stand at consecutive positions and
//! versions. Positions are global, from 1, gapless, and become visible in order: who has seen position N will never see
//! anything new at or below N.

mod clock;
mod filler;
pub mod mongodb;
mod open;
mod portion;
pub mod sqlite;

use std::sync::Arc;

use async_trait::async_trait;
use reel_events::{EventBatch, LogId, LogPoint, NewEvent, StreamId, Timestamp};
use tokio::sync::watch;
use uuid::Uuid;

pub use self::open::open_store;

/// An event store. Cheap to share; every method may be called from many tasks at once.
#[async_trait]
pub trait EventStore: Send + Sync {
    /// The identity of the log that is kept here; it never changes.
    fn log_id(&self) -> LogId;

    /// What this store takes.
    fn limits(&self) -> Limits;

    /// Appends commits in the order given, each with its own answer at the same index. Each is durable and visible when this
    /// returns. A commit whose `id` is in the store already answers with its first result ([`Appended::repeated`]), whatever
    /// the stream's head is now; with another `digest` it is [`AppendError::CommitReused`].
    async fn append_all(&self, commits: Vec<NewCommit>) -> Vec<Result<Appended, AppendError>>;

    /// Appends one commit; the same as `append_all` of one. Concurrent calls share a transaction.
    async fn append(&self, commit: NewCommit) -> Result<Appended, AppendError> {
        self.append_all(vec![commit]).await.pop().expect("one answer a commit")
    }

    /// What became of the commit `id` and the digest it came with, if it is in the store.
    async fn find_commit(&self, id: Uuid) -> Result<Option<FoundCommit>, StoreError>;

    /// Events behind position `after`, in order, without a gap: at least one where there is one, then no more than `limit`.
    async fn read(&self, after: u64, limit: ReadLimit) -> Result<EventBatch, StoreError>;

    /// Events of one stream behind version `after`, in order: at least one where there is one, then no more than `limit`.
    async fn read_stream(&self, stream: &StreamId, after: u64, limit: ReadLimit) -> Result<EventBatch, StoreError>;

    /// The last event; [`LogPoint::START`] of an empty log.
    async fn head(&self) -> Result<LogPoint, StoreError>;

    /// Which event stands at `position`; nothing where the log does not reach that far. Position 0 is [`LogPoint::START`].
    async fn point(&self, position: u64) -> Result<Option<LogPoint>, StoreError>;

    /// The head's position as this process knows it; it changes soon after anybody appended.
    fn watch(&self) -> watch::Receiver<u64>;
}

/// The events of one command, on their way into the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewCommit {
    /// The idempotency key.
    pub id: Uuid,
    /// The stream that all its events belong to.
    pub stream: StreamId,
    /// Where the stream must stand.
    pub expected: ExpectedVersion,
    /// Digest of the request: tells a repeat from another request under the same id.
    pub digest: [u8; 32],
    /// Where the events' ids come from.
    pub ids: IdOrigin,
    /// At least one.
    pub events: Vec<NewEvent>,
}

/// Where the ids of new events come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdOrigin {
    /// From whoever sent them: any of them may be in the log already.
    Given,
    /// Made for this commit alone: none is in the log but with it. A store need not look.
    Fresh,
}

/// Where a stream must stand for a commit to be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExpectedVersion {
    /// Anywhere.
    Any,
    /// At exactly this version; 0 = the stream does not exist.
    Exactly(u64),
}

/// Where a commit's events stand now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Appended {
    /// Position of its first event.
    pub first_position: u64,
    /// Version of its first event.
    pub first_version: u64,
    /// How many events it has.
    pub count: u32,
    /// The store's clock when it was taken.
    pub recorded_at: Timestamp,
    /// Whether the commit was in the store before this call.
    pub repeated: bool,
}

impl Appended {
    /// Position of its last event.
    #[must_use]
    pub fn last_position(&self) -> u64 {
        self.first_position + u64::from(self.count) - 1
    }

    /// Version of its last event.
    #[must_use]
    pub fn last_version(&self) -> u64 {
        self.first_version + u64::from(self.count) - 1
    }
}

/// A commit that the store holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FoundCommit {
    /// Where its events stand; `repeated` is true.
    pub appended: Appended,
    /// Digest of the request that it came with.
    pub digest: [u8; 32],
}

/// What a store takes at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Payload and metadata of one event, in bytes.
    pub event_bytes: usize,
    /// Payload and metadata of all events of one commit, in bytes.
    pub commit_bytes: usize,
}

impl Default for Limits {
    /// 512 KiB an event, 12 MiB a commit: what fits one MongoDB document and one Kafka message.
    fn default() -> Limits {
        Limits { event_bytes: 512 << 10, commit_bytes: 12 << 20 }
    }
}

/// Where a read stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadLimit {
    /// Number of events.
    pub events: usize,
    /// Bytes of payload, metadata, stream and kind.
    pub bytes: usize,
}

impl ReadLimit {
    /// `events` events, and 64 MiB.
    #[must_use]
    pub fn events(events: usize) -> ReadLimit {
        ReadLimit { events, bytes: 64 << 20 }
    }
}

/// Why a commit was not taken, by what its sender does next.
#[derive(Debug, Clone, thiserror::Error)]
pub enum AppendError {
    /// Somebody else wrote the stream: read it again and decide anew.
    #[error("stream {stream} stands at version {actual}, not {expected}")]
    Conflict {
        /// The stream.
        stream: StreamId,
        /// What the commit expected.
        expected: u64,
        /// Where the stream stands.
        actual: u64,
    },
    /// The idempotency key belongs to another request: use a new one.
    #[error("commit {id} was already used for another request")]
    CommitReused {
        /// The key.
        id: Uuid,
    },
    /// One of its events is in the log already, in another commit.
    #[error("event {id} is already in the log")]
    EventExists {
        /// The event's id.
        id: Uuid,
    },
    /// Never fits: make it smaller.
    #[error("{what} has {bytes} bytes; at most {limit} are taken")]
    TooLarge {
        /// "event 3 of the commit" or "the commit".
        what: String,
        /// What it has.
        bytes: usize,
        /// What is taken.
        limit: usize,
    },
    /// A commit without events.
    #[error("a commit needs at least one event")]
    Empty,
    /// The store could not be asked. Whether the commit was taken is not known: send it again with the same id.
    #[error("the event store did not answer")]
    Store(#[source] Arc<StoreError>),
}

/// Why a store could not be opened or read, by what the caller does next.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Passing: back off and try again.
    #[error("the event store {location} is not available")]
    Unavailable {
        /// Where it is.
        location: String,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Another process holds it.
    #[error("the event store {location} is in use by another process")]
    InUse {
        /// Where it is.
        location: String,
    },
    /// It cannot be used as things are set up: a person must change its address, a permission, or the kind of server.
    #[error("the event store {location} cannot be used: {reason}")]
    Refused {
        /// Where it is.
        location: String,
        /// What must be changed.
        reason: String,
    },
    /// What is stored there is not ours, damaged, or of a newer version: a person must look.
    #[error("the event store {location} cannot be read: {reason}")]
    Unreadable {
        /// Where it is.
        location: String,
        /// What was found, and what was expected.
        reason: String,
    },
}
