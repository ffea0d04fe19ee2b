//! Makes, flips and drops generations: their tables and the views over them.
//!
//! Locks are taken in this order: projection, generation, checkpoints by shard, tables and views.

use std::time::{Duration, Instant};

use reel_projector::{Checkpoint, Manifest, Table};

use super::connection::{Session, query};
use super::dialect::tables::Grant;
use super::dialect::{SHORT_LOCKS, SHORTER_LOCKS, catalog as sql, tables};
use super::error::Outcome;
use super::values::{get, maybe_text, text};
use crate::catalog::{
    self, Manifests, Word, behind, check_drop, check_flip, check_new, first_checkpoint, now, schema_name, title,
};
use crate::fault::Fault;
use crate::target::{
    CatalogError, DropScope, FlipOutcome, Generation, GenerationId, GenerationState, IfBehind, NewGeneration,
};

/// How long a flip holds the live generation still, and how often it looks whether the next one has passed it.
const PASSING: Duration = Duration::from_millis(500);
const LOOK: Duration = Duration::from_millis(5);

/// Until the transaction ends nobody else makes a catalog or a generation here; their schemas are there.
pub(super) async fn lock_catalog(session: &mut Session) -> Outcome<()> {
    query(sql::LOCK).bind(sql::CATALOG_LOCK).execute(session).await?;
    for schema in sql::SCHEMAS {
        if !schema_exists(session, schema).await? {
            session.batch(&tables::create_schema(schema)).await?;
        }
    }
    Ok(())
}

/// Whether a schema has this name.
async fn schema_exists(session: &mut Session, schema: &str) -> Outcome<bool> {
    let row = query(sql::SCHEMA).bind(schema).one(session).await?;
    Ok(get::<i32>(&row, 0)? == 1)
}

/// Makes a generation: its entry, its checkpoints, its tables.
pub(super) async fn create(session: &mut Session, manifests: &Manifests, new: &NewGeneration) -> Outcome<Generation> {
    check_new(new).map_err(Fault::Own)?;
    check_width(new).map_err(Fault::Own)?;
    if catalog::manifest(session, &new.digest).await?.is_none() {
        return Err(Fault::Own(CatalogError::NotFound(format!("component {}", new.digest))));
    }
    query(sql::LOCK).bind(sql::CATALOG_LOCK).execute(session).await?;
    claim_names(session, new).await?;
    let id = put_generation(session, new).await?;
    catalog::put_checkpoints(session, id, &first_checkpoint(new.log), new.shards).await?;
    for statement in tables::create(id, &new.manifest) {
        session.batch(&statement).await?;
    }
    manifests.put(&new.digest, &new.manifest);
    catalog::generation(session, manifests, id).await
}

/// A row of fixed width must fit into a page; only this database is so narrow.
fn check_width(new: &NewGeneration) -> Result<(), CatalogError> {
    let wide = new.manifest.tables.iter().find_map(|table| Some((table, tables::too_wide(table)?)));
    wide.map_or(Ok(()), |(table, (needed, most))| {
        Err(CatalogError::Conflict {
            what: format!("table {} of {}", table.name, new.projection),
            actual: format!("too wide for SQL Server: a row needs {needed} bytes, and {most} is the most"),
            wanted: "give it fewer columns, or spread them over several tables".to_owned(),
        })
    })
}

async fn put_generation(session: &mut Session, new: &NewGeneration) -> Outcome<GenerationId> {
    let last: i64 = get(&query(sql::LAST_NUMBER).bind(&new.projection).one(session).await?, 0)?;
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
    Ok(GenerationId(get(&put.one(session).await?, 0)?))
}

/// Makes the names of the projection's views its own, from its first generation on.
async fn claim_names(session: &mut Session, new: &NewGeneration) -> Outcome<()> {
    let schema = schema_name(&new.projection);
    let taken = |owner: String| {
        Fault::Own(CatalogError::NameTaken { name: new.projection.clone(), schema: schema.clone(), owner })
    };
    let row = query(sql::SCHEMA_OWNER).bind(&schema).row(session).await?;
    match row.map(|row| text(&row, 0)).transpose()? {
        Some(owner) if owner != new.projection => return Err(taken(format!("projection {owner}"))),
        Some(_) => {}
        None if schema_exists(session, &schema).await? => {
            return Err(taken("a schema that Reel did not make".to_owned()));
        }
        None => {
            session.batch(&tables::create_schema(&schema)).await?;
            query(sql::PUT_PROJECTION).bind(&new.projection).bind(&schema).execute(session).await?;
        }
    }
    for table in &new.manifest.tables {
        let view = tables::view_name(&schema, table);
        match view_owner(session, &view).await? {
            Some((owner, _)) if owner != new.projection => return Err(taken(format!("projection {owner}"))),
            Some(_) => {}
            None if object_exists(session, &view).await? => {
                return Err(taken(format!("a table or view {view} that Reel did not make")));
            }
            None => {
                query(sql::CLAIM_VIEW).bind(&view).bind(&new.projection).execute(session).await?;
            }
        }
    }
    Ok(())
}

/// Makes a generation the live one, if it has come far enough. Who reads the views is not kept waiting for long: a lock that is
/// not to be had soon is an error, and the caller tries again.
pub(super) async fn flip(
    session: &mut Session,
    manifests: &Manifests,
    to: GenerationId,
    if_behind: IfBehind,
) -> Outcome<FlipOutcome> {
    session.batch(SHORT_LOCKS).await?;
    let projection = catalog::generation(session, manifests, to).await?.projection;
    query(sql::LOCK_PROJECTION).bind(&projection).execute(session).await?;
    let next = catalog::lock_generation(session, manifests, to).await?;
    check_flip(&next, if_behind).map_err(Fault::Own)?;
    let live = catalog::live(session, manifests, &projection).await?;
    if live.as_ref().is_some_and(|live| live.id == to) {
        return Ok(FlipOutcome::AlreadyLive);
    }
    if let Some(live) = live {
        let standing = catalog::lock_checkpoints(session, live.id).await?;
        if if_behind == IfBehind::Refuse
            && let Some(outcome) = pass(session, &standing, to).await?
        {
            return Ok(outcome);
        }
        let previous = GenerationState::Previous.word();
        query(sql::SET_STATE).bind(previous).bind(live.id.0).execute(session).await?;
    }
    catalog::promote(session, &projection, to).await?;
    session.batch(SHORTER_LOCKS).await?;
    replace_views(session, &next).await?;
    Ok(FlipOutcome::Flipped)
}

/// Waits a short while until `to` is at or past the live generation's checkpoints, which stand still meanwhile: whichever hosts run
/// the two, commands that keep arriving cannot make them miss each other for ever. How it is behind, if it still is.
async fn pass(session: &mut Session, standing: &[Checkpoint], to: GenerationId) -> Outcome<Option<FlipOutcome>> {
    let deadline = Instant::now() + PASSING;
    loop {
        // Read committed: each look sees what was committed since.
        let reached = catalog::checkpoints(session, to).await?;
        match behind(standing, &reached) {
            Some(_) if Instant::now() < deadline => tokio::time::sleep(LOOK).await,
            outcome => return Ok(outcome),
        }
    }
}

/// Points the projection's views at the tables of `next`, each made anew with the same rights; views that it has no table for go.
async fn replace_views(session: &mut Session, next: &Generation) -> Outcome<()> {
    let schema = schema_name(&next.projection);
    let wanted: Vec<String> = next.manifest.tables.iter().map(|table| tables::view_name(&schema, table)).collect();
    let made = made_views(session, &next.projection).await?;
    for view in made.iter().filter(|view| !wanted.contains(view)) {
        drop_view(session, view).await?;
    }
    for (table, view) in next.manifest.tables.iter().zip(&wanted) {
        if made.contains(view) {
            replace_view(session, view, next, table).await?;
        } else if object_exists(session, view).await? {
            return Err(Fault::Own(CatalogError::Conflict {
                what: view.clone(),
                actual: "a table or view that Reel did not make".to_owned(),
                wanted: format!("{} needs that name: rename or drop it", title(next)),
            }));
        } else {
            session.batch(&tables::create_view(view, next.id, table)).await?;
        }
        query(sql::SET_VIEW).bind(1_i64).bind(view).execute(session).await?;
    }
    Ok(())
}

async fn replace_view(session: &mut Session, view: &str, next: &Generation, table: &Table) -> Outcome<()> {
    let grants = grants(session, view).await?;
    drop_view(session, view).await?;
    session.batch(&tables::create_view(view, next.id, table)).await?;
    for grant in &grants {
        let column_is_gone = |column| table.column_index(column).is_none();
        if grant.column.as_deref().is_some_and(column_is_gone) {
            continue;
        }
        if let Some(statement) = tables::grant(view, grant) {
            session.batch(&statement).await?;
        }
    }
    Ok(())
}

async fn grants(session: &mut Session, view: &str) -> Outcome<Vec<Grant>> {
    let rows = query(sql::GRANTS).bind(view).rows(session).await?;
    let grant = |row: &tiberius::Row| {
        let (role, right, state) = (text(row, 0)?, text(row, 1)?, text(row, 2)?);
        Ok(Grant { role, right: right.trim_end().to_owned(), state, column: maybe_text(row, 3)? })
    };
    rows.iter().map(grant).collect()
}

async fn made_views(session: &mut Session, projection: &str) -> Outcome<Vec<String>> {
    let rows = query(sql::MADE_VIEWS).bind(projection).rows(session).await?;
    rows.iter().map(|row| Ok(text(row, 0)?)).collect()
}

async fn drop_view(session: &mut Session, view: &str) -> Outcome<()> {
    match session.batch(&tables::drop_view(view)).await {
        Err(error) if error.is_depended_on() => {
            return Err(Fault::Own(CatalogError::Conflict {
                what: format!("view {view}"),
                actual: format!("needed by something else ({error})"),
                wanted: "drop what depends on it first".to_owned(),
            }));
        }
        dropped => dropped?,
    }
    query(sql::SET_VIEW).bind(0_i64).bind(view).execute(session).await?;
    Ok(())
}

/// Deletes a generation, and with the last one its projection if that is wanted.
pub(super) async fn remove(
    session: &mut Session,
    manifests: &Manifests,
    id: GenerationId,
    scope: DropScope,
) -> Outcome<()> {
    session.batch(SHORT_LOCKS).await?;
    let projection = catalog::generation(session, manifests, id).await?.projection;
    query(sql::LOCK_PROJECTION).bind(&projection).execute(session).await?;
    let generation = catalog::lock_generation(session, manifests, id).await?;
    if generation.state == GenerationState::Dropped {
        return Ok(());
    }
    let others: i64 = get(&query(sql::OTHERS).bind(&projection).bind(id.0).one(session).await?, 0)?;
    check_drop(&generation, scope, others).map_err(Fault::Own)?;
    catalog::lock_checkpoints(session, id).await?;
    query(sql::LOCK_SOON).bind(tables::generation_lock(id)).execute(session).await?;
    if scope == DropScope::Projection {
        drop_views(session, &projection).await?;
        query(sql::DELETE_VIEWS).bind(&projection).execute(session).await?;
        query(sql::DELETE_PROJECTION).bind(&projection).execute(session).await?;
    }
    drop_tables(session, id, &generation.manifest).await?;
    query(sql::DELETE_CHECKPOINTS).bind(id.0).execute(session).await?;
    query(sql::DELETE_LEASE).bind(id.0).execute(session).await?;
    query(sql::DELETE_DEAD_LETTERS).bind(id.0).execute(session).await?;
    let dropped = GenerationState::Dropped.word();
    query(sql::SET_STATE).bind(dropped).bind(id.0).execute(session).await?;
    Ok(())
}

async fn drop_tables(session: &mut Session, id: GenerationId, manifest: &Manifest) -> Outcome<()> {
    for table in &manifest.tables {
        session.batch(&tables::drop_table(id, table)).await?;
    }
    Ok(())
}

/// Deletes the views of a projection and their schema, if nothing else is in it.
async fn drop_views(session: &mut Session, projection: &str) -> Outcome<()> {
    for view in &made_views(session, projection).await? {
        drop_view(session, view).await?;
    }
    let schema = schema_name(projection);
    let rows = query(sql::OBJECTS).bind(&schema).rows(session).await?;
    let objects: Vec<&str> = rows.iter().map(|row| get(row, 0)).collect::<Result<_, _>>()?;
    if !objects.is_empty() {
        return Err(Fault::Own(CatalogError::Conflict {
            what: format!("schema {schema}"),
            actual: format!("not empty: it holds {}, which Reel did not make", objects.join(", ")),
            wanted: "move or drop that first".to_owned(),
        }));
    }
    session.batch(&tables::drop_schema(&schema)).await?;
    Ok(())
}

async fn view_owner(session: &mut Session, view: &str) -> Outcome<Option<(String, i64)>> {
    let row = query(sql::VIEW).bind(view).row(session).await?;
    row.map(|row| Ok((text(&row, 0)?, get(&row, 1)?))).transpose()
}

async fn object_exists(session: &mut Session, name: &str) -> Outcome<bool> {
    let row = query(sql::OBJECT).bind(name).one(session).await?;
    Ok(get::<i32>(&row, 0)? == 1)
}
