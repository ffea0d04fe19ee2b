//! Reading: the queries, and how documents become batches. Everything at majority.
//!
//! Every range has two ends. Positions and versions have no gaps, so that both are known; and a server that sorts what it found before it
//! cuts it off, instead of walking an index, reads a few documents and not the whole log.

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

/// How many numbers are looked at first for the commit that holds one; each time there is none, so many times as many.
const WINDOW: u64 = 64;

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

/// The last event. The log is known to have reached `known`.
pub(super) async fn head(commits: &Commits, known: u64) -> Result<LogPoint, Fault> {
    let Some(last) = last_of_all(commits, known, doc! {}).await? else { return Ok(LogPoint::START) };
    let commit = StoredCommit::of(&last)?;
    let position = commit.last_position();
    Ok(LogPoint { position, event: commit.event_id(position)? })
}

/// The last event's position alone: cheap. The log is known to have reached `known`.
pub(super) async fn head_position(commits: &Commits, known: u64) -> Result<u64, Fault> {
    let last = last_of_all(commits, known, doc! { "position": 1, "count": 1 }).await?;
    last.map_or(Ok(0), |last| Ok(StoredCommit::of(&last)?.last_position()))
}

/// The last commit: mostly it begins not far below `known`, or above. A log that was restored does not reach so far any more.
async fn last_of_all(commits: &Commits, known: u64, projection: Document) -> Result<Option<RawDocumentBuf>, Fault> {
    let near = doc! { "position": { "$gt": signed(known.saturating_sub(WINDOW)) } };
    for filter in [near, doc! {}] {
        let asked =
            async { commits.find_one(filter).projection(projection.clone()).sort(doc! { "position": -1 }).await };
        let found = within(PATIENCE, asked).await?;
        if found.is_some() || known <= WINDOW {
            return Ok(found);
        }
    }
    Ok(None)
}

pub(super) async fn point(commits: &Commits, position: u64) -> Result<Option<LogPoint>, Fault> {
    let Some(document) = holder(commits, (By::Position, &doc! {}), position).await? else { return Ok(None) };
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
    let mut cursor = within(PATIENCE, open(commits, (by, &of), first, limit)).await?;
    let mut more = within(PATIENCE, cursor.advance()).await?;
    let begins_there = more && by.start(&StoredCommit::of(cursor.current())?)? == first;
    if !begins_there && let Some(document) = holder(commits, (by, &of), first).await? {
        let commit = StoredCommit::of(&document)?;
        let reaches_it = by.start(&commit)?.saturating_add(commit.count) > first;
        if reaches_it && add(&mut filler, &commit, by)? == Filled::Yes {
            return Ok(filler.finish());
        }
    }
    while more && add(&mut filler, &StoredCommit::of(cursor.current())?, by)? == Filled::No {
        more = within(PATIENCE, cursor.advance()).await?;
    }
    let events = filler.finish();
    if events.is_empty() {
        nothing_behind(commits, (by, of), first).await?;
    }
    Ok(events)
}

fn add(filler: &mut Filler, commit: &StoredCommit<'_>, by: By) -> Result<Filled, Fault> {
    Ok(filler.add(commit.at(by.start(commit)?), commit.events()?)?)
}

/// The commits that begin at the number `first` or behind it, as many as the limit can take.
async fn open(
    commits: &Commits,
    (by, of): (By, &Document),
    first: u64,
    limit: ReadLimit,
) -> mongodb::error::Result<Cursor<RawDocumentBuf>> {
    let most = limit.events.max(1);
    let until = first.saturating_add(u64::try_from(most).unwrap_or(u64::MAX));
    let mut filter = of.clone();
    filter.insert(by.key(), doc! { "$gte": signed(first), "$lt": signed(until) });
    let at_once = u32::try_from(most.min(AT_ONCE)).unwrap_or(u32::MAX);
    let find = commits.find(filter).sort(doc! { by.key(): 1 }).batch_size(at_once);
    match i64::try_from(most) {
        Ok(most) if most < i64::from(i32::MAX) => find.limit(most).await,
        _ => find.await,
    }
}

/// The last commit that begins at this number or before it.
async fn holder(commits: &Commits, (by, of): (By, &Document), number: u64) -> Result<Option<RawDocumentBuf>, Fault> {
    let mut window = WINDOW;
    loop {
        let below = number.saturating_sub(window);
        let mut filter = of.clone();
        filter.insert(by.key(), doc! { "$lte": signed(number), "$gt": signed(below) });
        let found = within(PATIENCE, async { commits.find_one(filter).sort(doc! { by.key(): -1 }).await }).await?;
        if found.is_some() || below == 0 {
            return Ok(found);
        }
        window = window.saturating_mul(WINDOW);
    }
}

/// Makes sure that the log, or the stream, ends before the number `first`: nothing begins behind it either.
async fn nothing_behind(commits: &Commits, (by, of): (By, Document), first: u64) -> Result<(), Fault> {
    let mut filter = of;
    filter.insert(by.key(), doc! { "$gte": signed(first) });
    let found = within(PATIENCE, async { commits.find_one(filter).sort(doc! { by.key(): 1 }).await }).await?;
    let Some(document) = found else { return Ok(()) };
    let commit = StoredCommit::of(&document)?;
    // It may have been appended since the question.
    match by.start(&commit)? {
        start if start == first => Ok(()),
        start => Err(format!("nothing holds the {} {first}, though a commit begins at {start}", by.key()).into()),
    }
}
