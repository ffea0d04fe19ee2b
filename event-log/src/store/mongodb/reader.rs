//! Reading: the queries, and how documents become batches. Everything at majority.

use bson::{Document, RawDocumentBuf, doc};
use mongodb::Cursor;
use reel_events::{EventBatch, LogPoint, StreamId};
use uuid::Uuid;

use super::{
    collections::Commits,
    document::{StoredCommit, binary, signed},
    fault::{Fault, within},
    look::{PATIENCE, without_events},
};
use crate::store::{
    FoundCommit, ReadLimit,
    filler::{Filled, Filler},
};

/// Documents that the server sends at once; it cuts at 16 MiB by itself.
const AT_ONCE: usize = 5_000;

/// What events are counted by.
#[derive(Clone, Copy)]
enum By {
    Position,
    Version,
}

impl By {
    fn key(self) -> &'static str {
        match self {
            By::Position => "position",
            By::Version => "version",
        }
    }

    fn start(self, commit: &StoredCommit<'_>) -> Result<u64, Fault> {
        match self {
            By::Position => Ok(commit.position),
            By::Version => Ok(commit.version()?),
        }
    }
}

pub(super) async fn read(commits: &Commits, after: u64, limit: ReadLimit) -> Result<EventBatch, Fault> {
    fill(commits, (By::Position, doc! {}), after, limit).await
}

pub(super) async fn read_stream(
    commits: &Commits,
    stream: &StreamId,
    after: u64,
    limit: ReadLimit,
) -> Result<EventBatch, Fault> {
    fill(commits, (By::Version, doc! { "stream": stream.as_str() }), after, limit).await
}

/// The last event.
pub(super) async fn head(commits: &Commits) -> Result<LogPoint, Fault> {
    let Some(last) = last(commits, doc! {}, By::Position).await? else { return Ok(LogPoint::START) };
    let commit = StoredCommit::of(&last)?;
    let position = commit.last_position();
    Ok(LogPoint { position, event: commit.event_id(position)? })
}

/// The last event's position alone: cheap.
pub(super) async fn head_position(commits: &Commits) -> Result<u64, Fault> {
    let projection = doc! { "position": 1, "count": 1 };
    let last = within(PATIENCE, async {
        commits.find_one(doc! {}).projection(projection).sort(doc! { "position": -1 }).await
    });
    let last = last.await?;
    last.map_or(Ok(0), |last| Ok(StoredCommit::of(&last)?.last_position()))
}

pub(super) async fn point(commits: &Commits, position: u64) -> Result<Option<LogPoint>, Fault> {
    let filter = doc! { "position": { "$lte": signed(position) } };
    let Some(document) = last(commits, filter, By::Position).await? else { return Ok(None) };
    let commit = StoredCommit::of(&document)?;
    if position > commit.last_position() {
        return Ok(None);
    }
    Ok(Some(LogPoint { position, event: commit.event_id(position)? }))
}

pub(super) async fn find_commit(commits: &Commits, id: Uuid) -> Result<Option<FoundCommit>, Fault> {
    let asked =
        within(PATIENCE, async { commits.find_one(doc! { "_id": binary(id) }).projection(without_events()).await });
    match asked.await? {
        Some(found) => Ok(Some(StoredCommit::of(&found)?.found()?)),
        None => Ok(None),
    }
}

/// Events behind the number `after`. Mostly a commit begins there; where none does, the one that holds that number is read too.
async fn fill(commits: &Commits, (by, of): (By, Document), after: u64, limit: ReadLimit) -> Result<EventBatch, Fault> {
    let Some(first) = after.checked_add(1) else { return Ok(EventBatch::new()) };
    let mut filler = Filler::new(first, limit);
    let mut filter = of.clone();
    filter.insert(by.key(), doc! { "$gte": signed(first) });
    let mut cursor = within(PATIENCE, open(commits, filter, by, limit)).await?;
    let mut more = within(PATIENCE, cursor.advance()).await?;
    let begins_there = more && by.start(&StoredCommit::of(cursor.current())?)? == first;
    if !begins_there {
        let mut filter = of;
        filter.insert(by.key(), doc! { "$lte": signed(first) });
        if let Some(document) = last(commits, filter, by).await? {
            let commit = StoredCommit::of(&document)?;
            let reaches_it = by.start(&commit)?.saturating_add(commit.count) > first;
            if reaches_it && add(&mut filler, &commit, by)? == Filled::Yes {
                return Ok(filler.finish());
            }
        }
    }
    while more && add(&mut filler, &StoredCommit::of(cursor.current())?, by)? == Filled::No {
        more = within(PATIENCE, cursor.advance()).await?;
    }
    Ok(filler.finish())
}

fn add(filler: &mut Filler, commit: &StoredCommit<'_>, by: By) -> Result<Filled, Fault> {
    Ok(filler.add(commit.at(by.start(commit)?), commit.events()?)?)
}

async fn open(
    commits: &Commits,
    filter: Document,
    by: By,
    limit: ReadLimit,
) -> mongodb::error::Result<Cursor<RawDocumentBuf>> {
    let most = limit.events.max(1);
    let at_once = u32::try_from(most.min(AT_ONCE)).unwrap_or(u32::MAX);
    let find = commits.find(filter).sort(doc! { by.key(): 1 }).batch_size(at_once);
    match i64::try_from(most) {
        Ok(most) if most < i64::from(i32::MAX) => find.limit(most).await,
        _ => find.await,
    }
}

/// The last commit among those that `filter` names.
async fn last(commits: &Commits, filter: Document, by: By) -> Result<Option<RawDocumentBuf>, Fault> {
    within(PATIENCE, async { commits.find_one(filter).sort(doc! { by.key(): -1 }).await }).await
}
