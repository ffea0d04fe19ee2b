//! What a kind of database has to give to be a [`crate::Target`]. Everything that does not differ is in `adapted`, and in `catalog`.

use std::ops::DerefMut;

use crate::catalog::{CatalogSession, Manifests, Outcome, SessionFault};
use crate::filling::Filling;
use crate::model::Tables;
use crate::query_session::QuerySession;
use crate::sql::Dialect;
use crate::target::{
    CatalogError, DropScope, FlipOutcome, Generation, GenerationId, IfBehind, NewGeneration, TargetKind,
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
    type Session: QuerySession;
    /// A connection that reads, one statement at a time.
    type Reader: DerefMut<Target = Self::Session> + Send;
    /// A reader in a transaction.
    type Reading<'r>: DerefMut<Target = Self::Session> + Send;
    /// A connection that reads one moment of the data.
    type Moment: DerefMut<Target = Self::Session> + Send;
    /// A connection in a transaction; dropped before its end it leaves no trace.
    type Transaction: DerefMut<Target = Self::Session> + Send;

    /// How a loop's rows are written and found.
    type Tables: Tables<Session = Self::Session>;
    /// How tables are filled at once.
    type Filling: Filling<Self>;
    /// How queries are said.
    type Dialect: Dialect + Send + Sync;

    /// The target's name.
    fn name(&self) -> &str;

    /// How queries are said to this server.
    fn dialect(&self) -> Self::Dialect;

    /// A connection that reads.
    fn reader(&self) -> impl Future<Output = Result<Self::Reader, AdapterError<Self>>> + Send;

    /// Begins to read one moment of the data, with a reader that [`Adapter::discard`] can still take.
    fn begin(reader: &mut Self::Reader) -> impl Future<Output = Result<Self::Reading<'_>, AdapterError<Self>>> + Send;

    /// Ends what [`Adapter::begin`] began.
    fn end(reading: Self::Reading<'_>) -> impl Future<Output = Result<(), AdapterError<Self>>> + Send;

    /// Gives up a reader to which the server may still be sending rows.
    fn discard(reader: Self::Reader) -> impl Future<Output = ()> + Send;

    /// Runs a query in a task of its own.
    fn spawn(query: impl Future<Output = ()> + Send + 'static) {
        tokio::spawn(query);
    }

    /// Begins to read one moment of the data.
    fn read(&self) -> impl Future<Output = Result<Self::Moment, AdapterError<Self>>> + Send;

    /// Sees to it that the rows of a generation stand still for a session from [`Adapter::read`], where that takes more.
    fn still(
        &self,
        _session: &mut Self::Session,
        _id: GenerationId,
    ) -> impl Future<Output = Result<(), AdapterError<Self>>> + Send {
        std::future::ready(Ok(()))
    }

    /// Begins to write.
    fn write(&self) -> impl Future<Output = Result<Self::Transaction, AdapterError<Self>>> + Send;

    /// Ends what [`Adapter::write`] began.
    fn commit(transaction: Self::Transaction) -> impl Future<Output = Result<(), AdapterError<Self>>> + Send;

    /// A connection that finds rows for a loop.
    fn read_rows(&self) -> impl Future<Output = Result<Self::Reader, AdapterError<Self>>> + Send;

    /// Begins to write what a loop does again by itself, where a power failure takes it.
    fn write_rows(&self) -> impl Future<Output = Result<Self::Transaction, AdapterError<Self>>> + Send {
        self.write()
    }

    /// Runs what is done with a connection of [`Adapter::read_rows`] or [`Adapter::write_rows`].
    fn run<T: Send>(work: impl Future<Output = T> + Send) -> impl Future<Output = T> + Send {
        work
    }

    /// The tables of a generation, for its loops.
    fn tables(&self, generation: &Generation) -> Self::Tables;

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
}
