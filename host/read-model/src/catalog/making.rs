//! What making, flipping and dropping a generation writes in the catalog: whose names are, which number comes next, what is live. The
//! tables and the views are the adapters'.

use std::time::Instant;

use reel_projector::Checkpoint;

use super::entries::{Unreadable, Word};
use super::rules::{behind, check_drop, check_flip};
use super::session::{CatalogSession, Fields, Outcome, SessionFault, one};
use super::{
    LOOK, Manifests, checkpoints, generation, live, lock_checkpoints, lock_generation, now, promote, schema_name, title,
};
use crate::fault::Fault;
use crate::target::{
    CatalogError, DropScope, FlipOutcome, Generation, GenerationId, GenerationState, IfBehind, NewGeneration,
};

/// Gives a new generation its entry.
pub(crate) async fn put_generation<S: CatalogSession>(
    session: &mut S,
    new: &NewGeneration,
) -> Outcome<GenerationId, S> {
    let last = one(session, S::SQL.last_number, &[(&new.projection).into()]).await?.integer(0)?;
    let (promotion, log) = (new.promotion.word(), new.log.to_string());
    let arguments = [
        (&new.projection).into(),
        (last + 1).into(),
        (&new.digest).into(),
        (&new.settings).into(),
        new.on_failure.word().into(),
        (&promotion).into(),
        (&log).into(),
        i64::from(new.shards).into(),
        now().micros().into(),
    ];
    let id = session.put_generation(&arguments).await?;
    Ok(GenerationId(id.ok_or_else(|| Unreadable("the new generation has no number".to_owned()))?))
}

/// That a name that a new generation needs is another's.
pub(crate) fn name_taken<E>(new: &NewGeneration, owner: impl Into<String>) -> Fault<E, CatalogError> {
    let (name, schema) = (new.projection.clone(), schema_name(&new.projection));
    Fault::Own(CatalogError::NameTaken { name, schema, owner: owner.into() })
}

/// Whether the names of a projection's views can be its own; whether they are already.
pub(crate) async fn check_names<S: CatalogSession>(
    session: &mut S,
    new: &NewGeneration,
    views: &[String],
) -> Outcome<Names, S> {
    let row = session.row(S::SQL.schema_owner, &[(&schema_name(&new.projection)).into()]).await?;
    let names = match row.map(|row| row.text(0)).transpose()? {
        Some(owner) if owner != new.projection => return Err(name_taken(new, format!("projection {owner}"))),
        Some(_) => Names::Own,
        None => Names::Free,
    };
    for view in views {
        match view_owner(session, view).await? {
            Some(owner) if owner != new.projection => return Err(name_taken(new, format!("projection {owner}"))),
            Some(_) => {}
            None if object_exists(session, view).await? => {
                return Err(name_taken(new, format!("a table or view {view} that Reel did not make")));
            }
            None => {}
        }
    }
    Ok(names)
}

/// Whose the name of a projection's schema is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Names {
    /// The projection's: it is not its first generation.
    Own,
    /// Nobody's that the catalog knows.
    Free,
}

/// Makes the names of a projection's views its own, from its first generation on.
pub(crate) async fn claim_names<S: CatalogSession>(
    session: &mut S,
    new: &NewGeneration,
    views: &[String],
) -> Outcome<(), S> {
    let (projection, schema) = (&new.projection, schema_name(&new.projection));
    if session.row(S::SQL.schema_owner, &[(&schema).into()]).await?.is_none() {
        session.execute(S::SQL.put_projection, &[projection.into(), (&schema).into()]).await?;
    }
    for view in views {
        if view_owner(session, view).await?.is_none() {
            session.execute(S::SQL.claim_view, &[view.into(), projection.into()]).await?;
        }
    }
    Ok(())
}

async fn view_owner<S: CatalogSession>(session: &mut S, view: &str) -> Outcome<Option<String>, S> {
    let row = session.row(S::SQL.view, &[view.into()]).await?;
    Ok(row.map(|row| row.text(0)).transpose()?)
}

/// Whether anything has this name.
pub(crate) async fn object_exists<S: CatalogSession>(session: &mut S, name: &str) -> Outcome<bool, S> {
    Ok(one(session, S::SQL.object, &[name.into()]).await?.integer(0)? > 0)
}

/// Whether a view's name is free for `next`, of a projection whose views `made` are there.
pub(crate) async fn check_view<S: CatalogSession>(
    session: &mut S,
    view: &str,
    made: &[String],
    next: &Generation,
) -> Outcome<(), S> {
    if made.iter().any(|made| made == view) || !object_exists(session, view).await? {
        return Ok(());
    }
    Err(Fault::Own(CatalogError::Conflict {
        what: view.to_owned(),
        actual: "a table or view that Reel did not make".to_owned(),
        wanted: format!("{} needs that name: rename or drop it", title(next)),
    }))
}

/// The views of a projection that readers of SQL see.
pub(crate) async fn made_views<S: CatalogSession>(session: &mut S, projection: &str) -> Outcome<Vec<String>, S> {
    let rows = session.rows(S::SQL.made_views, &[projection.into()]).await?;
    Ok(rows.iter().map(|row| row.text(0)).collect::<Result<_, _>>()?)
}

/// Notes whether readers of SQL see a view.
pub(crate) async fn set_view<S: CatalogSession>(session: &mut S, view: &str, made: Made) -> Outcome<(), S> {
    session.execute(S::SQL.set_view, &[(made as i64).into(), view.into()]).await?;
    Ok(())
}

/// Whether a view is there.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Made {
    No = 0,
    Yes = 1,
}

/// What a flip has done to the pointer.
pub(crate) enum Pointed {
    /// It points at this generation now; the views follow.
    At(Generation),
    /// It stays where it was.
    Still(FlipOutcome),
}

/// Makes a generation the live one in the catalog, if it has come far enough. Locks are taken in this order: projection, generation,
/// checkpoints by shard.
pub(crate) async fn move_pointer<S: CatalogSession>(
    session: &mut S,
    manifests: &Manifests,
    to: GenerationId,
    if_behind: IfBehind,
) -> Outcome<Pointed, S> {
    let projection = generation(session, manifests, to).await?.projection;
    session.rows(S::SQL.lock_projection, &[(&projection).into()]).await?;
    let next = lock_generation(session, manifests, to).await?;
    check_flip(&next, if_behind).map_err(Fault::Own)?;
    let live = live(session, manifests, &projection).await?;
    if live.as_ref().is_some_and(|live| live.id == to) {
        return Ok(Pointed::Still(FlipOutcome::AlreadyLive));
    }
    if let Some(live) = live {
        let standing = lock_checkpoints(session, live.id).await?;
        if if_behind == IfBehind::Refuse
            && let Some(outcome) = pass(session, &standing, to).await?
        {
            return Ok(Pointed::Still(outcome));
        }
        session.execute(S::SQL.set_state, &[GenerationState::Previous.word().into(), live.id.0.into()]).await?;
    }
    promote(session, &projection, to).await?;
    Ok(Pointed::At(next))
}

/// Waits a short while until `to` is at or past the live generation's checkpoints, which stand still meanwhile: whichever hosts run
/// the two, commands that keep arriving cannot make them miss each other for ever. How it is behind, if it still is.
async fn pass<S: CatalogSession>(
    session: &mut S,
    standing: &[Checkpoint],
    to: GenerationId,
) -> Result<Option<FlipOutcome>, SessionFault<S, CatalogError>> {
    let deadline = Instant::now() + S::PASSING;
    loop {
        // Read committed: each look sees what was committed since.
        let reached = checkpoints(session, to).await?;
        match behind(standing, &reached) {
            Some(_) if Instant::now() < deadline => tokio::time::sleep(LOOK).await,
            outcome => return Ok(outcome),
        }
    }
}

/// Locks a generation that is to be dropped, with all that is live of it; nothing where it is gone already.
pub(crate) async fn lock_to_drop<S: CatalogSession>(
    session: &mut S,
    manifests: &Manifests,
    id: GenerationId,
    scope: DropScope,
) -> Outcome<Option<Generation>, S> {
    let projection = generation(session, manifests, id).await?.projection;
    session.rows(S::SQL.lock_projection, &[(&projection).into()]).await?;
    let generation = lock_generation(session, manifests, id).await?;
    if generation.state == GenerationState::Dropped {
        return Ok(None);
    }
    let others = one(session, S::SQL.others, &[(&projection).into(), id.0.into()]).await?.integer(0)?;
    check_drop(&generation, scope, others).map_err(Fault::Own)?;
    lock_checkpoints::<S, CatalogError>(session, id).await?;
    Ok(Some(generation))
}

/// Takes a generation out of the catalog, but for its entry.
pub(crate) async fn forget<S: CatalogSession>(
    session: &mut S,
    generation: &Generation,
    scope: DropScope,
) -> Outcome<(), S> {
    if scope == DropScope::Projection {
        let projection = [(&generation.projection).into()];
        session.execute(S::SQL.delete_views, &projection).await?;
        session.execute(S::SQL.delete_projection, &projection).await?;
    }
    let id = generation.id.0;
    session.execute(S::SQL.delete_checkpoints, &[id.into()]).await?;
    session.execute(S::SQL.delete_lease, &[id.into()]).await?;
    session.execute(S::SQL.delete_hold, &[id.into()]).await?;
    session.execute(S::SQL.delete_dead_letters, &[id.into()]).await?;
    session.execute(S::SQL.set_state, &[GenerationState::Dropped.word().into(), id.into()]).await?;
    Ok(())
}
