//! The social workload as a log of segments alone: written directly, and read as the event store that a build wants beside its archive.
//! So a log of fifty million events needs no store of them.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use reel_event_log::archive::{Archive, Writer};
use reel_event_log::history::{History, Span, Wanted};
use reel_event_log::store::FoundCommit;
use reel_event_log::{AppendError, Appended, EventStore, Limits, NewCommit, ReadLimit, StoreError};
use reel_events::{EventBatch, LogId, LogPoint, StreamId};
use tokio::sync::watch;
use uuid::Uuid;

use crate::error::BenchError;
use crate::workload::{Size, Social};

/// The log that the made segments belong to.
pub(crate) const LOG: LogId = LogId(Uuid::from_u128(0x0192_0000_0000_7000_8000_0000_0000_0001));

/// Events that are made at once.
const MADE: usize = 10_000;

/// The archive in `directory`; where it holds nothing, the social workload is sealed into it, and the time it took (making the events
/// left out) is said.
pub(crate) async fn filled(directory: &Path, size: Size, seed: u64) -> Result<(Archive, Option<Duration>), BenchError> {
    let archive = open(directory)?;
    match last(&archive).await? {
        Some(last) if last == size.events as u64 => return Ok((archive, None)),
        Some(last) => {
            let place = directory.display();
            return Err(BenchError::Failed(format!("{place} holds {last} events, not {}: remove it", size.events)));
        }
        None => {}
    }
    let mut social = Social::new(size, seed);
    let mut writer = Writer::new(archive.clone(), LOG, 1);
    let mut time = Duration::ZERO;
    loop {
        let batch = social.batch(MADE);
        let began = Instant::now();
        if batch.is_empty() {
            writer.finish().await.map_err(BenchError::doing("sealing"))?;
            return Ok((archive, Some(time + began.elapsed())));
        }
        writer.append(&batch, u64::MAX).await.map_err(BenchError::doing("sealing"))?;
        time += began.elapsed();
    }
}

/// Opens the archive in `directory`.
pub(crate) fn open(directory: &Path) -> Result<Archive, BenchError> {
    let path = directory.to_str().ok_or_else(|| BenchError::Failed("the directory's name is not UTF-8".into()))?;
    Archive::open(path).map_err(BenchError::doing("opening the archive"))
}

/// The last position that it holds.
async fn last(archive: &Archive) -> Result<Option<u64>, BenchError> {
    let segments = archive.segments(LOG).await.map_err(BenchError::doing("listing the archive"))?;
    Ok(segments.last().map(|last| last.name.last))
}

/// All that a log holds, sealed. It takes no commits.
pub(crate) struct SealedLog {
    archive: Archive,
    head: LogPoint,
    watched: watch::Sender<u64>,
}

impl SealedLog {
    /// The log in `archive`, as [`filled`] left it.
    pub(crate) async fn open(archive: Archive) -> Result<SealedLog, BenchError> {
        let last = last(&archive).await?.unwrap_or(0);
        let span = Span { after: last.saturating_sub(1), until: None, portion: ReadLimit::events(1) };
        let history = History::of_archive(archive.clone(), LOG, span, Wanted::default()).await;
        let head = history.map_err(BenchError::doing("reading the archive"))?.end();
        Ok(SealedLog { archive, head, watched: watch::Sender::new(head.position) })
    }

    fn refused(&self) -> StoreError {
        let reason = "a benchmark's log is only read, position by position".to_owned();
        StoreError::Refused { location: self.archive.location().to_owned(), reason }
    }

    fn unavailable(&self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> StoreError {
        StoreError::Unavailable { location: self.archive.location().to_owned(), source: source.into() }
    }
}

#[async_trait]
impl EventStore for SealedLog {
    fn log_id(&self) -> LogId {
        LOG
    }

    fn limits(&self) -> Limits {
        Limits::default()
    }

    async fn append_all(&self, commits: Vec<NewCommit>) -> Vec<Result<Appended, AppendError>> {
        commits.iter().map(|_| Err(AppendError::Store(Arc::new(self.refused())))).collect()
    }

    async fn find_commit(&self, _id: Uuid) -> Result<Option<FoundCommit>, StoreError> {
        Err(self.refused())
    }

    async fn read(&self, after: u64, portion: ReadLimit) -> Result<EventBatch, StoreError> {
        let span = Span { after, until: None, portion };
        let history = History::of_archive(self.archive.clone(), LOG, span, Wanted::default()).await;
        let first = history.map_err(|error| self.unavailable(error))?.next().await?;
        Ok(first.and_then(|portion| portion.batches.into_iter().next()).unwrap_or_default())
    }

    async fn read_stream(&self, _of: &StreamId, _after: u64, _limit: ReadLimit) -> Result<EventBatch, StoreError> {
        Err(self.refused())
    }

    async fn head(&self) -> Result<LogPoint, StoreError> {
        Ok(self.head)
    }

    async fn point(&self, position: u64) -> Result<Option<LogPoint>, StoreError> {
        match position {
            0 => Ok(Some(LogPoint::START)),
            position if position == self.head.position => Ok(Some(self.head)),
            position if position > self.head.position => Ok(None),
            position => {
                let events = self.read(position - 1, ReadLimit::events(1)).await?;
                Ok(events.iter().next().map(|event| LogPoint { position, event: event.id }))
            }
        }
    }

    fn watch(&self) -> watch::Receiver<u64> {
        self.watched.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_sealed_log_is_read_like_a_store() {
        let directory = tempfile::tempdir().unwrap();
        let size = Size { events: 70_000, posts: 100 };
        let (archive, written) = filled(directory.path(), size, 1).await.unwrap();
        assert!(written.is_some());
        assert!(filled(directory.path(), size, 1).await.unwrap().1.is_none(), "what is there is used again");
        assert!(filled(directory.path(), Size { events: 7, posts: 1 }, 1).await.is_err());
        let log = SealedLog::open(archive).await.unwrap();
        let made: Vec<_> = Social::new(size, 1).collect();
        assert_eq!(log.head().await.unwrap(), LogPoint { position: 70_000, event: made[69_999].id });
        assert_eq!(log.point(66_000).await.unwrap(), Some(LogPoint { position: 66_000, event: made[65_999].id }));
        assert_eq!(log.point(70_001).await.unwrap(), None);
        let read = log.read(65_530, ReadLimit::events(5)).await.unwrap();
        assert_eq!((read.len(), read.get(0).id), (5, made[65_530].id));
    }
}
