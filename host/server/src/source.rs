//! The log as the loop's source: history and the live end are one tail.

use async_trait::async_trait;
use reel_event_log::{
    ReadLimit,
    topic::{Tail, TopicError},
};
use reel_projector::{Source, SourceError, ports::Delivery};

/// Bytes of events in one batch at most.
const BATCH_BYTES: usize = 16 << 20;

/// A tail of the event store.
pub struct LogSource {
    tail: Tail,
}

impl LogSource {
    /// Goes on where `tail` stands.
    #[must_use]
    pub fn new(tail: Tail) -> LogSource {
        LogSource { tail }
    }
}

#[async_trait]
impl Source for LogSource {
    async fn next(&mut self, most: usize) -> Result<Delivery, SourceError> {
        let tailed =
            self.tail.next(ReadLimit { events: most, bytes: BATCH_BYTES }).await.map_err(|error| match error {
                TopicError::Store { .. } => SourceError::Unavailable(error.into()),
                changed => SourceError::LogChanged(changed.to_string()),
            })?;
        Ok(Delivery { events: tailed.events, through: tailed.through, head: tailed.head })
    }
}
