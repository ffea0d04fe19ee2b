//! What a new leader looks at before it publishes: the topic (made where it is missing), its last messages, then the store, which
//! must hold the events that they name.

use reel_events::LogPoint;

use super::{
    RelayConfig, RelayError,
    plan::{Standing, Survey, Tail},
    state::Known,
};
use crate::{
    store::{EventStore, StoreError},
    topic::kafka::{self, FoundTopic, Last},
};

/// Surveys topic and store. `passed` is the last event that an earlier leader went through.
pub(super) async fn survey(
    store: &dyn EventStore,
    config: &RelayConfig,
    passed: LogPoint,
) -> Result<(FoundTopic, Survey), RelayError> {
    let found = kafka::find_or_make(&config.topic, config.partitions).await?;
    compare(store, config, found);
    let last = kafka::last_messages(&config.topic, found.partitions).await?;
    for message in last.iter().flatten() {
        check(store, config, message).await?;
    }
    let record = if stands(store, passed).await? { Standing::Stands } else { Standing::Gone };
    let head = store.head().await?;
    let tail = |last: Last| Tail {
        layout: last.placement.layout,
        known: Known { through: last.point.position, last: last.event },
    };
    let tails = last.into_iter().map(|last| last.map(tail)).collect();
    Ok((found, Survey { tails, head, record }))
}

/// Says where the topic is not as it is configured.
fn compare(store: &dyn EventStore, config: &RelayConfig, found: FoundTopic) {
    let (topic, configured) = (&config.topic, config.partitions);
    if found.partitions != configured {
        tracing::warn!(%topic, configured, found = found.partitions, "the topic has another number of partitions; it is used as it is");
    }
    let limit = store.limits().event_bytes;
    if let Some(takes) = found.largest_event().filter(|largest| *largest < limit) {
        tracing::warn!(%topic, limit, takes, "the event store takes larger events than the topic (raise its max.message.bytes)");
    }
}

/// Makes sure that the store holds the event that a message names.
async fn check(store: &dyn EventStore, config: &RelayConfig, message: &Last) -> Result<(), RelayError> {
    let (url, found) = (config.topic.to_string(), message.placement.log);
    if found != store.log_id() {
        return Err(RelayError::OtherLog { url, found, expected: store.log_id() });
    }
    if !stands(store, message.point).await? {
        let LogPoint { position, event } = message.point;
        return Err(RelayError::OtherEvents { url, position, event });
    }
    Ok(())
}

async fn stands(store: &dyn EventStore, point: LogPoint) -> Result<bool, StoreError> {
    Ok(store.point(point.position).await? == Some(point))
}
