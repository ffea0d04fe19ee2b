//! Many at once: writers on overlapping streams, readers that poll while they write.

use std::{collections::HashMap, sync::Arc, time::Duration};

use reel_event_log::{AppendError, Appended, EventStore, ReadLimit};
use reel_events::{EventBatch, StreamId};
use tokio::{task::JoinSet, time::timeout};

use super::{Place, commit, commit_at, empty, stream};

const WRITERS: usize = 8;
const COMMITS: usize = 40;
const STREAMS: usize = 3;
pub(crate) const PATIENCE: Duration = Duration::from_secs(180);

/// Appends as many commits, each of one to three events, every other one with an expected version, until all are in.
pub(crate) async fn write(store: Arc<dyn EventStore>, writer: usize, commits: usize) -> Vec<Appended> {
    let mut done = Vec::new();
    for nth in 0..commits {
        let id = format!("s-{}", (writer + nth) % STREAMS);
        let count = 1 + nth % 3;
        let mut next = if nth % 2 == 0 { commit(&id, count) } else { commit_at(&id, 0, count) };
        done.push(loop {
            match store.append(next.clone()).await {
                Ok(appended) => break appended,
                Err(AppendError::Conflict { actual, .. }) => {
                    next.expected = reel_event_log::ExpectedVersion::Exactly(actual);
                }
                Err(other) => panic!("{other:?}"),
            }
        });
    }
    done
}

/// Reads until `events` events were seen; every batch must follow on the one before, and hold no half commit's gap.
pub(crate) async fn follow(store: Arc<dyn EventStore>, events: usize, limit: usize) -> Vec<(u64, u64, String)> {
    let mut seen: Vec<(u64, u64, String)> = Vec::new();
    let mut head = store.watch();
    while seen.len() < events {
        let after = seen.len() as u64;
        head.borrow_and_update();
        let batch: EventBatch = store.read(after, ReadLimit::events(limit)).await.unwrap();
        for event in batch.iter() {
            assert_eq!(event.position, seen.len() as u64 + 1, "a hole, or an event out of order");
            seen.push((event.position, event.version, event.stream.to_owned()));
        }
        if batch.is_empty() {
            head.changed().await.unwrap();
        }
    }
    seen
}

pub(crate) async fn concurrent_writers_leave_no_gap_and_readers_see_no_hole<P: Place>() {
    let (_place, store) = empty::<P>().await;
    let events: usize = WRITERS * (0..COMMITS).map(|nth| 1 + nth % 3).sum::<usize>();
    let mut readers = JoinSet::new();
    for limit in [1, 7, 1000] {
        readers.spawn(follow(Arc::clone(&store), events, limit));
    }
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        writers.spawn(write(Arc::clone(&store), writer, COMMITS));
    }
    let answers = timeout(PATIENCE, writers.join_all()).await.unwrap().concat();
    let logs = timeout(PATIENCE, readers.join_all()).await.unwrap();
    assert!(logs.windows(2).all(|pair| pair[0] == pair[1]), "all readers saw the same log");

    let mut versions: HashMap<&str, u64> = HashMap::new();
    for (_, version, stream) in &logs[0] {
        let last = versions.entry(stream).or_default();
        assert_eq!(*version, *last + 1, "{stream}");
        *last = *version;
    }
    let mut taken: Vec<u64> = answers.iter().flat_map(|a| a.first_position..=a.last_position()).collect();
    taken.sort_unstable();
    assert_eq!(taken, (1..=events as u64).collect::<Vec<_>>(), "every position was given once");
}

pub(crate) async fn of_writers_that_expect_the_same_version_one_wins<P: Place>() {
    let (_place, store) = empty::<P>().await;
    for version in 0..10 {
        let mut writers = JoinSet::new();
        for _ in 0..WRITERS {
            let store = Arc::clone(&store);
            writers.spawn(async move { store.append(commit_at("a-1", version, 1)).await });
        }
        let answers = timeout(PATIENCE, writers.join_all()).await.unwrap();
        assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1);
        for answer in answers.into_iter().filter_map(Result::err) {
            assert!(matches!(answer, AppendError::Conflict { actual, .. } if actual == version + 1), "{answer:?}");
        }
    }
    let stream: StreamId = stream("a-1");
    assert_eq!(store.read_stream(&stream, 0, ReadLimit::events(100)).await.unwrap().len(), 10);
}

pub(crate) async fn concurrent_repeats_of_one_commit_are_one_commit<P: Place>() {
    let (_place, store) = empty::<P>().await;
    let once = commit_at("a-1", 0, 2);
    let mut writers = JoinSet::new();
    for _ in 0..WRITERS {
        let (store, once) = (Arc::clone(&store), once.clone());
        writers.spawn(async move { store.append(once).await.unwrap() });
    }
    let answers = timeout(PATIENCE, writers.join_all()).await.unwrap();
    assert_eq!(answers.iter().filter(|appended| !appended.repeated).count(), 1);
    assert!(answers.iter().all(|appended| appended.first_position == 1 && appended.count == 2));
    assert_eq!(store.head().await.unwrap().position, 2);
}

pub(crate) async fn a_watcher_learns_of_every_append<P: Place>() {
    let (_place, store) = empty::<P>().await;
    let mut watch = store.watch();
    let watcher = tokio::spawn(async move {
        while *watch.borrow_and_update() < 20 {
            watch.changed().await.unwrap();
        }
    });
    for _ in 0..20 {
        store.append(commit("a-1", 1)).await.unwrap();
    }
    timeout(PATIENCE, watcher).await.unwrap().unwrap();
}
