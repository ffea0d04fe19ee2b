//! A log, a topic of its own, relays, and what a consumer sees of it.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use rdkafka::{
    Message as _, TopicPartitionList,
    admin::{AdminClient, AdminOptions, AlterConfig, NewPartitions, NewTopic, ResourceSpecifier, TopicReplication},
    client::DefaultClientContext,
    config::ClientConfig,
    consumer::{BaseConsumer, Consumer},
    message::Headers,
    mocking::MockCluster,
    producer::DefaultProducerContext,
    topic_partition_list::Offset,
};
use reel_event_log::{
    EventStore, ExpectedVersion, IdOrigin, Limits, NewCommit, ReadLimit, SqliteStore,
    relay::{
        Pace, Relay, RelayConfig,
        state::{Layout, RelayState, SqliteRelayState},
    },
    topic::kafka::{TopicFault, TopicUrl, find},
};
use reel_events::{
    CanonicalJson, EventKind, LogPoint, NewEvent, StreamId,
    cloud_events::kafka::{self, Placement},
    partition_of,
};
use tempfile::TempDir;
use uuid::Uuid;

pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A pace for tests that wait for leases.
pub(crate) const BRISK: Pace = Pace {
    lease: Duration::from_millis(900),
    look: Duration::from_millis(100),
    quiet: Duration::from_millis(100),
    pause: Duration::from_millis(50),
    longest_pause: Duration::from_millis(500),
};

/// A broker to test against.
pub(crate) enum Broker {
    Mock(MockCluster<'static, DefaultProducerContext>),
    Real(String),
}

impl Broker {
    pub(crate) fn mock() -> Broker {
        Broker::Mock(MockCluster::new(1).unwrap())
    }

    /// The real one; nothing where none is given.
    pub(crate) fn real() -> Option<Broker> {
        given("kafka").map(Broker::Real)
    }

    fn servers(&self) -> String {
        match self {
            Broker::Mock(cluster) => cluster.bootstrap_servers(),
            Broker::Real(servers) => servers.clone(),
        }
    }
}

/// What `REEL_TEST_NAME` says of a listener; nothing where it says nothing, which is a failure where `REEL_TEST_REQUIRE` names it.
pub(crate) fn given(name: &str) -> Option<String> {
    let variable = format!("REEL_TEST_{}", name.to_uppercase());
    let given = std::env::var(&variable).ok();
    if given.is_none() {
        let required = std::env::var("REEL_TEST_REQUIRE").unwrap_or_default();
        assert!(
            !required.split(',').any(|required| required.trim() == name),
            "REEL_TEST_REQUIRE names {name}, but {variable} is not set"
        );
        println!("passed over: {variable} is not set");
    }
    given
}

/// What is found to be wrong in the end: a broker that has just begun takes its time for the first connections.
pub(crate) async fn fault_of(url: &TopicUrl) -> TopicFault {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match find(url).await.unwrap_err() {
            TopicFault::Unavailable { .. } if Instant::now() < deadline => {}
            fault => return fault,
        }
    }
}

/// A log and a topic that only this test uses.
pub(crate) struct Bed {
    broker: Broker,
    pub(crate) store: Arc<dyn EventStore>,
    pub(crate) url: TopicUrl,
    directory: TempDir,
}

impl Bed {
    /// A log, and a topic of so many partitions; none where it is 0.
    pub(crate) async fn new(broker: Broker, partitions: u32) -> Bed {
        let directory = tempfile::tempdir().unwrap();
        let store = Arc::new(SqliteStore::open(directory.path().join("events.db"), Limits::default()).unwrap());
        let url = format!("kafka://{}/reel-test-{}", broker.servers(), Uuid::now_v7()).parse().unwrap();
        let bed = Bed { broker, store, url, directory };
        if partitions > 0 {
            bed.make_topic(partitions).await;
        }
        bed
    }

    pub(crate) async fn make_topic(&self, partitions: u32) {
        let count = i32::try_from(partitions).unwrap();
        match &self.broker {
            Broker::Mock(cluster) => cluster.create_topic(self.url.topic(), count, 1).unwrap(),
            Broker::Real(_) => {
                let topic = NewTopic::new(self.url.topic(), count, TopicReplication::Fixed(1));
                let made = self.admin().create_topics([&topic], &options()).await.unwrap();
                made.into_iter().for_each(|made| drop(made.unwrap()));
            }
        }
    }

    pub(crate) async fn grow_topic(&self, partitions: usize) {
        let grown = NewPartitions::new(self.url.topic(), partitions);
        let done = self.admin().create_partitions([&grown], &options()).await.unwrap();
        done.into_iter().for_each(|done| drop(done.unwrap()));
    }

    /// Makes the topic take no larger batches than this.
    pub(crate) async fn limit_messages(&self, bytes: usize) {
        let bytes = bytes.to_string();
        let change = AlterConfig::new(ResourceSpecifier::Topic(self.url.topic())).set("max.message.bytes", &bytes);
        let done = self.admin().alter_configs([&change], &options()).await.unwrap();
        done.into_iter().for_each(|done| drop(done.unwrap()));
    }

    pub(crate) async fn delete_topic(&self) {
        if let Broker::Real(_) = self.broker {
            delete(&self.url).await;
        }
    }

    pub(crate) fn mock(&self) -> &MockCluster<'static, DefaultProducerContext> {
        match &self.broker {
            Broker::Mock(cluster) => cluster,
            Broker::Real(_) => panic!("a real broker"),
        }
    }

    fn admin(&self) -> AdminClient<DefaultClientContext> {
        client(&self.url).create().unwrap()
    }

    /// What relays of this log share.
    pub(crate) fn state(&self) -> Arc<dyn RelayState> {
        self.state_named("relay.db")
    }

    /// Another state, as nobody shares it.
    pub(crate) fn state_named(&self, name: &str) -> Arc<dyn RelayState> {
        Arc::new(SqliteRelayState::open(self.directory.path().join(name)).unwrap())
    }

    pub(crate) fn relay(&self) -> Relay {
        self.relay_with(self.state())
    }

    pub(crate) fn relay_with(&self, state: Arc<dyn RelayState>) -> Relay {
        let config = RelayConfig { topic: self.url.clone(), partitions: 4, name: "test".to_owned(), pace: BRISK };
        Relay::start(Arc::clone(&self.store), state, config)
    }

    /// Appends `count` events over 50 streams.
    pub(crate) async fn append(&self, count: usize) {
        let commits = (0..count).map(|nth| commit(&format!("post-{}", nth * 7 % 50), "\"text\"")).collect();
        for answer in self.store.append_all(commits).await {
            answer.unwrap();
        }
    }

    pub(crate) async fn append_to(&self, stream: &str) {
        self.store.append(commit(stream, "1")).await.unwrap();
    }

    pub(crate) async fn head(&self) -> LogPoint {
        self.store.head().await.unwrap()
    }

    /// Every event's position and stream.
    pub(crate) async fn log(&self) -> Vec<(u64, String)> {
        let (mut log, mut after) = (Vec::new(), 0);
        loop {
            let batch = self.store.read(after, ReadLimit::events(100_000)).await.unwrap();
            if batch.is_empty() {
                return log;
            }
            log.extend(batch.iter().map(|event| (event.position, event.stream.to_owned())));
            after = log.last().unwrap().0;
        }
    }

    /// All messages of the topic, once `enough` of them are there.
    pub(crate) async fn messages(&self, enough: impl Fn(&[Seen]) -> bool) -> Vec<Seen> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let url = self.url.clone();
            let seen = tokio::task::spawn_blocking(move || read_topic(&url)).await.unwrap();
            if enough(&seen) {
                return seen;
            }
            assert!(Instant::now() < deadline, "{} messages in the topic: {:?}", seen.len(), seen.last());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// All messages, once every partition's reach the log's end.
    pub(crate) async fn whole(&self) -> Vec<Seen> {
        let head = self.head().await.position;
        self.messages(|seen| {
            let reached = last_by_partition(seen);
            !reached.is_empty() && reached.values().all(|position| *position >= head)
        })
        .await
    }

    /// Waits until this relay leads, and the topic holds the log as far as it reaches now.
    pub(crate) async fn caught_up(&self, relay: &Relay) {
        let head = self.head().await.position;
        let mut status = relay.status();
        let reached = status.wait_for(|status| status.leading.is_some_and(|through| through >= head));
        let reached = tokio::time::timeout(PATIENCE, reached).await;
        assert!(reached.is_ok(), "{:?}", relay.status().borrow());
    }
}

/// Deletes a topic of a real broker.
pub(crate) async fn delete(url: &TopicUrl) {
    let admin: AdminClient<DefaultClientContext> = client(url).create().unwrap();
    let deleted = admin.delete_topics(&[url.topic()], &options()).await.unwrap();
    deleted.into_iter().for_each(|deleted| drop(deleted.unwrap()));
}

pub(crate) fn commit(stream: &str, payload: &str) -> NewCommit {
    let event = NewEvent {
        id: Uuid::now_v7(),
        kind: EventKind::new("noted").unwrap(),
        schema: 1,
        recorded_at: None,
        payload: CanonicalJson::trusted(payload),
        metadata: CanonicalJson::default(),
    };
    NewCommit {
        id: Uuid::now_v7(),
        stream: StreamId::new(stream).unwrap(),
        expected: ExpectedVersion::Any,
        digest: [0; 32],
        ids: IdOrigin::Given,
        events: vec![event],
    }
}

/// A message as a consumer sees it.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) partition: u32,
    pub(crate) position: u64,
    pub(crate) placement: Placement,
    /// Nothing for a watermark.
    pub(crate) stream: Option<String>,
}

pub(crate) fn last_by_partition(seen: &[Seen]) -> BTreeMap<u32, u64> {
    let mut last = BTreeMap::new();
    for message in seen {
        let position: &mut u64 = last.entry(message.partition).or_default();
        *position = message.position.max(*position);
    }
    last
}

/// Positions of the events that one consumer takes from each partition, which drops what is at or below its checkpoint. Fails where
/// it would meet a hole.
pub(crate) fn consume(seen: &[Seen], layout: Layout) -> Vec<u64> {
    let mut taken = Vec::new();
    let mut checkpoints = vec![layout.from - 1; layout.partitions as usize];
    for message in seen.iter().filter(|message| message.placement.layout == layout.from) {
        let checkpoint = &mut checkpoints[message.partition as usize];
        if message.position <= *checkpoint {
            continue;
        }
        assert!(message.placement.previous <= *checkpoint, "a hole in front of {message:?}: checkpoint {checkpoint}");
        *checkpoint = message.position;
        if message.stream.is_some() {
            taken.push(message.position);
        }
    }
    taken.sort_unstable();
    taken
}

/// Makes sure that every message tells the truth about the log: its partition, and `previous`.
pub(crate) fn assert_facts(seen: &[Seen], log: &[(u64, String)], layouts: &[Layout]) {
    for message in seen {
        let layout = layouts.iter().find(|layout| layout.from == message.placement.layout).unwrap();
        let of_partition = |(_, stream): &&(u64, String)| partition_of(stream, layout.partitions) == message.partition;
        if let Some(stream) = &message.stream {
            let stands = &log[message.position as usize - 1];
            assert_eq!((&stands.1, partition_of(stream, layout.partitions)), (stream, message.partition));
        }
        let reach = if message.stream.is_some() { message.position - 1 } else { message.position };
        let before = &log[layout.from as usize - 1..reach as usize];
        let previous = before.iter().rev().find(of_partition).map_or(0, |(position, _)| *position);
        assert_eq!(message.placement.previous, previous, "{message:?}");
    }
}

fn client(url: &TopicUrl) -> ClientConfig {
    url.configure(&[("group.id", "reel-test"), ("enable.auto.commit", "false"), ("enable.partition.eof", "true")])
}

fn options() -> AdminOptions {
    AdminOptions::new().operation_timeout(Some(Duration::from_secs(10)))
}

/// Everything in the topic now; nothing where it is not there.
fn read_topic(url: &TopicUrl) -> Vec<Seen> {
    let consumer: BaseConsumer = client(url).create().unwrap();
    let Ok(metadata) = consumer.fetch_metadata(Some(url.topic()), Duration::from_secs(5)) else { return Vec::new() };
    let count = metadata.topics()[0].partitions().len();
    let mut assignment = TopicPartitionList::new();
    for partition in 0..count {
        assignment.add_partition_offset(url.topic(), partition as i32, Offset::Beginning).unwrap();
    }
    consumer.assign(&assignment).unwrap();
    let (mut seen, mut ended) = (Vec::new(), 0);
    let deadline = Instant::now() + Duration::from_secs(10);
    while ended < count && Instant::now() < deadline {
        match consumer.poll(Duration::from_millis(100)) {
            Some(Ok(message)) => {
                let headers = message.headers().unwrap();
                let headers = headers.iter().map(|header| (header.key, header.value.unwrap()));
                let key = message.key().unwrap_or_default();
                let read = kafka::read(key, message.payload().unwrap(), headers).unwrap();
                let stream = match read {
                    kafka::Message::Event(event, _) => Some(event.stream.to_owned()),
                    kafka::Message::Watermark(..) => None,
                };
                let (partition, position) = (message.partition() as u32, read.point().position);
                seen.push(Seen { partition, position, placement: read.placement(), stream });
            }
            Some(Err(rdkafka::error::KafkaError::PartitionEOF(_))) => ended += 1,
            _ => {}
        }
    }
    seen
}
