//! What a bulk load asks of the catalog, and what its end writes there.

use reel_projector::Checkpoint;
use reel_projector::ports::CommitError;

use super::entries::Word;
use super::rules::load_lost;
use super::session::{CatalogSession, Fields, SessionFault, one};
use super::{lock_checkpoints, put_checkpoints};
use crate::fault::Fault;
use crate::load::Loaded;
use crate::target::{GenerationId, GenerationState};

/// Why a load that began at `epoch` must not go on, if so. `look` is [`Statements::state_and_epoch`](super::Statements), or one that
/// holds the entry as well.
pub(crate) async fn lost<S: CatalogSession, O>(
    session: &mut S,
    look: &'static str,
    id: GenerationId,
    epoch: u64,
) -> Result<Option<String>, SessionFault<S, O>> {
    let row = one(session, look, &[id.0.into()]).await?;
    Ok(load_lost(&row.text(0)?, row.integer(1)?, epoch))
}

/// Ends the load that began at `epoch`. Dead letters that are there give way to its own.
pub(crate) async fn end_load<S: CatalogSession>(
    session: &mut S,
    id: GenerationId,
    epoch: u64,
    loaded: &Loaded<'_>,
) -> Result<Vec<Checkpoint>, SessionFault<S, CommitError>> {
    session.rows(S::SQL.lock_generation, &[id.0.into()]).await?;
    let found: Vec<Checkpoint> = lock_checkpoints(session, id).await?;
    let lost = lost::<S, CommitError>(session, S::SQL.state_and_epoch, id, epoch).await?;
    let first = match (found.first(), lost) {
        (Some(first), None) => *first,
        (first, _) => {
            let found = first.copied();
            return Err(Fault::Own(CommitError::Superseded { shard: 0, expected: 0, found }));
        }
    };
    let ended = Checkpoint { log: first.log, point: loaded.through, layout: loaded.layout, epoch: epoch + 1 };
    session.execute(S::SQL.delete_checkpoints, &[id.0.into()]).await?;
    put_checkpoints(session, id, &ended, loaded.shards).await?;
    session.execute(S::SQL.delete_dead_letters, &[id.0.into()]).await?;
    session.execute(S::SQL.set_state, &[GenerationState::CatchUp.word().into(), id.0.into()]).await?;
    session.execute(S::SQL.set_shards, &[i64::from(loaded.shards).into(), id.0.into()]).await?;
    session.execute(S::SQL.raise_epoch, &[id.0.into()]).await?;
    session.put_dead_letters(id, loaded.dead_letters).await?;
    Ok(vec![ended; loaded.shards as usize])
}
