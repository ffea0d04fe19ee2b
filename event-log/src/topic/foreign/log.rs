//! What a foreign topic is where an event store is asked for: an identity, and nothing that could be read by position. Whoever asks for
//! history all the same hears why there is none.

use std::sync::Arc;

use async_trait::async_trait;
use reel_events::{EventBatch, LogId, LogPoint, StreamId};
use tokio::sync::watch;
use uuid::Uuid;

use super::ForeignTopic;
use crate::store::{AppendError, Appended, EventStore, FoundCommit, Limits, NewCommit, ReadLimit, StoreError};
use crate::topic::kafka::TopicFault;

/// The log that a foreign topic is.
#[derive(Debug)]
pub struct ForeignLog {
    log: LogId,
    topic: String,
    head: watch::Sender<u64>,
}

impl ForeignLog {
    /// Asks the topic which log it is.
    ///
    /// # Errors
    /// Where it does not answer, or is not there.
    pub async fn open(topic: &ForeignTopic) -> Result<ForeignLog, TopicFault> {
        let log = topic.log_id().await?;
        Ok(ForeignLog { log, topic: topic.url().to_string(), head: watch::Sender::new(0) })
    }

    fn refused(&self) -> StoreError {
        let reason = "it is another producer's topic, which is only followed: there is no history that could be read by position, and \
                      nothing is written into it";
        StoreError::Refused { location: self.topic.clone(), reason: reason.to_owned() }
    }
}

#[async_trait]
impl EventStore for ForeignLog {
    fn log_id(&self) -> LogId {
        self.log
    }

    fn limits(&self) -> Limits {
        Limits::default()
    }

    async fn append_all(&self, commits: Vec<NewCommit>) -> Vec<Result<Appended, AppendError>> {
        commits.iter().map(|_| Err(AppendError::Store(Arc::new(self.refused())))).collect()
    }

    async fn find_commit(&self, _: Uuid) -> Result<Option<FoundCommit>, StoreError> {
        Err(self.refused())
    }

    async fn read(&self, _: u64, _: ReadLimit) -> Result<EventBatch, StoreError> {
        Err(self.refused())
    }

    async fn read_stream(&self, _: &StreamId, _: u64, _: ReadLimit) -> Result<EventBatch, StoreError> {
        Err(self.refused())
    }

    async fn head(&self) -> Result<LogPoint, StoreError> {
        Err(self.refused())
    }

    async fn point(&self, _: u64) -> Result<Option<LogPoint>, StoreError> {
        Err(self.refused())
    }

    fn watch(&self) -> watch::Receiver<u64> {
        self.head.subscribe()
    }
}
