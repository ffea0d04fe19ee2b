//! What the loop needs from outside: events, a plugin that makes changes of them, a read model that keeps rows.

use std::ops::Range;

use async_trait::async_trait;
use reel_events::{EventBatch, LogId, LogPoint, Place};
use uuid::Uuid;

use crate::change::{Cell, Change, KeyValues, Refusal, Row, Writes};
use crate::value::ValueRef;

/// Where events come from: history, a topic, or both, in the order of their positions.
#[async_trait]
pub trait Source: Send {
    /// The next events: waits until there are some, or until the place in the log moved on without one for this projection.
    /// Cancel-safe. `most` bounds the number of events.
    async fn next(&mut self, most: usize) -> Result<Delivery, SourceError>;
}

/// What a source hands over.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// The events, all kinds; may be empty.
    pub events: EventBatch,
    /// Where the source stands behind them.
    pub through: LogPoint,
    /// The log's last position as far as the source knows: how far there is to go.
    pub head: u64,
}

/// Why a source has no events, by what to do next.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// Passing: back off and try again.
    #[error("events cannot be read at the moment")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The log is not the one that the checkpoint was made with: stop, and say so.
    #[error("the log is not the one this projection was built from: {0}")]
    LogChanged(String),
}

/// A projection's code.
pub trait Plugin: Send {
    /// Runs `range` of `batch` through one fresh instance: events that the manifest does not name are left out, what the code
    /// emits goes to `sink`, in order. Blocks; called from a thread that may.
    ///
    /// # Errors
    /// By what to do next; whatever was emitted before is void then.
    fn apply(&mut self, batch: &EventBatch, range: Range<usize>, sink: &mut dyn Sink) -> Result<(), ApplyError>;
}

/// What a plugin's code may do while it runs: emit changes, read rows. Everything it sends is checked here.
pub trait Sink {
    /// Told what is emitted next, by table and cells, none of it checked: a sink that has far to go for its rows may set out for all of them at
    /// once.
    fn foresee(&mut self, _changes: &mut dyn Iterator<Item = (u16, &[Cell<'_>])>) {}

    /// Takes one change.
    ///
    /// # Errors
    /// [`SinkError::Refused`] where it is not a legal change of that event.
    fn emit(&mut self, change: Change<'_>) -> Result<(), SinkError>;

    /// Reads rows by whole keys, one after the other in `keys`: committed rows, overlaid with all that was emitted so far.
    ///
    /// # Errors
    /// [`SinkError::Refused`] where that event may not read them; [`SinkError::Unavailable`] where the database did not answer.
    fn read(&mut self, event: usize, table: u16, keys: &[ValueRef<'_>]) -> Result<Vec<Option<Row>>, SinkError>;
}

/// Why the host did not do what a plugin asked.
#[derive(Debug, thiserror::Error)]
pub enum SinkError {
    /// The event is at fault.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The read model did not answer: nobody is at fault.
    #[error(transparent)]
    Unavailable(#[from] ReadModelError),
}

/// Why a plugin's code did not apply a range of events, by what to do next.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// The code said that one event can never be applied.
    #[error("{code}: {message}")]
    Rejected {
        /// Index in the batch.
        event: usize,
        /// The code's own label.
        code: String,
        /// The code's own words.
        message: String,
    },
    /// The code stopped: a panic, an impossible instruction, an answer that makes no sense. Which event is at fault shows when the
    /// range is split.
    #[error("{0}")]
    Trapped(String),
    /// A budget of the call was used up: with fewer events it may do. One event that alone uses it up halts under every policy.
    #[error("{limit} used up: {message}")]
    Exhausted {
        /// `fuel`, `memory`, `output`, `reads`, `log`, `table elements`.
        limit: &'static str,
        /// How much there was, and how to raise it.
        message: String,
    },
    /// What it emitted or asked for was refused.
    #[error(transparent)]
    Sink(#[from] SinkError),
    /// No event can be applied: wrong settings, a wrong component.
    #[error("{0}")]
    Fatal(String),
}

/// The tables of one generation, and the checkpoints of its shards.
#[async_trait]
pub trait ReadModel: Send + Sync {
    /// The checkpoint of `shard`; nothing where the generation has no such shard.
    async fn checkpoint(&self, shard: u32) -> Result<Option<Checkpoint>, ReadModelError>;

    /// The committed rows of `table` under `keys`, in the order of the keys.
    async fn read(&self, table: u16, keys: &[KeyValues]) -> Result<Vec<Option<Row>>, ReadModelError>;

    /// Writes rows, dead letters and checkpoint in one transaction, if the checkpoint of `commit.shard` still is `commit.from`.
    async fn commit(&self, commit: Commit<'_>) -> Result<(), CommitError>;
}

/// How far a shard of a generation has come. The compare-and-set compares all of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Checkpoint {
    /// Which log.
    pub log: LogId,
    /// The last position whose changes are in the tables, and its event.
    pub point: LogPoint,
    /// From which position the present number of shards holds.
    pub layout: u64,
    /// Raised whenever a generation changes hands or state: whoever holds an older one cannot write.
    pub epoch: u64,
}

/// One step of a shard.
#[derive(Debug, Clone, Copy)]
pub struct Commit<'a> {
    /// Which shard.
    pub shard: u32,
    /// The checkpoint that must be there.
    pub from: Checkpoint,
    /// The point to move it to; everything else of it stays.
    pub to: LogPoint,
    /// The rows.
    pub writes: &'a Writes,
    /// Events that were put aside on the way.
    pub dead_letters: &'a [DeadLetter],
    /// Positions whose dead letters end with this commit: they were retried, or an operator let them go. Where one of them is there no
    /// more, somebody else has done this step, and nothing is written: [`CommitError::Superseded`].
    pub settled: &'a [Place],
}

/// An event that could not be applied, or that is held back because one before it in its stream could not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// Its position; in a foreign topic its partition, too.
    pub position: Place,
    /// Its id.
    pub event: Uuid,
    /// Its stream.
    pub stream: String,
    /// Its kind.
    pub kind: String,
    /// Why it is here.
    pub reason: DeadLetterReason,
    /// Label of the failure; empty for a held event.
    pub code: String,
    /// For people; empty for a held event.
    pub message: String,
    /// What came, as JSON, where it could not be made an event at all: a message of a foreign topic.
    pub original: Option<String>,
}

/// Why an event is a dead letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeadLetterReason {
    /// It could not be applied, and the policy skips such events.
    Skipped,
    /// It could not be applied, and the policy parks its stream.
    Parked,
    /// Its stream is parked.
    Held,
}

/// What to do with an event that cannot be applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FailurePolicy {
    /// Stop the projection in front of it.
    Halt,
    /// Put the event aside as a dead letter, and go on.
    Skip,
    /// Put the event and all later ones of its stream aside; the other streams go on.
    Park,
}

/// Why a commit did not happen; nothing of it was written.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// Another checkpoint is there: somebody else owns this shard now, or has done this step.
    #[error(
        "the checkpoint of shard {shard} is not where this host left it: expected position {expected}, found {found:?}"
    )]
    Superseded {
        /// The shard.
        shard: u32,
        /// Position that was expected.
        expected: u64,
        /// What is there.
        found: Option<Checkpoint>,
    },
    /// A merge left its column's range.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The database did not do it.
    #[error(transparent)]
    ReadModel(#[from] ReadModelError),
}

/// Why a read model did not answer, by what to do next.
#[derive(Debug, thiserror::Error)]
pub enum ReadModelError {
    /// Passing: back off and try again.
    #[error("the read database {target} is not available")]
    Unavailable {
        /// Its name.
        target: String,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The database refused a statement or a value that passed our checks, or its tables are not as the catalog says: stop this
    /// projection, and say so.
    #[error("the read database {target} refused: {action}")]
    Refused {
        /// Its name.
        target: String,
        /// What we were doing.
        action: String,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}
