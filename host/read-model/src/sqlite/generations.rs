//! Makes, flips and drops generations: their tables and the views over them.

use reel_projector::Manifest;
use rusqlite::Connection;

use super::dialect::tables;
use super::error::Outcome;
use crate::catalog::{
    self, CatalogSession as _, Made, Manifests, Names, Pointed, check_new, first_checkpoint, name_taken, schema_name,
};
use crate::fault::Fault;
use crate::target::{CatalogError, DropScope, FlipOutcome, Generation, GenerationId, IfBehind, NewGeneration};

/// Makes a generation: its entry, its checkpoints, its tables.
pub(super) async fn create(
    session: &mut Connection,
    manifests: &Manifests,
    new: &NewGeneration,
) -> Outcome<Generation> {
    check_new(new).map_err(Fault::Own)?;
    if catalog::manifest(session, &new.digest).await?.is_none() {
        return Err(Fault::Own(CatalogError::NotFound(format!("component {}", new.digest))));
    }
    claim_names(session, new).await?;
    let id = catalog::put_generation(session, new).await?;
    catalog::put_checkpoints(session, id, &first_checkpoint(new.log), new.shards).await?;
    for statement in tables::create(id, &new.manifest) {
        session.define(statement).await?;
    }
    manifests.put(&new.digest, &new.manifest);
    catalog::generation(session, manifests, id).await
}

/// Makes the names of the projection's views its own, from its first generation on.
async fn claim_names(session: &mut Connection, new: &NewGeneration) -> Outcome<()> {
    let views = views(&new.projection, &new.manifest);
    let names = catalog::check_names(session, new, &views).await?;
    if names == Names::Free && format!("{}_", schema_name(&new.projection)).starts_with("sqlite_") {
        return Err(name_taken(new, "SQLite itself"));
    }
    catalog::claim_names(session, new, &views).await
}

/// The names of a projection's views, by table.
fn views(projection: &str, manifest: &Manifest) -> Vec<String> {
    let schema = schema_name(projection);
    manifest.tables.iter().map(|table| tables::view_name(&schema, table)).collect()
}

/// Makes a generation the live one, if it has come far enough.
pub(super) async fn flip(
    session: &mut Connection,
    manifests: &Manifests,
    to: GenerationId,
    if_behind: IfBehind,
) -> Outcome<FlipOutcome> {
    match catalog::move_pointer(session, manifests, to, if_behind).await? {
        Pointed::Still(outcome) => Ok(outcome),
        Pointed::At(next) => {
            replace_views(session, &next).await?;
            Ok(FlipOutcome::Flipped)
        }
    }
}

/// Points the projection's views at the tables of `next`; views that it has no table for go.
async fn replace_views(session: &mut Connection, next: &Generation) -> Outcome<()> {
    drop_views(session, &next.projection).await?;
    for (table, view) in next.manifest.tables.iter().zip(views(&next.projection, &next.manifest)) {
        catalog::check_view(session, &view, &[], next).await?;
        session.define(tables::create_view(&view, next.id, table)).await?;
        catalog::set_view(session, &view, Made::Yes).await?;
    }
    Ok(())
}

async fn drop_views(session: &mut Connection, projection: &str) -> Outcome<()> {
    for view in catalog::made_views(session, projection).await? {
        session.define(tables::drop_view(&view)).await?;
        catalog::set_view(session, &view, Made::No).await?;
    }
    Ok(())
}

/// Deletes a generation, and with the last one its projection if that is wanted.
pub(super) async fn remove(
    session: &mut Connection,
    manifests: &Manifests,
    id: GenerationId,
    scope: DropScope,
) -> Outcome<()> {
    let Some(generation) = catalog::lock_to_drop(session, manifests, id, scope).await? else {
        return Ok(());
    };
    if scope == DropScope::Projection {
        drop_views(session, &generation.projection).await?;
    }
    for statement in tables::drop(id, &generation.manifest) {
        session.define(statement).await?;
    }
    catalog::forget(session, &generation, scope).await
}
