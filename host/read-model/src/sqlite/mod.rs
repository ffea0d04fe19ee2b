//! SQLite as a read database: one file, which holds catalog, tables and views. Files of this adapter and of `postgres` have the
//! same names and the same order.

mod catalog;
mod connection;
mod dialect;
mod error;
pub(crate) mod examine;
mod generations;
mod load;
mod reader;
mod snapshot;
mod values;
mod writer;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use reel_events::{LogId, Place};
use reel_projector::ports::DeadLetter;
use reel_projector::{Checkpoint, ReadModel, ReadModelError};
use rusqlite::Transaction;
use uuid::Uuid;

use crate::catalog::Manifests;
use crate::fault::{DriverError, Fault, Severity};
use crate::load::BulkLoad;
use crate::query::{Answer, Query};
use crate::snapshot::Snapshot;
use crate::target::{
    CatalogError, Component, Condition, Decision, DropScope, FlipOutcome, Generation, GenerationId, GenerationState,
    IfBehind, NewGeneration, Pointer, Target, TargetKind,
};
use catalog::Outcome;
use connection::{Database, Durability};
use error::SqliteFault;
use writer::Writer;

/// A read database in one SQLite file.
struct Sqlite {
    database: Arc<Database>,
    manifests: Manifests,
}

/// How long opening waits for whoever opens the same file.
const PATIENCE: Duration = Duration::from_secs(5);

/// Opens the read database in the file at `path`, making it where it does not exist. Where several do that at once, some are told that
/// it is locked: SQLite does not wait for the lock that makes a new file a WAL one.
pub(crate) async fn open(name: &str, path: &str) -> Result<Arc<dyn Target>, CatalogError> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match open_now(name, path).await {
            Err(CatalogError::ReadModel(ReadModelError::Unavailable { .. })) if Instant::now() < deadline => {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            opened => return opened,
        }
    }
}

async fn open_now(name: &str, path: &str) -> Result<Arc<dyn Target>, CatalogError> {
    let database = Database::open(name, Path::new(path)).map_err(|error| not_opened(name, path, error))?;
    let target = Sqlite { database: Arc::new(database), manifests: Manifests::default() };
    if !target.read("reading the catalog's version", catalog::is_current).await? {
        target.write("making the catalog", |transaction| catalog::prepare(transaction, name)).await?;
    }
    Ok(Arc::new(target))
}

fn not_opened(name: &str, path: &str, error: rusqlite::Error) -> CatalogError {
    use rusqlite::ErrorCode::{CannotOpen, NotADatabase, PermissionDenied, ReadOnly};
    let unusable = |reason: String| CatalogError::Unusable { target: name.to_owned(), reason };
    match error.sqlite_error_code() {
        Some(CannotOpen) => unusable(format!(
            "the file {path} cannot be opened: see that its folder exists and that this user may write there"
        )),
        Some(NotADatabase) => unusable(format!("the file {path} is not a SQLite database: use another one")),
        Some(PermissionDenied | ReadOnly) => unusable(format!("the file {path} cannot be written by this user")),
        _ if error.severity() == Severity::Permanent => unusable(format!("the file {path} cannot be opened: {error}")),
        _ => Fault::Database(error).told(name, "opening the file"),
    }
}

impl Sqlite {
    async fn read<T>(
        &self,
        action: &str,
        work: impl FnOnce(&Transaction<'_>) -> Outcome<T>,
    ) -> Result<T, CatalogError> {
        self.database.read(work).await.map_err(|fault| self.told(fault, action))
    }

    async fn write<T>(
        &self,
        action: &str,
        work: impl FnOnce(&Transaction<'_>) -> Outcome<T>,
    ) -> Result<T, CatalogError> {
        self.database.write(Durability::Full, work).await.map_err(|fault| self.told(fault, action))
    }

    fn told(&self, fault: SqliteFault<CatalogError>, action: &str) -> CatalogError {
        fault.told(&self.database.name, action)
    }

    fn find(&self, transaction: &Transaction<'_>, id: GenerationId) -> Outcome<Generation> {
        catalog::generation(transaction, &self.manifests, id)
    }
}

#[async_trait]
impl Target for Sqlite {
    fn name(&self) -> &str {
        &self.database.name
    }

    fn kind(&self) -> TargetKind {
        TargetKind::Sqlite
    }

    async fn put_component(&self, component: &Component) -> Result<(), CatalogError> {
        self.write("keeping a component", |transaction| catalog::put_component(transaction, component)).await
    }

    async fn component(&self, digest: &str) -> Result<Option<Component>, CatalogError> {
        self.read("reading a component", |transaction| catalog::component(transaction, digest)).await
    }

    async fn create_generation(&self, new: NewGeneration) -> Result<Generation, CatalogError> {
        self.write("making a generation", |transaction| generations::create(transaction, &self.manifests, &new)).await
    }

    async fn generations(&self) -> Result<Vec<Generation>, CatalogError> {
        self.read("reading the generations", |transaction| catalog::generations(transaction, &self.manifests)).await
    }

    async fn live(&self, projection: &str) -> Result<Option<Generation>, CatalogError> {
        self.read("reading the live generation", |transaction| catalog::live(transaction, &self.manifests, projection))
            .await
    }

    async fn set_state(
        &self,
        id: GenerationId,
        from: GenerationState,
        to: GenerationState,
    ) -> Result<(), CatalogError> {
        let work =
            |transaction: &Transaction<'_>| catalog::set_state(transaction, &self.find(transaction, id)?, from, to);
        self.write("changing a generation's state", work).await
    }

    async fn set_condition(&self, id: GenerationId, condition: &Condition) -> Result<(), CatalogError> {
        let work = |transaction: &Transaction<'_>| catalog::set_condition(transaction, id, condition);
        self.write("changing a generation's condition", work).await
    }

    async fn take(&self, id: GenerationId) -> Result<Vec<Checkpoint>, CatalogError> {
        self.write("taking a generation over", |transaction| catalog::take(transaction, &self.find(transaction, id)?))
            .await
    }

    async fn take_shard(&self, id: GenerationId, shard: u32) -> Result<Checkpoint, CatalogError> {
        self.write("taking a shard over", |transaction| catalog::take_shard(transaction, id, shard)).await
    }

    async fn relayout(
        &self,
        id: GenerationId,
        from: &[Checkpoint],
        layout: u64,
        shards: u32,
    ) -> Result<Vec<Checkpoint>, CatalogError> {
        let work = |transaction: &Transaction<'_>| {
            catalog::relayout(transaction, &self.find(transaction, id)?, from, (layout, shards))
        };
        self.write("changing a generation's layout", work).await
    }

    async fn lease(&self, id: GenerationId, holder: Uuid, lasts: Duration) -> Result<bool, CatalogError> {
        let work =
            |transaction: &Transaction<'_>| catalog::lease(transaction, &self.find(transaction, id)?, holder, lasts);
        self.write("taking a generation's lease", work).await
    }

    async fn release(&self, id: GenerationId, holder: Uuid) -> Result<(), CatalogError> {
        let work = |transaction: &Transaction<'_>| catalog::release(transaction, id, holder);
        self.write("giving a generation's lease back", work).await
    }

    async fn bulk_load(&self, generation: &Generation, epoch: u64) -> Result<Box<dyn BulkLoad>, CatalogError> {
        let begun = load::begin(&self.database, generation, epoch).await;
        let load = begun.map_err(|fault| self.told(fault, "beginning to fill a generation"))?;
        Ok(Box::new(load))
    }

    async fn snapshot(&self, generation: &Generation) -> Result<Box<dyn Snapshot>, CatalogError> {
        let begun = snapshot::begin(&self.database, generation).await;
        Ok(Box::new(begun.map_err(|fault| self.told(fault, "beginning to read all of a generation"))?))
    }

    async fn flip(&self, to: GenerationId, behind: IfBehind) -> Result<FlipOutcome, CatalogError> {
        self.write("promoting a generation", |transaction| generations::flip(transaction, &self.manifests, to, behind))
            .await
    }

    async fn drop_generation(&self, id: GenerationId, scope: DropScope) -> Result<(), CatalogError> {
        let work =
            |transaction: &Transaction<'_>| generations::remove(transaction, &self.find(transaction, id)?, scope);
        self.write("dropping a generation", work).await
    }

    fn read_model(&self, generation: &Generation) -> Arc<dyn ReadModel> {
        Arc::new(Writer::new(Arc::clone(&self.database), generation))
    }

    async fn checkpoints(&self, id: GenerationId) -> Result<Vec<Checkpoint>, CatalogError> {
        self.read("reading checkpoints", |transaction| catalog::checkpoints(transaction, id)).await
    }

    async fn query(&self, generation: &Generation, pointer: Pointer, query: &Query) -> Result<Answer, CatalogError> {
        let answer = reader::answer(&self.database, generation, pointer, query).await;
        answer.map_err(|fault| self.told(fault, "answering a query"))
    }

    async fn dead_letters(&self, id: GenerationId, after: Place, limit: u32) -> Result<Vec<DeadLetter>, CatalogError> {
        self.read("reading dead letters", |transaction| catalog::dead_letters(transaction, id, after, limit)).await
    }

    async fn decisions(&self, log: LogId, digest: &str, settings: &str) -> Result<Vec<Place>, CatalogError> {
        self.read("reading decisions", |transaction| catalog::decisions(transaction, log, digest, settings)).await
    }

    async fn decide(&self, decision: &Decision) -> Result<(), CatalogError> {
        self.write("keeping a decision", |transaction| catalog::decide(transaction, decision)).await
    }
}
