//! What a loop does with a generation, whatever database holds it: read rows, and commit rows with the checkpoint. How rows are
//! written and found is each adapter's own ([`Tables`]).

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use reel_projector::change::{KeyValues, Merge, Row, TableWrites};
use reel_projector::ports::{Commit, CommitError};
use reel_projector::{Checkpoint, Manifest, ReadModel, ReadModelError, Table};

use crate::adapter::{Adapter, AdapterError};
use crate::catalog::{self, CatalogSession, SessionFault};
use crate::fault::{DriverError, Fault};
use crate::target::{Generation, GenerationId};

/// How often a commit that met a deadlock, or a lock for too long, is begun anew at once.
const ATTEMPTS: u32 = 5;
/// For how long: whoever waits for a lock that nobody gives back says so before he passes for one that does not move.
const PATIENCE: Duration = Duration::from_secs(20);

/// The tables of one generation, in the statements of an adapter.
pub(crate) trait Tables: Send + Sync + 'static {
    /// A connection in a transaction.
    type Session: CatalogSession;

    /// Writes what a commit holds for table number `table`.
    fn write(
        &self,
        session: &mut Self::Session,
        table: usize,
        writes: &TableWrites,
    ) -> impl Future<Output = Result<(), SessionFault<Self::Session, CommitError>>> + Send;

    /// The rows of table number `table` under `keys`, in the order of the keys.
    fn find(
        &self,
        session: &mut Self::Session,
        table: usize,
        keys: &[KeyValues],
    ) -> impl Future<Output = Result<Vec<Option<Row>>, <Self::Session as CatalogSession>::Error>> + Send;
}

/// One generation in a database `A`.
pub(crate) struct Model<A: Adapter> {
    database: Arc<A>,
    id: GenerationId,
    manifest: Arc<Manifest>,
    tables: A::Tables,
}

type ReadFault<A> = Fault<AdapterError<A>, ReadModelError>;
type CommitFault<A> = Fault<AdapterError<A>, CommitError>;

impl<A: Adapter> Model<A> {
    pub(crate) fn new(database: &Arc<A>, generation: &Generation) -> Model<A> {
        let (id, manifest) = (generation.id, Arc::clone(&generation.manifest));
        Model { database: Arc::clone(database), id, manifest, tables: database.tables(generation) }
    }

    async fn write(&self, commit: &Commit<'_>) -> Result<(), CommitFault<A>> {
        let mut transaction = self.database.write_rows().await?;
        let work = async move {
            catalog::move_checkpoint(&mut *transaction, self.id, commit).await?;
            for (table, writes) in commit.writes.tables.iter().enumerate() {
                if !writes.is_empty() {
                    self.tables.write(&mut transaction, table, writes).await?;
                }
            }
            transaction.put_dead_letters(self.id, commit.dead_letters).await?;
            catalog::settle(&mut *transaction, self.id, commit).await?;
            Ok(A::commit(transaction).await?)
        };
        A::run(work).await
    }

    fn told(&self, fault: CommitFault<A>, commit: &Commit<'_>) -> CommitError {
        let (from, to) = (commit.from.point.position, commit.to.position);
        fault.told(self.database.name(), &format!("writing generation {} from position {from} to {to}", self.id.0))
    }
}

#[async_trait]
impl<A: Adapter> ReadModel for Model<A> {
    async fn checkpoint(&self, shard: u32) -> Result<Option<Checkpoint>, ReadModelError> {
        let find = async { catalog::checkpoint(&mut *self.database.reader().await?, self.id, shard).await };
        find.await.map_err(|fault: ReadFault<A>| fault.told(self.database.name(), "reading a checkpoint"))
    }

    async fn read(&self, table: u16, keys: &[KeyValues]) -> Result<Vec<Option<Row>>, ReadModelError> {
        let number = usize::from(table);
        let find = async {
            let mut reader = self.database.read_rows().await?;
            A::run(self.tables.find(&mut reader, number, keys)).await
        };
        find.await.map_err(|error| {
            let name = &self.manifest.tables[number].name;
            let action = format!("reading rows of table {name} of generation {}", self.id.0);
            ReadFault::<A>::Database(error).told(self.database.name(), &action)
        })
    }

    async fn commit(&self, commit: Commit<'_>) -> Result<(), CommitError> {
        let deadline = Instant::now() + PATIENCE;
        let mut attempt = 1;
        loop {
            let done = self.write(&commit).await;
            let again = attempt < ATTEMPTS && Instant::now() < deadline;
            match done {
                // Nothing of it was written: the transaction is rolled back as a whole.
                Err(Fault::Database(error)) if error.is_lock_timeout() && again => attempt += 1,
                done => return done.map_err(|fault| self.told(fault, &commit)),
            }
        }
    }
}

/// What merges make of the rows that they were made for.
pub(crate) fn resolve<'m, E>(
    table: &Table,
    merges: impl IntoIterator<Item = (&'m Merge, Option<Row>)>,
) -> Result<Vec<Row>, Fault<E, CommitError>> {
    let resolved = merges.into_iter().map(|(merge, base)| merge.resolve(table, base));
    resolved.collect::<Result<_, _>>().map_err(|refusal| Fault::Own(CommitError::Refused(refusal)))
}
