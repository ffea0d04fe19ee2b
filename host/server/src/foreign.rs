//! What is different where events come from another producer's topic: a generation is not built from history, it begins at the start of
//! each partition; how far there is to go, each partition says for itself; and what needs history is refused by name.
//!
//! Not here: how partitions are shared and followed (`shards`), how messages are read (`event-log`).

use std::sync::Arc;

use reel_event_log::topic::foreign::{ForeignError, ForeignFeed, ForeignTopic, PartitionEnds};
use reel_events::{EventBatch, LogPoint, Place};
use reel_projector::manifest::Order;
use reel_projector::{Checkpoint, Failure, Manifest, Phase, chain};
use reel_read_model::{Generation, Loaded, Target};

use crate::build::Built;
use crate::config::Topic;
use crate::error::HostError;
use crate::host::Host;
use crate::runner::{Ended, Run, passing};

/// How many messages are read at once where single ones are looked for.
const MESSAGES: usize = 5_000;

impl Host {
    /// The topic, where it is another producer's.
    pub(crate) fn foreign(&self) -> Option<&ForeignTopic> {
        match &self.inner.config.topic {
            Topic::Foreign(topic) => Some(topic),
            Topic::Store | Topic::Kafka(_) => None,
        }
    }

    /// Refuses what needs events by their positions, where there are none.
    pub(crate) fn needs_history(&self, what: &str) -> Result<(), HostError> {
        let Some(topic) = self.foreign() else { return Ok(()) };
        Err(HostError::Refused(format!(
            "{what} needs the log's history, and {} is another producer's topic, which is only followed: its messages have no position \
             that holds for all of them, and it keeps them as long as it likes",
            topic.url()
        )))
    }

    /// Refuses what cannot follow a topic whose partitions have no order among them.
    pub(crate) fn can_follow(&self, manifest: &Manifest) -> Result<(), HostError> {
        self.foreign().map_or(Ok(()), |topic| check_order(topic, manifest))
    }

    /// Events of one partition at the places named, in order, as they are read now.
    pub(crate) async fn messages(&self, topic: &ForeignTopic, places: &[Place]) -> Result<EventBatch, HostError> {
        let (Some(first), Some(last)) = (places.first(), places.last()) else { return Ok(EventBatch::new()) };
        let partition = first.partition().unwrap_or_default();
        let before = LogPoint { position: first.position() - 1, event: uuid::Uuid::nil() };
        let mut feed = ForeignFeed::new(topic.clone(), partition, before);
        let (mut found, mut at) = (EventBatch::of_partition(partition), 0);
        while at < last.position() {
            let fed = feed.next(MESSAGES).await.map_err(not_read)?;
            for index in 0..fed.events.len() {
                if places.binary_search(&fed.events.place(index)).is_ok() {
                    found.append(&fed.events, index..index + 1);
                }
            }
            at = fed.through.position;
        }
        if found.len() == places.len() {
            return Ok(found);
        }
        let (held, there) = (places.len(), found.len());
        Err(HostError::Conflict(format!(
            "{} holds {there} of the {held} messages of the stream that are to be applied: the others were deleted",
            topic.url()
        )))
    }
}

fn check_order(topic: &ForeignTopic, manifest: &Manifest) -> Result<(), HostError> {
    if manifest.order == Order::ByStream {
        return Ok(());
    }
    Err(HostError::Refused(format!(
        "the projection reads all streams in one order (order global), and {} has none: it is another producer's topic, whose messages \
         are in order within a partition only. Give the projection the order by-stream",
        topic.url()
    )))
}

fn not_read(error: ForeignError) -> HostError {
    match error {
        ForeignError::Changed(why) => HostError::Conflict(why),
        error @ ForeignError::Unavailable(_) => {
            HostError::Unavailable { action: "reading the topic", source: error.into() }
        }
    }
}

/// How far a generation is, counted in offsets of all partitions together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Way {
    /// Behind it.
    pub(crate) gone: u64,
    /// In front of it.
    pub(crate) left: u64,
}

impl Way {
    /// What lies behind and in front of these checkpoints; what was deleted before a shard began is neither.
    pub(crate) fn of(checkpoints: &[Checkpoint], ends: &[PartitionEnds]) -> Way {
        let each = checkpoints.iter().zip(ends);
        each.fold(Way::default(), |way, (checkpoint, ends)| {
            let position = checkpoint.point.position;
            Way { gone: way.gone + position, left: way.left + ends.end.saturating_sub(position.max(ends.start)) }
        })
    }
}

/// Whether every shard is at or past these ends.
pub(crate) fn has_reached(checkpoints: &[Checkpoint], ends: &[PartitionEnds]) -> bool {
    checkpoints.len() == ends.len() && Way::of(checkpoints, ends).left == 0
}

impl Run {
    /// Makes a generation ready to follow a topic from its start: empty tables with their keys, and a shard for each partition.
    pub(crate) async fn lay_out(&self, topic: &ForeignTopic) -> Result<Built, Ended> {
        self.same_topic(topic)?;
        let ends = topic.ends().await.map_err(|error| Ended::Passing(chain(&error)))?;
        let checkpoint = self.take_over().await?;
        self.progress.begin(0);
        self.progress.enter(Phase::Indexing);
        fill_with_nothing(&self.target, &self.generation, checkpoint, ends.len() as u32).await?;
        tracing::info!(topic = %topic.url(), shards = ends.len(), "laid out");
        self.progress.enter(Phase::Following);
        Ok(Built::Whole)
    }

    /// The topic must be the one that the generation was made for.
    pub(crate) fn same_topic(&self, topic: &ForeignTopic) -> Result<(), Ended> {
        let (log, found) = (self.generation.log, self.host.inner.store.log_id());
        if log == found {
            return Ok(());
        }
        let message = format!(
            "the generation was made from log {log}, and the topic {} is log {found}: give the topic that it was made from, or \
             deploy again (--accept-new-log replays everything)",
            topic.url()
        );
        Err(halted("log-changed", message))
    }

    /// Every partition has its shard: where their number changes, keys change partitions, and with them the order of their messages.
    pub(crate) fn same_partitions(&self, topic: &ForeignTopic, shards: u32, found: u32) -> Result<(), Ended> {
        if shards == found {
            return Ok(());
        }
        let message = format!(
            "{} has {found} partitions, and had {shards} when the projection began: its keys go to other partitions now, so that rows \
             could be written by two shards at once. Replay the projection, once no message in front of the change is still to be \
             read",
            topic.url()
        );
        Err(halted("partitions-changed", message))
    }
}

fn halted(code: &str, message: String) -> Ended {
    Ended::Halted(Failure { position: None, stream: None, kind: None, code: code.into(), message })
}

async fn fill_with_nothing(
    target: &Arc<dyn Target>,
    generation: &Generation,
    checkpoint: Checkpoint,
    shards: u32,
) -> Result<(), Ended> {
    let load = target.bulk_load(generation, checkpoint.epoch).await.map_err(passing)?;
    for table in 0..generation.manifest.tables.len() {
        load.index(table as u16).await.map_err(|error| Ended::Passing(chain(&error)))?;
    }
    let loaded = Loaded { through: LogPoint::START, layout: checkpoint.layout, shards, dead_letters: &[] };
    load.finish(loaded).await.map(drop).map_err(|error| Ended::Passing(chain(&error)))
}

#[cfg(test)]
mod tests {
    use reel_events::LogId;
    use uuid::Uuid;

    use super::*;

    fn at(position: u64) -> Checkpoint {
        let point = LogPoint { position, event: Uuid::nil() };
        Checkpoint { log: LogId(Uuid::nil()), point, layout: 0, epoch: 1 }
    }

    fn ends(all: &[(u64, u64)]) -> Vec<PartitionEnds> {
        all.iter().map(|(start, end)| PartitionEnds { start: *start, end: *end }).collect()
    }

    #[test]
    fn a_projection_of_global_order_is_refused() {
        let topic = ForeignTopic::new(&"kafka://a:1/orders?foreign=cloudevents".parse().unwrap()).unwrap();
        let check = |order: &str| {
            let manifest = format!(
                r#"{{"manifest":1,"name":"a","version":"1.0.0","order":"{order}","kinds":["*"],"tables":[{{"name":"t",
                "columns":[{{"name":"id","type":"text","length":36}}],"key":["id"]{}}}]}}"#,
                if order == "global" { "" } else { r#","owner":{"column":"id","holds":"stream-key"}"# }
            );
            check_order(&topic, &Manifest::parse(&manifest).unwrap()).map_err(|error| error.to_string())
        };
        assert_eq!(check("by-stream"), Ok(()));
        assert!(check("global").unwrap_err().contains("kafka://a:1/orders has none"));
    }

    #[test]
    fn the_way_is_counted_in_all_partitions_and_what_was_deleted_is_none_of_it() {
        let all = ends(&[(0, 10), (5, 7), (0, 0)]);
        assert_eq!(Way::of(&[at(4), at(0), at(0)], &all), Way { gone: 4, left: 6 + 2 });
        assert!(!has_reached(&[at(10), at(6), at(0)], &all));
        assert!(has_reached(&[at(10), at(7), at(0)], &all));
        assert!(has_reached(&[at(12), at(7), at(0)], &all));
        assert!(!has_reached(&[at(10), at(7)], &all));
    }
}
