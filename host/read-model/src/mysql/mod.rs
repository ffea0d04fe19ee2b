//! MySQL and MariaDB as a read database: catalog, tables and views in one database, told apart by their names. Files of this adapter,
//! of `postgres` and of `sqlite` have the same names and the same order; `views` is only here, because only here views are renamed.

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
mod views;
mod writer;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use reel_events::{LogId, Place};
use reel_projector::ports::DeadLetter;
use reel_projector::{Checkpoint, ReadModel};
use uuid::Uuid;

use crate::catalog::{self, Manifests};
use crate::fault::Fault;
use crate::load::BulkLoad;
use crate::query::{Answer, Query};
use crate::snapshot::Snapshot;
use crate::target::{
    CatalogError, Component, Condition, Decision, DropScope, FlipOutcome, Generation, GenerationId, GenerationState,
    IfBehind, NewGeneration, Pointer, Target, TargetKind,
};
use connection::{Database, NotOpened};
use dialect::catalog as sql;
use error::{MySqlError, MySqlFault, Outcome, is_denied, is_lock_timeout};
use generations::Alteration;
use writer::Writer;

/// How often a flip or a drop asks for its locks, and how long it leaves readers alone in between.
const LOCK_ATTEMPTS: u32 = 40;
const LOCK_PAUSE: Duration = Duration::from_millis(250);

/// A read database on a MySQL or MariaDB server.
struct MySql {
    database: Arc<Database>,
    manifests: Arc<Manifests>,
}

/// Opens the read database at `url`.
pub(crate) async fn open(name: &str, url: &str) -> Result<Arc<dyn Target>, CatalogError> {
    let database = Database::open(name, url).await.map_err(|error| not_opened(name, error))?;
    let (manifests, collation) = (Manifests::default(), database.server.collation);
    let prepared = async {
        let mut alteration = Alteration::lock(&database).await?;
        catalog::prepare(&mut alteration.schema, name, |statement| sql::create(statement, collation)).await?;
        alteration.mend(&manifests).await?;
        alteration.end().await
    };
    prepared.await.map_err(|fault: MySqlFault<CatalogError>| match fault {
        Fault::Database(MySqlError(error)) => not_opened(name, error.into()),
        fault => fault.told(name, "making the catalog"),
    })?;
    Ok(Arc::new(MySql { database: Arc::new(database), manifests: Arc::new(manifests) }))
}

/// What a user of Reel needs in its database.
const GRANT: &str = "GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, DROP, ALTER, INDEX, CREATE VIEW, SHOW VIEW ON <database>.* TO <user>";

fn not_opened(name: &str, error: NotOpened) -> CatalogError {
    let unusable = |reason: String| CatalogError::Unusable { target: name.to_owned(), reason };
    let error = match error {
        NotOpened::Database(error) => error,
        NotOpened::Unsupported(version) => {
            return unusable(format!("its server is version {version}: use MySQL 8.0.17 or MariaDB 10.6, or newer"));
        }
        NotOpened::ReadOnly => {
            return unusable(
                "its server takes no writes (read_only is on; a replica?): give the primary's URL".to_owned(),
            );
        }
        NotOpened::NoDatabase => {
            return unusable("its URL names no database: give mysql://user:password@host:port/database".to_owned());
        }
    };
    match error::number(&error) {
        Some(1045 | 1698) => unusable(format!("{error}: see that user and password in its URL are right")),
        Some(1049) => unusable(format!("{error}: make it (CREATE DATABASE …), or correct its URL")),
        _ if is_denied(&error) => unusable(format!("{error}: the user needs more rights ({GRANT})")),
        _ => match MySqlError(error) {
            error if error.is_permanent() => unusable(error.to_string()),
            error => Fault::Database(error).told(name, "opening the database"),
        },
    }
}

impl MySql {
    fn told(&self, fault: MySqlFault<CatalogError>, action: &str) -> CatalogError {
        match fault {
            Fault::Database(MySqlError(error)) if is_denied(&error) => not_opened(&self.database.name, error.into()),
            fault => fault.told(&self.database.name, action),
        }
    }

    /// Does `work` again for as long as it does not get its locks, a bounded number of times.
    async fn with_locks<T, F>(&self, action: &str, work: impl Fn() -> F + Send + Sync) -> Result<T, CatalogError>
    where
        T: Send,
        F: Future<Output = Outcome<T>> + Send,
    {
        let mut attempt = 0;
        loop {
            attempt += 1;
            match work().await {
                Err(Fault::Database(MySqlError(error))) if is_lock_timeout(&error) && attempt < LOCK_ATTEMPTS => {
                    tracing::debug!(database = self.database.name, action, attempt, "waiting for locks");
                    tokio::time::sleep(LOCK_PAUSE).await;
                }
                done => return done.map_err(|fault| self.told(fault, action)),
            }
        }
    }
}

#[async_trait]
impl Target for MySql {
    fn name(&self) -> &str {
        &self.database.name
    }

    fn kind(&self) -> TargetKind {
        TargetKind::MySql
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
        let created = generations::create(&self.database, &self.manifests, &new).await;
        created.map_err(|fault| self.told(fault, "making a generation"))
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
        let work = || generations::flip(&self.database, &self.manifests, to, behind);
        self.with_locks("promoting a generation", work).await
    }

    async fn drop_generation(&self, id: GenerationId, scope: DropScope) -> Result<(), CatalogError> {
        let work = || generations::remove(&self.database, &self.manifests, id, scope);
        self.with_locks("dropping a generation", work).await
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
