//! Two generations at one position, while both follow a log that moves on: the one that is ahead is held for a moment, until the other has come
//! as far.
//!
//! Only loops of this host that tail the store can be held. Others (shards of Kafka, another host's) are looked at until they happen to
//! stand alike.

use std::sync::Arc;
use std::time::Duration;

use reel_projector::Checkpoint;
use reel_read_model::Snapshot;
use tokio::time::Instant;

use super::Subject;
use crate::error::HostError;
use crate::gate::{Gate, Held};
use crate::host::Host;

/// For how long two generations are waited for to stand at the same position, and how often they are looked at.
const PATIENCE: Duration = Duration::from_secs(10);
const LOOK: Duration = Duration::from_millis(20);

/// For how long one is held at most, and how many events it may be ahead: more are not made up for in that time.
const HELD: Duration = Duration::from_secs(2);
const NEAR: u64 = 20_000;

/// A moment of each.
type Both = (Box<dyn Snapshot>, Box<dyn Snapshot>);

/// A moment of each, at the same positions.
pub(super) async fn together(host: &Host, here: &Subject, there: &Subject) -> Result<Both, HostError> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        // Who is held by one must not wait for who is held by another.
        let alone = host.inner.holding.lock().await;
        let both = held_alike(host, here, there).await?;
        drop(alone);
        let (first, second) = (both.0.checkpoints(), both.1.checkpoints());
        if stand_alike(first, second) {
            return Ok(both);
        }
        if Instant::now() > deadline {
            return Err(HostError::Conflict(format!(
                "{} stands at {}, {} at {}: compare them when both have come equally far, or as they are (--any-position)",
                here.place(),
                positions_of(first),
                there.place(),
                positions_of(second),
            )));
        }
        drop(both);
        tokio::time::sleep(LOOK).await;
    }
}

/// A moment of each; at the same positions, where they come there while they are held.
async fn held_alike(host: &Host, here: &Subject, there: &Subject) -> Result<Both, HostError> {
    let mut both = tokio::try_join!(here.snapshot(), there.snapshot())?;
    let until = Instant::now() + HELD;
    let mut held: Vec<Held> = Vec::new();
    while !stand_alike(both.0.checkpoints(), both.1.checkpoints()) && Instant::now() < until {
        let (first, second) = (position(both.0.checkpoints()), position(both.1.checkpoints()));
        if first.abs_diff(second) > NEAR {
            return Ok(both);
        }
        if held.is_empty() {
            held = gates(host, here, there).iter().filter_map(Gate::hold).collect();
            // Nobody is held for one that does not run: it would not come.
            if held.len() < 2 {
                return Ok(both);
            }
        } else {
            tokio::time::sleep(LOOK).await;
        }
        drop(both);
        let furthest = held.iter().map(|held| held.at).chain([first, second]).max().unwrap_or_default();
        held.iter().for_each(|held| held.up_to(furthest));
        both = tokio::try_join!(here.snapshot(), there.snapshot())?;
    }
    Ok(both)
}

/// The gates of those that this host runs; one, where both are the same.
fn gates(host: &Host, here: &Subject, there: &Subject) -> Vec<Arc<Gate>> {
    let runners = host.runners();
    let gate = |subject: &Subject| {
        let runner = runners.get(&(subject.target.name().to_owned(), subject.generation.id));
        runner.map(|runner| Arc::clone(&runner.gate))
    };
    let mut gates: Vec<Arc<Gate>> = [gate(here), gate(there)].into_iter().flatten().collect();
    gates.dedup_by(|one, other| Arc::ptr_eq(one, other));
    gates
}

/// How far the shard has come that has come furthest.
fn position(checkpoints: &[Checkpoint]) -> u64 {
    checkpoints.iter().map(|at| at.point.position).max().unwrap_or_default()
}

/// Whether the rows of both come from the same events: shard by shard, or because all shards of both stand at one point.
fn stand_alike(here: &[Checkpoint], there: &[Checkpoint]) -> bool {
    let all = here.iter().chain(there);
    let one_point = all.clone().zip(all.skip(1)).all(|(one, next)| one.point == next.point);
    let alike = |(here, there): (&Checkpoint, &Checkpoint)| (here.layout, here.point) == (there.layout, there.point);
    one_point || here.len() == there.len() && here.iter().zip(there).all(alike)
}

/// `position 7`, `positions 7, 9`
fn positions_of(checkpoints: &[Checkpoint]) -> String {
    let positions: Vec<String> = checkpoints.iter().map(|at| at.point.position.to_string()).collect();
    format!("position{} {}", if positions.len() == 1 { "" } else { "s" }, positions.join(", "))
}

#[cfg(test)]
mod tests {
    use reel_events::{LogId, LogPoint};
    use uuid::Uuid;

    use super::*;

    fn at(layout: u64, position: u64) -> Checkpoint {
        let event = Uuid::from_u128(u128::from(position));
        Checkpoint { log: LogId(Uuid::nil()), point: LogPoint { position, event }, layout, epoch: 1 }
    }

    #[test]
    fn shards_are_alike_one_by_one_or_all_at_one_point() {
        assert!(stand_alike(&[at(0, 5)], &[at(0, 5)]));
        assert!(!stand_alike(&[at(0, 5)], &[at(0, 6)]));
        assert!(stand_alike(&[at(0, 5)], &[at(8, 5), at(8, 5)]));
        assert!(!stand_alike(&[at(0, 5)], &[at(8, 5), at(8, 6)]));
        assert!(stand_alike(&[at(8, 5), at(8, 6)], &[at(8, 5), at(8, 6)]));
        assert!(!stand_alike(&[at(8, 5), at(8, 6)], &[at(9, 5), at(9, 6)]));
    }
}
