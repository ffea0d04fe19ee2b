//! The topic, where it is Kafka: the relay that fills it, or that somebody else does, and whether it answers.

use std::sync::Arc;
use std::time::Duration;

use reel_event_log::EventStore;
use reel_event_log::relay::state::{RecentRelayState, RelayState, open_relay_state};
use reel_event_log::relay::{Pace, Relay, RelayConfig};
use reel_event_log::topic::foreign::{ForeignLog, ForeignTopic};
use reel_event_log::topic::kafka::{TopicUrl, find};
use reel_host::KafkaTopic;
use reel_projector::chain;
use tokio::sync::watch;

use super::opening::{Failed, open_store, store_failed, with_patience};
use super::readiness::{Need, Readiness, Weight};
use crate::config::{Address, Config, Topic};
use crate::error::CliError;

/// How often the topic is looked at.
const PERIOD: Duration = Duration::from_secs(5);
/// How old a host's knowledge of the layouts may be: all its generations look once a second.
const LAYOUTS_HOLD: Duration = Duration::from_millis(500);

/// Starts a relay where the topic is Kafka. It makes the topic where it is missing, and tries again whatever fails.
pub(super) async fn start_relay(
    config: &Config,
    readiness: &Readiness,
    store: Arc<dyn EventStore>,
) -> Result<Option<Relay>, CliError> {
    let Topic::Kafka(url) = &config.topic else { return Ok(None) };
    let state = open_record(config).await?;
    let relay = Relay::start(
        store,
        state,
        RelayConfig {
            topic: url.clone(),
            partitions: config.topic_partitions,
            name: std::env::var("HOSTNAME").unwrap_or_else(|_| "reel".into()),
            pace: Pace::default(),
        },
    );
    let need = readiness.need("relay", &Address::from(url.to_string()), Weight::Needed);
    readiness.opened(need, Need::Relay(relay.status()));
    watch(config, readiness);
    Ok(Some(relay))
}

/// What a host is fed by.
pub(super) async fn of_host(config: &Config) -> Result<reel_host::Topic, CliError> {
    match &config.topic {
        Topic::Local => Ok(reel_host::Topic::Store),
        Topic::Kafka(url) => {
            let relay = Arc::new(RecentRelayState::new(open_record(config).await?, LAYOUTS_HOLD));
            Ok(reel_host::Topic::Kafka(KafkaTopic { url: url.clone(), relay }))
        }
        Topic::Foreign(url) => Ok(reel_host::Topic::Foreign(foreign(url))),
    }
}

fn foreign(url: &TopicUrl) -> ForeignTopic {
    ForeignTopic::new(url).expect("the configuration has looked how it is read")
}

/// The log of a host: the event store, or what another producer's topic is instead.
pub(super) async fn open_log(config: &Config, readiness: &Readiness) -> Result<Arc<dyn EventStore>, CliError> {
    let Topic::Foreign(url) = &config.topic else { return open_store(config, readiness).await };
    let topic = foreign(url);
    let failed = |error| Failed::passing("the topic cannot be followed", &error);
    Ok(Arc::new(with_patience(async || ForeignLog::open(&topic).await.map_err(failed)).await?))
}

/// What relays wrote down, beside the event store.
async fn open_record(config: &Config) -> Result<Arc<dyn RelayState>, CliError> {
    let store = &config.store;
    let opening = async || open_relay_state(store.whole()).await.map_err(|error| store_failed(store, error));
    with_patience(opening).await
}

/// Looks at the topic every few seconds, where it is Kafka: a process that needs it is not ready while it does not answer.
pub(super) fn watch(config: &Config, readiness: &Readiness) {
    let (url, largest) = match &config.topic {
        Topic::Local => return,
        Topic::Kafka(url) => (url, config.limits.event_bytes),
        // What it takes is for its producers to know.
        Topic::Foreign(url) => (url, 0),
    };
    let (seen, look) = watch::channel(Err("not looked at yet".to_owned()));
    let need = readiness.need("topic", &Address::from(url.to_string()), Weight::Needed);
    readiness.opened(need, Need::Topic(look));
    let url = url.clone();
    tokio::spawn(async move {
        // Nobody looks at it any more once the process ends.
        while !seen.is_closed() {
            let found = look_at(&url, largest).await;
            let before = seen.send_replace(found.clone());
            if let Err(why) = &found
                && before != found
            {
                tracing::warn!("{why}");
            }
            tokio::time::sleep(PERIOD).await;
        }
    });
}

/// Whether it is there; an event that the store takes must fit into it.
async fn look_at(url: &TopicUrl, largest: usize) -> Result<(), String> {
    let found = find(url).await.map_err(|error| chain(&error))?;
    match found.largest_event() {
        Some(most) if most < largest => Err(format!(
            "the topic {url} takes events of {most} bytes, the event store of {largest}: raise the topic's max.message.bytes, or lower \
             limits.event-bytes to {most}"
        )),
        _ => Ok(()),
    }
}
