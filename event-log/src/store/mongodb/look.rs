//! The questions that the protocol asks, as queries; all at majority, the tail first.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use bson::{Document, doc};
use futures::{StreamExt, TryStreamExt, stream};
use reel_events::StreamId;
use uuid::Uuid;

use super::{
    collections::Commits,
    document::{self, StoredCommit, signed},
    fault::{Fault, within},
    protocol::{End, Header, Look, Seen, SeenTail, Tail},
};
use crate::store::FoundCommit;

/// How long one question may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);
/// Commits behind the known end that are read one by one; beyond that, only where the log ends.
const LONGEST_TAIL: usize = 4096;
/// Streams that are asked for at once.
const STREAMS_AT_ONCE: usize = 16;
/// Ids in one question. A server that compares each document with each id is slow with many: SecantusDB takes 3.7 s for 1,000 and
/// 0.4 s for ten times 100.
const IDS: usize = 100;

/// Asks what the protocol wants to know.
pub(super) async fn look(commits: &Commits, look: Look) -> Result<Seen, Fault> {
    let tail = match look.tail {
        Tail::Skip => SeenTail::Skipped,
        Tail::End => SeenTail::End(end(commits).await?),
        Tail::Behind(known) => behind(commits, known).await?,
    };
    Ok(Seen {
        tail,
        streams: versions(commits, look.streams).await?,
        commits: found(commits, &look.commits).await?,
        events: holders(commits, &look.events).await?,
    })
}

/// Where the log ends.
pub(super) async fn end(commits: &Commits) -> Result<End, Fault> {
    let last = within(PATIENCE, async {
        commits.find_one(doc! {}).projection(without_events()).sort(doc! { "position": -1 }).await
    });
    match last.await? {
        Some(last) => Ok(StoredCommit::of(&last)?.header()?.end()),
        None => Ok(End::EMPTY),
    }
}

async fn behind(commits: &Commits, known: End) -> Result<SeenTail, Fault> {
    let filter = doc! { "position": { "$gte": signed(known.first_position) } };
    let limit = i64::try_from(LONGEST_TAIL + 2).unwrap_or(i64::MAX);
    let headers: Vec<Header> = within(PATIENCE, async {
        let find = commits.find(filter).projection(without_events()).sort(doc! { "position": 1 }).limit(limit);
        find.await?.try_collect::<Vec<_>>().await
    })
    .await?
    .iter()
    .map(|document| StoredCommit::of(document)?.header())
    .collect::<Result<_, String>>()?;
    let (mine, rest) = if known == End::EMPTY {
        (true, &headers[..])
    } else {
        match headers.split_first() {
            Some((first, rest)) => (first.end() == known, rest),
            None => (false, &headers[..]),
        }
    };
    if mine && rest.len() <= LONGEST_TAIL {
        Ok(SeenTail::Behind(rest.to_vec()))
    } else {
        Ok(SeenTail::End(end(commits).await?))
    }
}

/// Which of these commits are in the log.
async fn found(commits: &Commits, ids: &[Uuid]) -> Result<Vec<(Uuid, FoundCommit)>, Fault> {
    let mut found = Vec::new();
    for ids in ids.chunks(IDS) {
        let ids: Vec<_> = ids.iter().map(|id| document::binary(*id)).collect();
        for document in ask(commits, doc! { "_id": { "$in": ids } }, without_events()).await? {
            let commit = StoredCommit::of(&document)?;
            found.push((commit.id()?, commit.found()?));
        }
    }
    Ok(found)
}

/// Which commits hold these events.
async fn holders(commits: &Commits, events: &[Uuid]) -> Result<Vec<(Uuid, Uuid)>, Fault> {
    let wanted: HashSet<Uuid> = events.iter().copied().collect();
    let mut holders = HashMap::new();
    for events in events.chunks(IDS) {
        let ids: Vec<_> = events.iter().map(|id| document::binary(*id)).collect();
        let projection = doc! { "position": 1, "count": 1, "events.id": 1 };
        for document in ask(commits, doc! { "events.id": { "$in": ids } }, projection).await? {
            let commit = StoredCommit::of(&document)?;
            let holder = commit.id()?;
            holders.extend(commit.event_ids(|id| wanted.contains(&id))?.into_iter().map(|event| (event, holder)));
        }
    }
    Ok(holders.into_iter().collect())
}

/// Where these streams stand.
async fn versions(commits: &Commits, streams: Vec<StreamId>) -> Result<Vec<(StreamId, u64)>, Fault> {
    let asked = streams.into_iter().map(|id| async move {
        let filter = doc! { "stream": id.as_str() };
        let last = within(PATIENCE, async {
            commits.find_one(filter).projection(without_events()).sort(doc! { "version": -1 }).await
        });
        let version = match last.await? {
            Some(last) => {
                let commit = StoredCommit::of(&last)?;
                commit.version()?.saturating_add(commit.count - 1)
            }
            None => 0,
        };
        Ok((id, version))
    });
    stream::iter(asked).buffer_unordered(STREAMS_AT_ONCE).try_collect().await
}

async fn ask(commits: &Commits, filter: Document, projection: Document) -> Result<Vec<bson::RawDocumentBuf>, Fault> {
    within(PATIENCE, async { commits.find(filter).projection(projection).await?.try_collect().await }).await
}

pub(super) fn without_events() -> Document {
    doc! { "events": 0 }
}
