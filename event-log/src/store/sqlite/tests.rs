//! A full disk, and damage inside the file: what can only be shown from within.

use reel_events::{CanonicalJson, EventKind, NewEvent, Timestamp};

use super::*;
use crate::store::{ExpectedVersion, IdOrigin};

fn commit(id: u128, bytes: usize) -> NewCommit {
    let event = NewEvent {
        id: Uuid::from_u128(id),
        kind: EventKind::new("filled").unwrap(),
        schema: 1,
        recorded_at: None,
        payload: CanonicalJson::parse(format!("\"{}\"", "x".repeat(bytes))).unwrap(),
        metadata: CanonicalJson::default(),
    };
    let stream = StreamId::new("disk-1").unwrap();
    NewCommit {
        id: Uuid::from_u128(id),
        stream,
        expected: ExpectedVersion::Any,
        digest: [0; 32],
        ids: IdOrigin::Given,
        events: vec![event],
    }
}

/// A store whose file may have no more than `pages` pages: SQLite then answers as on a full disk.
fn small(path: &Path, pages: u32) -> SqliteStore {
    let lock = Lock::take(path).unwrap();
    let opened = file::open(path).unwrap();
    opened.connection.pragma_update(None, "max_page_count", pages).unwrap();
    SqliteStore::start(path, Limits::default(), lock, opened).unwrap()
}

#[tokio::test]
async fn a_full_disk_is_unavailable_and_leaves_nothing_behind() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("events.db");
    let store = small(&path, 40);
    store.append(commit(1, 100)).await.unwrap();

    let failed = store.append(commit(2, 400_000)).await.unwrap_err();
    let AppendError::Store(error) = failed else { panic!("{failed:?}") };
    assert!(matches!(*error, StoreError::Unavailable { .. }), "{error:?}");
    let reason = std::error::Error::source(&*error).unwrap().to_string();
    assert!(reason.contains("full"), "{reason}");
    assert_eq!(store.head().await.unwrap().position, 1);

    assert_eq!(store.append(commit(3, 100)).await.unwrap().first_position, 2, "what fits is taken");
    drop(store);
    let store = SqliteStore::open(&path, Limits::default()).unwrap();
    let appended = store.append(commit(2, 400_000)).await.unwrap();
    assert_eq!((appended.first_position, appended.first_version, appended.repeated), (3, 3, false));
    assert_eq!(store.read(0, ReadLimit::events(10)).await.unwrap().len(), 3);
}

#[tokio::test]
async fn where_one_portion_fails_none_behind_it_is_taken() {
    let directory = tempfile::tempdir().unwrap();
    let store = small(&directory.path().join("events.db"), 400);
    // 90 commits of 512 KiB are more than one transaction takes.
    let commits: Vec<NewCommit> =
        (1..=90).map(|id| commit(id, 500_000)).chain([commit(91, 10), commit(92, 10)]).collect();
    let answers = store.append_all(commits).await;
    assert_eq!(answers.len(), 92);
    assert!(answers.iter().all(|answer| matches!(answer, Err(AppendError::Store(_)))));
    assert_eq!(store.head().await.unwrap(), LogPoint::START);
}

#[tokio::test]
async fn time_never_goes_back() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("events.db");
    let store = SqliteStore::open(&path, Limits::default()).unwrap();
    store.append(commit(1, 10)).await.unwrap();
    drop(store);
    let future = Timestamp::parse("2999-01-01T00:00:00Z").unwrap();
    let connection = Connection::open(&path).unwrap();
    connection.execute("UPDATE commits SET recorded_at = ?1", [future.micros()]).unwrap();
    drop(connection);
    let store = SqliteStore::open(&path, Limits::default()).unwrap();
    assert_eq!(store.append(commit(2, 10)).await.unwrap().recorded_at, future);
}

async fn read_after(damage: &str) -> Result<EventBatch, StoreError> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("events.db");
    let store = SqliteStore::open(&path, Limits::default()).unwrap();
    for id in 1..=4 {
        store.append(commit(id, 10)).await.unwrap();
    }
    drop(store);
    Connection::open(&path).unwrap().execute_batch(damage).unwrap();
    let store = SqliteStore::open(&path, Limits::default())?;
    store.read(0, ReadLimit::events(10)).await
}

#[tokio::test]
async fn damage_is_named_and_never_passed_over() {
    let damages = [
        ("DELETE FROM commits WHERE position = 2", "events from 2 on are missing before the commit at position 3"),
        ("DELETE FROM commits WHERE position = 1", "events from 1 on are missing before the commit at position 2"),
        ("UPDATE commits SET events = x'01' WHERE position = 2", "the commit at position 2 does not hold the 1 events"),
        (
            "UPDATE commits SET events = x'02' WHERE position = 2",
            "in the commit at position 2: stored events have format 2",
        ),
        (
            "UPDATE commits SET events = substr(events, 1, 40) WHERE position = 4",
            "position 4: stored events are damaged",
        ),
        ("UPDATE commits SET count = -1 WHERE position = 3", "out of range"),
        ("UPDATE commits SET stream = 'nonsense' WHERE position = 3", "position 3: stored events are damaged"),
        ("DELETE FROM meta", "the log's identity is missing"),
        ("PRAGMA user_version = 2", "it has format 2, this version reads format 1; use the newer version"),
    ];
    for (damage, expected) in damages {
        match read_after(damage).await {
            Err(StoreError::Unreadable { reason, .. }) => assert!(reason.contains(expected), "{damage}: {reason}"),
            other => panic!("{damage}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn ids_are_known_while_they_move_into_the_tables() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("events.db");
    let open = || {
        let lock = Lock::take(&path).unwrap();
        let mut opened = file::open(&path).unwrap();
        opened.recent = Recent::new(ids::not_entered(&opened.connection).unwrap(), 700);
        SqliteStore::start(&path, Limits::default(), lock, opened).unwrap()
    };
    let mut store = open();
    for round in 0_u128..60 {
        let fresh: Vec<NewCommit> = (0..100).map(|nth| commit(1 + 100 * round + nth, 5)).collect();
        assert!(store.append_all(fresh).await.into_iter().all(|answer| !answer.unwrap().repeated));
        // One of every round so far: as a repeat, and as an event in another commit.
        for id in (0..=round).map(|earlier| 1 + 100 * earlier + earlier) {
            let found = store.find_commit(Uuid::from_u128(id)).await.unwrap().unwrap();
            assert_eq!(u128::from(found.appended.first_position), id);
            assert_eq!(store.append(commit(id, 5)).await.unwrap(), found.appended);
            let stolen = NewCommit { id: Uuid::from_u128(1 << 90 | id), ..commit(id, 5) };
            assert!(matches!(store.append(stolen).await, Err(AppendError::EventExists { .. })));
        }
        if round % 9 == 0 {
            drop(store);
            store = open();
        }
    }
    drop(store);
    let entered: i64 =
        Connection::open(&path).unwrap().query_row("SELECT count(*) FROM event_ids", [], |row| row.get(0)).unwrap();
    assert!(entered > 2000, "{entered}");
}
