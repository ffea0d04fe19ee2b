//! Makes, flips and drops generations: their tables and the views over them.
//!
//! Locks are taken in this order: projection, generation, checkpoints by shard, tables and views.

use std::time::{Duration, Instant};

use reel_projector::{Checkpoint, Manifest, Table};
use sqlx::{PgConnection, Row, query, query_scalar};

use super::dialect::tables::Grant;
use super::dialect::{SHORT_LOCKS, SHORTER_LOCKS, catalog as sql, tables};
use super::error::{Outcome, detail, is_depended_on};
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

/// Until the transaction ends nobody else makes a catalog or a generation here, where one can be.
pub(super) async fn lock_catalog(connection: &mut PgConnection, target: &str) -> Outcome<()> {
    let encoding: String = query_scalar(sql::ENCODING).fetch_one(&mut *connection).await?;
    if encoding != "UTF8" {
        let reason = format!("the database's encoding is {encoding}: make one with ENCODING 'UTF8'");
        return Err(Fault::Own(CatalogError::Unusable { target: target.to_owned(), reason }));
    }
    query(sql::LOCK_CATALOG).execute(&mut *connection).await?;
    Ok(())
}

/// Makes a generation: its entry, its checkpoints, its tables.
pub(super) async fn create(
    connection: &mut PgConnection,
    manifests: &Manifests,
    new: &NewGeneration,
) -> Outcome<Generation> {
    check_new(new).map_err(Fault::Own)?;
    if catalog::manifest(connection, &new.digest).await?.is_none() {
        return Err(Fault::Own(CatalogError::NotFound(format!("component {}", new.digest))));
    }
    query(sql::LOCK_CATALOG).execute(&mut *connection).await?;
    claim_names(connection, new).await?;
    let id = put_generation(connection, new).await?;
    catalog::put_checkpoints(connection, id, &first_checkpoint(new.log), new.shards).await?;
    for statement in tables::create(id, &new.manifest) {
        query(statement).execute(&mut *connection).await?;
    }
    manifests.put(&new.digest, &new.manifest);
    catalog::generation(connection, manifests, id).await
}

async fn put_generation(connection: &mut PgConnection, new: &NewGeneration) -> Outcome<GenerationId> {
    let last: i64 = query_scalar(sql::LAST_NUMBER).bind(&new.projection).fetch_one(&mut *connection).await?;
    let put = query_scalar(sql::PUT_GENERATION)
        .bind(&new.projection)
        .bind(last + 1)
        .bind(&new.digest)
        .bind(&new.settings)
        .bind(new.on_failure.word())
        .bind(new.promotion.word())
        .bind(new.log.to_string())
        .bind(i64::from(new.shards))
        .bind(now().micros());
    Ok(GenerationId(put.fetch_one(&mut *connection).await?))
}

/// Makes the names of the projection's views its own, from its first generation on.
async fn claim_names(connection: &mut PgConnection, new: &NewGeneration) -> Outcome<()> {
    let schema = schema_name(&new.projection);
    let taken = |owner: String| {
        Fault::Own(CatalogError::NameTaken { name: new.projection.clone(), schema: schema.clone(), owner })
    };
    let owner: Option<String> = query_scalar(sql::SCHEMA_OWNER).bind(&schema).fetch_optional(&mut *connection).await?;
    match owner {
        Some(owner) if owner != new.projection => return Err(taken(format!("projection {owner}"))),
        Some(_) => {}
        None if schema.starts_with("pg_") => return Err(taken("PostgreSQL itself".to_owned())),
        None if query_scalar::<_, i64>(sql::SCHEMA).bind(&schema).fetch_one(&mut *connection).await? > 0 => {
            return Err(taken("a schema that Reel did not make".to_owned()));
        }
        None => {
            query(tables::create_schema(&schema)).execute(&mut *connection).await?;
            query(sql::PUT_PROJECTION).bind(&new.projection).bind(&schema).execute(&mut *connection).await?;
        }
    }
    for table in &new.manifest.tables {
        let view = tables::view_name(&schema, table);
        match view_owner(connection, &view).await? {
            Some((owner, _)) if owner != new.projection => return Err(taken(format!("projection {owner}"))),
            Some(_) => {}
            None if object_exists(connection, &view).await? => {
                return Err(taken(format!("a table or view {view} that Reel did not make")));
            }
            None => {
                query(sql::CLAIM_VIEW).bind(&view).bind(&new.projection).execute(&mut *connection).await?;
            }
        }
    }
    Ok(())
}

/// Makes a generation the live one, if it has come far enough. Who reads the views is not kept waiting for long: a lock that is
/// not to be had soon is an error, and the caller tries again.
pub(super) async fn flip(
    connection: &mut PgConnection,
    manifests: &Manifests,
    to: GenerationId,
    if_behind: IfBehind,
) -> Outcome<FlipOutcome> {
    query(SHORT_LOCKS).execute(&mut *connection).await?;
    let projection = catalog::generation(connection, manifests, to).await?.projection;
    query(sql::LOCK_PROJECTION).bind(&projection).execute(&mut *connection).await?;
    let next = catalog::lock_generation(connection, manifests, to).await?;
    check_flip(&next, if_behind).map_err(Fault::Own)?;
    let live = catalog::live(connection, manifests, &projection).await?;
    if live.as_ref().is_some_and(|live| live.id == to) {
        return Ok(FlipOutcome::AlreadyLive);
    }
    if let Some(live) = live {
        let standing = catalog::lock_checkpoints(connection, live.id).await?;
        if if_behind == IfBehind::Refuse
            && let Some(outcome) = pass(connection, &standing, to).await?
        {
            return Ok(outcome);
        }
        let previous = GenerationState::Previous.word();
        query(sql::SET_STATE).bind(previous).bind(live.id.0).execute(&mut *connection).await?;
    }
    catalog::promote(connection, &projection, to).await?;
    query(SHORTER_LOCKS).execute(&mut *connection).await?;
    replace_views(connection, &next).await?;
    Ok(FlipOutcome::Flipped)
}

/// Waits a short while until `to` is at or past the live generation's checkpoints, which stand still meanwhile: whichever hosts run
/// the two, commands that keep arriving cannot make them miss each other for ever. How it is behind, if it still is.
async fn pass(
    connection: &mut PgConnection,
    standing: &[Checkpoint],
    to: GenerationId,
) -> Outcome<Option<FlipOutcome>> {
    let deadline = Instant::now() + PASSING;
    loop {
        // Read committed: each look sees what was committed since.
        let reached = catalog::checkpoints(connection, to).await?;
        match behind(standing, &reached) {
            Some(_) if Instant::now() < deadline => tokio::time::sleep(LOOK).await,
            outcome => return Ok(outcome),
        }
    }
}

/// Points the projection's views at the tables of `next`; views that it has no table for go.
async fn replace_views(connection: &mut PgConnection, next: &Generation) -> Outcome<()> {
    let schema = schema_name(&next.projection);
    let wanted: Vec<String> = next.manifest.tables.iter().map(|table| tables::view_name(&schema, table)).collect();
    let made: Vec<String> = query_scalar(sql::MADE_VIEWS).bind(&next.projection).fetch_all(&mut *connection).await?;
    for view in made.iter().filter(|view| !wanted.contains(view)) {
        drop_view(connection, view).await?;
    }
    for (table, view) in next.manifest.tables.iter().zip(&wanted) {
        if made.contains(view) {
            replace_view(connection, view, next, table).await?;
        } else if object_exists(connection, view).await? {
            return Err(Fault::Own(CatalogError::Conflict {
                what: view.clone(),
                actual: "a table or view that Reel did not make".to_owned(),
                wanted: format!("{} needs that name: rename or drop it", title(next)),
            }));
        } else {
            query(tables::replace_view(view, next.id, table)).execute(&mut *connection).await?;
        }
        query(sql::SET_VIEW).bind(1_i64).bind(view).execute(&mut *connection).await?;
    }
    Ok(())
}

/// A view with the same columns only gets another table below it; else it is made anew, with the same rights.
async fn replace_view(connection: &mut PgConnection, view: &str, next: &Generation, table: &Table) -> Outcome<()> {
    let physical = tables::physical(next.id, table);
    let replace = tables::replace_view(view, next.id, table);
    if shape(connection, view).await? == shape(connection, &physical).await? {
        query(replace).execute(&mut *connection).await?;
        return Ok(());
    }
    let grants = grants(connection, view).await?;
    drop_view(connection, view).await?;
    query(replace).execute(&mut *connection).await?;
    for grant in &grants {
        let column_is_gone = |column| table.column_index(column).is_none();
        if grant.column.as_deref().is_some_and(column_is_gone) {
            continue;
        }
        if let Some(statement) = tables::grant(view, grant) {
            query(statement).execute(&mut *connection).await?;
        }
    }
    Ok(())
}

async fn shape(connection: &mut PgConnection, relation: &str) -> Outcome<Option<String>> {
    Ok(query_scalar(sql::SHAPE).bind(relation).fetch_one(&mut *connection).await?)
}

async fn grants(connection: &mut PgConnection, view: &str) -> Outcome<Vec<Grant>> {
    let rows = query(sql::GRANTS).bind(view).fetch_all(&mut *connection).await?;
    let grant = |row: &sqlx::postgres::PgRow| -> Result<Grant, sqlx::Error> {
        Ok(Grant {
            role: row.try_get(0)?,
            privilege: row.try_get(1)?,
            grantable: row.try_get(2)?,
            column: row.try_get(3)?,
        })
    };
    Ok(rows.iter().map(grant).collect::<Result<_, _>>()?)
}

async fn drop_view(connection: &mut PgConnection, view: &str) -> Outcome<()> {
    let dropped = query(tables::drop_view(view)).execute(&mut *connection).await;
    if let Err(error) = &dropped
        && is_depended_on(error)
    {
        return Err(Fault::Own(CatalogError::Conflict {
            what: format!("view {view}"),
            actual: format!("needed by something else ({})", detail(error).unwrap_or("the server does not say what")),
            wanted: "its columns change or it goes: drop what depends on it first".to_owned(),
        }));
    }
    dropped?;
    query(sql::SET_VIEW).bind(0_i64).bind(view).execute(&mut *connection).await?;
    Ok(())
}

/// Deletes a generation, and with the last one its projection if that is wanted.
pub(super) async fn remove(
    connection: &mut PgConnection,
    manifests: &Manifests,
    id: GenerationId,
    scope: DropScope,
) -> Outcome<()> {
    query(SHORT_LOCKS).execute(&mut *connection).await?;
    let projection = catalog::generation(connection, manifests, id).await?.projection;
    query(sql::LOCK_PROJECTION).bind(&projection).execute(&mut *connection).await?;
    let generation = catalog::lock_generation(connection, manifests, id).await?;
    if generation.state == GenerationState::Dropped {
        return Ok(());
    }
    let others: i64 = query_scalar(sql::OTHERS).bind(&projection).bind(id.0).fetch_one(&mut *connection).await?;
    check_drop(&generation, scope, others).map_err(Fault::Own)?;
    catalog::lock_checkpoints(connection, id).await?;
    if scope == DropScope::Projection {
        drop_views(connection, &projection).await?;
        query(sql::DELETE_VIEWS).bind(&projection).execute(&mut *connection).await?;
        query(sql::DELETE_PROJECTION).bind(&projection).execute(&mut *connection).await?;
    }
    drop_tables(connection, id, &generation.manifest).await?;
    query(sql::DELETE_CHECKPOINTS).bind(id.0).execute(&mut *connection).await?;
    query(sql::DELETE_LEASE).bind(id.0).execute(&mut *connection).await?;
    query(sql::DELETE_DEAD_LETTERS).bind(id.0).execute(&mut *connection).await?;
    let dropped = GenerationState::Dropped.word();
    query(sql::SET_STATE).bind(dropped).bind(id.0).execute(&mut *connection).await?;
    Ok(())
}

async fn drop_tables(connection: &mut PgConnection, id: GenerationId, manifest: &Manifest) -> Outcome<()> {
    for statement in tables::drop(id, manifest) {
        query(statement).execute(&mut *connection).await?;
    }
    Ok(())
}

/// Deletes the views of a projection and their schema, if nothing else is in it.
async fn drop_views(connection: &mut PgConnection, projection: &str) -> Outcome<()> {
    let made: Vec<String> = query_scalar(sql::MADE_VIEWS).bind(projection).fetch_all(&mut *connection).await?;
    for view in &made {
        drop_view(connection, view).await?;
    }
    let schema = schema_name(projection);
    let objects: String = query_scalar(sql::OBJECTS).bind(&schema).fetch_one(&mut *connection).await?;
    if !objects.is_empty() {
        return Err(Fault::Own(CatalogError::Conflict {
            what: format!("schema {schema}"),
            actual: format!("not empty: it holds {objects}, which Reel did not make"),
            wanted: "move or drop that first".to_owned(),
        }));
    }
    query(tables::drop_schema(&schema)).execute(&mut *connection).await?;
    Ok(())
}

async fn view_owner(connection: &mut PgConnection, view: &str) -> Outcome<Option<(String, i64)>> {
    let row = query(sql::VIEW).bind(view).fetch_optional(&mut *connection).await?;
    row.map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).transpose()
}

async fn object_exists(connection: &mut PgConnection, name: &str) -> Outcome<bool> {
    Ok(query_scalar(sql::OBJECT).bind(name).fetch_one(&mut *connection).await?)
}
