//! Makes, flips and drops generations: their tables and the views over them.
//!
//! Locks are taken in this order: projection, generation, checkpoints by shard (all by `catalog`), tables and views.

use reel_projector::{Manifest, Table};
use sqlx::{PgConnection, Row, query, query_scalar};

use super::dialect::tables::Grant;
use super::dialect::{SHORT_LOCKS, SHORTER_LOCKS, catalog as sql, tables};
use super::error::{Outcome, detail, is_depended_on};
use crate::catalog::{self, Made, Manifests, Names, Pointed, check_new, first_checkpoint, name_taken, schema_name};
use crate::fault::Fault;
use crate::target::{CatalogError, DropScope, FlipOutcome, Generation, GenerationId, IfBehind, NewGeneration};

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
    let id = catalog::put_generation(connection, new).await?;
    catalog::put_checkpoints(connection, id, &first_checkpoint(new.log), new.shards).await?;
    for statement in tables::create(id, &new.manifest) {
        query(statement).execute(&mut *connection).await?;
    }
    manifests.put(&new.digest, &new.manifest);
    catalog::generation(connection, manifests, id).await
}

/// Makes the names of the projection's schema and views its own, from its first generation on.
async fn claim_names(connection: &mut PgConnection, new: &NewGeneration) -> Outcome<()> {
    let (schema, views) = (schema_name(&new.projection), views(&new.projection, &new.manifest));
    if catalog::check_names(connection, new, &views).await? == Names::Free {
        if schema.starts_with("pg_") {
            return Err(name_taken(new, "PostgreSQL itself"));
        }
        if query_scalar::<_, i64>(sql::SCHEMA).bind(&schema).fetch_one(&mut *connection).await? > 0 {
            return Err(name_taken(new, "a schema that Reel did not make"));
        }
        query(tables::create_schema(&schema)).execute(&mut *connection).await?;
    }
    catalog::claim_names(connection, new, &views).await
}

/// The names of a projection's views, by table.
fn views(projection: &str, manifest: &Manifest) -> Vec<String> {
    let schema = schema_name(projection);
    manifest.tables.iter().map(|table| tables::view_name(&schema, table)).collect()
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
    match catalog::move_pointer(connection, manifests, to, if_behind).await? {
        Pointed::Still(outcome) => Ok(outcome),
        Pointed::At(next) => {
            query(SHORTER_LOCKS).execute(&mut *connection).await?;
            replace_views(connection, &next).await?;
            Ok(FlipOutcome::Flipped)
        }
    }
}

/// Points the projection's views at the tables of `next`; views that it has no table for go.
async fn replace_views(connection: &mut PgConnection, next: &Generation) -> Outcome<()> {
    let wanted = views(&next.projection, &next.manifest);
    let made = catalog::made_views(connection, &next.projection).await?;
    for view in made.iter().filter(|view| !wanted.contains(view)) {
        drop_view(connection, view).await?;
    }
    for (table, view) in next.manifest.tables.iter().zip(&wanted) {
        catalog::check_view(connection, view, &made, next).await?;
        if made.contains(view) {
            replace_view(connection, view, next, table).await?;
        } else {
            query(tables::replace_view(view, next.id, table)).execute(&mut *connection).await?;
        }
        catalog::set_view(connection, view, Made::Yes).await?;
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
    catalog::set_view(connection, view, Made::No).await
}

/// Deletes a generation, and with the last one its projection if that is wanted.
pub(super) async fn remove(
    connection: &mut PgConnection,
    manifests: &Manifests,
    id: GenerationId,
    scope: DropScope,
) -> Outcome<()> {
    query(SHORT_LOCKS).execute(&mut *connection).await?;
    let Some(generation) = catalog::lock_to_drop(connection, manifests, id, scope).await? else {
        return Ok(());
    };
    if scope == DropScope::Projection {
        drop_views(connection, &generation.projection).await?;
    }
    for statement in tables::drop(id, &generation.manifest) {
        query(statement).execute(&mut *connection).await?;
    }
    catalog::forget(connection, &generation, scope).await
}

/// Deletes the views of a projection and their schema, if nothing else is in it.
async fn drop_views(connection: &mut PgConnection, projection: &str) -> Outcome<()> {
    for view in &catalog::made_views(connection, projection).await? {
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
