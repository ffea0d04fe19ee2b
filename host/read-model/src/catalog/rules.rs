//! What may be done to a generation, and the words in which it is refused. Pure.

use reel_projector::{Checkpoint, ReadModelError};

use super::entries::{Word, kept};
use super::title;
use crate::target::{CatalogError, DropScope, FlipOutcome, Generation, GenerationState, IfBehind, NewGeneration};

/// Whether a new generation can be made at all.
pub(crate) fn check_new(new: &NewGeneration) -> Result<(), CatalogError> {
    if new.shards > 0 {
        return Ok(());
    }
    Err(CatalogError::Conflict {
        what: format!("a new generation of {}", new.projection),
        actual: "without a shard".to_owned(),
        wanted: "give it at least one".to_owned(),
    })
}

/// Whether [`crate::Target::set_state`] may make this move from the state that `generation` is in.
pub(crate) fn check_move(
    generation: &Generation,
    from: GenerationState,
    to: GenerationState,
) -> Result<(), CatalogError> {
    use GenerationState::{Dropped, Live, Previous};
    let wanted = if generation.state != from {
        format!("it was expected to be {}: look again", from.word())
    } else if matches!(to, Live | Previous) || matches!(from, Live | Previous) {
        "what is live and what was before it change by a flip only".to_owned()
    } else if to == Dropped || from == Dropped {
        "a generation goes by being dropped, and does not come back".to_owned()
    } else {
        return Ok(());
    };
    Err(CatalogError::Conflict { what: title(generation), actual: generation.state.word().to_owned(), wanted })
}

/// Why a load that began at `epoch` must not go on: the generation is in state `state` by now, at epoch `now`.
pub(crate) fn load_lost(state: &str, now: i64, epoch: u64) -> Option<String> {
    if state != GenerationState::Build.word() {
        return Some(format!("in state {state}, and only what is being built can be filled at once"));
    }
    (now != kept(epoch)).then(|| format!("at epoch {now}, not {epoch}: another host took it over"))
}

/// That a load cannot begin, and why.
pub(crate) fn no_load(generation: &Generation, why: String) -> CatalogError {
    CatalogError::Conflict { what: title(generation), actual: why, wanted: "take it over again".to_owned() }
}

/// That a load cannot go on, and why: whoever runs it looks at the catalog again.
pub(crate) fn load_ends(target: &str, why: String) -> ReadModelError {
    ReadModelError::Unavailable { target: target.to_owned(), source: format!("the generation is {why}").into() }
}

/// Whether a generation in this state may become the live one.
pub(crate) fn check_flip(to: &Generation, behind: IfBehind) -> Result<(), CatalogError> {
    use GenerationState::{CatchUp, Live, Previous, Ready};
    let allowed = match behind {
        IfBehind::Refuse => matches!(to.state, Ready | Previous | Live),
        IfBehind::Force => matches!(to.state, Ready | Previous | Live | CatchUp),
    };
    if allowed {
        return Ok(());
    }
    Err(CatalogError::Conflict {
        what: title(to),
        actual: to.state.word().to_owned(),
        wanted: "only a generation that is ready, or was live before, can be promoted: wait until it is".to_owned(),
    })
}

/// The checkpoint that every shard of a new layout gets, if those that are there are `expected` and stand at one point.
pub(crate) fn check_relayout(
    generation: &Generation,
    expected: &[Checkpoint],
    found: &[Checkpoint],
    layout: u64,
) -> Result<Checkpoint, CatalogError> {
    let refused = |actual: &str, wanted: &str| CatalogError::Conflict {
        what: format!("the checkpoints of {}", title(generation)),
        actual: actual.to_owned(),
        wanted: wanted.to_owned(),
    };
    let Some(first) = found.first() else {
        return Err(CatalogError::NotFound(format!("the checkpoint of {}", title(generation))));
    };
    if found != expected {
        return Err(refused("not what they were", "another host has moved them meanwhile: look again"));
    }
    if found.iter().any(|checkpoint| (checkpoint.log, checkpoint.point) != (first.log, first.point)) {
        return Err(refused("at different points", "a layout ends only where all shards stand at its last event"));
    }
    let epoch = found.iter().map(|checkpoint| checkpoint.epoch).max().unwrap_or_default() + 1;
    Ok(Checkpoint { layout, epoch, ..*first })
}

/// Whether a generation may go; `others` = how many more of its projection are there.
pub(crate) fn check_drop(generation: &Generation, scope: DropScope, others: i64) -> Result<(), CatalogError> {
    let (actual, wanted) = match scope {
        DropScope::Generation if generation.state == GenerationState::Live => {
            ("live", "promote another generation first, or drop the whole projection")
        }
        DropScope::Projection if others > 0 => {
            ("not the last generation of its projection", "drop the other generations first")
        }
        _ => return Ok(()),
    };
    Err(CatalogError::Conflict { what: title(generation), actual: actual.to_owned(), wanted: wanted.to_owned() })
}

/// Where `next` is behind `live`, shard by shard; where they have different numbers of shards, every shard of `next` must be at or
/// past the furthest one of `live`. Positions of different logs do not compare: then nothing is behind.
pub(crate) fn behind(live: &[Checkpoint], next: &[Checkpoint]) -> Option<FlipOutcome> {
    let furthest = live.iter().max_by_key(|checkpoint| checkpoint.point.position)?;
    next.iter().enumerate().find_map(|(shard, checkpoint)| {
        let other = if live.len() == next.len() { &live[shard] } else { furthest };
        let behind = checkpoint.log == other.log && checkpoint.point.position < other.point.position;
        behind.then_some(FlipOutcome::Behind { shard: shard as u32, at: checkpoint.point, live: other.point })
    })
}

#[cfg(test)]
mod tests {
    use reel_events::{LogId, LogPoint};
    use uuid::Uuid;

    use super::*;

    fn at(position: u64) -> Checkpoint {
        Checkpoint {
            log: LogId(Uuid::nil()),
            point: LogPoint { position, event: Uuid::from_u128(u128::from(position)) },
            layout: 0,
            epoch: 1,
        }
    }

    #[test]
    fn behind_in_one_shard_is_behind() {
        assert_eq!(behind(&[at(5), at(9)], &[at(5), at(9)]), None);
        let outcome = behind(&[at(5), at(9)], &[at(7), at(8)]);
        assert_eq!(outcome, Some(FlipOutcome::Behind { shard: 1, at: at(8).point, live: at(9).point }));
    }

    #[test]
    fn with_other_shards_the_furthest_counts() {
        assert_eq!(behind(&[at(5), at(9)], &[at(9)]), None);
        let outcome = behind(&[at(9)], &[at(9), at(8)]);
        assert_eq!(outcome, Some(FlipOutcome::Behind { shard: 1, at: at(8).point, live: at(9).point }));
    }

    #[test]
    fn another_log_is_never_behind() {
        let other = Checkpoint { log: LogId(Uuid::max()), ..at(9) };
        assert_eq!(behind(&[other], &[at(1)]), None);
        assert_eq!(behind(&[], &[at(0)]), None);
    }
}
