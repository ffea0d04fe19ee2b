//! The port of a snapshot: all rows of a generation as they stood at one moment, with the checkpoints of that moment.
//!
//! Not here: what is done with them (`diff`, `fingerprint`, `verify` in `host/server`), queries of readers ([`crate::Query`]).

use async_trait::async_trait;
use reel_projector::change::{KeyValues, Row};
use reel_projector::{Checkpoint, ReadModelError};

/// One moment of a generation: see [`crate::Target::snapshot`]. Everything it answers is of that moment, whatever is written since.
#[async_trait]
pub trait Snapshot: Send {
    /// The checkpoints, by shard.
    fn checkpoints(&self) -> &[Checkpoint];

    /// At most `limit` rows of table number `table` behind the key `after` (nothing = from the first), whole, in the order in which
    /// the database sorts the key: bytewise, but for SQL Server's text (by UTF-16 code unit) and `uniqueidentifier`.
    async fn rows(&mut self, table: u16, after: Option<&KeyValues>, limit: usize) -> Result<Vec<Row>, ReadModelError>;
}
