//! One log with its relay and topic, one read database, and as many hosts as a case wants.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions};
use rdkafka::client::DefaultClientContext;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord};
use reel_event_log::relay::state::{RelayState, SqliteRelayState};
use reel_event_log::relay::{Pace, Relay, RelayConfig};
use reel_event_log::topic::kafka::TopicUrl;
use reel_event_log::{EventStore, Limits, ReadLimit, SqliteStore};
use reel_events::cloud_events::kafka::{self, Placement};
use reel_events::{EventRef, partition_of};
use reel_host::{Deployment, Host, HostConfig, Hosts, KafkaTopic, ProjectionRef, Targets, Topic};
use reel_plugin::{Engine, EngineConfig};
use reel_projector::{Value, ports::FailurePolicy};
use reel_read_model::{Count, Generation, GenerationState, Pointer, Promotion, Query, Target};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tempfile::TempDir;
use uuid::Uuid;

use crate::posts::{self, Posts, happening};

/// What the name of the second read database ends in.
const OTHER: &str = "_other";

/// How long anything that a case waits for may take.
const PATIENCE: Duration = Duration::from_secs(90);

pub(crate) struct Bed {
    pub(crate) store: Arc<dyn EventStore>,
    topic: KafkaTopic,
    relay: Option<Relay>,
    server: String,
    database: String,
    engine: Engine,
    _folder: TempDir,
}

impl Bed {
    /// A log, and a topic of so many partitions that its relay makes; nothing where a server is not given.
    pub(crate) async fn new(partitions: u32) -> Option<Bed> {
        let (brokers, server) = (given("KAFKA")?, given("POSTGRES")?);
        let folder = tempfile::tempdir().unwrap();
        let store: Arc<dyn EventStore> =
            Arc::new(SqliteStore::open(folder.path().join("events.db"), Limits::default()).unwrap());
        let relay: Arc<dyn RelayState> = Arc::new(SqliteRelayState::open(folder.path().join("relay.db")).unwrap());
        let url: TopicUrl = format!("kafka://{brokers}/reel-host-{}", Uuid::now_v7()).parse().unwrap();
        let database = format!("reel_host_{}", Uuid::new_v4().simple());
        admin(&server, &format!("CREATE DATABASE {database} ENCODING 'UTF8' TEMPLATE template0")).await;
        let cache_dir = Some(folder.path().join("cache"));
        let engine = Engine::new(EngineConfig { cache_dir, ..EngineConfig::default() }).unwrap();
        let topic = KafkaTopic { url, relay };
        let mut bed = Bed { store, topic, relay: None, server, database, engine, _folder: folder };
        bed.start_relay(partitions);
        Some(bed)
    }

    pub(crate) async fn stop_relay(&mut self) {
        if let Some(relay) = self.relay.take() {
            relay.stop().await;
        }
    }

    pub(crate) async fn delete_topic(&self) {
        let deleted = self.admin().delete_topics(&[self.topic.url.topic()], &AdminOptions::new()).await.unwrap();
        deleted.into_iter().for_each(|deleted| drop(deleted.unwrap()));
    }

    pub(crate) async fn grow_topic(&self, partitions: usize) {
        let grown = NewPartitions::new(self.topic.url.topic(), partitions);
        let done = self.admin().create_partitions([&grown], &AdminOptions::new()).await.unwrap();
        done.into_iter().for_each(|done| drop(done.unwrap()));
    }

    fn admin(&self) -> AdminClient<DefaultClientContext> {
        self.topic.url.configure(&[]).create().unwrap()
    }

    /// A message without any header.
    pub(crate) async fn produce_noise(&self, partition: u32) {
        self.produce(partition, ("noise", "noise"), OwnedHeaders::new()).await;
    }

    /// An event behind the log's end that nobody appended, as a relay would have written it.
    pub(crate) async fn forge(&self, stream: &str, partitions: u32) {
        let head = self.store.head().await.unwrap().position;
        let partition = partition_of(stream, partitions);
        let log = self.store.read(0, ReadLimit::events(100_000)).await.unwrap();
        let own = log.iter().filter(|event| partition_of(event.stream, partitions) == partition);
        let last = own.last().unwrap();
        let event = EventRef { position: head + 1, version: last.version + 1, id: Uuid::now_v7(), ..last };
        let event = EventRef { stream, kind: "post-liked", payload: "{}", ..event };
        let placement = Placement { log: self.store.log_id(), previous: last.position, layout: 1 };
        let mut headers = OwnedHeaders::new();
        kafka::write(event, placement, |key, value| {
            headers = std::mem::take(&mut headers).insert(Header { key, value: Some(value) });
        });
        self.produce(partition, (stream, event.payload), headers).await;
    }

    async fn produce(&self, partition: u32, (key, payload): (&str, &str), headers: OwnedHeaders) {
        let producer: FutureProducer = self.topic.url.configure(&[]).create().unwrap();
        let record = FutureRecord::to(self.topic.url.topic()).partition(partition as i32);
        let record = record.key(key).payload(payload).headers(headers);
        producer.send(record, Duration::from_secs(10)).await.unwrap();
    }

    pub(crate) fn start_relay(&mut self, partitions: u32) {
        let config =
            RelayConfig { topic: self.topic.url.clone(), partitions, name: "test".to_owned(), pace: Pace::default() };
        let state = Arc::clone(&self.topic.relay);
        self.relay = Some(Relay::start(Arc::clone(&self.store), state, config));
    }

    /// A host of its own connections to the read database; it runs at once.
    pub(crate) async fn host(&self) -> (Host, Arc<dyn Target>) {
        self.host_on(Topic::Kafka(self.topic.clone())).await
    }

    /// The same with another topic.
    pub(crate) async fn host_on(&self, topic: Topic) -> (Host, Arc<dyn Target>) {
        let target = reel_read_model::open("default", &self.url("")).await.unwrap();
        self.start(topic, vec![target]).await
    }

    /// A host that has a second read database, which is called `other`: see [`Bed::add_other`].
    pub(crate) async fn host_with_other(&self) -> (Host, Arc<dyn Target>) {
        let target = reel_read_model::open("default", &self.url("")).await.unwrap();
        let other = reel_read_model::open("other", &self.url(OTHER)).await.unwrap();
        self.start(Topic::Kafka(self.topic.clone()), vec![target, other]).await
    }

    /// Makes the second read database.
    pub(crate) async fn add_other(&self) {
        let database = format!("{}{OTHER}", self.database);
        admin(&self.server, &format!("CREATE DATABASE {database} ENCODING 'UTF8' TEMPLATE template0")).await;
    }

    fn url(&self, suffix: &str) -> String {
        format!("{}/{}{suffix}", self.server.rsplit_once('/').unwrap().0, self.database)
    }

    async fn start(&self, topic: Topic, targets: Vec<Arc<dyn Target>>) -> (Host, Arc<dyn Target>) {
        let default = Arc::clone(&targets[0]);
        let config = HostConfig { topic, hosts: Hosts::Several, ..HostConfig::new(|_| Ok(())) };
        let host = Host::new(Arc::clone(&self.store), Targets::new(targets), self.engine.clone(), config);
        host.start().await.unwrap();
        (host, default)
    }

    /// Lets things happen to posts, round after round.
    pub(crate) async fn happen(&self, posts: usize, rounds: std::ops::Range<usize>) {
        for round in rounds {
            let commits = (0..posts).map(|post| happening(post, round)).collect();
            for answer in self.store.append_all(commits).await {
                answer.unwrap();
            }
        }
    }

    /// Somebody changes rows behind the hosts' backs.
    pub(crate) async fn spoil(&self, sql: &str) {
        admin(&self.url(""), sql).await;
    }

    pub(crate) async fn end(mut self, hosts: &[&Host]) {
        for host in hosts {
            host.stop().await;
        }
        self.stop_relay().await;
        self.delete_topic().await;
        for suffix in ["", OTHER] {
            let database = format!("{}{suffix}", self.database);
            admin(&self.server, &format!("DROP DATABASE IF EXISTS {database} WITH (FORCE)")).await;
        }
    }
}

pub(crate) fn given(name: &str) -> Option<String> {
    let given = std::env::var(format!("REEL_TEST_{name}")).ok().filter(|given| !given.is_empty());
    if given.is_none() {
        let required = std::env::var("REEL_TEST_REQUIRE").unwrap_or_default();
        let named = required.split(',').any(|required| required.trim().eq_ignore_ascii_case(name));
        assert!(!named, "REEL_TEST_REQUIRE names {name}, but REEL_TEST_{name} is not set");
        println!("passed over: REEL_TEST_{name} is not set");
    }
    given
}

pub(crate) async fn admin(server: &str, sql: &str) {
    let mut connection = PgConnection::connect(server).await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

/// The posts example, as it is to be deployed.
pub(crate) fn deployment(promotion: Promotion) -> Deployment {
    Deployment {
        component: Some(posts::component()),
        name: None,
        target: None,
        settings: None,
        on_failure: Some(FailurePolicy::Halt),
        promotion,
        until: None,
    }
}

pub(crate) fn named(text: &str) -> ProjectionRef {
    text.parse().unwrap()
}

/// Waits until `look` finds something.
pub(crate) async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(Instant::now() < deadline, "{what}: not within {PATIENCE:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Waits until the generation is in this state.
pub(crate) async fn in_state(target: &Arc<dyn Target>, number: u32, state: GenerationState) -> Generation {
    until(&format!("posts@{number} {state:?}"), async || {
        let all = target.generations().await.unwrap();
        let found = all.into_iter().find(|generation| generation.number == number);
        let found = found.filter(|generation| generation.state == state);
        found.filter(|generation| generation.condition == reel_read_model::Condition::Running)
    })
    .await
}

/// Waits until every shard has passed what is the log's end now.
pub(crate) async fn reached(store: &Arc<dyn EventStore>, target: &Arc<dyn Target>, generation: &Generation) {
    let head = store.head().await.unwrap().position;
    until("the log's end", async || {
        let checkpoints = target.checkpoints(generation.id).await.unwrap();
        let lowest = checkpoints.iter().map(|checkpoint| checkpoint.point.position).min();
        lowest.filter(|lowest| *lowest >= head)
    })
    .await;
}

/// The rows of table `posts`.
pub(crate) async fn rows(target: &Arc<dyn Target>, generation: &Generation) -> Posts {
    let table = &generation.manifest.tables[0];
    let column = |name: &str| table.columns.iter().position(|column| column.name == name).unwrap() as u16;
    let select = ["id", "author", "likes", "comments"].map(column).to_vec();
    let query = Query { table: 0, select, filter: None, order: Vec::new(), limit: None, offset: 0, count: Count::None };
    let mut answer = target.query(generation, Pointer::Fixed, &query).await.unwrap();
    let mut rows = Posts::new();
    while let Some(piece) = answer.rows.recv().await {
        for row in piece.unwrap() {
            let [Value::Text(id), Value::Text(author), Value::Int(likes), Value::Int(comments)] = &row[..] else {
                panic!("{row:?}")
            };
            rows.insert(id.to_string(), (author.to_string(), *likes, *comments));
        }
    }
    rows
}
