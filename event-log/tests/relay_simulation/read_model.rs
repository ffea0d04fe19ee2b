//! The read database: rows and checkpoints in one transaction, by compare-and-set. Every row is held against the fold at once.

use std::collections::BTreeMap;

use reel_event_log::relay::state::Layout;
use reel_events::LogPoint;

use crate::world::{Log, Protocol};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Checkpoint {
    pub(crate) point: LogPoint,
    pub(crate) layout: u64,
    pub(crate) epoch: u64,
}

/// One step of a shard.
pub(crate) struct Commit<'a> {
    pub(crate) shard: u32,
    /// The checkpoint that must be there.
    pub(crate) from: Checkpoint,
    pub(crate) to: LogPoint,
    /// Positions of the events to apply.
    pub(crate) events: &'a [u64],
}

#[derive(Debug)]
pub(crate) struct ReadModel {
    protocol: Protocol,
    pub(crate) checkpoints: Vec<Checkpoint>,
    /// The last version of each stream that was applied.
    rows: BTreeMap<String, u64>,
}

/// Whether a commit was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Committed {
    Yes,
    /// Somebody else has the shard.
    Fenced,
}

impl ReadModel {
    pub(crate) fn new(protocol: Protocol) -> ReadModel {
        ReadModel { protocol, checkpoints: Vec::new(), rows: BTreeMap::new() }
    }

    /// Raises a shard's epoch, and answers with its checkpoint.
    pub(crate) fn take(&mut self, shard: u32) -> Checkpoint {
        let checkpoint = &mut self.checkpoints[shard as usize];
        checkpoint.epoch += 1;
        *checkpoint
    }

    /// Applies events and moves a checkpoint, if it is `from`.
    pub(crate) fn commit(&mut self, commit: &Commit<'_>, log: &Log) -> Result<Committed, String> {
        let Commit { shard, from, to, events } = *commit;
        let Some(stands) = self.checkpoints.get_mut(shard as usize) else { return Ok(Committed::Fenced) };
        let same = match self.protocol {
            Protocol::CheckpointIsPositionOnly => stands.point == from.point,
            _ => *stands == from,
        };
        if !same {
            return Ok(Committed::Fenced);
        }
        stands.point = to;
        for position in events {
            let event = log.at(*position);
            let row = self.rows.entry(event.stream.clone()).or_default();
            if event.version != *row + 1 {
                return Err(format!(
                    "event {position}, version {} of {}, is not the next of its stream: {row} was applied last",
                    event.version, event.stream
                ));
            }
            *row = event.version;
        }
        Ok(Committed::Yes)
    }

    /// Puts the checkpoints of a new layout in place, if all stand at one point.
    pub(crate) fn relayout(&mut self, layout: Layout) {
        let epoch = self.checkpoints.iter().map(|checkpoint| checkpoint.epoch).max().unwrap_or(0) + 1;
        let point = self.checkpoints.first().map_or(LogPoint::START, |checkpoint| checkpoint.point);
        let checkpoint = Checkpoint { point, layout: layout.from, epoch };
        self.checkpoints = vec![checkpoint; layout.partitions as usize];
    }

    /// What differs from the fold, now that all is said to be applied.
    pub(crate) fn compare(&self, log: &Log) -> Result<(), String> {
        let fold = log.heads();
        if fold == self.rows { Ok(()) } else { Err(format!("rows {:?} differ from the fold {fold:?}", self.rows)) }
    }
}
