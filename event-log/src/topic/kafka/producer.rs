//! Publishing: one idempotent producer, for one term of one leader. It only ever hands on what it is given, in that order, and says
//! what has arrived; after the first failure it is thrown away.
//!
//! Not here: what is published, and where (`relay`).

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use rdkafka::{
    ClientContext, Message as _,
    config::RDKafkaLogLevel,
    error::{KafkaError, RDKafkaErrorCode},
    message::{DeliveryResult, Header, OwnedHeaders},
    producer::{BaseRecord, Producer as _, ProducerContext, ThreadedProducer},
};
use reel_events::{EventRef, LogPoint, cloud_events::kafka};
use tokio::{sync::Notify, task::JoinHandle};

use super::{FoundTopic, TopicFault, TopicUrl, admin, note_error, note_log};

/// How many messages may be on their way at once: this and `MOST_BYTES` bound the memory.
const MOST_MESSAGES: u64 = 50_000;
/// Bytes of keys and payloads on their way.
const MOST_BYTES: u64 = 32 << 20;
/// How often the topic is looked at: it may have been made anew, or have got more partitions.
const LOOK: Duration = Duration::from_secs(2);

/// Publishes to one topic. Dropping it drops what is still on its way.
pub struct Publisher {
    topic: String,
    producer: Option<Arc<ThreadedProducer<Arrivals>>>,
    shared: Arc<Shared>,
    watch: JoinHandle<()>,
}

/// What has arrived so far.
struct Shared {
    url: TopicUrl,
    /// The last position that arrived, by partition.
    through: Vec<AtomicU64>,
    sent: AtomicU64,
    arrived: AtomicU64,
    sent_bytes: AtomicU64,
    arrived_bytes: AtomicU64,
    failure: Mutex<Option<TopicFault>>,
    changed: Notify,
}

impl Publisher {
    /// A publisher to the topic that was found.
    ///
    /// # Errors
    /// Where the client cannot be made.
    pub fn open(url: &TopicUrl, found: FoundTopic) -> Result<Publisher, TopicFault> {
        let largest = found.largest.unwrap_or(1_000_000).clamp(1_000, 1_000_000_000);
        let (message, batch) = (largest.to_string(), largest.min(1_000_000).to_string());
        let config = url.configure(&[
            ("enable.idempotence", "true"),
            ("acks", "all"),
            ("compression.type", "lz4"),
            ("linger.ms", "1"),
            ("batch.num.messages", "10000"),
            ("batch.size", &batch),
            ("message.max.bytes", &message),
            ("message.timeout.ms", "15000"),
            ("queue.buffering.max.messages", "200000"),
            ("queue.buffering.max.kbytes", "262144"),
        ]);
        let shared = Arc::new(Shared {
            url: url.clone(),
            through: (0..found.partitions).map(|_| AtomicU64::new(0)).collect(),
            sent: AtomicU64::new(0),
            arrived: AtomicU64::new(0),
            sent_bytes: AtomicU64::new(0),
            arrived_bytes: AtomicU64::new(0),
            failure: Mutex::new(None),
            changed: Notify::new(),
        });
        let producer: ThreadedProducer<Arrivals> =
            config.create_with_context(Arrivals(Arc::clone(&shared))).map_err(|error| TopicFault::of(url, error))?;
        let producer = Arc::new(producer);
        let watch = tokio::spawn(watch(Arc::clone(&producer), Arc::clone(&shared), found.partitions));
        Ok(Publisher { topic: url.topic().to_owned(), producer: Some(producer), shared, watch })
    }

    /// Whether another message may be sent; if not, wait for [`Publisher::changed`].
    #[must_use]
    pub fn has_room(&self) -> bool {
        let on_its_way = |sent: &AtomicU64, arrived: &AtomicU64| {
            sent.load(Ordering::Relaxed).saturating_sub(arrived.load(Ordering::Relaxed))
        };
        on_its_way(&self.shared.sent, &self.shared.arrived) < MOST_MESSAGES
            && on_its_way(&self.shared.sent_bytes, &self.shared.arrived_bytes) < MOST_BYTES
    }

    /// Sends an event. One that is larger than the topic takes is left out, and said so: its consumers see the hole, and take it
    /// from history.
    pub fn send(&self, partition: u32, event: &EventRef<'_>, placement: kafka::Placement) {
        let mut headers = MessageHeaders::with_capacity(kafka::HEADERS.len() + 1);
        kafka::write(*event, placement, |key, value| headers.add(key, value));
        let record = BaseRecord::with_opaque_to(&self.topic, event.position as usize)
            .partition(partition as i32)
            .key(event.stream)
            .payload(event.payload)
            .headers(headers.finish());
        self.hand_over(record);
    }

    /// Sends a message without event.
    pub fn send_watermark(&self, partition: u32, through: LogPoint, placement: kafka::Placement) {
        let mut headers = MessageHeaders::with_capacity(kafka::WATERMARK_HEADERS.len());
        kafka::write_watermark(through, partition, placement, |key, value| headers.add(key, value));
        let record: BaseRecord<'_, str, str, usize> =
            BaseRecord::with_opaque_to(&self.topic, through.position as usize)
                .partition(partition as i32)
                .payload("")
                .headers(headers.finish());
        self.hand_over(record);
    }

    fn hand_over(&self, record: BaseRecord<'_, str, str, usize>) {
        let Some(producer) = &self.producer else { return };
        let bytes = record.key.map_or(0, str::len) + record.payload.map_or(0, str::len);
        let (partition, position) = (record.partition.unwrap_or_default(), record.delivery_opaque);
        match producer.send(record) {
            Ok(()) => {
                self.shared.sent.fetch_add(1, Ordering::Relaxed);
                self.shared.sent_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
            }
            Err((error, _)) if is_too_large(&error) => note_left_out(partition, position),
            Err((error, _)) => self.shared.fail(TopicFault::of(&self.shared.url, error)),
        }
    }

    /// The last position that arrived in each partition; 0 where nothing was sent.
    pub fn arrived(&self) -> impl Iterator<Item = (u32, u64)> {
        (0..).zip(self.shared.through.iter().map(|through| through.load(Ordering::Acquire)))
    }

    /// Waits until something arrived or failed since the last call.
    pub async fn changed(&self) {
        self.shared.changed.notified().await;
    }

    /// Why this publisher is of no use any more, if it is not.
    #[must_use]
    pub fn take_failure(&self) -> Option<TopicFault> {
        let failure = self.shared.failure.lock().unwrap_or_else(PoisonError::into_inner).take()?;
        // What ended the client says more than the messages that it threw away for that.
        let fatal = self.producer.as_ref().and_then(|producer| producer.client().fatal_error());
        Some(match fatal {
            Some((code, _)) => TopicFault::of(&self.shared.url, KafkaError::MessageProduction(code)),
            None => failure,
        })
    }
}

impl Drop for Publisher {
    /// The client waits for its threads when it ends: not here.
    fn drop(&mut self) {
        self.watch.abort();
        let producer = self.producer.take();
        drop(tokio::task::spawn_blocking(move || drop(producer)));
    }
}

impl Shared {
    fn fail(&self, fault: TopicFault) {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(fault);
        self.changed.notify_one();
    }
}

/// Headers that grow one by one; the client's own are moved at each step.
struct MessageHeaders(Option<OwnedHeaders>);

impl MessageHeaders {
    fn with_capacity(count: usize) -> MessageHeaders {
        MessageHeaders(Some(OwnedHeaders::new_with_capacity(count)))
    }

    fn add(&mut self, key: &str, value: &str) {
        let grown = self.0.take().map(|headers| headers.insert(Header { key, value: Some(value) }));
        self.0 = grown;
    }

    fn finish(self) -> OwnedHeaders {
        self.0.unwrap_or_default()
    }
}

/// Notes what has arrived.
struct Arrivals(Arc<Shared>);

impl ClientContext for Arrivals {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        note_log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        note_error(&error, reason);
        if error.rdkafka_error_code() == Some(RDKafkaErrorCode::Fatal) {
            self.0.fail(TopicFault::of(&self.0.url, error));
        }
    }
}

impl ProducerContext for Arrivals {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, position: usize) {
        let shared = &self.0;
        let (message, error) = match result {
            Ok(message) => (message, None),
            Err((error, message)) => (message, Some(error)),
        };
        shared.arrived.fetch_add(1, Ordering::Relaxed);
        shared.arrived_bytes.fetch_add((message.key_len() + message.payload_len()) as u64, Ordering::Relaxed);
        match error {
            None => {}
            Some(error) if is_too_large(error) => note_left_out(message.partition(), position),
            Some(error) => return shared.fail(TopicFault::of(&shared.url, error.clone())),
        }
        // Positions arrive in their order: the producer is idempotent. What comes behind a failure does not count.
        let through = usize::try_from(message.partition()).ok().and_then(|partition| shared.through.get(partition));
        if let Some(through) = through
            && shared.failure.lock().unwrap_or_else(PoisonError::into_inner).is_none()
        {
            through.fetch_max(position as u64, Ordering::Release);
        }
        shared.changed.notify_one();
    }
}

fn is_too_large(error: &KafkaError) -> bool {
    error.rdkafka_error_code() == Some(RDKafkaErrorCode::MessageSizeTooLarge)
}

fn note_left_out(partition: i32, position: usize) {
    tracing::warn!(
        partition,
        position,
        "an event is larger than the topic takes (max.message.bytes): it is left out; projections take it from the event store"
    );
}

/// Says when the topic is not the one that was found.
async fn watch(producer: Arc<ThreadedProducer<Arrivals>>, shared: Arc<Shared>, partitions: u32) {
    loop {
        tokio::time::sleep(LOOK).await;
        let (asked, topic) = (Arc::clone(&producer), shared.url.topic().to_owned());
        let found = tokio::task::spawn_blocking(move || admin::partitions_of(asked.client(), &topic)).await;
        let url = shared.url.to_string();
        match found {
            Ok(Ok(found)) if found == partitions => {}
            Ok(Ok(partitions)) => return shared.fail(TopicFault::Changed { url, partitions }),
            Ok(Err(error)) => match TopicFault::of(&shared.url, error) {
                missing @ TopicFault::Missing { .. } => return shared.fail(missing),
                fault => tracing::debug!(%fault, "the topic could not be looked at"),
            },
            Err(_) => return,
        }
    }
}
