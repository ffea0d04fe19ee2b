//! What others do to the topic.

use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;

/// How long the broker may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// A topic, seen from outside.
#[derive(Clone)]
pub(super) struct Topic {
    brokers: String,
    name: String,
}

impl Topic {
    /// The topic at `kafka://brokers/name`.
    pub(super) fn at(url: &str) -> Topic {
        let rest = url.strip_prefix("kafka://").expect("a topic's URL");
        let (brokers, name) = rest.split_once('/').expect("a topic's URL");
        Topic { brokers: brokers.to_owned(), name: name.to_owned() }
    }

    /// Deletes it; false where it is not there, or nobody answers.
    pub(super) async fn delete(&self) -> bool {
        let deleted = self.admin().delete_topics(&[&self.name], &options()).await;
        done(deleted.map(|topics| topics.into_iter().all(|topic| topic.is_ok())))
    }

    /// Doubles its partitions; false where it is not there, or nobody answers.
    pub(super) async fn double(&self) -> bool {
        let Some(partitions) = self.partitions().await else { return false };
        let grown = NewPartitions::new(&self.name, partitions * 2);
        let grown = self.admin().create_partitions([&grown], &options()).await;
        done(grown.map(|topics| topics.into_iter().all(|topic| topic.is_ok())))
    }

    /// How many partitions it has; nothing where it has none, or nobody answers.
    pub(super) async fn partitions(&self) -> Option<usize> {
        let topic = self.clone();
        let asked = tokio::task::spawn_blocking(move || {
            let consumer: BaseConsumer = topic.config().create().expect("a client can be made");
            consumer.fetch_metadata(Some(&topic.name), PATIENCE).map(|found| found.topics()[0].partitions().len())
        });
        asked.await.expect("asking does not panic").ok().filter(|partitions| *partitions > 0)
    }

    fn admin(&self) -> AdminClient<DefaultClientContext> {
        self.config().create().expect("a client can be made")
    }

    fn config(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.brokers);
        config
    }
}

fn options() -> AdminOptions {
    AdminOptions::new().request_timeout(Some(PATIENCE)).operation_timeout(Some(PATIENCE))
}

fn done(answer: Result<bool, KafkaError>) -> bool {
    answer.unwrap_or(false)
}
