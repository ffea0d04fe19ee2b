//! Makes, flips and drops generations: their tables and the views over them.
//!
//! Locks are taken in this order: projection, generation, checkpoints by shard (all by `catalog`), tables and views.

use reel_projector::{Manifest, Table};

use super::connection::{Session, query};
use super::dialect::tables::Grant;
use super::dialect::{SHORT_LOCKS, SHORTER_LOCKS, catalog as sql, tables};
use super::error::Outcome;
use super::values::{get, maybe_text, text};
use crate::catalog::{self, Made, Manifests, Names, Pointed, check_new, first_checkpoint, name_taken, schema_name};
use crate::fault::Fault;
use crate::target::{CatalogError, DropScope, FlipOutcome, Generation, GenerationId, IfBehind, NewGeneration};

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
    let id = catalog::put_generation(session, new).await?;
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

/// Makes the names of the projection's schema and views its own, from its first generation on.
async fn claim_names(session: &mut Session, new: &NewGeneration) -> Outcome<()> {
    let (schema, views) = (schema_name(&new.projection), views(&new.projection, &new.manifest));
    if catalog::check_names(session, new, &views).await? == Names::Free {
        if schema_exists(session, &schema).await? {
            return Err(name_taken(new, "a schema that Reel did not make"));
        }
        session.batch(&tables::create_schema(&schema)).await?;
    }
    catalog::claim_names(session, new, &views).await
}

/// The names of a projection's views, by table.
fn views(projection: &str, manifest: &Manifest) -> Vec<String> {
    let schema = schema_name(projection);
    manifest.tables.iter().map(|table| tables::view_name(&schema, table)).collect()
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
    match catalog::move_pointer(session, manifests, to, if_behind).await? {
        Pointed::Still(outcome) => Ok(outcome),
        Pointed::At(next) => {
            session.batch(SHORTER_LOCKS).await?;
            replace_views(session, &next).await?;
            Ok(FlipOutcome::Flipped)
        }
    }
}

/// Points the projection's views at the tables of `next`, each made anew with the same rights; views that it has no table for go.
async fn replace_views(session: &mut Session, next: &Generation) -> Outcome<()> {
    let wanted = views(&next.projection, &next.manifest);
    let made = catalog::made_views(session, &next.projection).await?;
    for view in made.iter().filter(|view| !wanted.contains(view)) {
        drop_view(session, view).await?;
    }
    for (table, view) in next.manifest.tables.iter().zip(&wanted) {
        catalog::check_view(session, view, &made, next).await?;
        if made.contains(view) {
            replace_view(session, view, next, table).await?;
        } else {
            session.batch(&tables::create_view(view, next.id, table)).await?;
        }
        catalog::set_view(session, view, Made::Yes).await?;
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
    catalog::set_view(session, view, Made::No).await
}

/// Deletes a generation, and with the last one its projection if that is wanted.
pub(super) async fn remove(
    session: &mut Session,
    manifests: &Manifests,
    id: GenerationId,
    scope: DropScope,
) -> Outcome<()> {
    session.batch(SHORT_LOCKS).await?;
    let Some(generation) = catalog::lock_to_drop(session, manifests, id, scope).await? else {
        return Ok(());
    };
    query(sql::LOCK_SOON).bind(tables::generation_lock(id)).execute(session).await?;
    if scope == DropScope::Projection {
        drop_views(session, &generation.projection).await?;
    }
    for table in &generation.manifest.tables {
        session.batch(&tables::drop_table(id, table)).await?;
    }
    catalog::forget(session, &generation, scope).await
}

/// Deletes the views of a projection and their schema, if nothing else is in it.
async fn drop_views(session: &mut Session, projection: &str) -> Outcome<()> {
    for view in &catalog::made_views(session, projection).await? {
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
