//! The port of a bulk load: how a generation that nobody sees yet gets all its rows at once.
//!
//! A build folds its events away from the database and then writes each row once, in key order, into tables without keys and
//! indexes; those are made after. Not here: the fold and what it spills (`host/server`), the live path ([`reel_projector::ReadModel`]).

use async_trait::async_trait;
use reel_events::LogPoint;
use reel_projector::change::Row;
use reel_projector::ports::{CommitError, DeadLetter};
use reel_projector::{Checkpoint, ReadModelError};

/// A load on its way: see [`crate::Target::bulk_load`]. Dropped before [`BulkLoad::finish`], it leaves tables that the next load
/// makes anew.
#[async_trait]
pub trait BulkLoad: Send + Sync {
    /// Adds rows to table number `table`. Over all calls for one table the rows come in key order, no key twice. Calls for
    /// different tables may run at the same time.
    async fn rows(&self, table: u16, rows: &[Row]) -> Result<(), ReadModelError>;

    /// Makes the key, the indexes and the statistics of a table, behind its last rows.
    async fn index(&self, table: u16) -> Result<(), ReadModelError>;

    /// Ends the load in one transaction, if nobody took the generation over meanwhile: its checkpoints become one for each shard
    /// of `loaded`, its dead letters those of `loaded`, its state `catch-up`, its epoch one more.
    ///
    /// # Errors
    /// [`CommitError::Superseded`] where another host has the generation now, or it is in state `build` no more.
    async fn finish(self: Box<Self>, loaded: Loaded<'_>) -> Result<Vec<Checkpoint>, CommitError>;
}

/// How far a load has come.
#[derive(Debug, Clone, Copy)]
pub struct Loaded<'a> {
    /// The last position whose changes are in the tables.
    pub through: LogPoint,
    /// From which position the number of shards holds.
    pub layout: u64,
    /// How many shards go on from here.
    pub shards: u32,
    /// Events that were put aside on the way.
    pub dead_letters: &'a [DeadLetter],
}
