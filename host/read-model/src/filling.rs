//! How a load comes to its end whatever database it fills, and what it is lost by. How a table is filled is each adapter's own
//! ([`Filling`]).

use std::sync::Arc;

use async_trait::async_trait;
use reel_projector::change::Row;
use reel_projector::ports::CommitError;
use reel_projector::{Checkpoint, Manifest, ReadModelError};

use crate::adapter::{Adapter, AdapterError, AdapterOutcome};
use crate::catalog::{self, CatalogSession, load_ends, no_load};
use crate::fault::Fault;
use crate::load::{BulkLoad, Loaded};
use crate::target::{Generation, GenerationId};

/// What goes wrong while a table of `A` is filled.
pub(crate) type LoadFault<A> = Fault<AdapterError<A>, ReadModelError>;

/// The tables of a generation while they are filled, in an adapter's way.
pub(crate) trait Filling<A: Adapter>: Send + Sync + 'static {
    /// Touches nothing yet.
    fn new(of: &Arc<Of<A>>) -> Self;

    /// Adds rows to table number `table`, made anew before its first ones.
    fn fill(&self, table: usize, rows: &[Row]) -> impl Future<Output = Result<(), LoadFault<A>>> + Send;

    /// Makes the key, the indexes and the statistics of a table, behind its last rows.
    fn index(&self, table: usize) -> impl Future<Output = Result<(), LoadFault<A>>> + Send;
}

/// What a load fills, and by which right.
pub(crate) struct Of<A> {
    pub(crate) database: Arc<A>,
    pub(crate) id: GenerationId,
    pub(crate) manifest: Arc<Manifest>,
    pub(crate) epoch: u64,
}

impl<A: Adapter> Of<A> {
    /// Sees that nobody took the generation over since the load began. `look` is [`Statements::state_and_epoch`](catalog::Statements),
    /// or one that holds the entry as well.
    pub(crate) async fn check(&self, session: &mut A::Session, look: &'static str) -> Result<(), LoadFault<A>> {
        match catalog::lost(session, look, self.id, self.epoch).await? {
            Some(why) => Err(Fault::Own(load_ends(self.database.name(), why))),
            None => Ok(()),
        }
    }
}

/// A load on its way.
pub(crate) struct Load<A: Adapter> {
    of: Arc<Of<A>>,
    tables: A::Filling,
}

/// Begins to fill a generation. Nothing is touched yet.
pub(crate) async fn begin<A: Adapter>(
    database: &Arc<A>,
    generation: &Generation,
    epoch: u64,
) -> AdapterOutcome<Load<A>, A> {
    let (id, manifest) = (generation.id, Arc::clone(&generation.manifest));
    let look = <A::Session as CatalogSession>::SQL.state_and_epoch;
    if let Some(why) = catalog::lost(&mut *database.reader().await?, look, id, epoch).await? {
        return Err(Fault::Own(no_load(generation, why)));
    }
    let of = Arc::new(Of { database: Arc::clone(database), id, manifest, epoch });
    Ok(Load { tables: A::Filling::new(&of), of })
}

impl<A: Adapter> Load<A> {
    fn told(&self, done: Result<(), LoadFault<A>>, table: u16) -> Result<(), ReadModelError> {
        done.map_err(|fault| {
            let name = &self.of.manifest.tables[usize::from(table)].name;
            fault.told(self.of.database.name(), &format!("filling table {name} of generation {}", self.of.id.0))
        })
    }

    async fn end(&self, loaded: Loaded<'_>) -> Result<Vec<Checkpoint>, Fault<AdapterError<A>, CommitError>> {
        let mut transaction = self.of.database.write().await?;
        let ended = catalog::end_load(&mut *transaction, self.of.id, self.of.epoch, &loaded).await?;
        A::commit(transaction).await?;
        Ok(ended)
    }
}

#[async_trait]
impl<A: Adapter> BulkLoad for Load<A> {
    async fn rows(&self, table: u16, rows: &[Row]) -> Result<(), ReadModelError> {
        self.told(self.tables.fill(usize::from(table), rows).await, table)
    }

    async fn index(&self, table: u16) -> Result<(), ReadModelError> {
        self.told(self.tables.index(usize::from(table)).await, table)
    }

    async fn finish(self: Box<Self>, loaded: Loaded<'_>) -> Result<Vec<Checkpoint>, CommitError> {
        let done = self.end(loaded).await;
        done.map_err(|fault| {
            fault.told(self.of.database.name(), &format!("ending the load of generation {}", self.of.id.0))
        })
    }
}
