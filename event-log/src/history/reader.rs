//! The task behind a reader of history: segments are fetched and unsealed ahead, several at a time, and handed over in order; what no
//! segment holds is read from the store.

use std::{collections::VecDeque, ops::RangeInclusive, sync::Arc};

use reel_events::{EventBatch, LogPoint};
use tokio::{sync::mpsc, task::JoinHandle};

use super::{Portion, Portions, Wanted};
use crate::{
    archive::{Archive, ArchiveError, Buffers, Stored, Unsealing},
    store::{EventStore, ReadLimit, StoreError},
};

/// Segments that are handed over, fetched or unsealed at the same time, for so many cores; at least two. Each takes about twice
/// [`crate::archive::SEGMENT_BYTES`].
const CORES_A_SEGMENT: usize = 2;
/// Most of them.
const MOST_AHEAD: usize = 8;

type Sender = mpsc::Sender<Result<Portion, StoreError>>;

/// What a reader has.
pub(super) struct Reader {
    pub(super) store: Option<Arc<dyn EventStore>>,
    pub(super) archive: Option<Archive>,
    pub(super) wanted: Wanted,
    pub(super) limit: ReadLimit,
    pub(super) end: LogPoint,
    pub(super) buffers: Buffers,
}

/// A part of history with one source.
enum Part {
    /// A segment, being read.
    Sealed { stored: Stored, reading: JoinHandle<Result<Vec<Portion>, ArchiveError>> },
    /// Positions that no segment holds.
    Unsealed(RangeInclusive<u64>),
}

/// Why a reader ends before its end.
enum Stop {
    /// Nobody listens any more.
    Unheard,
    Failed(StoreError),
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Stop {
        Stop::Failed(error)
    }
}

impl Reader {
    /// Reads everything behind `after`, given the segments there are, in order.
    pub(super) async fn run(self, after: u64, segments: Vec<Stored>, sender: Sender) {
        if let Err(Stop::Failed(error)) = self.read(after, segments, &sender).await {
            // Whoever does not listen any more need not know.
            let _ = sender.send(Err(error)).await;
        }
    }

    async fn read(&self, after: u64, segments: Vec<Stored>, sender: &Sender) -> Result<(), Stop> {
        let mut segments = segments.into_iter().filter(|stored| stored.name.last > after).peekable();
        let mut started = VecDeque::new();
        let mut next = after + 1;
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let ahead = (cores / CORES_A_SEGMENT).clamp(2, MOST_AHEAD);
        loop {
            while started.len() < ahead && next <= self.end.position {
                let part = match segments.next_if(|stored| stored.name.first <= next) {
                    Some(stored) => self.start(stored, next - 1),
                    None => Part::Unsealed(next..=self.gap_end(segments.peek())),
                };
                next = part.last() + 1;
                started.push_back(part);
            }
            match started.pop_front() {
                Some(Part::Sealed { stored, reading }) => self.sealed(stored, reading, (after, sender)).await?,
                Some(Part::Unsealed(range)) => self.unsealed(range, sender).await?,
                None => return Ok(()),
            }
        }
    }

    fn gap_end(&self, next: Option<&Stored>) -> u64 {
        next.map_or(self.end.position, |stored| (stored.name.first - 1).min(self.end.position))
    }

    fn start(&self, stored: Stored, after: u64) -> Part {
        let archive = self.archive.clone().expect("only an archive has segments");
        let (wanted, buffers) = (self.wanted.clone(), self.buffers.clone());
        let unsealing = Unsealing { wanted, after, until: self.end, limit: self.limit, buffers };
        let read = async move { archive.read(archive.open_segment(stored).await?, unsealing).await };
        Part::Sealed { stored, reading: tokio::spawn(read) }
    }

    /// Hands over what a segment holds; where it is of no use, what the store holds in its range.
    async fn sealed(
        &self,
        stored: Stored,
        reading: JoinHandle<Result<Vec<Portion>, ArchiveError>>,
        (after, sender): (u64, &Sender),
    ) -> Result<(), Stop> {
        let failure = match reading.await {
            Ok(Ok(portions)) => {
                for portion in portions {
                    sender.send(Ok(portion)).await.map_err(|_| Stop::Unheard)?;
                }
                return Ok(());
            }
            Ok(Err(error)) => error,
            Err(error) => ArchiveError::Unusable {
                segment: stored.name.to_string(),
                reason: format!("reading it failed: {error}"),
            },
        };
        if self.store.is_none() {
            let (location, reason) = (format!("segment {}", stored.name), failure.to_string());
            return Err(StoreError::Unreadable { location, reason }.into());
        }
        self.give_up(stored, &failure).await;
        let range = stored.name.first.max(after + 1)..=stored.name.last.min(self.end.position);
        self.unsealed(range, sender).await
    }

    /// Says that a segment cannot be read, and puts a damaged one aside so that it is sealed again.
    async fn give_up(&self, stored: Stored, failure: &ArchiveError) {
        let Stored { name, .. } = stored;
        tracing::warn!(
            error = failure as &dyn std::error::Error,
            "positions {} to {} are read from the event store",
            name.first,
            name.last
        );
        if let (ArchiveError::Damaged { .. }, Some(archive)) = (failure, &self.archive)
            && let Err(error) = archive.put_aside(name).await
        {
            tracing::warn!(error = &error as &dyn std::error::Error, "the damaged segment stays where it is");
        }
    }

    /// Reads a range from the store.
    async fn unsealed(&self, range: RangeInclusive<u64>, sender: &Sender) -> Result<(), Stop> {
        let store = self.store.as_ref().expect("an archive alone is read as far as it goes without a gap");
        let (mut next, last) = range.into_inner();
        while next <= last {
            let events = store.read(next - 1, self.limit).await?;
            let (portions, through) = self.portions(&events, next..=last)?;
            for portion in portions {
                sender.send(Ok(portion)).await.map_err(|_| Stop::Unheard)?;
            }
            next = through.position + 1;
        }
        Ok(())
    }

    /// What is wanted of events that the store handed out, which must be those of `range` from its first position on; and the last one
    /// that was looked at.
    fn portions(
        &self,
        events: &EventBatch,
        range: RangeInclusive<u64>,
    ) -> Result<(Vec<Portion>, LogPoint), StoreError> {
        let (first, last) = range.into_inner();
        let mut portions = Portions::new(&self.wanted, self.limit, None);
        let mut through = None;
        for (position, event) in (first..=last).zip(events.iter()) {
            if event.position != position {
                return Err(self.gap(position));
            }
            through = Some(LogPoint { position, event: event.id });
            portions.offer(event);
        }
        let through = through.ok_or_else(|| self.gap(first))?;
        Ok((portions.finish(through), through))
    }

    fn gap(&self, position: u64) -> StoreError {
        let location = self.store.as_ref().map_or_else(String::new, |store| format!("log {}", store.log_id()));
        let reason = format!("it did not hand out position {position}, though its head was {}", self.end.position);
        StoreError::Unreadable { location, reason }
    }
}

impl Part {
    fn last(&self) -> u64 {
        match self {
            Part::Sealed { stored, .. } => stored.name.last,
            Part::Unsealed(range) => *range.end(),
        }
    }
}
