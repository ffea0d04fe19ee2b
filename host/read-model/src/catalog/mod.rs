//! The catalog of a read database, whatever database keeps it: its version, what its entries mean, the rules that they change by, and
//! how they are read and written through a [`CatalogSession`]. The statements are in the dialects; tables and views of generations are
//! the adapters'.

mod checkpoints;
mod commits;
mod entries;
mod generations;
mod holds;
mod loads;
mod making;
mod manifests;
mod notes;
mod prepare;
mod rules;
mod session;
mod shared_statements;
mod statements;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use reel_events::{LogId, LogPoint, Timestamp};
use reel_projector::Checkpoint;

pub(crate) use checkpoints::{checkpoint, checkpoints, lock_checkpoints, put_checkpoints, relayout, take, take_shard};
pub(crate) use commits::{letter, move_checkpoint, settle};
pub(crate) use entries::{Unreadable, Word, kept};
pub(crate) use generations::{
    check_pointer, component, generation, generations, lease, live, lock_generation, manifest, promote, put_component,
    release, set_condition, set_state,
};
pub(crate) use holds::{end_hold, hold, holds};
pub(crate) use loads::{end_load, lost};
pub(crate) use making::{
    Made, Names, Pointed, check_names, check_view, claim_names, forget, lock_to_drop, made_views, move_pointer,
    name_taken, object_exists, put_generation, set_view,
};
pub(crate) use manifests::Manifests;
pub(crate) use notes::{dead_letters, decide, decisions};
pub(crate) use prepare::{is_current, prepare};
pub(crate) use rules::{check_new, load_ends, no_load};
pub(crate) use session::{Argument, CatalogSession, Fields, Outcome, SessionFault};
pub(crate) use shared_statements::catalog_statements;
pub(crate) use statements::{Statements, collected_statements};

use crate::target::{CatalogError, Generation, GenerationId};

/// The catalog that this build reads and writes.
pub(crate) const VERSION: i64 = 4;

/// How often a flip looks whether the next generation has passed the live one.
const LOOK: Duration = Duration::from_millis(5);

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
