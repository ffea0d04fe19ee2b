//! Makes, flips and drops generations: their tables and the views over them.
//!
//! No statement that makes, renames or drops something can be undone here. So the catalog is written first, and what it says decides:
//! - Whatever is to be made, or given up, stands as a leftover until it is done; leftovers are dropped by whoever comes next.
//! - A generation counts as dropped until its tables and views are there.
//! - Every generation has its views from the beginning, under names of their own. A flip gives those of the live one their names back,
//!   and the next one's the readers' names, all in one `RENAME TABLE`, while the pointer is moved but not committed. Where the two
//!   disagree, somebody died in between: whoever comes next lets the views agree with the pointer.
//!
//! One process at a time does such work in one database (see [`Alteration`]). Locks are taken in this order: the schema's, projection,
//! generation, checkpoints by shard, tables and views.

use sqlx::{Connection, MySqlConnection, Row, query, query_scalar, raw_sql};

use super::connection::Database;
use super::dialect::{catalog as sql, tables};
use super::error::Outcome;
use super::views;
use crate::catalog::{self, Made, Manifests, Pointed, Word, check_new, first_checkpoint, schema_name};
use crate::fault::{DriverError, Fault};
use crate::target::{
    CatalogError, DropScope, FlipOutcome, Generation, GenerationId, GenerationState, IfBehind, NewGeneration,
};
use reel_projector::{Manifest, ReadModelError};

/// The right to make, flip and drop: two connections, because what changes the schema would end a transaction of its connection.
pub(super) struct Alteration {
    /// Holds the schema's lock, and changes the schema.
    pub(super) schema: MySqlConnection,
    /// Changes the catalog.
    pub(super) catalog: MySqlConnection,
}

impl Alteration {
    /// Waits for its turn; then finishes what somebody else did not get to the end of.
    pub(super) async fn begin(database: &Database, manifests: &Manifests) -> Outcome<Alteration> {
        let mut alteration = Alteration::lock(database).await?;
        alteration.mend(manifests).await?;
        Ok(alteration)
    }

    /// Waits for its turn, in a database whose catalog may not be there yet.
    pub(super) async fn lock(database: &Database) -> Outcome<Alteration> {
        let (mut schema, catalog) = (database.alone().await?, database.alone().await?);
        let locked: Option<i64> = query_scalar(sql::LOCK_SCHEMA).fetch_one(&mut schema).await?;
        if locked == Some(1) {
            return Ok(Alteration { schema, catalog });
        }
        let source = "another process has been making, flipping or dropping generations for 20 seconds".into();
        Err(Fault::Own(ReadModelError::Unavailable { target: database.name.clone(), source }.into()))
    }

    /// Lets the views agree with the pointers, and drops what is left over, as far as nobody holds it.
    pub(super) async fn mend(&mut self, manifests: &Manifests) -> Outcome<()> {
        tolerated(self.arrange(manifests).await)?;
        tolerated(self.sweep().await)
    }

    async fn arrange(&mut self, manifests: &Manifests) -> Outcome<()> {
        let generations = catalog::generations(&mut self.catalog, manifests).await?;
        // Asked once for all projections: what is moved for one is no other's.
        let views = views::all(&mut self.schema).await?;
        for row in query(sql::PROJECTIONS).fetch_all(&mut self.catalog).await? {
            let (projection, live): (String, Option<i64>) = (row.try_get(0)?, row.try_get(1)?);
            let own: Vec<&Generation> = generations.iter().filter(|one| one.projection == projection).collect();
            tolerated(views::arrange(&mut self.schema, &views, (&own, live.map(GenerationId))).await)?;
        }
        Ok(())
    }

    /// Drops what is left over.
    async fn sweep(&mut self) -> Outcome<()> {
        let leftovers = query(sql::LEFTOVERS).fetch_all(&mut self.catalog).await?;
        for row in leftovers {
            let (name, kind): (String, String) = (row.try_get(0)?, row.try_get(1)?);
            let drop = if kind == VIEW { tables::drop_view(&name) } else { tables::drop_table(&name) };
            raw_sql(drop).execute(&mut self.schema).await?;
            query(sql::DELETE_LEFTOVER).bind(&name).execute(&mut self.catalog).await?;
        }
        Ok(())
    }

    /// Gives the lock back. Whoever does not get here gives it back with the connection.
    pub(super) async fn end(self) -> Outcome<()> {
        self.schema.close().await?;
        Ok(self.catalog.close().await?)
    }
}

/// What a lock stands in the way of is done by the next one.
fn tolerated(done: Outcome<()>) -> Outcome<()> {
    match done {
        Err(Fault::Database(error)) if error.is_lock_timeout() => {
            tracing::debug!("something left over is in use: it goes later");
            Ok(())
        }
        done => done,
    }
}

/// Kinds of leftovers.
const TABLE: &str = "table";
const VIEW: &str = "view";

/// Makes a generation: its entry, its tables and views, its checkpoints.
pub(super) async fn create(database: &Database, manifests: &Manifests, new: &NewGeneration) -> Outcome<Generation> {
    check_new(new).map_err(Fault::Own)?;
    let mut alteration = Alteration::begin(database, manifests).await?;
    if catalog::manifest(&mut alteration.catalog, &new.digest).await?.is_none() {
        return Err(Fault::Own(CatalogError::NotFound(format!("component {}", new.digest))));
    }
    let views = views(&new.projection, &new.manifest);
    catalog::check_names(&mut alteration.catalog, new, &views).await?;
    let id = announce(&mut alteration.catalog, new).await?;
    let made = async {
        make(&mut alteration.schema, id, new, database.server.collation).await?;
        appear(&mut alteration.catalog, id, new).await
    };
    if let Err(fault) = made.await {
        // The next one would do it too; but the reason may be a manifest that this server cannot take at all.
        tolerated(alteration.sweep().await)?;
        return Err(fault);
    }
    manifests.put(&new.digest, &new.manifest);
    let generation = catalog::generation(&mut alteration.catalog, manifests, id).await?;
    alteration.end().await?;
    Ok(generation)
}

/// Gives a generation its number, and notes what is going to be made.
async fn announce(connection: &mut MySqlConnection, new: &NewGeneration) -> Outcome<GenerationId> {
    let mut transaction = connection.begin().await?;
    let id = catalog::put_generation(&mut *transaction, new).await?;
    for (name, kind) in objects(id, new.manifest.tables.iter()) {
        if catalog::object_exists(&mut *transaction, &name).await? {
            return Err(Fault::Own(CatalogError::Conflict {
                what: name,
                actual: "a table or view that Reel did not make".to_owned(),
                wanted: "a new generation needs that name: rename or drop it".to_owned(),
            }));
        }
        query(sql::PUT_LEFTOVER).bind(&name).bind(kind).execute(&mut *transaction).await?;
    }
    transaction.commit().await?;
    Ok(id)
}

/// What a generation has in the schema.
fn objects<'m>(
    id: GenerationId,
    tables: impl Iterator<Item = &'m reel_projector::Table>,
) -> impl Iterator<Item = (String, &'static str)> {
    tables.flat_map(move |table| [(tables::stand_by_name(id, table), VIEW), (tables::table_name(id, table), TABLE)])
}

async fn make(connection: &mut MySqlConnection, id: GenerationId, new: &NewGeneration, collation: &str) -> Outcome<()> {
    for statement in tables::create(id, &new.manifest, collation) {
        raw_sql(statement).execute(&mut *connection).await?;
    }
    for table in &new.manifest.tables {
        let view = tables::create_view(&tables::stand_by_name(id, table), id, table);
        raw_sql(view).execute(&mut *connection).await?;
    }
    Ok(())
}

/// Lets a generation be there, whose tables are.
async fn appear(connection: &mut MySqlConnection, id: GenerationId, new: &NewGeneration) -> Outcome<()> {
    let mut transaction = connection.begin().await?;
    catalog::claim_names(&mut *transaction, new, &views(&new.projection, &new.manifest)).await?;
    catalog::put_checkpoints(&mut *transaction, id, &first_checkpoint(new.log), new.shards).await?;
    let build = GenerationState::Build.word();
    query(sql::SET_STATE).bind(build).bind(id.0).execute(&mut *transaction).await?;
    for (name, _) in objects(id, new.manifest.tables.iter()) {
        query(sql::DELETE_LEFTOVER).bind(&name).execute(&mut *transaction).await?;
    }
    Ok(transaction.commit().await?)
}

/// The names of a projection's views, by table.
fn views(projection: &str, manifest: &Manifest) -> Vec<String> {
    let schema = schema_name(projection);
    manifest.tables.iter().map(|table| tables::view_name(&schema, table)).collect()
}

/// Makes a generation the live one, if it has come far enough. Who reads the views is not kept waiting for long: a lock that is
/// not to be had soon is an error, and the caller tries again.
pub(super) async fn flip(
    database: &Database,
    manifests: &Manifests,
    to: GenerationId,
    if_behind: IfBehind,
) -> Outcome<FlipOutcome> {
    let mut alteration = Alteration::begin(database, manifests).await?;
    let mut transaction = alteration.catalog.begin().await?;
    let next = match catalog::move_pointer(&mut *transaction, manifests, to, if_behind).await? {
        Pointed::Still(outcome) => return Ok(outcome),
        Pointed::At(next) => next,
    };
    mark_views(&mut transaction, &next).await?;
    let generations = catalog::generations(&mut *transaction, manifests).await?;
    let own: Vec<&Generation> = generations.iter().filter(|one| one.projection == next.projection).collect();
    let views = views::all(&mut alteration.schema).await?;
    views::arrange(&mut alteration.schema, &views, (&own, Some(to))).await?;
    transaction.commit().await?;
    alteration.end().await?;
    Ok(FlipOutcome::Flipped)
}

/// Notes which views readers of SQL are going to see.
async fn mark_views(connection: &mut MySqlConnection, next: &Generation) -> Outcome<()> {
    let made = catalog::made_views(connection, &next.projection).await?;
    query(sql::UNMAKE_VIEWS).bind(&next.projection).execute(&mut *connection).await?;
    for view in views(&next.projection, &next.manifest) {
        catalog::check_view(connection, &view, &made, next).await?;
        catalog::set_view(connection, &view, Made::Yes).await?;
    }
    Ok(())
}

/// Deletes a generation, and with the last one its projection if that is wanted.
pub(super) async fn remove(
    database: &Database,
    manifests: &Manifests,
    id: GenerationId,
    scope: DropScope,
) -> Outcome<()> {
    let mut alteration = Alteration::begin(database, manifests).await?;
    let mut transaction = alteration.catalog.begin().await?;
    if let Some(generation) = catalog::lock_to_drop(&mut *transaction, manifests, id, scope).await? {
        give_up(&mut transaction, &generation, scope).await?;
    }
    transaction.commit().await?;
    alteration.sweep().await?;
    alteration.end().await
}

/// Takes a generation out of the catalog, and notes what is to go.
async fn give_up(connection: &mut MySqlConnection, generation: &Generation, scope: DropScope) -> Outcome<()> {
    if scope == DropScope::Projection {
        for view in catalog::made_views(connection, &generation.projection).await? {
            query(sql::PUT_LEFTOVER).bind(&view).bind(VIEW).execute(&mut *connection).await?;
        }
    }
    for (name, kind) in objects(generation.id, generation.manifest.tables.iter()) {
        query(sql::PUT_LEFTOVER).bind(&name).bind(kind).execute(&mut *connection).await?;
    }
    catalog::forget(connection, generation, scope).await
}
