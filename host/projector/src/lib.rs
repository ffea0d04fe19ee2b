//! What a projection means, without any I/O of its own: the manifest, the domain of values, the change algebra, the run loop
//! and its failure policy; and the ports that the loop needs: [`Plugin`], [`ReadModel`], [`Source`].
//!
//! Not here: WebAssembly (`host/plugin`), SQL (`host/read-model`), where events come from (`event-log`), who runs loops
//! (`host/server`).

pub mod bulk;
mod cache;
mod cells;
pub mod change;
mod check;
mod failure;
#[cfg(test)]
mod fixture;
mod fold;
pub mod json;
pub mod key;
pub mod manifest;
pub mod memory;
mod policy;
pub mod ports;
mod progress;
mod rederive;
mod removals;
mod rows;
mod run;
pub mod settings;
mod shard;
mod step;
mod stride;
pub mod value;
mod work;

pub use bulk::{BulkShard, FoldedShard, MergeError, MergedTable, StoredRun};
pub use change::{Cell, Change, KeyValues, Merge, Operation, Refusal, Row, RowFilter, TableWrites, Writes};
pub use failure::{Failure, RunError};
pub use manifest::{Column, ColumnType, Manifest, ManifestError, Table};
pub use policy::RunSettings;
pub use ports::{ApplyError, Checkpoint, Plugin, ReadModel, ReadModelError, Sink, Source, SourceError};
pub use progress::{Phase, Progress, ProgressNow};
pub use rederive::Rederivation;
pub use reel_events::chain;
pub use run::{Errand, Orders, Rederive, Request, Retry, run};
pub use settings::{SettingsError, check_settings};
pub use shard::ShardParts;
pub use value::{DomainError, Value, ValueRef};
