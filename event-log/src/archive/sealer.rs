//! The sealer: makes segments of what the event store holds, behind the head, for as long as it runs. It keeps nothing of its own: what
//! is to do follows from what the archive holds, so that it may end anywhere and go on anywhere.
//!
//! Who runs it sees to it that there is one: two would do the same work twice, and no harm.

use std::{ops::RangeInclusive, sync::Arc, time::Duration};

use reel_events::EventBatch;
use tokio::{sync::watch, time::Instant};

use super::{Archive, ArchiveError, SEGMENT_POSITIONS, Writer, verify::gaps};
use crate::store::{EventStore, ReadLimit, StoreError};

/// Events and bytes that are read at once.
const PORTION: ReadLimit = ReadLimit { events: 5_000, bytes: 4 << 20 };
/// How long the sealer waits after a failure, the first time and at most.
const BACK_OFF: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// How a sealer works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SealerConfig {
    /// Most events in a second: it works beside everything else.
    pub events_per_second: u32,
    /// How often it looks for segments that are missing, where the log does not grow.
    pub look_again: Duration,
}

impl Default for SealerConfig {
    /// 100,000 events a second, a look every 30 s.
    fn default() -> SealerConfig {
        SealerConfig { events_per_second: 100_000, look_again: Duration::from_secs(30) }
    }
}

/// Why nothing is sealed at the moment; the sealer tries again.
#[derive(Debug, thiserror::Error)]
enum SealError {
    #[error("the event store cannot be read")]
    Store(#[from] StoreError),
    #[error("the archive cannot be used")]
    Archive(#[from] ArchiveError),
}

/// How sealing gets on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SealerStatus {
    /// Up to here the archive holds every event, as far as this sealer knows: nothing before it first looked.
    pub sealed: Option<u64>,
    /// Whether the last attempt failed; the log says why.
    pub troubled: bool,
}

/// Seals a log.
pub struct Sealer {
    store: Arc<dyn EventStore>,
    archive: Archive,
    config: SealerConfig,
    status: watch::Sender<SealerStatus>,
}

impl Sealer {
    /// A sealer that does nothing yet.
    #[must_use]
    pub fn new(store: Arc<dyn EventStore>, archive: Archive, config: SealerConfig) -> Sealer {
        Sealer { store, archive, config, status: watch::Sender::default() }
    }

    /// How it gets on.
    #[must_use]
    pub fn status(&self) -> watch::Receiver<SealerStatus> {
        self.status.subscribe()
    }

    /// Seals every range that is full, and again once there are more; never returns. May be dropped at any time: a segment appears whole
    /// or not at all.
    pub async fn run(&self) {
        let mut back_off = BACK_OFF.0;
        loop {
            match self.pass().await {
                Ok(full) => {
                    back_off = BACK_OFF.0;
                    self.status.send_replace(SealerStatus { sealed: Some(full), troubled: false });
                    self.wait(full + SEGMENT_POSITIONS).await;
                }
                Err(error) => {
                    self.status.send_modify(|status| status.troubled = true);
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        archive = self.archive.location(),
                        "the log is not being archived"
                    );
                    tokio::time::sleep(back_off).await;
                    back_off = (back_off * 2).min(BACK_OFF.1);
                }
            }
        }
    }

    /// Does what [`Sealer::run`] does whenever `leads` holds for what is watched; returns once nobody tells any more.
    pub async fn run_while<T: Sync>(&self, mut watched: watch::Receiver<T>, leads: impl Fn(&T) -> bool) {
        while watched.wait_for(&leads).await.is_ok() {
            tokio::select! {
                () = self.run() => {}
                ended = watched.wait_for(|state| !leads(state)) => {
                    if ended.is_err() {
                        return;
                    }
                }
            }
        }
    }

    /// Waits until the log has reached `position`, or it is time to look for what is missing.
    async fn wait(&self, position: u64) {
        let mut head = self.store.watch();
        // A store that has stopped wakes nobody any more; the time does.
        let full = async {
            if head.wait_for(|head| *head >= position).await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        let _ = tokio::time::timeout(self.config.look_again, full).await;
    }

    /// Seals all that is to be sealed now; answers with the position up to which there was something.
    async fn pass(&self) -> Result<u64, SealError> {
        let compared = self.archive.compare(&*self.store).await?;
        for (stored, why) in compared.useless {
            tracing::warn!(error = &why as &dyn std::error::Error, "a segment is put aside");
            self.archive.put_aside(stored.name).await?;
        }
        let full = self.store.head().await?.position / SEGMENT_POSITIONS * SEGMENT_POSITIONS;
        let sealed = compared.segments.last().map_or(0, |last| last.name.last);
        let missing = gaps(&compared.segments);
        let behind = (sealed < full).then_some(sealed + 1..=full);
        for range in missing.into_iter().chain(behind) {
            self.seal(range).await?;
        }
        Ok(full)
    }

    /// Seals a range of positions that the store holds.
    async fn seal(&self, range: RangeInclusive<u64>) -> Result<(), SealError> {
        let (first, last) = range.into_inner();
        let mut writer = Writer::new(self.archive.clone(), self.store.log_id(), first);
        while writer.next() <= last {
            let began = Instant::now();
            let events = self.store.read(writer.next() - 1, PORTION).await?;
            self.check(&events, writer.next())?;
            writer.append(&events, last).await?;
            let share = Duration::from_secs_f64(events.len() as f64 / f64::from(self.config.events_per_second.max(1)));
            tokio::time::sleep_until(began + share).await;
        }
        Ok(writer.finish().await?)
    }

    /// Makes sure that the store left nothing out.
    fn check(&self, events: &EventBatch, first: u64) -> Result<(), SealError> {
        if (first..).zip(events.iter()).all(|(position, event)| event.position == position) && !events.is_empty() {
            return Ok(());
        }
        let location = format!("log {}", self.store.log_id());
        let reason =
            format!("it does not hand out the events from position {first} on, though its head is behind them");
        Err(StoreError::Unreadable { location, reason }.into())
    }
}
