//! What a leader publishes: the partition, `previous` and layout of each event, and watermarks where a partition is silent. Pure.
//!
//! `previous` is a fact of the log: the greatest lower position of the same partition under the message's layout, whatever was
//! published. So what is lost on the way shows as a hole, and a consumer fills it from history.

use std::{collections::VecDeque, time::Duration};

use reel_events::{EventRef, LogId, LogPoint, cloud_events::kafka::Placement, partition_of};

use super::state::{Known, Layout, Published};

/// A message's partition, and what it says of its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The partition.
    pub partition: u32,
    /// What its headers say.
    pub placement: Placement,
}

/// A message without event: see [`reel_events::cloud_events::kafka::write_watermark`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Watermark {
    /// The last event that was gone through.
    pub through: LogPoint,
    /// Where it goes.
    pub place: Place,
}

/// The log as one leader goes through it.
#[derive(Debug, Clone)]
pub(super) struct Chain {
    log: LogId,
    /// The first holds now; the others follow at their positions.
    layouts: VecDeque<Layout>,
    position: u64,
    /// The last event that was gone through, by this leader or one before.
    passed: LogPoint,
    partitions: Vec<Partition>,
}

#[derive(Debug, Clone, Default)]
struct Partition {
    /// Up to here it was published before this leader.
    resumed: u64,
    /// Its last event that was gone through, or that is known from before.
    last: u64,
    /// How far its last message reached.
    sent: u64,
    /// Since when the log reaches further than that.
    silent: Option<Duration>,
    /// What will be known when each message on its way has arrived.
    in_flight: VecDeque<Known>,
    published: Known,
}

impl Partition {
    fn resume(known: Known) -> Partition {
        let Known { through, last } = known;
        Partition { resumed: through, last, sent: through, published: known, ..Partition::default() }
    }

    fn hand_out(&mut self, through: u64) {
        self.sent = through;
        self.silent = None;
        self.in_flight.push_back(Known { through, last: self.last });
    }
}

impl Chain {
    /// Goes on behind what is published under the first of `layouts`.
    pub(super) fn resume(log: LogId, layouts: VecDeque<Layout>, published: &Published) -> Chain {
        let partitions: Vec<Partition> = published.partitions.iter().copied().map(Partition::resume).collect();
        let position = partitions.iter().map(|partition| partition.resumed).min().unwrap_or(0);
        Chain { log, layouts, position, passed: published.passed, partitions }
    }

    /// How far the topic is published, as it is kept beside the lease.
    pub(super) fn published(&self) -> Published {
        let partitions = self.partitions.iter().map(|partition| partition.published).collect();
        Published { layout: self.layouts[0].from, passed: self.passed, partitions }
    }

    /// Up to which position the topic holds every event.
    pub(super) fn published_through(&self) -> u64 {
        self.partitions.iter().map(|partition| partition.published.through).min().unwrap_or(0)
    }

    /// Behind which position to read on, and how many events at most. Nothing where a layout ends here and what was published under
    /// it is still on its way.
    pub(super) fn reading(&mut self) -> Option<(u64, u64)> {
        while let Some(next) = self.layouts.get(1).copied() {
            let most = next.from.saturating_sub(self.position + 1);
            if most > 0 {
                return Some((self.position, most));
            }
            if !self.is_delivered() {
                return None;
            }
            self.layouts.pop_front();
            let known = Known { through: next.from - 1, last: 0 };
            self.partitions = (0..next.partitions).map(|_| Partition::resume(known)).collect();
        }
        Some((self.position, u64::MAX))
    }

    /// Goes through the next event of the log. Nothing where it is published already.
    pub(super) fn place(&mut self, event: &EventRef<'_>) -> Option<Place> {
        assert_eq!(event.position, self.position + 1, "the log is read in order, without a gap");
        self.position = event.position;
        self.passed = LogPoint { position: event.position, event: event.id };
        let layout = self.layouts[0];
        let number = partition_of(event.stream, layout.partitions);
        let partition = &mut self.partitions[number as usize];
        if event.position <= partition.resumed {
            return None;
        }
        let previous = std::mem::replace(&mut partition.last, event.position);
        partition.hand_out(event.position);
        let placement = Placement { log: self.log, previous, layout: layout.from };
        Some(Place { partition: number, placement })
    }

    /// Watermarks for partitions whose last message fell behind at least `quiet` ago.
    pub(super) fn watermarks(&mut self, now: Duration, quiet: Duration) -> Vec<Watermark> {
        let (through, layout) = (self.passed, self.layouts[0].from);
        if through.position != self.position {
            return Vec::new();
        }
        let mut due = Vec::new();
        for (number, partition) in (0..).zip(&mut self.partitions) {
            if partition.sent >= through.position {
                continue;
            }
            if now < *partition.silent.get_or_insert(now) + quiet {
                continue;
            }
            let placement = Placement { log: self.log, previous: partition.last, layout };
            partition.hand_out(through.position);
            due.push(Watermark { through, place: Place { partition: number, placement } });
        }
        due
    }

    /// When the next watermark is due.
    pub(super) fn next_watermark(&self, quiet: Duration) -> Option<Duration> {
        self.partitions.iter().filter_map(|partition| partition.silent).min().map(|since| since + quiet)
    }

    /// The messages of a partition up to this position have arrived.
    pub(super) fn delivered(&mut self, partition: u32, through: u64) {
        let Some(partition) = self.partitions.get_mut(partition as usize) else { return };
        while let Some(known) = partition.in_flight.pop_front_if(|known| known.through <= through) {
            partition.published = known;
        }
    }

    /// Whether nothing is on its way.
    pub(super) fn is_delivered(&self) -> bool {
        self.partitions.iter().all(|partition| partition.in_flight.is_empty())
    }
}
