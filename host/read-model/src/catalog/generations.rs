//! Entries of components and generations, and of the leases that generations are held by.

use std::time::Duration;

use uuid::Uuid;

use super::entries::{ConditionEntry, GenerationEntry, Unreadable, Word, kept};
use super::rules::check_move;
use super::session::{CatalogSession, Fields, Outcome};
use super::{Manifests, no_generation, now};
use crate::fault::Fault;
use crate::target::{CatalogError, Component, Condition, Generation, GenerationId, GenerationState, Pointer};

/// A component is kept in pieces of this many bytes, which every database takes in one statement.
const CHUNK_BYTES: usize = 1 << 20;

/// Keeps a component, unless it is there.
pub(crate) async fn put_component<S: CatalogSession>(session: &mut S, component: &Component) -> Outcome<(), S> {
    let (digest, manifest) = (&component.digest, &component.manifest);
    if !session.put_new(S::SQL.put_component, &[digest.into(), manifest.into()]).await? {
        return Ok(());
    }
    for (number, bytes) in component.bytes.chunks(CHUNK_BYTES).enumerate() {
        session.execute(S::SQL.put_chunk, &[digest.into(), (number as i64).into(), bytes.into()]).await?;
    }
    Ok(())
}

/// A component by its digest.
pub(crate) async fn component<S: CatalogSession>(session: &mut S, digest: &str) -> Outcome<Option<Component>, S> {
    let Some(manifest) = manifest(session, digest).await? else {
        return Ok(None);
    };
    let rows = session.rows(S::SQL.chunks, &[digest.into()]).await?;
    let chunks: Vec<Vec<u8>> = rows.iter().map(|row| row.bytes(0)).collect::<Result<_, _>>()?;
    Ok(Some(Component { digest: digest.to_owned(), manifest, bytes: chunks.concat() }))
}

/// The manifest of a component, as JSON.
pub(crate) async fn manifest<S: CatalogSession>(session: &mut S, digest: &str) -> Outcome<Option<String>, S> {
    let row = session.row(S::SQL.manifest, &[digest.into()]).await?;
    Ok(row.map(|row| row.text(0)).transpose()?)
}

/// All generations that were not dropped, oldest first.
pub(crate) async fn generations<S: CatalogSession>(
    session: &mut S,
    manifests: &Manifests,
) -> Outcome<Vec<Generation>, S> {
    let rows = session.rows(S::SQL.generations, &[]).await?;
    let mut generations = Vec::with_capacity(rows.len());
    for row in rows {
        generations.push(read_generation(session, manifests, GenerationEntry::from_row(&row)?).await?);
    }
    Ok(generations)
}

/// A generation that is there, dropped or not.
pub(crate) async fn generation<S: CatalogSession>(
    session: &mut S,
    manifests: &Manifests,
    id: GenerationId,
) -> Outcome<Generation, S> {
    let row = session.row(S::SQL.generation, &[id.0.into()]).await?;
    let row = row.ok_or_else(|| Fault::Own(no_generation(id)))?;
    read_generation(session, manifests, GenerationEntry::from_row(&row)?).await
}

/// The same, and nobody else changes its entry until the transaction ends.
pub(crate) async fn lock_generation<S: CatalogSession>(
    session: &mut S,
    manifests: &Manifests,
    id: GenerationId,
) -> Outcome<Generation, S> {
    session.rows(S::SQL.lock_generation, &[id.0.into()]).await?;
    generation(session, manifests, id).await
}

/// The live generation of a projection.
pub(crate) async fn live<S: CatalogSession>(
    session: &mut S,
    manifests: &Manifests,
    projection: &str,
) -> Outcome<Option<Generation>, S> {
    let row = session.row(S::SQL.live, &[projection.into()]).await?;
    match row.map(|row| row.maybe_integer(0)).transpose()?.flatten() {
        Some(id) => Ok(Some(generation(session, manifests, GenerationId(id)).await?)),
        None => Ok(None),
    }
}

async fn read_generation<S: CatalogSession>(
    session: &mut S,
    manifests: &Manifests,
    entry: GenerationEntry,
) -> Outcome<Generation, S> {
    let manifest = match manifests.get(&entry.digest) {
        Some(manifest) => manifest,
        None => {
            let json = manifest(session, &entry.digest).await?;
            let json =
                json.ok_or_else(|| Unreadable(format!("component {} is not in the catalog any more", entry.digest)))?;
            manifests.read(&entry.digest, &json)?
        }
    };
    Ok(entry.read(manifest)?)
}

/// Whether `generation` is still what a reader asks for.
pub(crate) async fn check_pointer<S: CatalogSession>(
    session: &mut S,
    generation: &Generation,
    pointer: Pointer,
) -> Outcome<(), S> {
    match pointer {
        Pointer::Live => {
            let row = session.row(S::SQL.live, &[(&generation.projection).into()]).await?;
            let live = row.map(|row| row.maybe_integer(0)).transpose()?.flatten();
            if live == Some(generation.id.0) { Ok(()) } else { Err(Fault::Own(CatalogError::Moved)) }
        }
        Pointer::Fixed => {
            let row = session.row(S::SQL.state, &[generation.id.0.into()]).await?;
            match row.map(|row| row.text(0)).transpose()? {
                Some(state) if state != GenerationState::Dropped.word() => Ok(()),
                _ => Err(Fault::Own(no_generation(generation.id))),
            }
        }
    }
}

/// Moves a generation from one state to another.
pub(crate) async fn set_state<S: CatalogSession>(
    session: &mut S,
    generation: &Generation,
    from: GenerationState,
    to: GenerationState,
) -> Outcome<(), S> {
    check_move(generation, from, to).map_err(Fault::Own)?;
    session.execute(S::SQL.set_state, &[to.word().into(), generation.id.0.into()]).await?;
    Ok(())
}

/// Says whether a generation runs.
pub(crate) async fn set_condition<S: CatalogSession>(
    session: &mut S,
    id: GenerationId,
    condition: &Condition,
) -> Outcome<(), S> {
    let entry = ConditionEntry::of(condition);
    let arguments = [
        (&entry.word).into(),
        entry.position.into(),
        (&entry.stream).into(),
        (&entry.code).into(),
        (&entry.message).into(),
        id.0.into(),
    ];
    let changed = session.execute(S::SQL.set_condition, &arguments).await?;
    if changed == 1 { Ok(()) } else { Err(Fault::Own(no_generation(id))) }
}

/// Makes `id` the live generation of `projection`, as of now.
pub(crate) async fn promote<S: CatalogSession>(session: &mut S, projection: &str, id: GenerationId) -> Outcome<(), S> {
    session.execute(S::SQL.promote, &[now().micros().into(), id.0.into()]).await?;
    session.execute(S::SQL.set_live, &[id.0.into(), projection.into()]).await?;
    Ok(())
}

/// Takes or keeps the lease of a generation, unless somebody else has it.
pub(crate) async fn lease<S: CatalogSession>(
    session: &mut S,
    generation: &Generation,
    holder: Uuid,
    lasts: Duration,
) -> Outcome<bool, S> {
    if generation.state == GenerationState::Dropped {
        return Err(Fault::Own(no_generation(generation.id)));
    }
    Ok(session.lease(generation.id.0, &holder.to_string(), kept(lasts.as_micros() as u64)).await?)
}

/// Gives the lease back, if `holder` has it.
pub(crate) async fn release<S: CatalogSession>(session: &mut S, id: GenerationId, holder: Uuid) -> Outcome<(), S> {
    session.execute(S::SQL.release, &[id.0.into(), (&holder.to_string()).into()]).await?;
    Ok(())
}
