//! The SQLite store: the conformance suite, and what only a file can do.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod store_conformance;

use std::{path::PathBuf, sync::Arc};

use async_trait::async_trait;
use reel_event_log::{EventStore, Limits, ReadLimit, StoreError, store::sqlite::SqliteStore};
use rusqlite::Connection;
use store_conformance::{Place, commit};
use tempfile::TempDir;

struct Directory(TempDir);

impl Directory {
    fn path(&self) -> PathBuf {
        self.0.path().join("events.db")
    }
}

#[async_trait]
impl Place for Directory {
    async fn new() -> Directory {
        Directory(tempfile::tempdir().unwrap())
    }

    async fn open(&self, limits: Limits) -> Arc<dyn EventStore> {
        Arc::new(SqliteStore::open(self.path(), limits).unwrap())
    }
}

store_conformance::store_conformance!(Directory);

fn refusal(path: PathBuf) -> StoreError {
    SqliteStore::open(path, Limits::default()).err().unwrap()
}

#[tokio::test]
async fn a_file_is_opened_once_at_a_time() {
    let place = Directory::new().await;
    let store = place.open(Limits::default()).await;
    let error = refusal(place.path());
    assert!(matches!(error, StoreError::InUse { .. }));
    assert!(error.to_string().ends_with("events.db is in use by another process"), "{error}");
    store.append(commit("a-1", 1)).await.unwrap();
    drop(store);
    assert_eq!(place.open(Limits::default()).await.head().await.unwrap().position, 1);
}

#[tokio::test]
async fn foreign_files_are_refused_and_left_alone() {
    let place = Directory::new().await;
    let text = b"these are the notes of somebody else, and no database at all".repeat(20);
    std::fs::write(place.path(), &text).unwrap();
    let error = refusal(place.path());
    assert!(
        matches!(&error, StoreError::Unreadable { reason, .. } if reason.contains("not a SQLite database")),
        "{error}"
    );
    assert_eq!(std::fs::read(place.path()).unwrap(), text);

    std::fs::remove_file(place.path()).unwrap();
    let connection = Connection::open(place.path()).unwrap();
    connection.execute_batch("CREATE TABLE notes (text TEXT); INSERT INTO notes VALUES ('x')").unwrap();
    drop(connection);
    let before = std::fs::read(place.path()).unwrap();
    let error = refusal(place.path());
    assert!(
        matches!(&error, StoreError::Unreadable { reason, .. } if reason.contains("not a Reel event store")),
        "{error}"
    );
    assert_eq!(std::fs::read(place.path()).unwrap(), before);
}

#[tokio::test]
async fn a_directory_that_is_not_there_is_unavailable() {
    let place = Directory::new().await;
    let error = refusal(place.path().join("missing/events.db"));
    assert!(matches!(error, StoreError::Unavailable { .. }), "{error:?}");
}

/// What a killed process leaves: file and write-ahead log, as they are while the store is at work.
#[tokio::test]
async fn what_a_killed_process_leaves_is_whole() {
    let place = Directory::new().await;
    let store = place.open(Limits::default()).await;
    for nth in 1..=20 {
        store.append(commit("a-1", 2)).await.unwrap();
        let copy = Directory::new().await;
        for suffix in ["", "-wal"] {
            let name = format!("events.db{suffix}");
            std::fs::copy(place.0.path().join(&name), copy.0.path().join(&name)).unwrap();
        }
        let copied = copy.open(Limits::default()).await;
        assert_eq!(copied.head().await.unwrap(), store.head().await.unwrap());
        assert_eq!(copied.read(0, ReadLimit::events(1000)).await.unwrap().len(), 2 * nth);
        assert_eq!(copied.append(commit("a-1", 1)).await.unwrap().first_version, 2 * nth as u64 + 1);
    }
}
