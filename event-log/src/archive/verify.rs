//! Whether an archive holds what it should: segments read whole, held against the store, gaps named.

use std::ops::RangeInclusive;

use reel_events::LogPoint;

use super::{Archive, ArchiveError, Buffers, SegmentName, Stored, Unsealing};
use crate::{
    history::{Portion, Wanted},
    store::{EventStore, ReadLimit, StoreError},
};

/// What one segment turned out to be.
#[derive(Debug)]
pub struct VerifiedSegment {
    /// Which one.
    pub name: SegmentName,
    /// Bytes that it takes.
    pub bytes: u64,
    /// Events in it, or what is wrong with it.
    pub outcome: Result<u64, ArchiveError>,
}

/// What some segments of a log turned out to be.
#[derive(Debug, Default)]
pub struct Verified {
    /// One after the other.
    pub segments: Vec<VerifiedSegment>,
    /// Whether there are segments behind the last of these.
    pub more: bool,
}

impl Verified {
    /// Whether all of them are as they should be.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.segments.iter().all(|segment| segment.outcome.is_ok())
    }
}

impl Archive {
    /// Reads segments of the store's log, `most` of those that end behind position `after`, and compares the last event of each with the
    /// store's.
    ///
    /// # Errors
    /// Where the archive cannot be listed. What is wrong with a segment is in the answer.
    pub async fn verify(&self, store: &dyn EventStore, after: u64, most: usize) -> Result<Verified, ArchiveError> {
        let segments = self.segments(store.log_id()).await?;
        let mut behind = segments.into_iter().filter(|stored| stored.name.last > after);
        let mut verified = Verified::default();
        for stored in behind.by_ref().take(most) {
            let outcome = self.verify_segment(stored, store).await;
            verified.segments.push(VerifiedSegment { name: stored.name, bytes: stored.bytes, outcome });
        }
        verified.more = behind.next().is_some();
        Ok(verified)
    }

    /// The events of a segment, all of them read and held against their digests.
    async fn verify_segment(&self, stored: Stored, store: &dyn EventStore) -> Result<u64, ArchiveError> {
        let opened = self.open_segment(stored).await?;
        let through = opened.header.through();
        let limit = ReadLimit { events: 10_000, bytes: usize::MAX };
        let (wanted, buffers) = (Wanted::default(), Buffers::default());
        let unsealing = Unsealing { wanted, after: 0, until: through, limit, buffers };
        let events = self.read(opened, unsealing).await?.iter().map(Portion::events).sum::<usize>();
        match store.point(through.position).await {
            Ok(Some(point)) if point == through => Ok(events as u64),
            Ok(found) => Err(not_of_log(stored, through, found)),
            Err(error) => Err(not_compared(stored, error)),
        }
    }

    /// The segments of the store's log that count, held against the store from the end: where two logs part, everything behind parts
    /// too, so what comes before a segment that agrees does agree.
    ///
    /// # Errors
    /// [`ArchiveError::Unavailable`] where archive or store do not answer.
    pub(crate) async fn compare(&self, store: &dyn EventStore) -> Result<Compared, ArchiveError> {
        let mut compared = Compared { segments: self.segments(store.log_id()).await?, useless: Vec::new() };
        while let Some(stored) = compared.segments.last().copied() {
            let opened = self.open_segment(stored).await;
            let through = match opened {
                Ok(opened) => opened.header.through(),
                Err(error @ ArchiveError::Damaged { .. }) => {
                    compared.useless.push((stored, error));
                    compared.segments.pop();
                    continue;
                }
                Err(ArchiveError::Unusable { .. }) => {
                    compared.segments.pop();
                    continue;
                }
                Err(error) => return Err(error),
            };
            let found = store.point(through.position).await.map_err(|error| not_compared(stored, error))?;
            if found == Some(through) {
                break;
            }
            compared.useless.push((stored, not_of_log(stored, through, found)));
            compared.segments.pop();
        }
        Ok(compared)
    }
}

/// Segments, held against the store.
#[derive(Debug)]
pub(crate) struct Compared {
    /// Those that may be read, in order.
    pub(crate) segments: Vec<Stored>,
    /// Those at the end that may not, the last one first, and why: damaged, or of a log that the store does not hold any more (it was
    /// restored from an older copy).
    pub(crate) useless: Vec<(Stored, ArchiveError)>,
}

fn not_of_log(stored: Stored, through: LogPoint, found: Option<LogPoint>) -> ArchiveError {
    let LogPoint { position, event } = through;
    let store_has = match found {
        Some(found) => format!("the event store has {} there", found.event),
        None => "the event store does not reach so far".to_owned(),
    };
    let reason = format!("it ends with event {event} at position {position}; {store_has}");
    ArchiveError::Damaged { segment: stored.name.to_string(), reason }
}

fn not_compared(stored: Stored, error: StoreError) -> ArchiveError {
    ArchiveError::Unavailable { location: format!("segment {}", stored.name), source: Box::new(error) }
}

/// Positions before the last of these segments, in order, that none of them holds.
#[must_use]
pub fn gaps(segments: &[Stored]) -> Vec<RangeInclusive<u64>> {
    let mut next = 1;
    let mut gaps = Vec::new();
    for Stored { name, .. } in segments {
        if name.first > next {
            gaps.push(next..=name.first - 1);
        }
        next = name.last + 1;
    }
    gaps
}
