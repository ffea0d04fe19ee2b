//! Events in, segments kept: what the sealer does with the events of a store, and benchmarks with made ones.

use std::num::NonZeroU32;

use reel_events::{EventBatch, LogId};

use super::{Archive, ArchiveError, SegmentBuilder};

/// Writes events of a log, in order and without a gap, as segments of revision 1.
#[derive(Debug)]
pub struct Writer {
    archive: Archive,
    log: LogId,
    builder: SegmentBuilder,
}

impl Writer {
    /// A writer of `log` from position `first` on.
    #[must_use]
    pub fn new(archive: Archive, log: LogId, first: u64) -> Writer {
        Writer { archive, log, builder: SegmentBuilder::new(log, first) }
    }

    /// The position that comes next.
    #[must_use]
    pub fn next(&self) -> u64 {
        self.builder.next()
    }

    /// Takes the events up to position `until`, and keeps each segment that they fill.
    ///
    /// # Errors
    /// [`ArchiveError::Unavailable`]; then the writer is of no use any more.
    ///
    /// # Panics
    /// Where an event does not stand at the next position.
    pub async fn append(&mut self, events: &EventBatch, until: u64) -> Result<(), ArchiveError> {
        for index in 0..events.len() {
            let event = events.get(index);
            if event.position > until {
                break;
            }
            self.builder.push(event);
            if self.builder.is_full() {
                self.keep().await?;
            }
        }
        Ok(())
    }

    /// Keeps what does not fill a segment.
    ///
    /// # Errors
    /// [`ArchiveError::Unavailable`].
    pub async fn finish(mut self) -> Result<(), ArchiveError> {
        if self.builder.is_empty() { Ok(()) } else { self.keep().await }
    }

    async fn keep(&mut self) -> Result<(), ArchiveError> {
        let next = SegmentBuilder::new(self.log, self.builder.next());
        let full = std::mem::replace(&mut self.builder, next);
        let sealing = tokio::task::spawn_blocking(move || full.seal(NonZeroU32::MIN)).await;
        let stored = self.archive.put(sealing.map_err(|error| self.archive.unavailable(error))?).await?;
        tracing::debug!(segment = %stored.name, bytes = stored.bytes, "sealed");
        Ok(())
    }
}
