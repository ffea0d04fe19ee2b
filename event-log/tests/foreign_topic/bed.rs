//! A topic of another producer on the real broker, which goes with its test; and what a shard is fed of it.

use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{Offset, TopicPartitionList};
use reel_event_log::topic::foreign::{ForeignFeed, ForeignTopic};
use reel_events::{EventBatch, LogPoint};
use uuid::Uuid;

const PATIENCE: Duration = Duration::from_secs(30);

/// One header and its value.
pub(crate) type Headers<'a> = &'a [(&'a str, &'a str)];

pub(crate) struct Bed {
    brokers: String,
    name: String,
    pub(crate) topic: ForeignTopic,
}

impl Bed {
    /// A topic of so many partitions, read as `how` says; nothing where no broker is given.
    pub(crate) async fn new(partitions: i32, how: &str) -> Option<Bed> {
        let Ok(brokers) = std::env::var("REEL_TEST_KAFKA") else {
            let required = std::env::var("REEL_TEST_REQUIRE").unwrap_or_default();
            let is_required = required.split(',').any(|name| name.trim() == "kafka");
            assert!(!is_required, "REEL_TEST_REQUIRE names kafka, but REEL_TEST_KAFKA is not set");
            println!("passed over: REEL_TEST_KAFKA is not set");
            return None;
        };
        let name = format!("reel-foreign-{}", Uuid::now_v7());
        let url = format!("kafka://{brokers}/{name}?{how}").parse().unwrap();
        let bed = Bed { brokers, name, topic: ForeignTopic::new(&url).unwrap() };
        bed.make(partitions).await;
        Some(bed)
    }

    pub(crate) async fn make(&self, partitions: i32) {
        let topic = NewTopic::new(&self.name, partitions, TopicReplication::Fixed(1));
        let made = admin(&self.brokers).create_topics([&topic], &options()).await.unwrap();
        made.into_iter().for_each(|made| drop(made.unwrap()));
        self.until(|ends| ends == Some(partitions as usize)).await;
    }

    pub(crate) async fn delete(&self) {
        let deleted = admin(&self.brokers).delete_topics(&[&self.name], &options()).await.unwrap();
        deleted.into_iter().for_each(|deleted| drop(deleted.unwrap()));
        self.until(|ends| ends.is_none()).await;
    }

    /// Waits until the topic has as many partitions as `is` takes.
    async fn until(&self, is: impl Fn(Option<usize>) -> bool) {
        let seen = async {
            while !is(self.topic.ends().await.ok().map(|ends| ends.len())) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(PATIENCE, seen).await.unwrap();
    }

    /// Deletes the messages of a partition in front of `offset`, as retention would.
    pub(crate) async fn forget(&self, partition: i32, offset: i64) {
        let mut before = TopicPartitionList::new();
        before.add_partition_offset(&self.name, partition, Offset::Offset(offset)).unwrap();
        admin(&self.brokers).delete_records(&before, &options()).await.unwrap();
    }

    pub(crate) fn producer(&self, settings: &[(&str, &str)]) -> BaseProducer {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.brokers);
        for (name, value) in settings {
            config.set(*name, *value);
        }
        config.create().unwrap()
    }

    /// Publishes one message and waits until the broker has it.
    pub(crate) fn publish(&self, partition: i32, key: Option<&str>, value: Option<&[u8]>, headers: Headers<'_>) {
        let producer = self.producer(&[]);
        self.send(&producer, partition, (key, value), headers);
        producer.flush(PATIENCE).unwrap();
    }

    pub(crate) fn send(
        &self,
        producer: &BaseProducer,
        partition: i32,
        (key, value): (Option<&str>, Option<&[u8]>),
        headers: Headers<'_>,
    ) {
        let all = headers
            .iter()
            .fold(OwnedHeaders::new(), |all, (key, value)| all.insert(Header { key, value: Some(*value) }));
        let mut record: BaseRecord<'_, str, [u8]> = BaseRecord::to(&self.name).partition(partition).headers(all);
        record.key = key;
        record.payload = value;
        producer.send(record).map_err(|(error, _)| error).unwrap();
    }

    pub(crate) fn feed(&self, partition: u32, at: LogPoint) -> ForeignFeed {
        ForeignFeed::new(self.topic.clone(), partition, at)
    }
}

impl Drop for Bed {
    fn drop(&mut self) {
        let (brokers, name) = (self.brokers.clone(), self.name.clone());
        let gone = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async { drop(admin(&brokers).delete_topics(&[&name], &options()).await) });
        });
        // A test that has failed has said so already.
        drop(gone.join());
    }
}

fn admin(brokers: &str) -> AdminClient<DefaultClientContext> {
    ClientConfig::new().set("bootstrap.servers", brokers).create().unwrap()
}

fn options() -> AdminOptions {
    AdminOptions::new().operation_timeout(Some(PATIENCE)).request_timeout(Some(PATIENCE))
}

/// All events up to a position, and where the shard stands then.
pub(crate) async fn fed(feed: &mut ForeignFeed, position: u64, most: usize) -> (EventBatch, LogPoint) {
    let (mut events, mut through) = (EventBatch::new(), LogPoint::START);
    let all = async {
        while through.position < position {
            let fed = feed.next(most).await.unwrap();
            assert!(fed.events.len() <= most && fed.head >= fed.through.position);
            if events.is_empty() {
                events = fed.events.like();
            }
            events.append(&fed.events, 0..fed.events.len());
            through = fed.through;
        }
    };
    tokio::time::timeout(PATIENCE, all).await.unwrap();
    (events, through)
}

/// What the next call says is wrong.
pub(crate) async fn refusal(feed: &mut ForeignFeed) -> String {
    let error = tokio::time::timeout(PATIENCE, feed.next(10)).await.unwrap().unwrap_err();
    assert!(matches!(error, reel_event_log::topic::foreign::ForeignError::Changed(_)), "{error}");
    error.to_string()
}
