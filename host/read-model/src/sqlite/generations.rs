//! Makes, flips and drops generations: their tables and the views over them.

use reel_projector::Manifest;
use rusqlite::{OptionalExtension, Transaction, params};

use super::catalog::{self, Outcome};
use super::dialect::{catalog as sql, tables};
use crate::catalog::{
    Manifests, Word, behind, check_drop, check_flip, check_new, first_checkpoint, now, schema_name, title,
};
use crate::fault::Fault;
use crate::target::{
    CatalogError, DropScope, FlipOutcome, Generation, GenerationId, GenerationState, IfBehind, NewGeneration,
};

/// Makes a generation: its entry, its checkpoints, its tables.
pub(super) fn create(transaction: &Transaction<'_>, manifests: &Manifests, new: &NewGeneration) -> Outcome<Generation> {
    check_new(new).map_err(Fault::Own)?;
    if catalog::manifest(transaction, &new.digest)?.is_none() {
        return Err(Fault::Own(CatalogError::NotFound(format!("component {}", new.digest))));
    }
    claim_names(transaction, new)?;
    let id = put_generation(transaction, new)?;
    catalog::put_checkpoints(transaction, id, &first_checkpoint(new.log), new.shards)?;
    for statement in tables::create(id, &new.manifest) {
        transaction.execute(&statement, [])?;
    }
    manifests.put(&new.digest, &new.manifest);
    catalog::generation(transaction, manifests, id)
}

fn put_generation(transaction: &Transaction<'_>, new: &NewGeneration) -> Outcome<GenerationId> {
    let last: i64 = transaction.query_row(sql::LAST_NUMBER, [&new.projection], |row| row.get(0))?;
    let id = transaction.query_row(
        sql::PUT_GENERATION,
        params![
            new.projection,
            last + 1,
            new.digest,
            new.settings,
            new.on_failure.word(),
            new.promotion.word(),
            new.log.to_string(),
            new.shards,
            now().micros(),
        ],
        |row| row.get(0),
    )?;
    Ok(GenerationId(id))
}

/// Makes the names of the projection's views its own, from its first generation on.
fn claim_names(transaction: &Transaction<'_>, new: &NewGeneration) -> Outcome<()> {
    let schema = schema_name(&new.projection);
    let taken = |owner: String| {
        Fault::Own(CatalogError::NameTaken { name: new.projection.clone(), schema: schema.clone(), owner })
    };
    let owner: Option<String> = transaction.query_row(sql::SCHEMA_OWNER, [&schema], |row| row.get(0)).optional()?;
    match owner {
        Some(owner) if owner != new.projection => return Err(taken(format!("projection {owner}"))),
        Some(_) => {}
        None if format!("{schema}_").starts_with("sqlite_") => return Err(taken("SQLite itself".to_owned())),
        None => {
            transaction.execute(sql::PUT_PROJECTION, [&new.projection, &schema])?;
        }
    }
    for table in &new.manifest.tables {
        let view = tables::view_name(&schema, table);
        match view_owner(transaction, &view)? {
            Some((owner, _)) if owner != new.projection => return Err(taken(format!("projection {owner}"))),
            Some(_) => {}
            None if object_exists(transaction, &view)? => {
                return Err(taken(format!("a table or view {view} that Reel did not make")));
            }
            None => {
                transaction.execute(sql::CLAIM_VIEW, [&view, &new.projection])?;
            }
        }
    }
    Ok(())
}

/// Makes a generation the live one, if it has come far enough.
pub(super) fn flip(
    transaction: &Transaction<'_>,
    manifests: &Manifests,
    to: GenerationId,
    if_behind: IfBehind,
) -> Outcome<FlipOutcome> {
    let next = catalog::generation(transaction, manifests, to)?;
    check_flip(&next, if_behind).map_err(Fault::Own)?;
    let live = catalog::live(transaction, manifests, &next.projection)?;
    if live.as_ref().is_some_and(|live| live.id == to) {
        return Ok(FlipOutcome::AlreadyLive);
    }
    if let Some(live) = live {
        let standing = catalog::checkpoints(transaction, live.id)?;
        let reached = catalog::checkpoints(transaction, to)?;
        match behind(&standing, &reached) {
            Some(outcome) if if_behind == IfBehind::Refuse => return Ok(outcome),
            _ => {}
        }
        transaction.execute(sql::SET_STATE, params![GenerationState::Previous.word(), live.id.0])?;
    }
    catalog::promote(transaction, &next.projection, to)?;
    replace_views(transaction, &next)?;
    Ok(FlipOutcome::Flipped)
}

/// Points the projection's views at the tables of `next`; views that it has no table for go.
fn replace_views(transaction: &Transaction<'_>, next: &Generation) -> Outcome<()> {
    drop_views(transaction, &next.projection)?;
    let schema = schema_name(&next.projection);
    for table in &next.manifest.tables {
        let view = tables::view_name(&schema, table);
        if object_exists(transaction, &view)? {
            return Err(Fault::Own(CatalogError::Conflict {
                what: view,
                actual: "a table or view that Reel did not make".to_owned(),
                wanted: format!("{} needs that name: rename or drop it", title(next)),
            }));
        }
        transaction.execute(&tables::create_view(&view, next.id, table), [])?;
        transaction.execute(sql::SET_VIEW, params![1, view])?;
    }
    Ok(())
}

fn drop_views(transaction: &Transaction<'_>, projection: &str) -> Outcome<()> {
    let mut statement = transaction.prepare_cached(sql::MADE_VIEWS)?;
    let views: Vec<String> = statement.query_map([projection], |row| row.get(0))?.collect::<Result<_, _>>()?;
    for view in views {
        transaction.execute(&tables::drop_view(&view), [])?;
        transaction.execute(sql::SET_VIEW, params![0, view])?;
    }
    Ok(())
}

/// Deletes a generation, and with the last one its projection if that is wanted.
pub(super) fn remove(transaction: &Transaction<'_>, generation: &Generation, scope: DropScope) -> Outcome<()> {
    if generation.state == GenerationState::Dropped {
        return Ok(());
    }
    let others: i64 =
        transaction.query_row(sql::OTHERS, params![generation.projection, generation.id.0], |row| row.get(0))?;
    check_drop(generation, scope, others).map_err(Fault::Own)?;
    if scope == DropScope::Projection {
        drop_views(transaction, &generation.projection)?;
        transaction.execute(sql::DELETE_VIEWS, [&generation.projection])?;
        transaction.execute(sql::DELETE_PROJECTION, [&generation.projection])?;
    }
    drop_tables(transaction, generation.id, &generation.manifest)?;
    transaction.execute(sql::DELETE_CHECKPOINTS, [generation.id.0])?;
    transaction.execute(sql::DELETE_LEASE, [generation.id.0])?;
    transaction.execute(sql::DELETE_DEAD_LETTERS, [generation.id.0])?;
    transaction.execute(sql::SET_STATE, params![GenerationState::Dropped.word(), generation.id.0])?;
    Ok(())
}

fn drop_tables(transaction: &Transaction<'_>, id: GenerationId, manifest: &Manifest) -> Outcome<()> {
    for statement in tables::drop(id, manifest) {
        transaction.execute(&statement, [])?;
    }
    Ok(())
}

fn view_owner(transaction: &Transaction<'_>, view: &str) -> Outcome<Option<(String, i64)>> {
    let mut statement = transaction.prepare_cached(sql::VIEW)?;
    Ok(statement.query_row([view], |row| Ok((row.get(0)?, row.get(1)?))).optional()?)
}

fn object_exists(transaction: &Transaction<'_>, name: &str) -> Outcome<bool> {
    let found: i64 = transaction.query_row(sql::OBJECT, [name], |row| row.get(0))?;
    Ok(found > 0)
}
