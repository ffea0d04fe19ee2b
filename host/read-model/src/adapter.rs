//! What a kind of database has to give to be a [`crate::Target`]. Everything that does not differ is in `adapted`, and in `catalog`.

use std::ops::DerefMut;
use std::sync::Arc;

use reel_projector::ReadModel;

use crate::catalog::{CatalogSession, Manifests, Outcome, SessionFault};
use crate::load::BulkLoad;
use crate::query::{Answer, Query};
use crate::snapshot::Snapshot;
use crate::target::{
    CatalogError, DropScope, FlipOutcome, Generation, GenerationId, IfBehind, NewGeneration, Pointer, TargetKind,
};

/// What comes of work on the catalog of an adapter `A`.
pub(crate) type AdapterOutcome<T, A> = Outcome<T, <A as Adapter>::Session>;

/// The driver's error of an adapter `A`.
pub(crate) type AdapterError<A> = <<A as Adapter>::Session as CatalogSession>::Error;

/// One database with its connections.
pub(crate) trait Adapter: Send + Sync + Sized + 'static {
    /// What kind of database it is.
    const KIND: TargetKind;

    /// A connection as the catalog sees it.
    type Session: CatalogSession;
    /// A connection that reads, one statement at a time.
    type Reader: DerefMut<Target = Self::Session> + Send;
    /// A connection in a transaction; dropped before its end it leaves no trace.
    type Transaction: DerefMut<Target = Self::Session> + Send;

    /// The target's name.
    fn name(&self) -> &str;

    /// A connection that reads.
    fn reader(&self) -> impl Future<Output = Result<Self::Reader, AdapterError<Self>>> + Send;

    /// Begins to read one moment of the data.
    fn read(&self) -> impl Future<Output = Result<Self::Transaction, AdapterError<Self>>> + Send;

    /// Begins to write.
    fn write(&self) -> impl Future<Output = Result<Self::Transaction, AdapterError<Self>>> + Send;

    /// Ends what [`Adapter::write`] began.
    fn commit(transaction: Self::Transaction) -> impl Future<Output = Result<(), AdapterError<Self>>> + Send;

    /// The caller's error: `action` is what was being done.
    fn told(&self, fault: SessionFault<Self::Session, CatalogError>, action: &str) -> CatalogError {
        fault.told(self.name(), action)
    }

    /// Makes a generation: its entry, its checkpoints, its tables.
    fn create(
        &self,
        manifests: &Manifests,
        new: &NewGeneration,
    ) -> impl Future<Output = AdapterOutcome<Generation, Self>> + Send;

    /// Makes a generation the live one, if it has come far enough. Who reads the views is not kept waiting for long: a lock that is
    /// not to be had soon is an error, and the caller tries again.
    fn flip(
        &self,
        manifests: &Manifests,
        to: GenerationId,
        behind: IfBehind,
    ) -> impl Future<Output = AdapterOutcome<FlipOutcome, Self>> + Send;

    /// Deletes a generation, and with the last one its projection if that is wanted; locks as in [`Adapter::flip`].
    fn remove(
        &self,
        manifests: &Manifests,
        id: GenerationId,
        scope: DropScope,
    ) -> impl Future<Output = AdapterOutcome<(), Self>> + Send;

    /// Begins to fill a generation. Nothing is touched yet.
    fn bulk_load(
        self: &Arc<Self>,
        generation: &Generation,
        epoch: u64,
    ) -> impl Future<Output = AdapterOutcome<Box<dyn BulkLoad>, Self>> + Send;

    /// Begins to read a generation as it stands now.
    fn snapshot(
        self: &Arc<Self>,
        generation: &Generation,
    ) -> impl Future<Output = AdapterOutcome<Box<dyn Snapshot>, Self>> + Send;

    /// What a loop writes through.
    fn read_model(self: &Arc<Self>, generation: &Generation) -> Arc<dyn ReadModel>;

    /// Starts a query; the rows follow in the answer's channel.
    fn answer(
        self: &Arc<Self>,
        generation: &Generation,
        pointer: Pointer,
        query: &Query,
    ) -> impl Future<Output = AdapterOutcome<Answer, Self>> + Send;
}
