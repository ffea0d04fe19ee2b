//! A log with a relay that publishes it into a topic of its own.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use reel_event_log::EventStore;
use reel_event_log::relay::state::SqliteRelayState;
use reel_event_log::relay::{Pace, Relay, RelayConfig};
use reel_event_log::topic::kafka::TopicUrl;
use uuid::Uuid;

use crate::error::BenchError;
use crate::store;

/// How long publishing may take.
const PATIENCE: Duration = Duration::from_secs(600);

/// An embedded store, and the relay that publishes it.
pub(crate) struct Relayed {
    pub(crate) store: Arc<dyn EventStore>,
    pub(crate) state: Arc<SqliteRelayState>,
    relay: Relay,
}

/// A topic of which no one else knows the name, on these brokers.
pub(crate) fn own_topic(brokers: &str) -> Result<TopicUrl, BenchError> {
    let url = format!("kafka://{brokers}/reel-bench-{}", Uuid::now_v7());
    url.parse().map_err(BenchError::doing("reading the broker's address"))
}

/// Deletes topics that were measured.
pub(crate) async fn delete(topics: &[&TopicUrl]) -> Result<(), BenchError> {
    let Some(first) = topics.first() else { return Ok(()) };
    let doing = "deleting topics";
    let client: ClientConfig = first.configure(&[]);
    let admin: AdminClient<DefaultClientContext> = client.create().map_err(BenchError::doing(doing))?;
    let names: Vec<&str> = topics.iter().map(|url| url.topic()).collect();
    admin.delete_topics(&names, &AdminOptions::new()).await.map(drop).map_err(BenchError::doing(doing))
}

impl Relayed {
    /// An empty log with its files in `files`, published into `url`, which gets so many partitions.
    pub(crate) async fn new(files: &Path, url: TopicUrl, partitions: u32) -> Result<Relayed, BenchError> {
        let store: Arc<dyn EventStore> = Arc::new(store::open(&files.join("events.db"))?);
        // Where a process with that store looks for it.
        let state = SqliteRelayState::open(files.join("events.db.relay"));
        let state = Arc::new(state.map_err(BenchError::doing("opening the relay's record"))?);
        let config = RelayConfig { topic: url, partitions, name: "bench".to_owned(), pace: Pace::default() };
        let relay = Relay::start(Arc::clone(&store), state.clone(), config);
        Ok(Relayed { store, state, relay })
    }

    /// Waits until the topic holds every event through `position`.
    pub(crate) async fn published(&self, position: u64) -> Result<(), BenchError> {
        let mut status = self.relay.status();
        let through = status.wait_for(|status| status.leading.is_some_and(|through| through >= position));
        match tokio::time::timeout(PATIENCE, through).await {
            Ok(Ok(_)) => Ok(()),
            _ => Err(BenchError::Failed("the relay did not publish everything".into())),
        }
    }

    /// Ends the relay in order.
    pub(crate) async fn stop(self) {
        self.relay.stop().await;
    }
}
