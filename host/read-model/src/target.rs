//! The target port: one read database with its catalog, its generations and its readers.
//!
//! Everything that is known about a deployment lives in the database it describes, so that a backup of it is whole.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use reel_events::{LogId, LogPoint, Place, Timestamp};
use reel_projector::{
    Checkpoint, Manifest, ReadModel, ReadModelError,
    ports::{DeadLetter, FailurePolicy},
};
use uuid::Uuid;

use crate::load::BulkLoad;
use crate::query::{Answer, Query};
use crate::snapshot::Snapshot;

/// A read database.
#[async_trait]
pub trait Target: Send + Sync {
    /// The name it has in the configuration.
    fn name(&self) -> &str;

    /// What kind of database it is.
    fn kind(&self) -> TargetKind;

    /// Keeps a component; one that is there already stays as it is.
    async fn put_component(&self, component: &Component) -> Result<(), CatalogError>;

    /// A component by its digest.
    async fn component(&self, digest: &str) -> Result<Option<Component>, CatalogError>;

    /// Makes a generation in state `build`: its catalog entry, its empty tables with their keys and indexes, and a checkpoint at
    /// the start of the log for each of its shards.
    ///
    /// # Errors
    /// [`CatalogError::NameTaken`] where another projection maps to the same schema name.
    async fn create_generation(&self, new: NewGeneration) -> Result<Generation, CatalogError>;

    /// All generations that were not dropped, of all projections, oldest first.
    async fn generations(&self) -> Result<Vec<Generation>, CatalogError>;

    /// One generation, dropped or not.
    ///
    /// # Errors
    /// [`CatalogError::NotFound`] where there never was one of this number.
    async fn generation(&self, id: GenerationId) -> Result<Generation, CatalogError>;

    /// The live generation of `projection`, if it has one.
    async fn live(&self, projection: &str) -> Result<Option<Generation>, CatalogError>;

    /// Moves a generation from one state to another. Not for `live` and `previous`: see [`Target::flip`]; not for `dropped`: see
    /// [`Target::drop_generation`].
    ///
    /// # Errors
    /// [`CatalogError::Conflict`] where it is in another state than `from`.
    async fn set_state(&self, id: GenerationId, from: GenerationState, to: GenerationState)
    -> Result<(), CatalogError>;

    /// Says whether a generation runs, rests, or has stopped on a failure.
    async fn set_condition(&self, id: GenerationId, condition: &Condition) -> Result<(), CatalogError>;

    /// Takes a generation over: raises the epoch of all its shards and answers with their checkpoints. A host calls it when it starts
    /// a generation's loop; a loop that holds an older epoch cannot write any more. Nothing else raises an epoch: neither a change
    /// of state nor a flip disturbs a loop that runs.
    ///
    /// # Errors
    /// [`CatalogError::NotFound`] where the generation has no checkpoints: it was dropped.
    async fn take(&self, id: GenerationId) -> Result<Vec<Checkpoint>, CatalogError>;

    /// Takes over one shard of a generation: raises its epoch alone and answers with its checkpoint. For hosts that share the shards
    /// of a generation between them.
    ///
    /// # Errors
    /// [`CatalogError::NotFound`] where the generation has no such shard.
    async fn take_shard(&self, id: GenerationId, shard: u32) -> Result<Checkpoint, CatalogError>;

    /// Replaces the checkpoints of a generation, which must be exactly `from`, by those of a new layout, in one transaction; their epoch is
    /// higher than any that was there. All of `from` stand at the same point, behind the last event of the layout that ends.
    ///
    /// # Errors
    /// [`CatalogError::Conflict`] where a checkpoint is another one by now (look again), or they stand at different points.
    async fn relayout(
        &self,
        id: GenerationId,
        from: &[Checkpoint],
        layout: u64,
        shards: u32,
    ) -> Result<Vec<Checkpoint>, CatalogError>;

    /// Takes or keeps the lease of a generation for `lasts` from now, by the database's own clock; false = somebody else holds it.
    /// Who builds a generation, or runs one that is not shared by a topic's partitions, holds its lease. It saves work; what keeps
    /// two hosts from writing is the epoch.
    ///
    /// # Errors
    /// [`CatalogError::NotFound`] where the generation was dropped.
    async fn lease(&self, id: GenerationId, holder: Uuid, lasts: Duration) -> Result<bool, CatalogError>;

    /// Gives the lease back, if `holder` has it.
    async fn release(&self, id: GenerationId, holder: Uuid) -> Result<(), CatalogError>;

    /// Holds a generation: none of its shards, whichever hosts run them, is to go beyond `through`, and each is to come there. Saying it again moves
    /// it. Hosts keep to it for as long as it is said again and again, and never for long. False = somebody else holds it.
    ///
    /// # Errors
    /// [`CatalogError::NotFound`] where the generation was dropped.
    async fn hold(&self, id: GenerationId, holder: Uuid, through: u64) -> Result<bool, CatalogError>;

    /// Takes a hold back, if `holder` has it.
    async fn end_hold(&self, id: GenerationId, holder: Uuid) -> Result<(), CatalogError>;

    /// All holds that were not taken back, whoever made them.
    async fn holds(&self) -> Result<Vec<Hold>, CatalogError>;

    /// Begins to fill a generation in state `build` at once: its tables are made anew, empty, without keys and indexes. `epoch` is
    /// what [`Target::take`] answered; the load ends only if it still holds.
    async fn bulk_load(&self, generation: &Generation, epoch: u64) -> Result<Box<dyn BulkLoad>, CatalogError>;

    /// Everything of a generation, live or not, as it stands now.
    async fn snapshot(&self, generation: &Generation) -> Result<Box<dyn Snapshot>, CatalogError>;

    /// Makes `to` the live generation of its projection in one transaction: locks the live one's checkpoints, checks that `to` is
    /// at or past them in every shard, moves the pointer, replaces the views, makes the one that was live `previous` (and the
    /// one that was `previous` before stays so).
    async fn flip(&self, to: GenerationId, behind: IfBehind) -> Result<FlipOutcome, CatalogError>;

    /// Deletes a generation's tables, checkpoints and dead letters, and marks it dropped. What is live cannot be dropped, unless the
    /// whole projection goes: then its views go first ([`DropScope::Projection`]).
    async fn drop_generation(&self, id: GenerationId, scope: DropScope) -> Result<(), CatalogError>;

    /// The tables and checkpoints of a generation, for a loop to write.
    fn read_model(&self, generation: &Generation) -> Arc<dyn ReadModel>;

    /// The checkpoints of a generation, by shard.
    async fn checkpoints(&self, id: GenerationId) -> Result<Vec<Checkpoint>, CatalogError>;

    /// Answers a query over a table of `generation`, if that is (still) the one that `pointer` asks for: pointer and rows are read
    /// in one snapshot.
    ///
    /// # Errors
    /// [`CatalogError::Moved`] where another generation is live by now: look it up and ask again.
    async fn query(&self, generation: &Generation, pointer: Pointer, query: &Query) -> Result<Answer, CatalogError>;

    /// Dead letters of a generation behind `after`, in order, at most `limit`.
    async fn dead_letters(&self, id: GenerationId, after: Place, limit: u32) -> Result<Vec<DeadLetter>, CatalogError>;

    /// Positions that an operator let go, for deployments of this log, component and settings.
    async fn decisions(&self, log: LogId, digest: &str, settings: &str) -> Result<Vec<Place>, CatalogError>;

    /// Keeps an operator's decision; one that is there already stays as it is.
    async fn decide(&self, decision: &Decision) -> Result<(), CatalogError>;
}

/// What kind of database a target is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TargetKind {
    /// SQLite: one file, tables of readers named `projection__table`.
    Sqlite,
    /// PostgreSQL: a schema for each projection.
    Postgres,
    /// MySQL or MariaDB: one database, tables of readers named `projection__table`.
    MySql,
    /// SQL Server or Azure SQL: a schema for each projection.
    SqlServer,
}

/// A component as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Component {
    /// blake3 of `bytes`, in hex.
    pub digest: String,
    /// Its manifest, JSON.
    pub manifest: String,
    /// The component itself.
    pub bytes: Vec<u8>,
}

/// Number of a generation within its target; never used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GenerationId(pub i64);

/// A generation that is held: see [`Target::hold`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hold {
    /// Which.
    pub generation: GenerationId,
    /// For whom.
    pub holder: Uuid,
    /// The position at which its shards are to stand.
    pub through: u64,
    /// Another one each time that it is said.
    pub stamp: u64,
}

/// One filling of a projection's tables: from one component with one set of settings.
#[derive(Debug, Clone, PartialEq)]
pub struct Generation {
    /// Its number within the target; the physical tables are named by it.
    pub id: GenerationId,
    /// The projection's name in this target: the manifest's, unless the deployment gave another.
    pub projection: String,
    /// Its number within the projection, from 1: `posts@2`.
    pub number: u32,
    /// Digest of its component.
    pub digest: String,
    /// The component's manifest.
    pub manifest: Arc<Manifest>,
    /// Canonical JSON.
    pub settings: String,
    /// What to do with an event that cannot be applied.
    pub on_failure: FailurePolicy,
    /// Whether it goes live by itself once it has caught up.
    pub promotion: Promotion,
    /// Where it is in its life.
    pub state: GenerationState,
    /// Whether it runs.
    pub condition: Condition,
    /// The log it is built from.
    pub log: LogId,
    /// How many shards it has.
    pub shards: u32,
    /// Raised whenever it changes hands: see [`Target::take`].
    pub epoch: u64,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last went live.
    pub promoted_at: Option<Timestamp>,
}

/// Where a generation is in its life.
///
/// ```text
///            ┌────────────► failed
///            │
///  build ─► catch-up ─► ready ─► live ◄─► previous
///    │         │          │                  │
///    └─────────┴──────────┴─► cancelled      ▼
///                             (any but live) dropped
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum GenerationState {
    /// Filled from history.
    Build,
    /// Reading the last events up to the present.
    CatchUp,
    /// As current as the live one; waits to be promoted.
    Ready,
    /// What readers see.
    Live,
    /// What readers saw before; kept current, so that a rollback is a flip.
    Previous,
    /// Could not be built; its evidence is kept.
    Failed,
    /// An operator stopped its build.
    Cancelled,
    /// Gone, but for its entry in the catalog.
    Dropped,
}

impl GenerationState {
    /// The word that it is kept and shown as: `catch-up`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        crate::catalog::Word::word(self)
    }
}

/// Whether a generation goes live by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Promotion {
    /// Once it has caught up.
    Automatic,
    /// When an operator says so.
    Manual,
    /// Never: it shows the past, and stands still at this position.
    Never {
        /// The last position whose changes are in its rows.
        until: u64,
    },
}

impl Promotion {
    /// Where the generation stands still, if it does.
    #[must_use]
    pub fn until(self) -> Option<u64> {
        match self {
            Promotion::Automatic | Promotion::Manual => None,
            Promotion::Never { until } => Some(until),
        }
    }
}

/// Whether a generation runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// It runs whenever a host does.
    Running,
    /// An operator stopped it.
    Paused,
    /// It stopped on a failure, and waits for an operator.
    Halted {
        /// The event at fault, where one is.
        position: Option<Place>,
        /// Its stream.
        stream: Option<String>,
        /// Label of the failure.
        code: String,
        /// For people: what was wrong, and what to do.
        message: String,
    },
}

/// What a new generation is made of.
#[derive(Debug, Clone)]
pub struct NewGeneration {
    /// The projection's name in this target.
    pub projection: String,
    /// Digest of a component that the target has.
    pub digest: String,
    /// Its manifest.
    pub manifest: Arc<Manifest>,
    /// Canonical JSON.
    pub settings: String,
    /// What to do with an event that cannot be applied.
    pub on_failure: FailurePolicy,
    /// Whether it goes live by itself.
    pub promotion: Promotion,
    /// The log it is built from.
    pub log: LogId,
    /// How many shards; 1 where the order is global.
    pub shards: u32,
}

/// What a flip does where the new generation is behind the live one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IfBehind {
    /// Nothing: [`FlipOutcome::Behind`].
    Refuse,
    /// Flip all the same: an operator's `--force`.
    Force,
}

/// What a flip came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FlipOutcome {
    /// It is live now.
    Flipped,
    /// It was live already.
    AlreadyLive,
    /// A shard is behind the live generation's: try again soon.
    Behind {
        /// Which shard.
        shard: u32,
        /// Where it stands.
        at: LogPoint,
        /// Where the live one stands.
        live: LogPoint,
    },
}

/// How much goes with a generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DropScope {
    /// Only itself; refused where it is live.
    Generation,
    /// It is the last of its projection: the views and the projection's entry go too.
    Projection,
}

/// Which generation a reader wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pointer {
    /// Whatever is live.
    Live,
    /// This one, live or not (`posts@2`).
    Fixed,
}

/// An operator let one event go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// Of which log.
    pub log: LogId,
    /// For which component.
    pub digest: String,
    /// With which settings.
    pub settings: String,
    /// Which event.
    pub position: Place,
    /// When.
    pub decided_at: Timestamp,
}

/// Why the catalog did not do something, by what the caller does next.
#[derive(Debug, thiserror::Error)]
pub enum CatalogError {
    /// No such generation or component.
    #[error("{0} does not exist")]
    NotFound(String),
    /// It is in another state than the caller thought.
    #[error("{what} is {actual}; {wanted}")]
    Conflict {
        /// What.
        what: String,
        /// Its state.
        actual: String,
        /// What the caller needed, and what to do.
        wanted: String,
    },
    /// Another projection's tables are readable under the same name.
    #[error(
        "projection {name} would be readable as schema {schema}, which belongs to {owner} already: choose another name"
    )]
    NameTaken {
        /// The new projection.
        name: String,
        /// The schema.
        schema: String,
        /// Who has it.
        owner: String,
    },
    /// Another generation is live by now.
    #[error("another generation is live by now")]
    Moved,
    /// The catalog was written by a newer Reel, or the database is not usable for it.
    #[error("the catalog in read database {target} cannot be used: {reason}")]
    Unusable {
        /// The target's name.
        target: String,
        /// Why, and what to do.
        reason: String,
    },
    /// The database did not do it.
    #[error(transparent)]
    ReadModel(#[from] ReadModelError),
}
