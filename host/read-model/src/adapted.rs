//! The target that an adapter becomes: which transaction each of the port's methods takes, and what is said where it fails.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use reel_events::{LogId, Place};
use reel_projector::ports::DeadLetter;
use reel_projector::{Checkpoint, ReadModel};
use uuid::Uuid;

use crate::adapter::{Adapter, AdapterOutcome};
use crate::catalog::{self, Manifests};
use crate::fault::{DriverError, Fault};
use crate::load::BulkLoad;
use crate::model::Model;
use crate::query::{Answer, Query};
use crate::snapshot::Snapshot;
use crate::target::{
    CatalogError, Component, Condition, Decision, DropScope, FlipOutcome, Generation, GenerationId, GenerationState,
    Hold, IfBehind, NewGeneration, Pointer, Target, TargetKind,
};
use crate::{answer, filling, moment};

/// For how long a flip or a drop asks for its locks, and how long it leaves readers alone in between.
const LOCKS_ASKED: Duration = Duration::from_secs(30);
const LOCK_PAUSE: Duration = Duration::from_millis(250);

/// A read database whose catalog is made.
pub(crate) struct Adapted<A> {
    database: Arc<A>,
    manifests: Manifests,
}

impl<A: Adapter> Adapted<A> {
    /// The target that `database` is.
    pub(crate) fn target(database: A) -> Arc<dyn Target> {
        Arc::new(Adapted { database: Arc::new(database), manifests: Manifests::default() })
    }

    fn told<T>(&self, done: AdapterOutcome<T, A>, action: &str) -> Result<T, CatalogError> {
        done.map_err(|fault| self.database.told(fault, action))
    }

    /// Does `work` again for as long as it does not get its locks, for a bounded time.
    async fn with_locks<T, F>(&self, action: &str, work: impl Fn() -> F + Send + Sync) -> Result<T, CatalogError>
    where
        T: Send,
        F: Future<Output = AdapterOutcome<T, A>> + Send,
    {
        let deadline = Instant::now() + LOCKS_ASKED;
        loop {
            match work().await {
                Err(Fault::Database(error)) if error.is_lock_timeout() && Instant::now() < deadline => {
                    tracing::debug!(database = self.database.name(), action, "waiting for locks");
                    tokio::time::sleep(LOCK_PAUSE).await;
                }
                done => return self.told(done, action),
            }
        }
    }
}

#[async_trait]
impl<A: Adapter> Target for Adapted<A> {
    fn name(&self) -> &str {
        self.database.name()
    }

    fn kind(&self) -> TargetKind {
        A::KIND
    }

    async fn put_component(&self, component: &Component) -> Result<(), CatalogError> {
        let work = async {
            let mut transaction = self.database.write().await?;
            catalog::put_component(&mut *transaction, component).await?;
            Ok(A::commit(transaction).await?)
        };
        self.told(work.await, "keeping a component")
    }

    async fn component(&self, digest: &str) -> Result<Option<Component>, CatalogError> {
        let work = async { catalog::component(&mut *self.database.read().await?, digest).await };
        self.told(work.await, "reading a component")
    }

    async fn create_generation(&self, new: NewGeneration) -> Result<Generation, CatalogError> {
        self.told(self.database.create(&self.manifests, &new).await, "making a generation")
    }

    async fn generations(&self) -> Result<Vec<Generation>, CatalogError> {
        let work = async { catalog::generations(&mut *self.database.read().await?, &self.manifests).await };
        self.told(work.await, "reading the generations")
    }

    async fn generation(&self, id: GenerationId) -> Result<Generation, CatalogError> {
        let work = async { catalog::generation(&mut *self.database.read().await?, &self.manifests, id).await };
        self.told(work.await, "reading a generation")
    }

    async fn live(&self, projection: &str) -> Result<Option<Generation>, CatalogError> {
        let work = async { catalog::live(&mut *self.database.read().await?, &self.manifests, projection).await };
        self.told(work.await, "reading the live generation")
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
            Ok(A::commit(transaction).await?)
        };
        self.told(work.await, "changing a generation's state")
    }

    async fn set_condition(&self, id: GenerationId, condition: &Condition) -> Result<(), CatalogError> {
        let work = async {
            let mut transaction = self.database.write().await?;
            catalog::set_condition(&mut *transaction, id, condition).await?;
            Ok(A::commit(transaction).await?)
        };
        self.told(work.await, "changing a generation's condition")
    }

    async fn take(&self, id: GenerationId) -> Result<Vec<Checkpoint>, CatalogError> {
        let work = async {
            let mut transaction = self.database.write().await?;
            let generation = catalog::lock_generation(&mut *transaction, &self.manifests, id).await?;
            let checkpoints = catalog::take(&mut *transaction, &generation).await?;
            A::commit(transaction).await?;
            Ok(checkpoints)
        };
        self.told(work.await, "taking a generation over")
    }

    async fn take_shard(&self, id: GenerationId, shard: u32) -> Result<Checkpoint, CatalogError> {
        let work = async {
            let mut transaction = self.database.write().await?;
            let checkpoint = catalog::take_shard(&mut *transaction, id, shard).await?;
            A::commit(transaction).await?;
            Ok(checkpoint)
        };
        self.told(work.await, "taking a shard over")
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
            A::commit(transaction).await?;
            Ok(checkpoints)
        };
        self.told(work.await, "changing a generation's layout")
    }

    async fn lease(&self, id: GenerationId, holder: Uuid, lasts: Duration) -> Result<bool, CatalogError> {
        let work = async {
            let mut transaction = self.database.write().await?;
            let generation = catalog::generation(&mut *transaction, &self.manifests, id).await?;
            let held = catalog::lease(&mut *transaction, &generation, holder, lasts).await?;
            A::commit(transaction).await?;
            Ok(held)
        };
        self.told(work.await, "taking a generation's lease")
    }

    async fn release(&self, id: GenerationId, holder: Uuid) -> Result<(), CatalogError> {
        let work = async {
            let mut transaction = self.database.write().await?;
            catalog::release(&mut *transaction, id, holder).await?;
            Ok(A::commit(transaction).await?)
        };
        self.told(work.await, "giving a generation's lease back")
    }

    async fn hold(&self, id: GenerationId, holder: Uuid, through: u64) -> Result<bool, CatalogError> {
        let work = async {
            let mut transaction = self.database.write().await?;
            let generation = catalog::generation(&mut *transaction, &self.manifests, id).await?;
            let held = catalog::hold(&mut *transaction, &generation, (holder, through)).await?;
            A::commit(transaction).await?;
            Ok(held)
        };
        self.told(work.await, "holding a generation")
    }

    async fn end_hold(&self, id: GenerationId, holder: Uuid) -> Result<(), CatalogError> {
        let work = async {
            let mut transaction = self.database.write().await?;
            catalog::end_hold(&mut *transaction, id, holder).await?;
            Ok(A::commit(transaction).await?)
        };
        self.told(work.await, "letting go of a generation")
    }

    async fn holds(&self) -> Result<Vec<Hold>, CatalogError> {
        let work = async { catalog::holds(&mut *self.database.reader().await?).await };
        self.told(work.await, "reading which generations are held")
    }

    async fn bulk_load(&self, generation: &Generation, epoch: u64) -> Result<Box<dyn BulkLoad>, CatalogError> {
        let begun = filling::begin(&self.database, generation, epoch).await;
        Ok(Box::new(self.told(begun, "beginning to fill a generation")?))
    }

    async fn snapshot(&self, generation: &Generation) -> Result<Box<dyn Snapshot>, CatalogError> {
        let begun = moment::begin(&self.database, generation).await;
        Ok(Box::new(self.told(begun, "beginning to read all of a generation")?))
    }

    async fn flip(&self, to: GenerationId, behind: IfBehind) -> Result<FlipOutcome, CatalogError> {
        let work = || self.database.flip(&self.manifests, to, behind);
        self.with_locks("promoting a generation", work).await
    }

    async fn drop_generation(&self, id: GenerationId, scope: DropScope) -> Result<(), CatalogError> {
        let work = || self.database.remove(&self.manifests, id, scope);
        self.with_locks("dropping a generation", work).await
    }

    fn read_model(&self, generation: &Generation) -> Arc<dyn ReadModel> {
        Arc::new(Model::new(&self.database, generation))
    }

    async fn checkpoints(&self, id: GenerationId) -> Result<Vec<Checkpoint>, CatalogError> {
        let work = async { catalog::checkpoints(&mut *self.database.reader().await?, id).await };
        self.told(work.await, "reading checkpoints")
    }

    async fn query(&self, generation: &Generation, pointer: Pointer, query: &Query) -> Result<Answer, CatalogError> {
        self.told(answer::answer(&self.database, generation, pointer, query).await, "answering a query")
    }

    async fn dead_letters(&self, id: GenerationId, after: Place, limit: u32) -> Result<Vec<DeadLetter>, CatalogError> {
        let work = async { catalog::dead_letters(&mut *self.database.reader().await?, id, after, limit).await };
        self.told(work.await, "reading dead letters")
    }

    async fn decisions(&self, log: LogId, digest: &str, settings: &str) -> Result<Vec<Place>, CatalogError> {
        let work = async { catalog::decisions(&mut *self.database.reader().await?, log, digest, settings).await };
        self.told(work.await, "reading decisions")
    }

    async fn decide(&self, decision: &Decision) -> Result<(), CatalogError> {
        let work = async {
            let mut transaction = self.database.write().await?;
            catalog::decide(&mut *transaction, decision).await?;
            Ok(A::commit(transaction).await?)
        };
        self.told(work.await, "keeping a decision")
    }
}
