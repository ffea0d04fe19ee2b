//! The log as the loop's source: history and the live end are one tail.

use std::sync::Arc;

use async_trait::async_trait;
use reel_event_log::{
    ReadLimit,
    topic::{Tail, Tailed, TopicError},
};
use reel_events::{EventBatch, LogPoint};
use reel_projector::{Source, SourceError, ports::Delivery};

use crate::gate::Gate;

/// Bytes of events in one batch at most.
const BATCH_BYTES: usize = 16 << 20;

/// A tail of the event store.
pub struct LogSource {
    tail: Tail,
    /// What was read and has not gone through the gate.
    read: Option<Tailed>,
    gate: Arc<Gate>,
    /// The last position that it hands over, and how far it is.
    until: u64,
    at: u64,
}

impl LogSource {
    /// Goes on where `tail` stands.
    #[must_use]
    pub fn new(tail: Tail) -> LogSource {
        LogSource { tail, read: None, gate: Arc::default(), until: u64::MAX, at: 0 }
    }

    /// Goes from position `at`, where the tail stands, to `until` and stands still there.
    #[must_use]
    pub fn until(self, at: u64, until: u64) -> LogSource {
        LogSource { at, until, ..self }
    }

    /// Hands over, from position `at`, where the tail stands, what a gate lets through.
    pub(crate) fn behind(self, gate: &Arc<Gate>, at: u64) -> LogSource {
        LogSource { at, gate: Arc::clone(gate), ..self }
    }

    async fn read(&mut self, most: usize) -> Result<Tailed, SourceError> {
        // Positions have no gaps: so many events end at `until`, if nothing ends them before.
        let events = most.min(usize::try_from(self.until - self.at).unwrap_or(usize::MAX));
        self.tail.next(ReadLimit { events, bytes: BATCH_BYTES }).await.map_err(|error| match error {
            TopicError::Store { .. } => SourceError::Unavailable(error.into()),
            changed => SourceError::LogChanged(changed.to_string()),
        })
    }
}

/// Cuts what was tailed behind a position that is in it.
fn cut(tailed: &Tailed, position: u64) -> (Tailed, Option<Tailed>) {
    let part = |events: EventBatch| {
        let last = events.iter().last()?;
        let through = LogPoint { position: last.position, event: last.id };
        Some(Tailed { through, events, head: tailed.head })
    };
    let first = part(tailed.events.iter().take_while(|event| event.position <= position).collect());
    let rest = part(tailed.events.iter().skip_while(|event| event.position <= position).collect());
    (first.expect("the gate lets something through"), rest)
}

#[async_trait]
impl Source for LogSource {
    async fn next(&mut self, most: usize) -> Result<Delivery, SourceError> {
        if self.at >= self.until {
            return std::future::pending().await;
        }
        let last = match &self.read {
            Some(read) => read.through.position,
            None => {
                let read = self.read(most).await?;
                self.read.insert(read).through.position
            }
        };
        let open = self.gate.pass(self.at, last).await;
        let mut tailed = self.read.take().expect("something was read");
        if open < last {
            (tailed, self.read) = cut(&tailed, open);
        }
        self.at = tailed.through.position;
        Ok(Delivery { events: tailed.events, through: tailed.through, head: tailed.head.min(self.until) })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use futures::FutureExt;

    use reel_event_log::{EventStore, ExpectedVersion, IdOrigin, Limits, NewCommit, SqliteStore};
    use reel_events::{CanonicalJson, EventKind, NewEvent, StreamId};
    use uuid::Uuid;

    use super::*;

    fn happened() -> NewCommit {
        let event = NewEvent {
            id: Uuid::now_v7(),
            kind: EventKind::new("happened").unwrap(),
            schema: 1,
            recorded_at: None,
            payload: CanonicalJson::trusted("{}"),
            metadata: CanonicalJson::default(),
        };
        let stream = StreamId::new("thing-1").unwrap();
        let (id, expected) = (Uuid::now_v7(), ExpectedVersion::Any);
        NewCommit { id, stream, expected, digest: [0; 32], ids: IdOrigin::Given, events: vec![event] }
    }

    #[tokio::test]
    async fn it_ends_where_it_is_told_to_whatever_comes_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let store: Arc<dyn EventStore> =
            Arc::new(SqliteStore::open(folder.path().join("store.sqlite"), Limits::default()).unwrap());
        for _ in 0..9 {
            store.append(happened()).await.unwrap();
        }
        for most in [1, 2, 4, 100] {
            let tail = Tail::new(Arc::clone(&store), store.log_id(), store.point(2).await.unwrap().unwrap());
            let mut source = LogSource::new(tail).until(2, 7);
            let mut positions = Vec::new();
            while positions.last() != Some(&7) {
                let delivery = source.next(most).await.unwrap();
                positions.extend(delivery.events.iter().map(|event| event.position));
                assert_eq!(delivery.head, 7);
            }
            assert_eq!(positions, [3, 4, 5, 6, 7]);
            assert!(source.next(most).now_or_never().is_none(), "it stands still");
        }
    }
}
