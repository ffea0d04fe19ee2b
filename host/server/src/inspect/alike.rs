//! Two generations at one position, while both follow a log that moves on: both are held for a moment (`holds`), at the furthest point that a shard of
//! either has come to, until all others have come there.
//!
//! Generations of another producer's topic cannot be held: their shards have positions of their own. They are looked at until they happen to
//! stand alike.

use std::time::Duration;

use reel_projector::Checkpoint;
use reel_read_model::{Condition, Snapshot};
use tokio::time::{Instant, sleep};

use super::Subject;
use crate::error::HostError;
use crate::holds::Holds;
use crate::host::Host;

/// For how long two generations are waited for to stand at the same position, and how often they are looked at.
const PATIENCE: Duration = Duration::from_secs(10);
const LOOK: Duration = Duration::from_millis(20);

/// For how long they are held at most: other hosts hear of it within a second. And how many events one shard may be ahead of another: more are not
/// made up for in that time.
const HELD: Duration = Duration::from_secs(4);
const NEAR: u64 = 20_000;
/// For how long they are let go of before they are held again.
const LET_GO: Duration = Duration::from_millis(500);

/// A moment of each.
type Both = (Box<dyn Snapshot>, Box<dyn Snapshot>);

/// A moment of each, at the same positions.
pub(super) async fn together(host: &Host, here: &Subject, there: &Subject) -> Result<Both, HostError> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(both) = alike(here, there).await? {
            return Ok(both);
        }
        let at = (checkpoints(here).await?, checkpoints(there).await?);
        if can_meet(host, (here, &at.0), (there, &at.1)) {
            if let Some(both) = held_alike(host, here, there).await? {
                return Ok(both);
            }
            sleep(LET_GO).await;
        }
        if Instant::now() > deadline {
            return Err(HostError::Conflict(format!(
                "{} stands at {}, {} at {}: compare them when both have come equally far, or as they are (--any-position)",
                here.place(),
                positions_of(&at.0),
                there.place(),
                positions_of(&at.1),
            )));
        }
        sleep(LOOK).await;
    }
}

/// A moment of each, if they stand alike.
async fn alike(here: &Subject, there: &Subject) -> Result<Option<Both>, HostError> {
    let both = tokio::try_join!(here.snapshot(), there.snapshot())?;
    Ok(stand_alike(both.0.checkpoints(), both.1.checkpoints()).then_some(both))
}

/// A moment of each at the same positions, where they come there while they are held. Those that have not heard of it yet may go further: then
/// the others follow them.
async fn held_alike(host: &Host, here: &Subject, there: &Subject) -> Result<Option<Both>, HostError> {
    let wanted = [here, there].map(|subject| (subject.target.clone(), subject.generation.id));
    let furthest = async || {
        let (first, second) = (checkpoints(here).await?, checkpoints(there).await?);
        let alike = stand_alike(&first, &second);
        Ok::<_, HostError>((span([&first, &second]).1, alike))
    };
    let Some(holds) = Holds::take(host, &wanted, furthest().await?.0).await? else { return Ok(None) };
    let until = Instant::now() + HELD;
    while Instant::now() < until {
        let (position, seem_alike) = furthest().await?;
        if !holds.say(position).await? {
            return Ok(None);
        }
        // A moment is begun only where it should be of use: not all databases let others write meanwhile.
        if seem_alike && let Some(both) = alike(here, there).await? {
            return Ok(Some(both));
        }
        sleep(LOOK).await;
    }
    Ok(None)
}

/// Whether holding them may bring them to one position: who stands still must not be behind, and nobody far.
fn can_meet(host: &Host, (here, first): (&Subject, &[Checkpoint]), (there, second): (&Subject, &[Checkpoint])) -> bool {
    let (lowest, furthest) = span([first, second]);
    let comes = |subject: &Subject, at: &[Checkpoint]| {
        let generation = &subject.generation;
        let moves = generation.condition == Condition::Running && generation.promotion.until().is_none();
        moves || span([at, at]).0 >= furthest
    };
    host.foreign().is_none() && furthest - lowest <= NEAR && comes(here, first) && comes(there, second)
}

async fn checkpoints(subject: &Subject) -> Result<Vec<Checkpoint>, HostError> {
    let checkpoints = subject.target.checkpoints(subject.generation.id).await;
    checkpoints.map_err(|error| HostError::catalog("reading where a generation stands", error))
}

/// How far the shards have come that have come least far and furthest.
fn span(all: [&[Checkpoint]; 2]) -> (u64, u64) {
    let positions = || all.iter().flat_map(|shards| shards.iter()).map(|at| at.point.position);
    (positions().min().unwrap_or_default(), positions().max().unwrap_or_default())
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
