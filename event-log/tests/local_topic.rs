//! The local topic over the SQLite store: following a log, and knowing when it is another one.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{path::Path, sync::Arc, time::Duration};

use reel_event_log::{
    EventStore, ExpectedVersion, IdOrigin, Limits, NewCommit, ReadLimit,
    store::sqlite::SqliteStore,
    topic::{Tail, TopicError},
};
use reel_events::{CanonicalJson, EventKind, LogId, LogPoint, NewEvent, StreamId};
use tokio::time::timeout;
use uuid::Uuid;

const PATIENCE: Duration = Duration::from_secs(30);

fn open(directory: &Path) -> Arc<dyn EventStore> {
    Arc::new(SqliteStore::open(directory.join("events.db"), Limits::default()).unwrap())
}

fn commit(nth: u128) -> NewCommit {
    let event = NewEvent {
        id: Uuid::from_u128(nth),
        kind: EventKind::new("noted").unwrap(),
        schema: 1,
        recorded_at: None,
        payload: CanonicalJson::parse(nth.to_string()).unwrap(),
        metadata: CanonicalJson::default(),
    };
    NewCommit {
        id: Uuid::from_u128(nth),
        stream: StreamId::new("note-1").unwrap(),
        expected: ExpectedVersion::Any,
        digest: [0; 32],
        ids: IdOrigin::Given,
        events: vec![event],
    }
}

async fn append(store: &Arc<dyn EventStore>, numbers: impl Iterator<Item = u128>) {
    for answer in store.append_all(numbers.map(commit).collect()).await {
        answer.unwrap();
    }
}

/// Positions of the next batch, as they were tailed.
async fn next(tail: &mut Tail, limit: usize) -> Result<Vec<u64>, TopicError> {
    let tailed = timeout(PATIENCE, tail.next(ReadLimit::events(limit))).await.unwrap()?;
    assert_eq!(tailed.through, tail.at());
    assert!(tailed.head >= tailed.through.position);
    Ok(tailed.events.iter().map(|event| event.position).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tail_sees_every_event_once_while_others_write() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let writer = tokio::spawn({
        let store = Arc::clone(&store);
        async move {
            for round in 0..100 {
                append(&store, round * 30 + 1..round * 30 + 31).await;
            }
        }
    });
    let mut tail = Tail::from_start(Arc::clone(&store));
    let mut seen = Vec::new();
    let mut limits = [7, 1, 64, 64, 64, 1000].into_iter().cycle();
    while seen.len() < 3000 {
        seen.extend(next(&mut tail, limits.next().unwrap()).await.unwrap());
    }
    writer.await.unwrap();
    assert_eq!(seen, (1..=3000).collect::<Vec<_>>());
    assert_eq!(tail.at(), LogPoint { position: 3000, event: Uuid::from_u128(3000) });
}

#[tokio::test]
async fn a_tail_waits_at_the_end() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    append(&store, 1..4).await;
    let mut tail = Tail::from_start(Arc::clone(&store));
    assert_eq!(next(&mut tail, 2).await.unwrap(), [1, 2]);
    assert_eq!(next(&mut tail, 9).await.unwrap(), [3]);
    let waiting = tokio::spawn(async move { next(&mut tail, 9).await.unwrap() });
    tokio::task::yield_now().await;
    append(&store, 4..6).await;
    assert_eq!(timeout(PATIENCE, waiting).await.unwrap().unwrap(), [4, 5]);
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_that_are_dropped_lose_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    append(&store, 1..301).await;
    let mut tail = Tail::from_start(store);
    let (mut seen, mut dropped) = (Vec::new(), 0);
    while seen.len() < 300 {
        // Dropped after one to four polls, wherever that is.
        let mut call = Box::pin(tail.next(ReadLimit::events(2)));
        let mut taken = None;
        for _ in 0..=dropped % 4 {
            taken = poll_once(&mut call).await;
            if taken.is_some() {
                break;
            }
            tokio::task::yield_now().await;
        }
        drop(call);
        match taken {
            Some(tailed) => seen.extend(tailed.unwrap().events.iter().map(|event| event.position)),
            None => dropped += 1,
        }
    }
    assert!(dropped > 0);
    assert_eq!(seen, (1..=300).collect::<Vec<_>>());
}

/// Polls once; what it gave, if it was ready.
async fn poll_once<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
    std::future::poll_fn(|context| {
        let polled = std::pin::Pin::new(&mut *future).poll(context);
        std::task::Poll::Ready(match polled {
            std::task::Poll::Ready(output) => Some(output),
            std::task::Poll::Pending => None,
        })
    })
    .await
}

#[tokio::test]
async fn a_tail_goes_on_from_a_checkpoint() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    append(&store, 1..6).await;
    let (log, point) = (store.log_id(), store.point(3).await.unwrap().unwrap());
    drop(store);
    let mut tail = Tail::new(open(directory.path()), log, point);
    assert_eq!(next(&mut tail, 10).await.unwrap(), [4, 5]);
}

#[tokio::test]
async fn another_log_is_an_error_by_name() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    append(&store, 1..6).await;
    let expected = LogId(Uuid::from_u128(77));
    let mut tail = Tail::new(Arc::clone(&store), expected, store.head().await.unwrap());
    for _ in 0..2 {
        let error = next(&mut tail, 10).await.unwrap_err();
        assert!(error.is_log_changed());
        let message = error.to_string();
        assert!(message.starts_with(&format!("the checkpoint at position 5 is of log {expected}, but")), "{message}");
        assert!(message.contains(&store.log_id().to_string()) && message.contains("--accept-new-log"), "{message}");
    }
}

/// The store as it was at position 3, and what a reader had seen before it was put back: position 5.
async fn restored() -> (tempfile::TempDir, LogId, LogPoint) {
    let (original, copy) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let store = open(original.path());
    append(&store, 1..4).await;
    let log = store.log_id();
    for file in ["events.db", "events.db-wal"] {
        std::fs::copy(original.path().join(file), copy.path().join(file)).unwrap();
    }
    append(&store, 4..6).await;
    (copy, log, store.head().await.unwrap())
}

#[tokio::test]
async fn a_store_restored_from_an_older_copy_is_an_error_by_name() {
    let (directory, log, seen) = restored().await;
    let store = open(directory.path());
    assert_eq!(store.log_id(), log);
    let error = next(&mut Tail::new(Arc::clone(&store), log, seen), 10).await.unwrap_err();
    assert!(matches!(error, TopicError::EventMissing { position: 5, head: 3, expected } if expected == seen.event));

    append(&store, 10..14).await;
    let error = next(&mut Tail::new(store, log, seen), 10).await.unwrap_err();
    let found = Uuid::from_u128(11);
    let expected = format!(
        "the checkpoint is event {} at position 5, but the event store holds event {found} there: bring the event store back",
        seen.event
    );
    assert!(error.to_string().starts_with(&expected), "{error}");
    assert!(matches!(error, TopicError::OtherEvent { .. }));
}

#[tokio::test]
async fn damage_stops_the_tail_until_it_is_mended() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    append(&store, 1..6).await;
    let mut tail = Tail::from_start(Arc::clone(&store));
    assert_eq!(next(&mut tail, 1).await.unwrap(), [1]);
    let connection = rusqlite::Connection::open(directory.path().join("events.db")).unwrap();
    connection.execute_batch("UPDATE commits SET position = 30 WHERE position = 3").unwrap();
    assert_eq!(next(&mut tail, 1).await.unwrap(), [2]);
    for _ in 0..2 {
        let error = next(&mut tail, 1).await.unwrap_err();
        assert!(!error.is_log_changed());
        assert_eq!(error.to_string(), "the event store cannot be tailed behind position 2");
    }
    connection.execute_batch("UPDATE commits SET position = 3 WHERE position = 30").unwrap();
    assert_eq!(next(&mut tail, 9).await.unwrap(), [3, 4, 5]);
}
