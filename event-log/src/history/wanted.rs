//! Which events a reader of history wants, and how they are shared out among shards.

use std::{fmt, sync::Arc};

/// Which events are wanted. The default is all of them, in one batch.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// Of which kinds. What is not wanted is not even decompressed.
    pub kinds: Kinds,
    /// For whom.
    pub sharing: Sharing,
}

/// Which kinds are wanted.
#[derive(Clone, Default)]
pub enum Kinds {
    /// All of them.
    #[default]
    All,
    /// Those that the function is true for: it is asked once for each kind of a segment, and for every event that is not sealed yet.
    Matching(Arc<dyn Fn(&str) -> bool + Send + Sync>),
}

/// How events are shared out, by the hash of their stream's key: as [`reel_events::partition_of`] does it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sharing {
    /// Not at all: one batch.
    #[default]
    Whole,
    /// Only the events of one shard: one batch.
    One {
        /// Which, from 0.
        shard: u32,
        /// How many shards there are.
        of: u32,
    },
    /// A batch for each of so many shards.
    Each(u32),
    /// Only the events of one part of the streams: a batch for each of the shards that share this part.
    Part {
        /// Which part, from 0.
        part: u32,
        /// How many parts there are.
        of: u32,
        /// How many shards.
        shards: u32,
    },
}

impl Kinds {
    /// Whether `kind` is wanted.
    #[must_use]
    pub fn wants(&self, kind: &str) -> bool {
        match self {
            Kinds::All => true,
            Kinds::Matching(matches) => matches(kind),
        }
    }
}

impl fmt::Debug for Kinds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kinds::All => "All",
            Kinds::Matching(_) => "Matching(…)",
        })
    }
}

impl Sharing {
    /// How many batches there are.
    #[must_use]
    pub fn batches(self) -> usize {
        match self {
            Sharing::Whole | Sharing::One { .. } => 1,
            Sharing::Each(shards) | Sharing::Part { shards, .. } => shards.max(1) as usize,
        }
    }

    /// Which batch an event belongs into, given the hash of its stream's key; nothing where it is not wanted.
    pub(crate) fn batch_of(self, key_hash: impl FnOnce() -> u32) -> Option<usize> {
        match self {
            Sharing::Whole => Some(0),
            Sharing::One { shard, of } => (key_hash() % of.max(1) == shard).then_some(0),
            Sharing::Each(shards) => Some((key_hash() % shards.max(1)) as usize),
            Sharing::Part { part, of, shards } => {
                let (hash, of) = (key_hash(), of.max(1));
                (hash % of == part).then_some((hash / of % shards.max(1)) as usize)
            }
        }
    }
}
