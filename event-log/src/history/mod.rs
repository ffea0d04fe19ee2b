//! History: the log from a position to its end (or to a position in the past), read once and as fast as it goes. What is sealed comes from
//! the archive, the rest from the event store; a reader does not see the seam, nor a segment that is missing or damaged.
//!
//! What is appended after a reader was opened is not history: that is the topic's.

mod portion;
mod reader;
mod wanted;

use std::sync::Arc;

use reel_events::{LogId, LogPoint};
use tokio::{sync::mpsc, task::JoinHandle};

pub use self::{
    portion::Portion,
    wanted::{Kinds, Sharing, Wanted},
};
pub(crate) use portion::Portions;

use self::reader::Reader;
use crate::{
    archive::{Archive, ArchiveError, Buffers, Stored},
    store::{EventStore, ReadLimit, StoreError},
};

/// Portions that wait for whoever reads, beside the segments that are read ahead.
const WAITING: usize = 2;

/// Which part of the log is read, and in which portions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// Events behind this position; 0 = from the first.
    pub after: u64,
    /// Up to this position; nothing = up to the log's last event. A log that does not reach so far ends earlier.
    pub until: Option<u64>,
    /// Most events, and most bytes of their texts, in one portion.
    pub portion: ReadLimit,
}

/// A reader of history.
pub struct History {
    end: LogPoint,
    portions: mpsc::Receiver<Result<Portion, StoreError>>,
    reader: JoinHandle<()>,
}

impl History {
    /// Opens the history of the log that `store` holds. An archive that does not answer, or has segments of another log, is done without:
    /// then the store is read.
    ///
    /// # Errors
    /// Where the store does not say where it ends.
    pub async fn open(
        store: Arc<dyn EventStore>,
        archive: Option<Archive>,
        span: Span,
        wanted: Wanted,
    ) -> Result<History, StoreError> {
        let end = end_of(&*store, span.until).await?;
        let segments = match &archive {
            Some(archive) => usable(archive, &*store).await,
            None => Vec::new(),
        };
        let reader =
            Reader { store: Some(store), archive, wanted, limit: span.portion, end, buffers: Buffers::default() };
        Ok(History::start(reader, span.after, segments))
    }

    /// Opens what an archive holds of a log without a gap behind `span.after`, without an event store.
    ///
    /// # Errors
    /// Where the archive does not answer, or its last segment cannot be used. The reader itself fails at a segment that is damaged.
    pub async fn of_archive(archive: Archive, log: LogId, span: Span, wanted: Wanted) -> Result<History, ArchiveError> {
        let (mut next, mut segments) = (span.after + 1, Vec::new());
        let until = span.until.unwrap_or(u64::MAX);
        for stored in archive.segments(log).await?.into_iter().filter(|stored| stored.name.last > span.after) {
            if stored.name.first > next || stored.name.last > until {
                break;
            }
            next = stored.name.last + 1;
            segments.push(stored);
        }
        let end = match segments.last() {
            Some(last) => archive.open_segment(*last).await?.header.through(),
            None => LogPoint { position: span.after, ..LogPoint::START },
        };
        let reader = Reader {
            store: None,
            archive: Some(archive),
            wanted,
            limit: span.portion,
            end,
            buffers: Buffers::default(),
        };
        Ok(History::start(reader, span.after, segments))
    }

    fn start(reader: Reader, after: u64, segments: Vec<Stored>) -> History {
        let end = reader.end;
        let (sender, portions) = mpsc::channel(WAITING);
        let reader = tokio::spawn(reader.run(after, segments, sender));
        History { end, portions, reader }
    }

    /// The last event that is read.
    #[must_use]
    pub fn end(&self) -> LogPoint {
        self.end
    }

    /// The next portion; nothing once history was read through [`History::end`]. A call that is dropped has taken nothing.
    ///
    /// # Errors
    /// Where the event store fails. The reader ends with it: open another one behind the last portion.
    pub async fn next(&mut self) -> Result<Option<Portion>, StoreError> {
        self.portions.recv().await.transpose()
    }
}

impl Drop for History {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

/// The last event to read.
async fn end_of(store: &dyn EventStore, until: Option<u64>) -> Result<LogPoint, StoreError> {
    let head = store.head().await?;
    match until {
        Some(until) if until < head.position => Ok(store.point(until).await?.unwrap_or(head)),
        _ => Ok(head),
    }
}

/// The segments that may be read; none where the archive does not answer.
async fn usable(archive: &Archive, store: &dyn EventStore) -> Vec<Stored> {
    match archive.compare(store).await {
        Ok(compared) => compared.segments,
        Err(error) => {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(error, "history is read from the event store alone");
            Vec::new()
        }
    }
}
