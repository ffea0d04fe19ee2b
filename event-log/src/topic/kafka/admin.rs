//! The topic as a whole: is it there, how many partitions has it, how large may a message be, and what is last in each partition.
//! Makes the topic where it is missing.
//!
//! Not here: publishing (`producer`), consuming (`consumer`), what follows from what is found (`relay`).

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use rdkafka::{
    Message as _, TopicPartitionList,
    admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication},
    consumer::{BaseConsumer, Consumer},
    error::{KafkaError, RDKafkaErrorCode},
    message::{BorrowedMessage, Headers},
    topic_partition_list::Offset,
};
use reel_events::{LogPoint, cloud_events::kafka};

use super::{Quiet, TopicFault, TopicUrl, ask, blocking};

/// How long a broker may take for one answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Key, headers and framing of a message, beyond payload and metadata: stream and kind at their longest, three times over.
const ENVELOPE: usize = 4 << 10;

/// A topic as it was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FoundTopic {
    /// How many partitions it has.
    pub partitions: u32,
    /// The largest batch of messages it takes, in bytes, where the broker tells.
    pub largest: Option<usize>,
}

impl FoundTopic {
    /// The largest event that fits, payload and metadata in bytes, where the broker tells. What is appended must not be larger, or
    /// it will be in the log but not in the topic; consumers then take it from history.
    #[must_use]
    pub fn largest_event(&self) -> Option<usize> {
        self.largest.map(|largest| largest.saturating_sub(ENVELOPE))
    }
}

/// The last message of a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Last {
    /// What it says of its place.
    pub placement: kafka::Placement,
    /// How far the partition is known with it.
    pub point: LogPoint,
    /// The partition's last event, as far as it is known with it.
    pub event: u64,
}

/// Looks at the topic.
///
/// # Errors
/// Where it cannot be reached, is not there, or may not be looked at.
pub async fn find(url: &TopicUrl) -> Result<FoundTopic, TopicFault> {
    let topic = url.topic().to_owned();
    let partitions = ask(url, &[], move |client| partitions_of(client.client(), &topic)).await?;
    Ok(FoundTopic { partitions, largest: largest_batch(url).await })
}

/// The same; where the topic is not there it is made with this number of partitions, and replicated as the broker does by default.
///
/// # Errors
/// Where it cannot be reached or made.
pub async fn find_or_make(url: &TopicUrl, partitions: u32) -> Result<FoundTopic, TopicFault> {
    match find(url).await {
        Err(TopicFault::Missing { .. }) => {}
        found => return found,
    }
    make(url, partitions).await?;
    tracing::info!(topic = %url, partitions, "topic made");
    let deadline = Instant::now() + PATIENCE;
    loop {
        match find(url).await {
            Err(TopicFault::Missing { .. }) if Instant::now() < deadline => {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            found => return found,
        }
    }
}

async fn make(url: &TopicUrl, partitions: u32) -> Result<(), TopicFault> {
    let failed = |error| TopicFault::of(url, error);
    let admin: AdminClient<Quiet> = url.configure(&[]).create_with_context(Quiet).map_err(failed)?;
    let count = i32::try_from(partitions).unwrap_or(i32::MAX);
    let topic = NewTopic::new(url.topic(), count, TopicReplication::Fixed(-1));
    let options = AdminOptions::new().request_timeout(Some(PATIENCE)).operation_timeout(Some(PATIENCE));
    let made = admin.create_topics([&topic], &options).await.map_err(failed)?;
    match made.into_iter().next() {
        Some(Err((_, code))) if code != RDKafkaErrorCode::TopicAlreadyExists => {
            Err(TopicFault::NotMade { url: url.to_string(), partitions, source: KafkaError::AdminOp(code) })
        }
        _ => Ok(()),
    }
}

/// How many partitions the topic has, asked through a client that is there already. Blocks.
pub(crate) fn partitions_of<C: rdkafka::ClientContext>(
    client: &rdkafka::client::Client<C>,
    topic: &str,
) -> Result<u32, KafkaError> {
    let metadata = client.fetch_metadata(Some(topic), PATIENCE)?;
    let missing = KafkaError::MetadataFetch(RDKafkaErrorCode::UnknownTopicOrPartition);
    let topic = metadata.topics().first().ok_or_else(|| missing.clone())?;
    match topic.error() {
        Some(error) => Err(KafkaError::MetadataFetch(error.into())),
        None if topic.partitions().is_empty() => Err(missing),
        None => Ok(u32::try_from(topic.partitions().len()).expect("Kafka has fewer partitions")),
    }
}

/// The topic's `max.message.bytes`. Nothing where the broker does not tell: it may not be permitted.
async fn largest_batch(url: &TopicUrl) -> Option<usize> {
    let admin: AdminClient<Quiet> = url.configure(&[]).create_with_context(Quiet).ok()?;
    let options = AdminOptions::new().request_timeout(Some(PATIENCE));
    let described = admin.describe_configs([&ResourceSpecifier::Topic(url.topic())], &options).await;
    let resource = described.ok()?.into_iter().next()?.ok()?;
    resource.get("max.message.bytes")?.value.as_ref()?.parse().ok()
}

/// The last message of each partition; nothing where it is empty, or where its last message is none of Reel's.
///
/// # Errors
/// Where the topic cannot be read.
pub async fn last_messages(url: &TopicUrl, partitions: u32) -> Result<Vec<Option<Last>>, TopicFault> {
    let asked = url.clone();
    blocking(url, move || Tails::open(&asked, partitions)?.read()).await
}

/// Reads the end of every partition.
struct Tails {
    consumer: BaseConsumer<Quiet>,
    /// Partitions whose last offset was not read yet.
    wanted: HashMap<i32, i64>,
    found: Vec<Option<Last>>,
}

impl Tails {
    fn open(url: &TopicUrl, partitions: u32) -> Result<Tails, KafkaError> {
        let settings = [("group.id", "reel-relay"), ("enable.auto.commit", "false"), ("fetch.wait.max.ms", "50")];
        let consumer: BaseConsumer<Quiet> = url.configure(&settings).create_with_context(Quiet)?;
        let (mut wanted, mut assignment) = (HashMap::new(), TopicPartitionList::new());
        for partition in 0..i32::try_from(partitions).expect("Kafka has fewer partitions") {
            let (low, high) = consumer.fetch_watermarks(url.topic(), partition, PATIENCE)?;
            if high > low {
                wanted.insert(partition, high - 1);
                assignment.add_partition_offset(url.topic(), partition, Offset::Offset(high - 1))?;
            }
        }
        consumer.assign(&assignment)?;
        Ok(Tails { consumer, wanted, found: vec![None; partitions as usize] })
    }

    fn read(mut self) -> Result<Vec<Option<Last>>, KafkaError> {
        let deadline = Instant::now() + 2 * PATIENCE;
        while !self.wanted.is_empty() {
            if Instant::now() > deadline {
                return Err(KafkaError::MessageConsumption(RDKafkaErrorCode::OperationTimedOut));
            }
            match self.consumer.poll(Duration::from_millis(200)) {
                Some(Ok(message)) => {
                    let partition = message.partition();
                    self.found[partition as usize] = last_of(&message);
                    if self.wanted.get(&partition).is_some_and(|offset| message.offset() >= *offset) {
                        self.wanted.remove(&partition);
                    }
                }
                Some(Err(error)) if is_passing(&error) => {}
                Some(Err(error)) => return Err(error),
                None => {}
            }
        }
        Ok(self.found)
    }
}

/// Errors that the client reports and mends by itself.
pub(crate) fn is_passing(error: &KafkaError) -> bool {
    use RDKafkaErrorCode as Code;
    matches!(
        error.rdkafka_error_code(),
        Some(Code::BrokerTransportFailure | Code::AllBrokersDown | Code::OperationTimedOut | Code::PartitionEOF)
    )
}

fn last_of(message: &BorrowedMessage<'_>) -> Option<Last> {
    let headers = message.headers()?;
    let headers = headers.iter().filter_map(|header| Some((header.key, header.value?)));
    let (key, value) = (message.key().unwrap_or_default(), message.payload().unwrap_or_default());
    match kafka::read(key, value, headers) {
        Ok(read) => {
            let (placement, point) = (read.placement(), read.point());
            let event = if matches!(read, kafka::Message::Event(..)) { point.position } else { placement.previous };
            Some(Last { placement, point, event })
        }
        Err(error) => {
            let (partition, offset) = (message.partition(), message.offset());
            tracing::warn!(topic = message.topic(), partition, offset, %error, "a message that is none of Reel's");
            None
        }
    }
}
