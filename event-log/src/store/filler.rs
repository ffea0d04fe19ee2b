//! A batch being filled from stored commits, up to a limit, without an event missing in between.

use reel_events::{EventBatch, EventRef};

use super::ReadLimit;

/// A batch holds texts below 4 GiB; no caller wants as much at once.
const MOST_BYTES: usize = 1 << 30;

/// Whether a batch takes more.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Filled {
    Yes,
    No,
}

/// Where a stored commit stands, as a filler needs it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    /// Of its first event.
    pub(super) position: u64,
    /// Its first number as the filler counts: the position, or the version.
    pub(super) start: u64,
    /// How many events it says it has.
    pub(super) count: u64,
}

impl Place {
    /// What is wrong with a commit that does not hold the events it should.
    pub(super) fn short(self) -> String {
        format!("the commit at position {} does not hold the {} events it should", self.position, self.count)
    }
}

/// Fills a batch up to a limit, and sees to it that no event is missing in between.
pub(super) struct Filler {
    batch: EventBatch,
    limit: ReadLimit,
    /// The next position, or version, that belongs into the batch.
    next: u64,
}

impl Filler {
    /// An empty batch that begins with the number `first`.
    pub(super) fn new(first: u64, limit: ReadLimit) -> Filler {
        Filler { batch: EventBatch::new(), limit, next: first }
    }

    pub(super) fn finish(self) -> EventBatch {
        self.batch
    }

    /// Adds the events of a commit; those before the next number are passed over. An error names what is missing or damaged.
    pub(super) fn add<'a, E: From<String>>(
        &mut self,
        place: Place,
        events: impl Iterator<Item = Result<EventRef<'a>, E>>,
    ) -> Result<Filled, E> {
        if place.start > self.next {
            let Place { position, .. } = place;
            return Err(
                format!("events from {} on are missing before the commit at position {position}", self.next).into()
            );
        }
        let mut read = 0;
        for (number, event) in (place.start..).zip(events) {
            let event = event?;
            read += 1;
            if number < self.next {
                continue;
            }
            let texts = event.stream.len() + event.kind.len() + event.payload.len() + event.metadata.len();
            if !self.batch.is_empty() && self.batch.heap_bytes() + texts > self.limit.bytes.min(MOST_BYTES) {
                return Ok(Filled::Yes);
            }
            self.batch.push(event);
            self.next += 1;
            if self.batch.len() >= self.limit.events {
                return Ok(Filled::Yes);
            }
        }
        if read == place.count { Ok(Filled::No) } else { Err(place.short().into()) }
    }
}
