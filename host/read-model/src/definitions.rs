//! Makes, flips and drops generations: their tables and the views over them, in one transaction with what the catalog says of them. This
//! is for the databases that undo definitions with their transaction (SQLite, PostgreSQL, SQL Server); how each says them is its own
//! ([`Definitions`]). MySQL does not, and goes a way of its own (`mysql/generations.rs`).
//!
//! Locks are taken in this order: projection, generation, checkpoints by shard (all by `catalog`), tables and views.

use std::convert::Infallible;

use reel_projector::{Manifest, Table};

use crate::adapter::{Adapter, AdapterError, AdapterOutcome};
use crate::catalog::{
    self, CatalogSession, Made, Manifests, Names, Outcome, Pointed, check_new, first_checkpoint, schema_name,
};
use crate::fault::Fault;
use crate::target::{CatalogError, DropScope, FlipOutcome, Generation, GenerationId, IfBehind, NewGeneration};

/// A database that takes definitions into its transactions.
pub(crate) trait Defines: Adapter<Session: Definitions> {
    /// Begins to flip or drop.
    fn alter(&self) -> impl Future<Output = Result<Self::Transaction, AdapterError<Self>>> + Send {
        self.write()
    }
}

/// How long a definition waits for a lock, so that readers who come behind it are not kept waiting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LockWait {
    /// For rows of the catalog and for tables.
    Short,
    /// For views that somebody reads.
    Shorter,
}

/// A right that somebody has on a view, as a database keeps it.
pub(crate) trait Granted: Send + Sync {
    /// The one column that it is for; nothing where it is for all.
    fn column(&self) -> Option<&str>;
}

/// In a database that knows no rights there is none.
impl Granted for Infallible {
    fn column(&self) -> Option<&str> {
        match *self {}
    }
}

/// What is made and dropped for a generation, inside a transaction.
pub(crate) trait Definitions: CatalogSession {
    /// A right on a view.
    type Grant: Granted;

    /// The full name of a table's view in a projection's schema.
    fn view_name(schema: &str, table: &Table) -> String;

    /// Refuses what only this database cannot take.
    fn check(_new: &NewGeneration) -> Result<(), CatalogError> {
        Ok(())
    }

    /// Until the transaction ends nobody else makes a generation here.
    fn lock_names(&mut self) -> impl Future<Output = Outcome<(), Self>> + Send {
        std::future::ready(Ok(()))
    }

    /// Until the transaction ends a lock is waited for so long at most.
    fn wait_for_locks(&mut self, _wait: LockWait) -> impl Future<Output = Outcome<(), Self>> + Send {
        std::future::ready(Ok(()))
    }

    /// Sees that the name of a new projection's schema is free, and makes it.
    fn make_schema(&mut self, new: &NewGeneration, schema: &str) -> impl Future<Output = Outcome<(), Self>> + Send;

    /// Deletes a projection's schema, if nothing else is in it.
    fn drop_schema(&mut self, schema: &str) -> impl Future<Output = Outcome<(), Self>> + Send;

    fn make_tables(&mut self, id: GenerationId, manifest: &Manifest) -> impl Future<Output = Outcome<(), Self>> + Send;

    /// Deletes tables that others may be reading.
    fn drop_tables(&mut self, generation: &Generation) -> impl Future<Output = Outcome<(), Self>> + Send;

    /// Makes a view over the table of the generation `of`.
    fn make_view(
        &mut self,
        view: &str,
        of: &Generation,
        table: &Table,
    ) -> impl Future<Output = Outcome<(), Self>> + Send;

    /// Whether [`Definitions::make_view`] can put that table under a view that is there already.
    fn takes_table(
        &mut self,
        _view: &str,
        _of: &Generation,
        _table: &Table,
    ) -> impl Future<Output = Outcome<bool, Self>> + Send {
        std::future::ready(Ok(false))
    }

    fn drop_view(&mut self, view: &str) -> impl Future<Output = Outcome<(), Self>> + Send;

    /// Who has which rights on a view.
    fn grants(&mut self, view: &str) -> impl Future<Output = Outcome<Vec<Self::Grant>, Self>> + Send;

    /// Gives such a right on a view, if it is one that Reel knows.
    fn grant(&mut self, view: &str, grant: &Self::Grant) -> impl Future<Output = Outcome<(), Self>> + Send;
}

/// Makes a generation: its entry, its checkpoints, its tables.
pub(crate) async fn create<A: Defines>(
    adapter: &A,
    manifests: &Manifests,
    new: &NewGeneration,
) -> AdapterOutcome<Generation, A> {
    let mut transaction = adapter.write().await?;
    let made = make(&mut *transaction, manifests, new).await?;
    A::commit(transaction).await?;
    Ok(made)
}

async fn make<S: Definitions>(session: &mut S, manifests: &Manifests, new: &NewGeneration) -> Outcome<Generation, S> {
    check_new(new).and_then(|()| S::check(new)).map_err(Fault::Own)?;
    if catalog::manifest(session, &new.digest).await?.is_none() {
        return Err(Fault::Own(CatalogError::NotFound(format!("component {}", new.digest))));
    }
    session.lock_names().await?;
    claim_names(session, new).await?;
    let id = catalog::put_generation(session, new).await?;
    catalog::put_checkpoints(session, id, &first_checkpoint(new.log), new.shards).await?;
    session.make_tables(id, &new.manifest).await?;
    manifests.put(&new.digest, &new.manifest);
    catalog::generation(session, manifests, id).await
}

/// Makes the names of the projection's schema and views its own, from its first generation on.
async fn claim_names<S: Definitions>(session: &mut S, new: &NewGeneration) -> Outcome<(), S> {
    let views = views::<S>(&new.projection, &new.manifest);
    if catalog::check_names(session, new, &views).await? == Names::Free {
        session.make_schema(new, &schema_name(&new.projection)).await?;
    }
    catalog::claim_names(session, new, &views).await
}

/// The names of a projection's views, by table.
fn views<S: Definitions>(projection: &str, manifest: &Manifest) -> Vec<String> {
    let schema = schema_name(projection);
    manifest.tables.iter().map(|table| S::view_name(&schema, table)).collect()
}

/// Makes a generation the live one, if it has come far enough. Who reads the views is not kept waiting for long: a lock that is
/// not to be had soon is an error, and the caller tries again.
pub(crate) async fn flip<A: Defines>(
    adapter: &A,
    manifests: &Manifests,
    to: GenerationId,
    if_behind: IfBehind,
) -> AdapterOutcome<FlipOutcome, A> {
    let mut transaction = adapter.alter().await?;
    let session = &mut *transaction;
    session.wait_for_locks(LockWait::Short).await?;
    let outcome = match catalog::move_pointer(session, manifests, to, if_behind).await? {
        Pointed::Still(outcome) => outcome,
        Pointed::At(next) => {
            session.wait_for_locks(LockWait::Shorter).await?;
            point_views(session, &next).await?;
            FlipOutcome::Flipped
        }
    };
    A::commit(transaction).await?;
    Ok(outcome)
}

/// Points the projection's views at the tables of `next`; views that it has no table for go.
async fn point_views<S: Definitions>(session: &mut S, next: &Generation) -> Outcome<(), S> {
    let wanted = views::<S>(&next.projection, &next.manifest);
    let made = catalog::made_views(session, &next.projection).await?;
    for view in made.iter().filter(|view| !wanted.contains(view)) {
        drop_view(session, view).await?;
    }
    for (table, view) in next.manifest.tables.iter().zip(&wanted) {
        catalog::check_view(session, view, &made, next).await?;
        if made.contains(view) {
            replace_view(session, view, (next, table)).await?;
        } else {
            session.make_view(view, next, table).await?;
        }
        catalog::set_view(session, view, Made::Yes).await?;
    }
    Ok(())
}

/// Puts another generation's table under a view. What has to be made anew gets its rights back; those on columns that are gone go with them.
async fn replace_view<S: Definitions>(
    session: &mut S,
    view: &str,
    (of, table): (&Generation, &Table),
) -> Outcome<(), S> {
    if session.takes_table(view, of, table).await? {
        return session.make_view(view, of, table).await;
    }
    let grants = session.grants(view).await?;
    session.drop_view(view).await?;
    session.make_view(view, of, table).await?;
    let is_there = |column| table.column_index(column).is_some();
    for grant in grants.iter().filter(|grant| grant.column().is_none_or(is_there)) {
        session.grant(view, grant).await?;
    }
    Ok(())
}

async fn drop_view<S: Definitions>(session: &mut S, view: &str) -> Outcome<(), S> {
    session.drop_view(view).await?;
    catalog::set_view(session, view, Made::No).await
}

/// Deletes a generation, and with the last one its projection if that is wanted.
pub(crate) async fn remove<A: Defines>(
    adapter: &A,
    manifests: &Manifests,
    id: GenerationId,
    scope: DropScope,
) -> AdapterOutcome<(), A> {
    let mut transaction = adapter.alter().await?;
    let session = &mut *transaction;
    session.wait_for_locks(LockWait::Short).await?;
    if let Some(generation) = catalog::lock_to_drop(session, manifests, id, scope).await? {
        if scope == DropScope::Projection {
            drop_views(session, &generation.projection).await?;
        }
        session.drop_tables(&generation).await?;
        catalog::forget(session, &generation, scope).await?;
    }
    Ok(A::commit(transaction).await?)
}

/// Deletes the views of a projection and their schema.
async fn drop_views<S: Definitions>(session: &mut S, projection: &str) -> Outcome<(), S> {
    for view in &catalog::made_views(session, projection).await? {
        drop_view(session, view).await?;
    }
    session.drop_schema(&schema_name(projection)).await
}

/// That a projection's schema cannot go, and why.
pub(crate) fn schema_in_use(schema: &str, objects: &str) -> CatalogError {
    CatalogError::Conflict {
        what: format!("schema {schema}"),
        actual: format!("not empty: it holds {objects}, which Reel did not make"),
        wanted: "move or drop that first".to_owned(),
    }
}
