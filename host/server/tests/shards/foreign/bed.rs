//! A topic that somebody else writes, a read database, and as many hosts as a case wants.

use std::sync::Arc;
use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use reel_event_log::topic::foreign::{ForeignLog, ForeignTopic};
use reel_events::partition_of;
use reel_host::{Deployment, Host, HostConfig, Hosts, Targets, Topic};
use reel_plugin::{Engine, EngineConfig};
use reel_projector::ports::FailurePolicy;
use reel_read_model::{Condition, Generation, Promotion, Target};
use tempfile::TempDir;
use uuid::Uuid;

use crate::bed::{admin, deployment, given, until};
use crate::posts::happening;

const PATIENCE: Duration = Duration::from_secs(20);

pub(super) struct ForeignBed {
    pub(super) topic: ForeignTopic,
    partitions: u32,
    server: String,
    database: String,
    engine: Engine,
    producer: BaseProducer,
    _folder: TempDir,
}

impl ForeignBed {
    /// A topic of CloudEvents with so many partitions; nothing where a server is not given.
    pub(super) async fn new(partitions: u32) -> Option<ForeignBed> {
        let (brokers, server) = (given("KAFKA")?, given("POSTGRES")?);
        let url = format!("kafka://{brokers}/reel-foreign-{}?foreign=cloudevents", Uuid::now_v7()).parse().unwrap();
        let topic = ForeignTopic::new(&url).unwrap();
        let database = format!("reel_foreign_{}", Uuid::new_v4().simple());
        admin(&server, &format!("CREATE DATABASE {database} ENCODING 'UTF8' TEMPLATE template0")).await;
        let folder = tempfile::tempdir().unwrap();
        let cache_dir = Some(folder.path().join("cache"));
        let engine = Engine::new(EngineConfig { cache_dir, ..EngineConfig::default() }).unwrap();
        let producer = url.configure(&[]).create().unwrap();
        let bed = ForeignBed { topic, partitions, server, database, engine, producer, _folder: folder };
        let new = NewTopic::new(url.topic(), partitions as i32, TopicReplication::Fixed(1));
        let made = bed.admin().create_topics([&new], &options()).await.unwrap();
        made.into_iter().for_each(|made| drop(made.unwrap()));
        bed.has_partitions(partitions as usize).await;
        Some(bed)
    }

    pub(super) async fn grow(&self, partitions: usize) {
        let grown = NewPartitions::new(self.topic.url().topic(), partitions);
        let done = self.admin().create_partitions([&grown], &options()).await.unwrap();
        done.into_iter().for_each(|done| drop(done.unwrap()));
        self.has_partitions(partitions).await;
    }

    async fn has_partitions(&self, partitions: usize) {
        until("the topic", async || self.topic.ends().await.ok().filter(|ends| ends.len() == partitions).map(drop))
            .await;
    }

    fn admin(&self) -> AdminClient<DefaultClientContext> {
        self.topic.url().configure(&[]).create().unwrap()
    }

    /// A host of its own connections; it runs at once.
    pub(super) async fn host(&self) -> (Host, Arc<dyn Target>) {
        let url = format!("{}/{}", self.server.rsplit_once('/').unwrap().0, self.database);
        let target = reel_read_model::open("default", &url).await.unwrap();
        let topic = Topic::Foreign(self.topic.clone());
        let config = HostConfig { topic, hosts: Hosts::Several, ..HostConfig::new(|_| Ok(())) };
        let log = Arc::new(ForeignLog::open(&self.topic).await.unwrap());
        let host = Host::new(log, Targets::new(vec![Arc::clone(&target)]), self.engine.clone(), config);
        host.start().await.unwrap();
        (host, target)
    }

    /// Lets things happen to posts, round after round, as CloudEvents in binary mode.
    pub(super) fn happen(&self, posts: usize, rounds: std::ops::Range<usize>) {
        for (round, post) in rounds.flat_map(|round| (0..posts).map(move |post| (round, post))) {
            let event = happening(post, round).events.remove(0);
            self.send(post, Some(event.payload.as_str().as_bytes()), event.kind.as_str());
        }
        self.producer.flush(PATIENCE).unwrap();
    }

    /// Publishes something about a post whose value is this.
    pub(super) fn publish(&self, post: usize, value: &[u8], kind: &str) {
        self.send(post, Some(value), kind);
        self.producer.flush(PATIENCE).unwrap();
    }

    fn send(&self, post: usize, value: Option<&[u8]>, kind: &str) {
        let (key, id) = (post.to_string(), Uuid::now_v7().to_string());
        let attributes = [("ce_specversion", "1.0"), ("ce_id", &id), ("ce_source", "/shop"), ("ce_type", kind)];
        let headers = attributes
            .iter()
            .fold(OwnedHeaders::new(), |headers, (key, value)| headers.insert(Header { key, value: Some(*value) }));
        let mut record = BaseRecord::to(self.topic.url().topic()).key(&key).headers(headers);
        record = record.partition(self.partition(post) as i32);
        record.payload = value;
        self.producer.send(record).map_err(|(error, _)| error).unwrap();
    }

    /// Which partition a post's messages are in.
    pub(super) fn partition(&self, post: usize) -> u32 {
        partition_of(&format!("p-{post}"), self.partitions)
    }

    /// Waits until every shard has passed what are the partitions' ends now.
    pub(super) async fn reached(&self, target: &Arc<dyn Target>, generation: &Generation) {
        let ends = self.topic.ends().await.unwrap();
        until("the ends of all partitions", async || {
            let checkpoints = target.checkpoints(generation.id).await.unwrap();
            let reached =
                checkpoints.iter().zip(&*ends).all(|(checkpoint, ends)| checkpoint.point.position >= ends.end);
            (reached && checkpoints.len() == ends.len()).then_some(())
        })
        .await;
    }

    pub(super) async fn end(self, hosts: &[&Host]) {
        for host in hosts {
            host.stop().await;
        }
        drop(self.admin().delete_topics(&[self.topic.url().topic()], &options()).await);
        admin(&self.server, &format!("DROP DATABASE {} WITH (FORCE)", self.database)).await;
    }
}

fn options() -> AdminOptions {
    AdminOptions::new().operation_timeout(Some(PATIENCE)).request_timeout(Some(PATIENCE))
}

/// The posts example under a policy, live by itself.
pub(super) fn under(policy: FailurePolicy) -> Deployment {
    Deployment { on_failure: Some(policy), ..deployment(Promotion::Automatic) }
}

/// Where and why a generation halted.
pub(super) async fn halted(target: &Arc<dyn Target>, number: u32) -> (String, String, String) {
    until("the halt", async || {
        let all = target.generations().await.unwrap();
        match all.into_iter().find(|generation| generation.number == number)?.condition {
            Condition::Halted { position, code, message, .. } => {
                Some((position.map(|position| position.to_string()).unwrap_or_default(), code, message))
            }
            _ => None,
        }
    })
    .await
}
