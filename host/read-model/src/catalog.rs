//! What every catalog means, whatever database keeps it: its version, the words that states are kept as, the manifests that were
//! read already, and the rules of a flip. Pure; the statements are in the dialects.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use reel_events::{LogId, LogPoint, Place, Timestamp};
use reel_projector::Checkpoint;
use reel_projector::ports::{DeadLetterReason, FailurePolicy};
use reel_projector::{Manifest, ReadModelError};
use uuid::Uuid;

use crate::target::{
    CatalogError, Condition, DropScope, FlipOutcome, Generation, GenerationId, GenerationState, IfBehind,
    NewGeneration, Promotion,
};

/// The catalog that this build reads and writes.
pub(crate) const VERSION: i64 = 3;

/// The steps of a dialect's upgrades that lead from `found` to [`VERSION`]: `upgrades[0]` makes version 2 of version 1, and so on.
///
/// # Errors
/// What to tell whoever opens it, where the catalog is newer than this build.
pub(crate) fn upgrades_from<'a>(
    found: i64,
    upgrades: &'a [&'static [&'static str]],
) -> Result<&'a [&'static [&'static str]], String> {
    debug_assert_eq!(upgrades.len() as i64, VERSION - 1, "one upgrade for each version but the first");
    if found > VERSION {
        return Err(format!(
            "its catalog has version {found}, and this Reel knows version {VERSION}: use a newer Reel"
        ));
    }
    let done = usize::try_from(found - 1).map_err(|_| format!("its catalog has the impossible version {found}"))?;
    Ok(&upgrades[done..])
}

/// A component is kept in pieces of this many bytes, which every database takes in one statement.
pub(crate) const CHUNK_BYTES: usize = 1 << 20;

/// A set of values that are kept as words.
pub(crate) trait Word: Sized + Copy + PartialEq + 'static {
    /// Every value with its word.
    const WORDS: &'static [(Self, &'static str)];

    /// The word of a value.
    fn word(self) -> &'static str {
        Self::WORDS.iter().find(|(value, _)| *value == self).expect("every value has its word").1
    }

    /// The value of a word.
    fn read(word: &str) -> Result<Self, Unreadable> {
        let found = Self::WORDS.iter().find(|(_, own)| *own == word);
        found.map(|(value, _)| *value).ok_or_else(|| Unreadable(format!("the catalog holds the unknown word {word:?}")))
    }
}

impl Word for GenerationState {
    const WORDS: &'static [(Self, &'static str)] = &[
        (GenerationState::Build, "build"),
        (GenerationState::CatchUp, "catch-up"),
        (GenerationState::Ready, "ready"),
        (GenerationState::Live, "live"),
        (GenerationState::Previous, "previous"),
        (GenerationState::Failed, "failed"),
        (GenerationState::Cancelled, "cancelled"),
        (GenerationState::Dropped, "dropped"),
    ];
}

impl Word for FailurePolicy {
    const WORDS: &'static [(Self, &'static str)] =
        &[(FailurePolicy::Halt, "halt"), (FailurePolicy::Skip, "skip"), (FailurePolicy::Park, "park")];
}

impl Promotion {
    /// What it is kept as: `automatic`, `manual`, `until 4711`.
    pub(crate) fn word(self) -> String {
        match self {
            Promotion::Automatic => "automatic".to_owned(),
            Promotion::Manual => "manual".to_owned(),
            Promotion::Never { until } => format!("until {until}"),
        }
    }

    fn read(word: &str) -> Result<Promotion, Unreadable> {
        let until = word.strip_prefix("until ").and_then(|position| position.parse().ok());
        match (word, until) {
            ("automatic", _) => Ok(Promotion::Automatic),
            ("manual", _) => Ok(Promotion::Manual),
            (_, Some(until)) => Ok(Promotion::Never { until }),
            _ => Err(Unreadable(format!("the catalog holds the unknown promotion {word:?}"))),
        }
    }
}

impl Word for DeadLetterReason {
    const WORDS: &'static [(Self, &'static str)] = &[
        (DeadLetterReason::Skipped, "skipped"),
        (DeadLetterReason::Parked, "parked"),
        (DeadLetterReason::Held, "held"),
    ];
}

/// Something in a catalog that nobody wrote there, or a value that is not what its column holds.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Unreadable(pub(crate) String);

/// A generation's entry as it is kept.
#[derive(Debug)]
pub(crate) struct GenerationEntry {
    pub(crate) id: i64,
    pub(crate) projection: String,
    pub(crate) number: i64,
    pub(crate) digest: String,
    pub(crate) settings: String,
    pub(crate) on_failure: String,
    pub(crate) promotion: String,
    pub(crate) state: String,
    pub(crate) condition: ConditionEntry,
    pub(crate) log: String,
    pub(crate) shards: i64,
    pub(crate) epoch: i64,
    pub(crate) created_at: i64,
    pub(crate) promoted_at: Option<i64>,
}

/// A generation's condition as it is kept.
#[derive(Debug, Default)]
pub(crate) struct ConditionEntry {
    pub(crate) word: String,
    pub(crate) position: Option<i64>,
    pub(crate) stream: Option<String>,
    pub(crate) code: Option<String>,
    pub(crate) message: Option<String>,
}

impl GenerationEntry {
    /// The generation that the entry stands for.
    pub(crate) fn read(self, manifest: Arc<Manifest>) -> Result<Generation, Unreadable> {
        Ok(Generation {
            id: GenerationId(self.id),
            projection: self.projection,
            number: number(self.number)? as u32,
            digest: self.digest,
            manifest,
            settings: self.settings,
            on_failure: FailurePolicy::read(&self.on_failure)?,
            promotion: Promotion::read(&self.promotion)?,
            state: GenerationState::read(&self.state)?,
            condition: self.condition.read()?,
            log: LogId(uuid(&self.log)?),
            shards: number(self.shards)? as u32,
            epoch: number(self.epoch)?,
            created_at: Timestamp::from_micros(self.created_at),
            promoted_at: self.promoted_at.map(Timestamp::from_micros),
        })
    }
}

impl ConditionEntry {
    pub(crate) fn of(condition: &Condition) -> ConditionEntry {
        match condition {
            Condition::Running => ConditionEntry { word: "running".to_owned(), ..ConditionEntry::default() },
            Condition::Paused => ConditionEntry { word: "paused".to_owned(), ..ConditionEntry::default() },
            Condition::Halted { position, stream, code, message } => ConditionEntry {
                word: "halted".to_owned(),
                position: position.map(|position| kept(position.number())),
                stream: stream.clone(),
                code: Some(code.clone()),
                message: Some(message.clone()),
            },
        }
    }

    fn read(self) -> Result<Condition, Unreadable> {
        match self.word.as_str() {
            "running" => Ok(Condition::Running),
            "paused" => Ok(Condition::Paused),
            "halted" => Ok(Condition::Halted {
                position: self.position.map(place).transpose()?,
                stream: self.stream,
                code: self.code.unwrap_or_default(),
                message: self.message.unwrap_or_default(),
            }),
            word => Err(Unreadable(format!("the catalog holds the unknown condition {word:?}"))),
        }
    }
}

/// A checkpoint as it is kept.
#[derive(Debug)]
pub(crate) struct CheckpointEntry {
    pub(crate) log: String,
    pub(crate) position: i64,
    pub(crate) event: String,
    pub(crate) layout: i64,
    pub(crate) epoch: i64,
}

impl CheckpointEntry {
    pub(crate) fn of(checkpoint: &Checkpoint) -> CheckpointEntry {
        CheckpointEntry {
            log: checkpoint.log.to_string(),
            position: kept(checkpoint.point.position),
            event: checkpoint.point.event.to_string(),
            layout: kept(checkpoint.layout),
            epoch: kept(checkpoint.epoch),
        }
    }

    pub(crate) fn read(self) -> Result<Checkpoint, Unreadable> {
        Ok(Checkpoint {
            log: LogId(uuid(&self.log)?),
            point: LogPoint { position: number(self.position)?, event: uuid(&self.event)? },
            layout: number(self.layout)?,
            epoch: number(self.epoch)?,
        })
    }
}

/// A count or position as databases keep it: none of ours comes near 2⁶³.
pub(crate) fn kept(number: u64) -> i64 {
    i64::try_from(number).expect("positions and counts are below 2^63")
}

/// A count or position from a database.
pub(crate) fn number(kept: i64) -> Result<u64, Unreadable> {
    u64::try_from(kept).map_err(|_| Unreadable(format!("the catalog holds the negative number {kept}")))
}

/// An event's place from a database.
pub(crate) fn place(kept: i64) -> Result<Place, Unreadable> {
    number(kept).map(Place::from_number)
}

/// A UUID from a database.
pub(crate) fn uuid(text: &str) -> Result<Uuid, Unreadable> {
    Uuid::parse_str(text).map_err(|_| Unreadable(format!("the catalog holds {text:?} where a UUID belongs")))
}

/// The present moment.
pub(crate) fn now() -> Timestamp {
    let micros = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros());
    Timestamp::from_micros(i64::try_from(micros).unwrap_or(i64::MAX))
}

/// The digest of settings: they may be too long for a key.
pub(crate) fn settings_digest(settings: &str) -> String {
    blake3::hash(settings.as_bytes()).to_hex().to_string()
}

/// The name under which readers of SQL see a projection's tables: `git_tree` of `git-tree`.
pub(crate) fn schema_name(projection: &str) -> String {
    projection.replace('-', "_")
}

/// `posts@2`
pub(crate) fn title(generation: &Generation) -> String {
    format!("{}@{}", generation.projection, generation.number)
}

/// That there is no such generation.
pub(crate) fn no_generation(id: GenerationId) -> CatalogError {
    CatalogError::NotFound(format!("generation {}", id.0))
}

/// That a generation has no such shard.
pub(crate) fn no_shard(id: GenerationId, shard: u32) -> CatalogError {
    CatalogError::NotFound(format!("shard {shard} of generation {}", id.0))
}

/// The checkpoint that a new generation's shards begin with.
pub(crate) fn first_checkpoint(log: LogId) -> Checkpoint {
    Checkpoint { log, point: LogPoint::START, layout: 0, epoch: 1 }
}

/// Manifests by the digest of their component, each read once.
#[derive(Debug, Default)]
pub(crate) struct Manifests(Mutex<HashMap<String, Arc<Manifest>>>);

impl Manifests {
    /// The manifest of the component, if it was seen before.
    pub(crate) fn get(&self, digest: &str) -> Option<Arc<Manifest>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(digest).cloned()
    }

    /// Remembers the manifest of a component.
    pub(crate) fn put(&self, digest: &str, manifest: &Arc<Manifest>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(digest.to_owned(), Arc::clone(manifest));
    }

    /// Reads and remembers the manifest of a component.
    pub(crate) fn read(&self, digest: &str, json: &str) -> Result<Arc<Manifest>, Unreadable> {
        let manifest = Manifest::parse(json)
            .map_err(|error| Unreadable(format!("the manifest kept for component {digest} cannot be read: {error}")))?;
        let manifest = Arc::new(manifest);
        self.put(digest, &manifest);
        Ok(manifest)
    }
}

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
    fn every_word_reads_back() {
        for (state, word) in GenerationState::WORDS {
            assert_eq!((GenerationState::read(word).unwrap(), state.word()), (*state, *word));
        }
        assert!(GenerationState::read("asleep").is_err());
        for promotion in [Promotion::Automatic, Promotion::Manual, Promotion::Never { until: 4711 }] {
            assert_eq!(Promotion::read(&promotion.word()).unwrap(), promotion);
        }
        assert!(Promotion::read("until then").is_err());
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
