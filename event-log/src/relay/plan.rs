//! How a new leader goes on: from what is written down and what the topic holds, under which layout. Pure.

use std::collections::VecDeque;

use reel_events::LogPoint;

use super::state::{Known, Layout, Published, RelayRecord};

/// What a leader finds when it starts. The topic is looked at before the store, so that all that it holds is in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Survey {
    /// The last message of each partition; nothing where it is empty.
    pub tails: Vec<Option<Tail>>,
    /// The last event of the log.
    pub head: LogPoint,
    /// Whether the record's last event stands where it stood. If not, the store is an older copy, and the topic was made anew.
    pub record: Standing,
}

/// Whether what was written down is true of the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It is.
    Stands,
    /// The store does not hold that event there.
    Gone,
}

/// The last message of a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tail {
    /// Its layout.
    pub layout: u64,
    /// What is known of the partition with it.
    pub known: Known,
}

/// How a leader goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Plan {
    /// All layouts, perhaps with a new one.
    layouts: Vec<Layout>,
    /// From where on to publish.
    pub(super) published: Published,
}

impl Plan {
    pub(super) fn of(record: &RelayRecord, survey: &Survey) -> Plan {
        let partitions = u32::try_from(survey.tails.len()).expect("Kafka has fewer partitions");
        let mut layouts = record.layouts.clone();
        let mut passed = record.published.passed;
        if survey.record == Standing::Gone {
            layouts.retain(|layout| layout.from <= survey.head.position);
            passed = LogPoint::START;
        }
        let newest = survey.tails.iter().flatten().map(|tail| tail.layout).max().unwrap_or(0);
        let fits = |last: &Layout| last.partitions == partitions && newest <= last.from;
        match layouts.last() {
            None if newest == 0 => layouts.push(Layout { from: 1, partitions }),
            Some(last) if fits(last) && survey.record == Standing::Stands => {}
            last => {
                let last = last.map_or(0, |last| last.from).max(newest);
                layouts.push(Layout { from: survey.head.position.max(last) + 1, partitions });
            }
        }
        let layout = resumed(record, survey, &layouts);
        let known = known(record, survey, layout);
        Plan { layouts, published: Published { layout: layout.from, passed, partitions: known } }
    }

    /// The record with this plan in it.
    pub(super) fn record(&self, record: &RelayRecord) -> RelayRecord {
        RelayRecord { layouts: self.layouts.clone(), published: self.published.clone(), ..record.clone() }
    }

    /// The layout to go on with, and those that follow.
    pub(super) fn layouts_in_use(&self) -> VecDeque<Layout> {
        self.layouts.iter().copied().filter(|layout| layout.from >= self.published.layout).collect()
    }
}

/// The layout to go on with: the one that a leader was at last, or a later one if the topic lacks partitions of one on the way. What
/// lies before it is left to history.
fn resumed(record: &RelayRecord, survey: &Survey, layouts: &[Layout]) -> Layout {
    let last = layouts.last().expect("one at least");
    if survey.record == Standing::Gone {
        return *last;
    }
    let reached = survey.tails.iter().flatten().map(|tail| tail.layout).max().unwrap_or(0).max(record.published.layout);
    let begun = layouts.iter().rposition(|layout| layout.from <= reached).unwrap_or(0);
    let fits = |layout: &&Layout| layout.partitions as usize <= survey.tails.len();
    *layouts[begun..].iter().rev().take_while(fits).last().unwrap_or(last)
}

/// What is known of each partition: what was written down, raised by what the topic holds.
fn known(record: &RelayRecord, survey: &Survey, layout: Layout) -> Vec<Known> {
    let nothing = Known { through: layout.from - 1, last: 0 };
    let of = |number: usize| {
        let written = record.published.partitions.get(number).filter(|_| record.published.layout == layout.from);
        let tail = survey.tails[number].filter(|tail| tail.layout == layout.from).map(|tail| tail.known);
        let known = [written.copied(), tail].into_iter().flatten().max_by_key(|known| known.through);
        known.filter(|known| known.through > nothing.through).unwrap_or(nothing)
    };
    (0..layout.partitions as usize).map(of).collect()
}
