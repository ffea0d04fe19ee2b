//! PostgreSQL as a read database: the catalog in schema `reel`, tables in `reel_data`, views in a schema for each projection. Files
//! of this adapter and of `sqlite` have the same names and the same order.

mod connection;
mod dialect;
mod error;
pub(crate) mod examine;
mod generations;
mod load;
mod reader;
mod session;
mod snapshot;
mod values;
mod writer;

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures::future::BoxFuture;
use reel_events::{LogId, Place};
use reel_projector::ports::DeadLetter;
use reel_projector::{Checkpoint, ReadModel, ReadModelError};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::catalog::{self, Manifests};
use crate::fault::{DriverError, Fault, Severity};
use crate::load::BulkLoad;
use crate::query::{Answer, Query};
use crate::snapshot::Snapshot;
use crate::target::{
    CatalogError, Component, Condition, Decision, DropScope, FlipOutcome, Generation, GenerationId, GenerationState,
    IfBehind, NewGeneration, Pointer, Target, TargetKind,
};
use connection::Database;
use error::{Outcome, PostgresFault, is_lock_timeout};
use writer::Writer;

/// For how long a flip or a drop asks for its locks, and how long it leaves readers alone in between.
const LOCKS_ASKED: Duration = Duration::from_secs(30);
const LOCK_PAUSE: Duration = Duration::from_millis(250);

/// A read database on a PostgreSQL server.
struct Postgres {
    database: Arc<Database>,
    manifests: Arc<Manifests>,
}

/// Opens the read database at `url`.
pub(crate) async fn open(name: &str, url: &str) -> Result<Arc<dyn Target>, CatalogError> {
    let database = Database::open(name, url).map_err(|error| not_opened(name, error))?;
    database.reach().await.map_err(|error| not_opened(name, error))?;
    let prepared = async {
        let mut transaction = database.write().await?;
        generations::lock_catalog(&mut transaction, name).await?;
        catalog::prepare(&mut *transaction, name, str::to_owned).await?;
        Ok(transaction.commit().await?)
    };
    prepared.await.map_err(|fault: PostgresFault<CatalogError>| match fault {
        Fault::Database(error) => not_opened(name, error),
        fault => fault.told(name, "making the catalog"),
    })?;
    Ok(Arc::new(Postgres { database: Arc::new(database), manifests: Arc::default() }))
}

fn not_opened(name: &str, error: sqlx::Error) -> CatalogError {
    let unusable = |reason: String| CatalogError::Unusable { target: name.to_owned(), reason };
    match error::code(&error).as_deref() {
        Some("28P01" | "28000") => unusable(format!("{error}: see that user and password in its URL are right")),
        Some("3D000") => unusable(format!("{error}: make it (CREATE DATABASE … ENCODING 'UTF8'), or correct its URL")),
        Some("42501") => unusable(format!(
            "{error}: the user needs the right to make schemas (GRANT CREATE ON DATABASE …), and those of Reel must be its own"
        )),
        Some("25006") => read_only(name, &error),
        _ if error.severity() == Severity::Permanent => unusable(error.to_string()),
        _ => Fault::Database(error).told(name, "opening the database"),
    }
}

/// A replica may become the primary: so it is tried again, and says what it is meanwhile.
fn read_only(name: &str, error: &sqlx::Error) -> CatalogError {
    let server = error.as_database_error().map_or_else(|| error.to_string(), |error| error.message().to_owned());
    let source = format!(
        "it takes no writes ({server}): it is a replica, or set to be read only; give the URL of the primary, or make it writable"
    );
    ReadModelError::Unavailable { target: name.to_owned(), source: source.into() }.into()
}

impl Postgres {
    fn told(&self, fault: PostgresFault<CatalogError>, action: &str) -> CatalogError {
        if let Fault::Database(error) = &fault
            && error::code(error).as_deref() == Some("25006")
        {
            return read_only(&self.database.name, error);
        }
        fault.told(&self.database.name, action)
    }

    /// Runs `work` in a transaction for as long as it does not get its locks, for a bounded time.
    async fn with_locks<T: Send>(
        &self,
        action: &str,
        work: impl for<'c> Fn(&'c mut PgConnection) -> BoxFuture<'c, Outcome<T>> + Send + Sync,
    ) -> Result<T, CatalogError> {
        let deadline = Instant::now() + LOCKS_ASKED;
        loop {
            let attempted: Outcome<T> = async {
                let mut transaction = self.database.write().await?;
                let done = work(&mut transaction).await?;
                transaction.commit().await?;
                Ok(done)
            }
            .await;
            match attempted {
                Err(Fault::Database(error)) if is_lock_timeout(&error) && Instant::now() < deadline => {
                    tracing::debug!(database = self.database.name, action, "waiting for locks");
                    tokio::time::sleep(LOCK_PAUSE).await;
                }
                done => return done.map_err(|fault| self.told(fault, action)),
            }
        }
    }
}

#[async_trait]
impl Target for Postgres {
    fn name(&self) -> &str {
        &self.database.name
    }

    fn kind(&self) -> TargetKind {
        TargetKind::Postgres
    }

    async fn put_component(&self, component: &Component) -> Result<(), CatalogError> {
        let work = async {
            let mut transaction = self.database.write().await?;
            catalog::put_component(&mut *transaction, component).await?;
            Ok(transaction.commit().await?)
        };
        work.await.map_err(|fault| self.told(fault, "keeping a component"))
    }

    async fn component(&self, digest: &str) -> Result<Option<Component>, CatalogError> {
        let work = async { catalog::component(&mut *self.database.read().await?, digest).await };
        work.await.map_err(|fault| self.told(fault, "reading a component"))
    }

    async fn create_generation(&self, new: NewGeneration) -> Result<Generation, CatalogError> {
        let work = async {
            let mut transaction = self.database.write().await?;
            let generation = generations::create(&mut transaction, &self.manifests, &new).await?;
            transaction.commit().await?;
            Ok(generation)
        };
        work.await.map_err(|fault| self.told(fault, "making a generation"))
    }

    async fn generations(&self) -> Result<Vec<Generation>, CatalogError> {
        let work = async { catalog::generations(&mut *self.database.read().await?, &self.manifests).await };
        work.await.map_err(|fault| self.told(fault, "reading the generations"))
    }

    async fn live(&self, projection: &str) -> Result<Option<Generation>, CatalogError> {
        let work = async { catalog::live(&mut *self.database.read().await?, &self.manifests, projection).await };
        work.await.map_err(|fault| self.told(fault, "reading the live generation"))
    }

    async fn set_state(
        &self,
        id: GenerationId,
        from: GenerationState,
        to: GenerationState,
    ) -> Result<(), CatalogError> {
        let work = async {
            let mut transaction = self.database.write().await?;
            let generation = catalog::lock_generation(&mut *transaction, &self.manifests, id).await?;
            catalog::set_state(&mut *transaction, &generation, from, to).await?;
            Ok(transaction.commit().await?)
        };
        work.await.map_err(|fault| self.told(fault, "changing a generation's state"))
    }

    async fn set_condition(&self, id: GenerationId, condition: &Condition) -> Result<(), CatalogError> {
        let work = async {
            let mut transaction = self.database.write().await?;
            catalog::set_condition(&mut *transaction, id, condition).await?;
            Ok(transaction.commit().await?)
        };
        work.await.map_err(|fault| self.told(fault, "changing a generation's condition"))
    }

    async fn take(&self, id: GenerationId) -> Result<Vec<Checkpoint>, CatalogError> {
        let work = async {
            let mut transaction = self.database.write().await?;
            let generation = catalog::lock_generation(&mut *transaction, &self.manifests, id).await?;
            let checkpoints = catalog::take(&mut *transaction, &generation).await?;
            transaction.commit().await?;
            Ok(checkpoints)
        };
        work.await.map_err(|fault| self.told(fault, "taking a generation over"))
    }

    async fn take_shard(&self, id: GenerationId, shard: u32) -> Result<Checkpoint, CatalogError> {
        let work = async {
            let mut transaction = self.database.write().await?;
            let checkpoint = catalog::take_shard(&mut *transaction, id, shard).await?;
            transaction.commit().await?;
            Ok(checkpoint)
        };
        work.await.map_err(|fault| self.told(fault, "taking a shard over"))
    }

    async fn relayout(
        &self,
        id: GenerationId,
        from: &[Checkpoint],
        layout: u64,
        shards: u32,
    ) -> Result<Vec<Checkpoint>, CatalogError> {
        let work = async {
            let mut transaction = self.database.write().await?;
            let generation = catalog::lock_generation(&mut *transaction, &self.manifests, id).await?;
            let checkpoints = catalog::relayout(&mut *transaction, &generation, from, (layout, shards)).await?;
            transaction.commit().await?;
            Ok(checkpoints)
        };
        work.await.map_err(|fault| self.told(fault, "changing a generation's layout"))
    }

    async fn lease(&self, id: GenerationId, holder: Uuid, lasts: Duration) -> Result<bool, CatalogError> {
        let work = async {
            let mut transaction = self.database.write().await?;
            let generation = catalog::generation(&mut *transaction, &self.manifests, id).await?;
            let held = catalog::lease(&mut *transaction, &generation, holder, lasts).await?;
            transaction.commit().await?;
            Ok(held)
        };
        work.await.map_err(|fault| self.told(fault, "taking a generation's lease"))
    }

    async fn release(&self, id: GenerationId, holder: Uuid) -> Result<(), CatalogError> {
        let work = async {
            let mut transaction = self.database.write().await?;
            catalog::release(&mut *transaction, id, holder).await?;
            Ok(transaction.commit().await?)
        };
        work.await.map_err(|fault| self.told(fault, "giving a generation's lease back"))
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
        let manifests = &self.manifests;
        self.with_locks("promoting a generation", |connection| {
            let manifests = Arc::clone(manifests);
            Box::pin(async move { generations::flip(connection, &manifests, to, behind).await })
        })
        .await
    }

    async fn drop_generation(&self, id: GenerationId, scope: DropScope) -> Result<(), CatalogError> {
        let manifests = &self.manifests;
        self.with_locks("dropping a generation", |connection| {
            let manifests = Arc::clone(manifests);
            Box::pin(async move { generations::remove(connection, &manifests, id, scope).await })
        })
        .await
    }

    fn read_model(&self, generation: &Generation) -> Arc<dyn ReadModel> {
        Arc::new(Writer::new(Arc::clone(&self.database), generation))
    }

    async fn checkpoints(&self, id: GenerationId) -> Result<Vec<Checkpoint>, CatalogError> {
        let work = async { catalog::checkpoints(&mut *self.database.readers.acquire().await?, id).await };
        work.await.map_err(|fault| self.told(fault, "reading checkpoints"))
    }

    async fn query(&self, generation: &Generation, pointer: Pointer, query: &Query) -> Result<Answer, CatalogError> {
        let answer = reader::answer(&self.database, generation, pointer, query).await;
        answer.map_err(|fault| self.told(fault, "answering a query"))
    }

    async fn dead_letters(&self, id: GenerationId, after: Place, limit: u32) -> Result<Vec<DeadLetter>, CatalogError> {
        let work =
            async { catalog::dead_letters(&mut *self.database.readers.acquire().await?, id, after, limit).await };
        work.await.map_err(|fault| self.told(fault, "reading dead letters"))
    }

    async fn decisions(&self, log: LogId, digest: &str, settings: &str) -> Result<Vec<Place>, CatalogError> {
        let work =
            async { catalog::decisions(&mut *self.database.readers.acquire().await?, log, digest, settings).await };
        work.await.map_err(|fault| self.told(fault, "reading decisions"))
    }

    async fn decide(&self, decision: &Decision) -> Result<(), CatalogError> {
        let work = async {
            let mut transaction = self.database.write().await?;
            catalog::decide(&mut *transaction, decision).await?;
            Ok(transaction.commit().await?)
        };
        work.await.map_err(|fault| self.told(fault, "keeping a decision"))
    }
}
