//! What becomes of a generation's checkpoints where the topic's layout is another one. Pure.

use reel_event_log::relay::state::Layout;
use reel_projector::Checkpoint;

/// What to do about a generation's layout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Plan {
    /// Its checkpoints are of the newest layout.
    Stay,
    /// All shards stand at one point: replace the checkpoints now.
    Replace,
    /// Every shard runs from history up to this position, and no further; then the checkpoints are replaced.
    End {
        /// The last position of the layout that ends, or how far a shard had come that did not know of it.
        through: u64,
    },
}

/// Compares a generation's checkpoints with the newest layout.
///
/// Any point will do where all shards stand together: the new shards read what lies between it and their layout's start from
/// history. So a shard that ran ahead before it knew does no harm, the others follow it.
pub(super) fn plan(checkpoints: &[Checkpoint], newest: Layout) -> Plan {
    let fits = |checkpoint: &Checkpoint| checkpoint.layout == newest.from;
    if checkpoints.len() == newest.partitions as usize && checkpoints.iter().all(fits) {
        return Plan::Stay;
    }
    let Some(first) = checkpoints.first() else { return Plan::Stay };
    if checkpoints.iter().all(|checkpoint| checkpoint.point == first.point) {
        return Plan::Replace;
    }
    let furthest = checkpoints.iter().map(|checkpoint| checkpoint.point.position).max().unwrap_or(0);
    Plan::End { through: furthest.max(newest.from.saturating_sub(1)) }
}

#[cfg(test)]
mod tests {
    use reel_events::{LogId, LogPoint};
    use uuid::Uuid;

    use super::*;

    fn at(position: u64, layout: u64) -> Checkpoint {
        let point = LogPoint { position, event: Uuid::from_u128(u128::from(position)) };
        Checkpoint { log: LogId(Uuid::nil()), point, layout, epoch: 3 }
    }

    const NEWEST: Layout = Layout { from: 41, partitions: 2 };

    #[test]
    fn the_newest_layout_stays() {
        assert_eq!(plan(&[at(50, 41), at(99, 41)], NEWEST), Plan::Stay);
    }

    #[test]
    fn shards_run_to_one_point_and_are_replaced() {
        assert_eq!(plan(&[at(12, 1), at(20, 1), at(31, 1)], NEWEST), Plan::End { through: 40 });
        assert_eq!(plan(&[at(40, 1), at(44, 1), at(40, 1)], NEWEST), Plan::End { through: 44 });
        assert_eq!(plan(&[at(44, 1), at(44, 1), at(44, 1)], NEWEST), Plan::Replace);
    }

    #[test]
    fn what_was_just_built_is_replaced_at_once() {
        assert_eq!(plan(&[at(7, 0)], NEWEST), Plan::Replace);
        assert_eq!(plan(&[at(60, 0)], Layout { from: 1, partitions: 1 }), Plan::Replace);
    }
}
