//! What a loop's commit does to the catalog: it moves the checkpoint, puts dead letters and ends others. The rows are the writers'.

use reel_projector::ports::{Commit, CommitError, DeadLetter};

use super::checkpoints::checkpoint;
use super::entries::{CheckpointEntry, Word, kept};
use super::session::{Argument, CatalogSession, SessionFault};
use crate::fault::Fault;
use crate::target::GenerationId;

type CommitOutcome<T, S> = Result<T, SessionFault<S, CommitError>>;

/// Moves the checkpoint, if it still is where the commit begins.
pub(crate) async fn move_checkpoint<S: CatalogSession>(
    session: &mut S,
    id: GenerationId,
    commit: &Commit<'_>,
) -> CommitOutcome<(), S> {
    let (from, event) = (CheckpointEntry::of(&commit.from), commit.to.event.to_string());
    let arguments = [
        kept(commit.to.position).into(),
        (&event).into(),
        id.0.into(),
        i64::from(commit.shard).into(),
        (&from.log).into(),
        from.position.into(),
        (&from.event).into(),
        from.layout.into(),
        from.epoch.into(),
    ];
    match session.execute(S::SQL.move_checkpoint, &arguments).await? {
        1 => Ok(()),
        _ => Err(superseded(session, id, commit).await?),
    }
}

/// Ends the dead letters that the commit settles, if all of them are there.
pub(crate) async fn settle<S: CatalogSession>(
    session: &mut S,
    id: GenerationId,
    commit: &Commit<'_>,
) -> CommitOutcome<(), S> {
    let mut ended = 0;
    for position in commit.settled {
        ended += session.execute(S::SQL.settle, &[id.0.into(), kept(position.number()).into()]).await?;
    }
    match ended == commit.settled.len() as u64 {
        true => Ok(()),
        false => Err(superseded(session, id, commit).await?),
    }
}

/// Somebody else has done this step, or owns the shard: what is there.
async fn superseded<S: CatalogSession>(
    session: &mut S,
    id: GenerationId,
    commit: &Commit<'_>,
) -> CommitOutcome<SessionFault<S, CommitError>, S> {
    let found = checkpoint(session, id, commit.shard).await?;
    Ok(Fault::Own(CommitError::Superseded { shard: commit.shard, expected: commit.from.point.position, found }))
}

/// What a dead letter's entry holds; `event` is its event's id as text.
pub(crate) fn letter<'a>(id: GenerationId, letter: &'a DeadLetter, event: &'a str) -> [Argument<'a>; 9] {
    [
        id.0.into(),
        kept(letter.position.number()).into(),
        event.into(),
        (&letter.stream).into(),
        (&letter.kind).into(),
        letter.reason.word().into(),
        (&letter.code).into(),
        (&letter.message).into(),
        (&letter.original).into(),
    ]
}
