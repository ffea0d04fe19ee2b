//! Looks into what is there: two generations held against each other, digests of tables, rows held against a new fold of the log.
//! Nothing here changes a row.
//!
//! Not here: how a moment of a generation is read (`read-model`), what an event makes of a row (`projector`).

mod alike;
mod declared;
mod diff;
mod digest;
mod dry_run;
mod fingerprint;
mod ordered;
pub(crate) mod report;
mod verify;

use std::sync::Arc;

use reel_projector::Checkpoint;
use reel_read_model::{Generation, GenerationState, Snapshot, Target};
use serde::Serialize;

use crate::error::HostError;
use crate::host::Host;
use crate::operate::title;
use crate::reference::ProjectionRef;

pub use diff::{DiffRequest, DiffSummary, Positions, SideSummary, TableDiff};
pub use dry_run::{Counted, DryRun, KindCount, PlannedTable};
pub use fingerprint::{Fingerprint, TableFingerprint, fingerprints};
pub use report::{Line, Report};
pub use verify::{TableVerified, Verified};

/// Which generation, and where: nothing = the default read database; the live one, else the newest.
#[derive(Debug, Clone)]
pub struct Which {
    /// The projection, or one of its generations.
    pub wanted: ProjectionRef,
    /// The read database.
    pub target: Option<String>,
}

/// Where one shard stood when its generation was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ShardAt {
    /// Position of the last event that is in the rows.
    pub position: u64,
    /// That event's id.
    pub event: String,
}

/// A generation to look into.
pub(crate) struct Subject {
    pub(crate) target: Arc<dyn Target>,
    pub(crate) generation: Generation,
}

impl Host {
    /// The generation that is meant, if it has rows of its own to look at.
    pub(crate) async fn subject(&self, which: &Which) -> Result<Subject, HostError> {
        use GenerationState::{Build, Live};
        let target = Arc::clone(self.inner.targets.get(which.target.as_deref())?);
        let named = self.named(&target, &which.wanted).await?;
        let live = named.iter().find(|generation| generation.state == Live);
        let generation = live.or(named.last()).expect("named finds at least one").clone();
        if generation.state == Build {
            let message = format!("{} is being built, and has no rows yet: wait until it is ready", title(&generation));
            return Err(HostError::Conflict(message));
        }
        Ok(Subject { target, generation })
    }
}

impl Subject {
    pub(crate) async fn snapshot(&self) -> Result<Box<dyn Snapshot>, HostError> {
        let begun = self.target.snapshot(&self.generation).await;
        begun.map_err(|error| HostError::catalog("reading a generation", error))
    }

    /// `posts@2 in reporting`
    fn place(&self) -> String {
        format!("{} in {}", self.title(), self.target.name())
    }

    /// `posts@2`
    pub(crate) fn title(&self) -> String {
        title(&self.generation)
    }
}

fn shards(checkpoints: &[Checkpoint]) -> Vec<ShardAt> {
    let shard = |at: &Checkpoint| ShardAt { position: at.point.position, event: at.point.event.to_string() };
    checkpoints.iter().map(shard).collect()
}
