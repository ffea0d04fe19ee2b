//! What operators ask of the archive: what is sealed, whether it is sound, and to remove what nobody reads any more.
//!
//! Not here: who seals (the process that keeps the log), what segments are (`event-log`).

use reel_event_log::archive::{Archive, ArchiveError, VerifiedSegment, gaps};
use reel_event_log::{EventStore, StoreError};
use serde::Serialize;

use crate::error::HostError;
use crate::host::Host;

/// What is sealed of the log.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ArchiveStatus {
    /// Where the archive is.
    pub location: String,
    /// Id of the log.
    pub log: String,
    /// Segments that builds read.
    pub segments: usize,
    /// Bytes that they take.
    pub bytes: u64,
    /// Events in them.
    pub sealed: u64,
    /// The last sealed position.
    pub sealed_through: u64,
    /// The log's last position; what is behind the last sealed one is read from the event store.
    pub head: u64,
    /// Ranges of positions (first, last) before the last sealed one that no segment holds.
    pub gaps: Vec<(u64, u64)>,
    /// Older revisions of segments; `prune` removes them.
    pub superseded: usize,
    /// Segments that were damaged, or not of this log as the event store has it; `prune` removes them.
    pub aside: usize,
    /// Bytes of those.
    pub aside_bytes: u64,
}

/// What some segments turned out to be.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ArchiveVerified {
    /// Segments that are sound.
    pub sound: usize,
    /// Events in them.
    pub events: u64,
    /// Bytes that they take.
    pub bytes: u64,
    /// Segments that are not, and why.
    pub damaged: Vec<DamagedSegment>,
    /// The last position that was looked at; nothing once there is none behind it.
    pub next: Option<u64>,
}

/// A segment that cannot be read.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DamagedSegment {
    /// Its name.
    pub segment: String,
    /// What is wrong with it.
    pub reason: String,
    /// Whether it was put aside, so that it is sealed again.
    pub put_aside: bool,
}

/// What was removed.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ArchivePruned {
    /// Names of the objects.
    pub removed: Vec<String>,
    /// Bytes that they took.
    pub bytes: u64,
}

/// What to do with a segment that is damaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mend {
    /// Only say so.
    No,
    /// Put it aside, so that it is sealed again.
    Yes,
}

impl Host {
    /// What is sealed.
    ///
    /// # Errors
    /// [`HostError::NotFound`] without an archive; [`HostError::Unavailable`] where it or the event store does not answer.
    pub async fn archive_status(&self) -> Result<ArchiveStatus, HostError> {
        let (archive, store) = self.archive()?;
        let log = store.log_id();
        let all = archive.list(log).await.map_err(away)?;
        let segments = archive.segments(log).await.map_err(away)?;
        let (aside, aside_bytes) = archive.set_aside(log).await.map_err(away)?;
        Ok(ArchiveStatus {
            location: archive.location().to_owned(),
            log: log.to_string(),
            bytes: segments.iter().map(|stored| stored.bytes).sum(),
            sealed: segments.iter().map(|stored| stored.name.positions()).sum(),
            sealed_through: segments.last().map_or(0, |last| last.name.last),
            head: store.head().await.map_err(store_away)?.position,
            gaps: gaps(&segments).into_iter().map(std::ops::RangeInclusive::into_inner).collect(),
            superseded: all.len() - segments.len(),
            segments: segments.len(),
            aside,
            aside_bytes,
        })
    }

    /// Reads up to `most` segments that end behind `after`, and holds them against the event store.
    ///
    /// # Errors
    /// As [`Host::archive_status`].
    pub async fn verify_archive(&self, after: u64, most: usize, mend: Mend) -> Result<ArchiveVerified, HostError> {
        let (archive, store) = self.archive()?;
        let verified = archive.verify(store, after, most).await.map_err(away)?;
        let next = verified.segments.last().filter(|_| verified.more).map(|last| last.name.last);
        let mut answer = ArchiveVerified { sound: 0, events: 0, bytes: 0, damaged: Vec::new(), next };
        for VerifiedSegment { name, bytes, outcome } in verified.segments {
            match outcome {
                Ok(events) => {
                    answer.sound += 1;
                    answer.events += events;
                    answer.bytes += bytes;
                }
                Err(error @ ArchiveError::Unavailable { .. }) => return Err(away(error)),
                Err(error) => {
                    let put_aside = mend == Mend::Yes && matches!(error, ArchiveError::Damaged { .. });
                    if put_aside {
                        archive.put_aside(name).await.map_err(away)?;
                    }
                    answer.damaged.push(DamagedSegment {
                        segment: name.to_string(),
                        reason: error.to_string(),
                        put_aside,
                    });
                }
            }
        }
        Ok(answer)
    }

    /// Removes what nobody reads any more.
    ///
    /// # Errors
    /// As [`Host::archive_status`].
    pub async fn prune_archive(&self) -> Result<ArchivePruned, HostError> {
        let (archive, store) = self.archive()?;
        let pruned = archive.prune(store.log_id()).await.map_err(away)?;
        Ok(ArchivePruned { removed: pruned.removed, bytes: pruned.bytes })
    }

    fn archive(&self) -> Result<(&Archive, &dyn EventStore), HostError> {
        self.needs_history("an archive")?;
        let none =
            || HostError::NotFound("there is no archive: archive.url is \"none\" in the configuration".to_owned());
        Ok((self.inner.config.archive.as_ref().ok_or_else(none)?, &*self.inner.store))
    }
}

fn away(error: ArchiveError) -> HostError {
    HostError::Unavailable { action: "reading the archive", source: error.into() }
}

fn store_away(error: StoreError) -> HostError {
    HostError::Unavailable { action: "reading the event store", source: error.into() }
}
