//! The checkpoints of generations, shard by shard: who takes them over, and how their number changes. What moves them is in `commits`.

use reel_projector::Checkpoint;

use super::entries::CheckpointEntry;
use super::rules::check_relayout;
use super::session::{CatalogSession, Outcome, SessionFault, one};
use super::{no_shard, title};
use crate::fault::Fault;
use crate::target::{CatalogError, Generation, GenerationId};

/// The checkpoint of one shard, if it is there.
pub(crate) async fn checkpoint<S: CatalogSession, O>(
    session: &mut S,
    id: GenerationId,
    shard: u32,
) -> Result<Option<Checkpoint>, SessionFault<S, O>> {
    let row = session.row(S::SQL.checkpoint, &[id.0.into(), i64::from(shard).into()]).await?;
    row.map(|row| Ok(CheckpointEntry::from_row(&row)?.read()?)).transpose()
}

/// The checkpoints of a generation, by shard.
pub(crate) async fn checkpoints<S: CatalogSession, O>(
    session: &mut S,
    id: GenerationId,
) -> Result<Vec<Checkpoint>, SessionFault<S, O>> {
    let rows = session.rows(S::SQL.checkpoints, &[id.0.into()]).await?;
    rows.iter().map(|row| Ok(CheckpointEntry::from_row(row)?.read()?)).collect()
}

/// The same, and nobody moves them until the transaction ends.
pub(crate) async fn lock_checkpoints<S: CatalogSession, O>(
    session: &mut S,
    id: GenerationId,
) -> Result<Vec<Checkpoint>, SessionFault<S, O>> {
    session.rows(S::SQL.lock_checkpoints, &[id.0.into()]).await?;
    checkpoints(session, id).await
}

/// Makes the checkpoints of `shards` shards, all alike.
pub(crate) async fn put_checkpoints<S: CatalogSession, O>(
    session: &mut S,
    id: GenerationId,
    checkpoint: &Checkpoint,
    shards: u32,
) -> Result<(), SessionFault<S, O>> {
    let entry = CheckpointEntry::of(checkpoint);
    for shard in 0..shards {
        let arguments = [
            id.0.into(),
            i64::from(shard).into(),
            (&entry.log).into(),
            entry.position.into(),
            (&entry.event).into(),
            entry.layout.into(),
            entry.epoch.into(),
        ];
        session.execute(S::SQL.put_checkpoint, &arguments).await?;
    }
    Ok(())
}

/// Raises the epoch of all shards, and says where they stand.
pub(crate) async fn take<S: CatalogSession>(session: &mut S, generation: &Generation) -> Outcome<Vec<Checkpoint>, S> {
    let id = [generation.id.0.into()];
    session.rows(S::SQL.lock_checkpoints, &id).await?;
    if session.execute(S::SQL.raise_checkpoints, &id).await? == 0 {
        return Err(Fault::Own(CatalogError::NotFound(format!("the checkpoint of {}", title(generation)))));
    }
    session.execute(S::SQL.raise_epoch, &id).await?;
    checkpoints(session, generation.id).await
}

/// Raises the epoch of one shard, and says where it stands.
pub(crate) async fn take_shard<S: CatalogSession>(
    session: &mut S,
    id: GenerationId,
    shard: u32,
) -> Outcome<Checkpoint, S> {
    let of = [id.0.into(), i64::from(shard).into()];
    if session.execute(S::SQL.raise_checkpoint, &of).await? == 0 {
        return Err(Fault::Own(no_shard(id, shard)));
    }
    let row = one(session, S::SQL.checkpoint, &of).await?;
    Ok(CheckpointEntry::from_row(&row)?.read()?)
}

/// Puts the checkpoints of a new layout in the place of `from`.
pub(crate) async fn relayout<S: CatalogSession>(
    session: &mut S,
    generation: &Generation,
    from: &[Checkpoint],
    (layout, shards): (u64, u32),
) -> Outcome<Vec<Checkpoint>, S> {
    let found = lock_checkpoints(session, generation.id).await?;
    let start = check_relayout(generation, from, &found, layout).map_err(Fault::Own)?;
    session.execute(S::SQL.delete_checkpoints, &[generation.id.0.into()]).await?;
    put_checkpoints(session, generation.id, &start, shards).await?;
    session.execute(S::SQL.set_shards, &[i64::from(shards).into(), generation.id.0.into()]).await?;
    Ok(vec![start; shards as usize])
}
