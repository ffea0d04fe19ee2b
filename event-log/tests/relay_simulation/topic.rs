//! A topic as Kafka keeps it: partitions of messages, which may lose their ends, be deleted, or grow in number.

use reel_event_log::topic::shard::{Carries, Mark};
use reel_events::LogPoint;

/// A message: what a consumer hears of it.
pub(crate) type Message = Mark;

#[derive(Debug, Clone)]
pub(crate) struct Topic {
    /// Another one for each topic that was made.
    pub(crate) made: u64,
    pub(crate) partitions: Vec<Vec<Message>>,
}

impl Topic {
    pub(crate) fn new(made: u64, partitions: usize) -> Topic {
        Topic { made, partitions: vec![Vec::new(); partitions] }
    }

    /// The last event of a partition as its last message tells it.
    pub(crate) fn last(&self, partition: usize) -> Option<(Message, u64)> {
        let message = *self.partitions[partition].last()?;
        let event = match message.carries {
            Carries::Event => message.point.position,
            Carries::Nothing => message.placement.previous,
        };
        Some((message, event))
    }
}

pub(crate) fn message(
    point: LogPoint,
    placement: reel_events::cloud_events::kafka::Placement,
    carries: Carries,
) -> Message {
    Mark { point, placement, carries }
}
