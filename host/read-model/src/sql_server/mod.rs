//! SQL Server (and Azure SQL) as a read database: the catalog in schema `reel`, tables in `reel_data`, views in a schema for each
//! projection. Files of this adapter and of `postgres` have the same names and the same order; `address` and `server` are only here,
//! because here the driver neither reads a URL nor says what server it met.

mod address;
mod catalog;
mod connection;
mod dialect;
mod error;
pub(crate) mod examine;
mod generations;
mod load;
mod reader;
mod server;
mod snapshot;
mod values;
mod writer;

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures::future::BoxFuture;
use reel_events::{LogId, Place};
use reel_projector::ports::DeadLetter;
use reel_projector::{Checkpoint, ReadModel};
use uuid::Uuid;

use crate::catalog::Manifests;
use crate::fault::{DriverError, Fault};
use crate::load::BulkLoad;
use crate::query::{Answer, Query};
use crate::snapshot::Snapshot;
use crate::target::{
    CatalogError, Component, Condition, Decision, DropScope, FlipOutcome, Generation, GenerationId, GenerationState,
    IfBehind, NewGeneration, Pointer, Target, TargetKind,
};
use catalog::Outcome;
use connection::{Database, NotOpened, Session};
use error::{SqlServerError, SqlServerFault};
use writer::Writer;

/// For how long a flip or a drop asks for its locks, and how long it leaves readers alone in between.
const LOCKS_ASKED: Duration = Duration::from_secs(30);
const LOCK_PAUSE: Duration = Duration::from_millis(250);

/// A read database on a SQL Server.
struct SqlServer {
    database: Arc<Database>,
    manifests: Arc<Manifests>,
}

/// Opens the read database at `url`.
pub(crate) async fn open(name: &str, url: &str) -> Result<Arc<dyn Target>, CatalogError> {
    let database = Database::open(name, url).await.map_err(|error| not_opened(name, error))?;
    let prepared = async {
        let mut transaction = database.write().await?;
        catalog::prepare(&mut transaction, name).await?;
        Ok(transaction.commit().await?)
    };
    prepared.await.map_err(|fault: SqlServerFault<CatalogError>| match fault {
        Fault::Database(error) => not_opened(name, error.into()),
        fault => fault.told(name, "making the catalog"),
    })?;
    Ok(Arc::new(SqlServer { database: Arc::new(database), manifests: Arc::default() }))
}

/// What a user of Reel needs in its database; what it makes is its own.
const GRANT: &str = "GRANT CREATE SCHEMA, CREATE TABLE, CREATE VIEW TO <user>";

fn not_opened(name: &str, error: NotOpened) -> CatalogError {
    let unusable = |reason: String| CatalogError::Unusable { target: name.to_owned(), reason };
    let error = match error {
        NotOpened::Database(error) => error,
        NotOpened::Address(what) => return unusable(what),
        NotOpened::Unsupported(version) => {
            return unusable(format!(
                "its server is version {version}: use SQL Server 2017 (14.0) or newer, or Azure SQL"
            ));
        }
        NotOpened::ReadOnly => {
            return unusable("it takes no writes (a secondary replica?): give the primary's URL".to_owned());
        }
    };
    match error.number() {
        Some(18_456) => unusable(format!("{error}: see that user and password in its URL are right")),
        Some(911 | 4060) => unusable(format!("{error}: make it (CREATE DATABASE …), or correct its URL")),
        Some(916) => unusable(format!("{error}: make the login a user there (CREATE USER … FOR LOGIN …)")),
        _ if error.is_denied() => {
            unusable(format!("{error}: the user needs more rights ({GRANT}), and the schemas of Reel must be its own"))
        }
        _ if matches!(&error, SqlServerError::Driver(tiberius::error::Error::Tls(_))) => unusable(format!(
            "{error}: give certificate-authority=FILE in its URL, or trust-server-certificate=true on a network that you trust"
        )),
        _ if error.is_permanent() => unusable(error.to_string()),
        _ => Fault::Database(error).told(name, "opening the database"),
    }
}

impl SqlServer {
    fn told(&self, fault: SqlServerFault<CatalogError>, action: &str) -> CatalogError {
        match fault {
            Fault::Database(error) if error.is_denied() => not_opened(&self.database.name, error.into()),
            fault => fault.told(&self.database.name, action),
        }
    }

    /// Runs `work` in a transaction for as long as it does not get its locks, for a bounded time.
    async fn with_locks<T: Send>(
        &self,
        action: &str,
        work: impl for<'c> Fn(&'c mut Session) -> BoxFuture<'c, Outcome<T>> + Send + Sync,
    ) -> Result<T, CatalogError> {
        let deadline = Instant::now() + LOCKS_ASKED;
        loop {
            let attempted: Outcome<T> = async {
                let mut transaction = self.database.alter().await?;
                let done = work(&mut transaction).await?;
                transaction.commit().await?;
                Ok(done)
            }
            .await;
            match attempted {
                Err(Fault::Database(error)) if error.is_lock_timeout() && Instant::now() < deadline => {
                    tracing::debug!(database = self.database.name, action, "waiting for locks");
                    tokio::time::sleep(LOCK_PAUSE).await;
                }
                done => return done.map_err(|fault| self.told(fault, action)),
            }
        }
    }
}

#[async_trait]
impl Target for SqlServer {
    fn name(&self) -> &str {
        &self.database.name
    }

    fn kind(&self) -> TargetKind {
        TargetKind::SqlServer
    }

    async fn put_component(&self, component: &Component) -> Result<(), CatalogError> {
        let work = async {
            let mut transaction = self.database.write().await?;
            catalog::put_component(&mut transaction, component).await?;
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
            let generation = catalog::lock_generation(&mut transaction, &self.manifests, id).await?;
            catalog::set_state(&mut transaction, &generation, from, to).await?;
            Ok(transaction.commit().await?)
        };
        work.await.map_err(|fault| self.told(fault, "changing a generation's state"))
    }

    async fn set_condition(&self, id: GenerationId, condition: &Condition) -> Result<(), CatalogError> {
        let work = async {
            let mut transaction = self.database.write().await?;
            catalog::set_condition(&mut transaction, id, condition).await?;
            Ok(transaction.commit().await?)
        };
        work.await.map_err(|fault| self.told(fault, "changing a generation's condition"))
    }

    async fn take(&self, id: GenerationId) -> Result<Vec<Checkpoint>, CatalogError> {
        let work = async {
            let mut transaction = self.database.write().await?;
            let generation = catalog::lock_generation(&mut transaction, &self.manifests, id).await?;
            let checkpoints = catalog::take(&mut transaction, &generation).await?;
            transaction.commit().await?;
            Ok(checkpoints)
        };
        work.await.map_err(|fault| self.told(fault, "taking a generation over"))
    }

    async fn take_shard(&self, id: GenerationId, shard: u32) -> Result<Checkpoint, CatalogError> {
        let work = async {
            let mut transaction = self.database.write().await?;
            let checkpoint = catalog::take_shard(&mut transaction, id, shard).await?;
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
            let generation = catalog::lock_generation(&mut transaction, &self.manifests, id).await?;
            let checkpoints = catalog::relayout(&mut transaction, &generation, from, (layout, shards)).await?;
            transaction.commit().await?;
            Ok(checkpoints)
        };
        work.await.map_err(|fault| self.told(fault, "changing a generation's layout"))
    }

    async fn lease(&self, id: GenerationId, holder: Uuid, lasts: Duration) -> Result<bool, CatalogError> {
        let work = async {
            let mut transaction = self.database.write().await?;
            let generation = catalog::generation(&mut transaction, &self.manifests, id).await?;
            let held = catalog::lease(&mut transaction, &generation, holder, lasts).await?;
            transaction.commit().await?;
            Ok(held)
        };
        work.await.map_err(|fault| self.told(fault, "taking a generation's lease"))
    }

    async fn release(&self, id: GenerationId, holder: Uuid) -> Result<(), CatalogError> {
        let work = async {
            let mut transaction = self.database.write().await?;
            catalog::release(&mut transaction, id, holder).await?;
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
        self.with_locks("promoting a generation", |session| {
            let manifests = Arc::clone(manifests);
            Box::pin(async move { generations::flip(session, &manifests, to, behind).await })
        })
        .await
    }

    async fn drop_generation(&self, id: GenerationId, scope: DropScope) -> Result<(), CatalogError> {
        let manifests = &self.manifests;
        self.with_locks("dropping a generation", |session| {
            let manifests = Arc::clone(manifests);
            Box::pin(async move { generations::remove(session, &manifests, id, scope).await })
        })
        .await
    }

    fn read_model(&self, generation: &Generation) -> Arc<dyn ReadModel> {
        Arc::new(Writer::new(Arc::clone(&self.database), generation))
    }

    async fn checkpoints(&self, id: GenerationId) -> Result<Vec<Checkpoint>, CatalogError> {
        let work = async { catalog::checkpoints(&mut *self.database.reader().await?, id).await };
        work.await.map_err(|fault| self.told(fault, "reading checkpoints"))
    }

    async fn query(&self, generation: &Generation, pointer: Pointer, query: &Query) -> Result<Answer, CatalogError> {
        let answer = reader::answer(&self.database, generation, pointer, query).await;
        answer.map_err(|fault| self.told(fault, "answering a query"))
    }

    async fn dead_letters(&self, id: GenerationId, after: Place, limit: u32) -> Result<Vec<DeadLetter>, CatalogError> {
        let work = async { catalog::dead_letters(&mut *self.database.reader().await?, id, after, limit).await };
        work.await.map_err(|fault| self.told(fault, "reading dead letters"))
    }

    async fn decisions(&self, log: LogId, digest: &str, settings: &str) -> Result<Vec<Place>, CatalogError> {
        let work = async { catalog::decisions(&mut *self.database.reader().await?, log, digest, settings).await };
        work.await.map_err(|fault| self.told(fault, "reading decisions"))
    }

    async fn decide(&self, decision: &Decision) -> Result<(), CatalogError> {
        let work = async {
            let mut transaction = self.database.write().await?;
            catalog::decide(&mut transaction, decision).await?;
            Ok(transaction.commit().await?)
        };
        work.await.map_err(|fault| self.told(fault, "keeping a decision"))
    }
}
