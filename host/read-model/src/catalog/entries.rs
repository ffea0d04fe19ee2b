//! Entries as a catalog keeps them, in words, numbers and texts that every database has, and what they stand for.

use std::sync::Arc;

use reel_events::{LogId, LogPoint, Place, Timestamp};
use reel_projector::ports::{DeadLetterReason, FailurePolicy};
use reel_projector::{Checkpoint, Manifest};
use uuid::Uuid;

use super::session::Fields;
use crate::target::{Condition, Generation, GenerationId, GenerationState, Promotion};

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
    /// What a row of the statements `generations` and `generation` holds.
    pub(crate) fn from_row<F: Fields>(row: &F) -> Result<GenerationEntry, F::Error> {
        Ok(GenerationEntry {
            id: row.integer(0)?,
            projection: row.text(1)?,
            number: row.integer(2)?,
            digest: row.text(3)?,
            settings: row.text(4)?,
            on_failure: row.text(5)?,
            promotion: row.text(6)?,
            state: row.text(7)?,
            condition: ConditionEntry {
                word: row.text(8)?,
                position: row.maybe_integer(9)?,
                stream: row.maybe_text(10)?,
                code: row.maybe_text(11)?,
                message: row.maybe_text(12)?,
            },
            log: row.text(13)?,
            shards: row.integer(14)?,
            epoch: row.integer(15)?,
            created_at: row.integer(16)?,
            promoted_at: row.maybe_integer(17)?,
        })
    }

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
    /// What a row of the statements `checkpoints` and `checkpoint` holds.
    pub(crate) fn from_row<F: Fields>(row: &F) -> Result<CheckpointEntry, F::Error> {
        Ok(CheckpointEntry {
            log: row.text(0)?,
            position: row.integer(1)?,
            event: row.text(2)?,
            layout: row.integer(3)?,
            epoch: row.integer(4)?,
        })
    }

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

#[cfg(test)]
mod tests {
    use super::*;

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
}
