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
use crate::catalog::{
    self, Manifests, Word, behind, check_drop, check_flip, check_new, first_checkpoint, now, schema_name, title,
};
use crate::fault::{DriverError, Fault};
use crate::target::{
    CatalogError, DropScope, FlipOutcome, Generation, GenerationId, GenerationState, IfBehind, NewGeneration,
};
use reel_projector::ReadModelError;

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
        let generations = catalog::generations(&mut self.catalog, manifests).await?;
        for row in query(sql::PROJECTIONS).fetch_all(&mut self.catalog).await? {
            let (projection, live): (String, Option<i64>) = (row.try_get(0)?, row.try_get(1)?);
            let own: Vec<&Generation> = generations.iter().filter(|one| one.projection == projection).collect();
            tolerated(views::arrange(&mut self.schema, &own, live.map(GenerationId)).await)?;
        }
        tolerated(self.sweep().await)
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
    check_names(&mut alteration.catalog, new).await?;
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
    let last: i64 = query_scalar(sql::LAST_NUMBER).bind(&new.projection).fetch_one(&mut *transaction).await?;
    let put = query(sql::PUT_GENERATION)
        .bind(&new.projection)
        .bind(last + 1)
        .bind(&new.digest)
        .bind(&new.settings)
        .bind(new.on_failure.word())
        .bind(new.promotion.word())
        .bind(new.log.to_string())
        .bind(i64::from(new.shards))
        .bind(now().micros());
    let id = put.execute(&mut *transaction).await?.last_insert_id();
    let id = GenerationId(i64::try_from(id).expect("numbers of generations are below 2^63"));
    for (name, kind) in objects(id, new.manifest.tables.iter()) {
        if object_exists(&mut transaction, &name).await? {
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
    claim_names(&mut transaction, new).await?;
    catalog::put_checkpoints(&mut *transaction, id, &first_checkpoint(new.log), new.shards).await?;
    let build = GenerationState::Build.word();
    query(sql::SET_STATE).bind(build).bind(id.0).execute(&mut *transaction).await?;
    for (name, _) in objects(id, new.manifest.tables.iter()) {
        query(sql::DELETE_LEFTOVER).bind(&name).execute(&mut *transaction).await?;
    }
    Ok(transaction.commit().await?)
}

/// Whether the names of the projection's views can be its own.
async fn check_names(connection: &mut MySqlConnection, new: &NewGeneration) -> Outcome<()> {
    let schema = schema_name(&new.projection);
    let taken = |owner: String| {
        Fault::Own(CatalogError::NameTaken { name: new.projection.clone(), schema: schema.clone(), owner })
    };
    let owner: Option<String> = query_scalar(sql::SCHEMA_OWNER).bind(&schema).fetch_optional(&mut *connection).await?;
    if let Some(owner) = owner.filter(|owner| *owner != new.projection) {
        return Err(taken(format!("projection {owner}")));
    }
    for table in &new.manifest.tables {
        let view = tables::view_name(&schema, table);
        match view_owner(connection, &view).await? {
            Some((owner, _)) if owner != new.projection => return Err(taken(format!("projection {owner}"))),
            Some(_) => {}
            None if object_exists(connection, &view).await? => {
                return Err(taken(format!("a table or view {view} that Reel did not make")));
            }
            None => {}
        }
    }
    Ok(())
}

/// Makes the names of the projection's views its own, from its first generation on.
async fn claim_names(connection: &mut MySqlConnection, new: &NewGeneration) -> Outcome<()> {
    let schema = schema_name(&new.projection);
    let owner: Option<String> = query_scalar(sql::SCHEMA_OWNER).bind(&schema).fetch_optional(&mut *connection).await?;
    if owner.is_none() {
        query(sql::PUT_PROJECTION).bind(&new.projection).bind(&schema).execute(&mut *connection).await?;
    }
    for table in &new.manifest.tables {
        let view = tables::view_name(&schema, table);
        if view_owner(connection, &view).await?.is_none() {
            query(sql::CLAIM_VIEW).bind(&view).bind(&new.projection).execute(&mut *connection).await?;
        }
    }
    Ok(())
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
    let projection = catalog::generation(&mut *transaction, manifests, to).await?.projection;
    query(sql::LOCK_PROJECTION).bind(&projection).execute(&mut *transaction).await?;
    let next = catalog::lock_generation(&mut *transaction, manifests, to).await?;
    check_flip(&next, if_behind).map_err(Fault::Own)?;
    let live = catalog::live(&mut *transaction, manifests, &projection).await?;
    if live.as_ref().is_some_and(|live| live.id == to) {
        return Ok(FlipOutcome::AlreadyLive);
    }
    if let Some(live) = live {
        let standing = catalog::lock_checkpoints(&mut *transaction, live.id).await?;
        let reached = catalog::checkpoints(&mut *transaction, to).await?;
        match behind(&standing, &reached) {
            Some(outcome) if if_behind == IfBehind::Refuse => return Ok(outcome),
            _ => {}
        }
        let previous = GenerationState::Previous.word();
        query(sql::SET_STATE).bind(previous).bind(live.id.0).execute(&mut *transaction).await?;
    }
    catalog::promote(&mut *transaction, &projection, to).await?;
    mark_views(&mut transaction, &next).await?;
    let generations = catalog::generations(&mut *transaction, manifests).await?;
    let own: Vec<&Generation> = generations.iter().filter(|one| one.projection == projection).collect();
    views::arrange(&mut alteration.schema, &own, Some(to)).await?;
    transaction.commit().await?;
    alteration.end().await?;
    Ok(FlipOutcome::Flipped)
}

/// Notes which views readers of SQL are going to see.
async fn mark_views(connection: &mut MySqlConnection, next: &Generation) -> Outcome<()> {
    let schema = schema_name(&next.projection);
    let made: Vec<String> = query_scalar(sql::MADE_VIEWS).bind(&next.projection).fetch_all(&mut *connection).await?;
    query(sql::UNMAKE_VIEWS).bind(&next.projection).execute(&mut *connection).await?;
    for table in &next.manifest.tables {
        let view = tables::view_name(&schema, table);
        if !made.contains(&view) && object_exists(connection, &view).await? {
            return Err(Fault::Own(CatalogError::Conflict {
                what: view,
                actual: "a table or view that Reel did not make".to_owned(),
                wanted: format!("{} needs that name: rename or drop it", title(next)),
            }));
        }
        query(sql::SET_VIEW).bind(1_i64).bind(&view).execute(&mut *connection).await?;
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
    let projection = catalog::generation(&mut *transaction, manifests, id).await?.projection;
    query(sql::LOCK_PROJECTION).bind(&projection).execute(&mut *transaction).await?;
    let generation = catalog::lock_generation(&mut *transaction, manifests, id).await?;
    if generation.state != GenerationState::Dropped {
        give_up(&mut transaction, &generation, scope).await?;
    }
    transaction.commit().await?;
    alteration.sweep().await?;
    alteration.end().await
}

/// Takes a generation out of the catalog, and notes what is to go.
async fn give_up(connection: &mut MySqlConnection, generation: &Generation, scope: DropScope) -> Outcome<()> {
    let (id, projection) = (generation.id, &generation.projection);
    let others: i64 = query_scalar(sql::OTHERS).bind(projection).bind(id.0).fetch_one(&mut *connection).await?;
    check_drop(generation, scope, others).map_err(Fault::Own)?;
    catalog::lock_checkpoints(connection, id).await?;
    if scope == DropScope::Projection {
        let made: Vec<String> = query_scalar(sql::MADE_VIEWS).bind(projection).fetch_all(&mut *connection).await?;
        for view in &made {
            query(sql::PUT_LEFTOVER).bind(view).bind(VIEW).execute(&mut *connection).await?;
        }
        query(sql::DELETE_VIEWS).bind(projection).execute(&mut *connection).await?;
        query(sql::DELETE_PROJECTION).bind(projection).execute(&mut *connection).await?;
    }
    for (name, kind) in objects(id, generation.manifest.tables.iter()) {
        query(sql::PUT_LEFTOVER).bind(&name).bind(kind).execute(&mut *connection).await?;
    }
    query(sql::DELETE_CHECKPOINTS).bind(id.0).execute(&mut *connection).await?;
    query(sql::DELETE_LEASE).bind(id.0).execute(&mut *connection).await?;
    query(sql::DELETE_DEAD_LETTERS).bind(id.0).execute(&mut *connection).await?;
    let dropped = GenerationState::Dropped.word();
    query(sql::SET_STATE).bind(dropped).bind(id.0).execute(&mut *connection).await?;
    Ok(())
}

async fn view_owner(connection: &mut MySqlConnection, view: &str) -> Outcome<Option<(String, i64)>> {
    let row = query(sql::VIEW).bind(view).fetch_optional(&mut *connection).await?;
    row.map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).transpose()
}

async fn object_exists(connection: &mut MySqlConnection, name: &str) -> Outcome<bool> {
    let found: i64 = query_scalar(sql::OBJECT).bind(name).fetch_one(&mut *connection).await?;
    Ok(found > 0)
}
