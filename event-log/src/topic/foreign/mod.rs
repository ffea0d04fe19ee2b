//! Somebody else's topic as a log that can only be followed: a shard is a partition, a position is an offset + 1, and there is no store
//! behind it that would hold what the topic has deleted.
//!
//! A shard begins exactly where its checkpoint says, whatever the consumer group has kept: the group only spreads partitions over
//! hosts ([`Member::spread`]), and each partition is read by a consumer of its own (`reader`).
//!
//! Not here: which event a message is (`reel_events::foreign`), what rows it makes (the host).
//!
//! [`Member::spread`]: crate::topic::kafka::consumer::Member::spread

mod feed;
mod log;
mod reader;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::{Message, Offset, TopicPartitionList};
use reel_events::foreign::{Format, log_id};
use reel_events::{LogId, Place};
use tokio::sync::Mutex;

use super::kafka::{Hearing, Quiet, TopicFault, TopicUrl, ask, blocking, partitions_of};

pub use self::feed::ForeignFeed;
pub use self::log::ForeignLog;

/// How long a broker may take for one answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// What a client is told that is asked for the partitions' ends: of what is committed.
const ENDS: [(&str, &str); 2] = [("group.id", "reel"), ("isolation.level", "read_committed")];
/// How long what is known of the partitions' ends is good enough for whoever only shows it.
const FRESH: Duration = Duration::from_secs(1);

/// A topic of another producer.
#[derive(Debug, Clone)]
pub struct ForeignTopic {
    url: TopicUrl,
    format: Format,
    seen: Arc<Mutex<Option<Seen>>>,
}

/// Where the partitions began and ended, and when that was.
type Seen = (Instant, Arc<[PartitionEnds]>);

/// Where a partition begins and ends, in offsets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartitionEnds {
    /// The first message that is still there.
    pub start: u64,
    /// Behind the last one: as a position, that of the last.
    pub end: u64,
}

/// Why a topic cannot be followed, by what its reader does next.
#[derive(Debug, thiserror::Error)]
pub enum ForeignError {
    /// Passing: back off and try again.
    #[error("the topic cannot be read at the moment")]
    Unavailable(#[from] TopicFault),
    /// It is not what the checkpoint was made from: trying again does not help.
    #[error("{0}")]
    Changed(String),
}

impl ForeignTopic {
    /// The topic at `url`, if that describes one of another producer.
    #[must_use]
    pub fn new(url: &TopicUrl) -> Option<ForeignTopic> {
        Some(ForeignTopic { url: url.clone(), format: url.foreign()?.clone(), seen: Arc::default() })
    }

    /// Where it is.
    #[must_use]
    pub fn url(&self) -> &TopicUrl {
        &self.url
    }

    /// Which log it is: the cluster's id and the topic's name say so.
    ///
    /// # Errors
    /// Where the cluster does not answer.
    pub async fn log_id(&self) -> Result<LogId, TopicFault> {
        let topic = self.url.topic().to_owned();
        let cluster = ask(&self.url, &[], move |client| {
            // Asked for its metadata, it says why it does not answer; the cluster's id alone would not.
            partitions_of(client.client(), &topic)?;
            Ok(client.client().fetch_cluster_id(PATIENCE).unwrap_or_default())
        });
        Ok(log_id(&cluster.await?, self.url.topic()))
    }

    /// Where each partition begins and ends now. Transactions that are open are not counted.
    ///
    /// # Errors
    /// Where the topic does not answer, is not there, or has more partitions than can be told apart.
    pub async fn ends(&self) -> Result<Arc<[PartitionEnds]>, TopicFault> {
        let topic = self.url.topic().to_owned();
        let ends: Arc<[PartitionEnds]> = ask(&self.url, &ENDS, move |client| ends(client, &topic)).await?.into();
        if ends.len() > Place::MAX_PARTITION as usize + 1 {
            return Err(TopicFault::Changed { url: self.url.to_string(), partitions: ends.len() as u32 });
        }
        *self.seen.lock().await = Some((Instant::now(), Arc::clone(&ends)));
        Ok(ends)
    }

    /// The same as it was a moment ago.
    ///
    /// # Errors
    /// As [`ForeignTopic::ends`].
    pub async fn recent_ends(&self) -> Result<Arc<[PartitionEnds]>, TopicFault> {
        let seen = self.seen.lock().await.clone();
        match seen {
            Some((at, ends)) if at.elapsed() < FRESH => Ok(ends),
            _ => self.ends().await,
        }
    }

    /// When the oldest of the messages was published that stand first at or behind these offsets (partition, offset), in microseconds since
    /// the epoch; nothing where none is there, or none comes soon.
    ///
    /// # Errors
    /// Where the topic does not answer.
    pub async fn oldest(&self, offsets: Vec<(u32, u64)>) -> Result<Option<i64>, TopicFault> {
        let url = self.url.clone();
        blocking(&self.url, move || oldest(&url, &offsets)).await
    }
}

fn oldest(url: &TopicUrl, offsets: &[(u32, u64)]) -> Result<Option<i64>, KafkaError> {
    // One message of each partition is wanted, and nothing is committed.
    let settings = [
        ("group.id", "reel"),
        ("isolation.level", "read_committed"),
        ("enable.auto.commit", "false"),
        ("fetch.message.max.bytes", "16384"),
    ];
    let client: BaseConsumer<Quiet> = url.configure(&settings).create_with_context(Quiet)?;
    let mut assigned = TopicPartitionList::new();
    for (partition, offset) in offsets {
        let offset = i64::try_from(*offset).expect("offsets are below 2^63");
        assigned.add_partition_offset(url.topic(), *partition as i32, Offset::Offset(offset))?;
    }
    client.assign(&assigned)?;
    let (mut found, mut oldest, began) = (HashSet::new(), None, Instant::now());
    while found.len() < offsets.len() && began.elapsed() < FRESH {
        let Some(message) = client.poll(Duration::from_millis(50)) else { continue };
        let message = message?;
        if found.insert(message.partition())
            && let Some(milliseconds) = message.timestamp().to_millis()
        {
            oldest = Some(oldest.map_or(milliseconds, |oldest: i64| oldest.min(milliseconds)));
        }
    }
    Ok(oldest.map(|milliseconds| milliseconds * 1_000))
}

fn ends(client: &BaseConsumer<Hearing>, topic: &str) -> Result<Vec<PartitionEnds>, KafkaError> {
    let partitions = partitions_of(client.client(), topic)?;
    let each = 0..i32::try_from(partitions).expect("Kafka has fewer partitions");
    each.map(|partition| ends_of(client, topic, partition)).collect()
}

fn ends_of<C: ConsumerContext>(
    client: &BaseConsumer<C>,
    topic: &str,
    partition: i32,
) -> Result<PartitionEnds, KafkaError> {
    let (start, end) = client.fetch_watermarks(topic, partition, PATIENCE)?;
    let offset = |offset| u64::try_from(offset).unwrap_or(0);
    Ok(PartitionEnds { start: offset(start), end: offset(end) })
}
