//! The relay's record in a SQLite file of its own, beside the store's.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, TransactionBehavior};

use super::{RelayRecord, RelayState, Replaced, Stamp};
use crate::store::StoreError;

/// How long to wait for another process that writes the file.
const PATIENCE: Duration = Duration::from_secs(5);

const TABLE: &str =
    "CREATE TABLE IF NOT EXISTS relay (one INTEGER PRIMARY KEY CHECK (one = 1), record TEXT NOT NULL) STRICT";

/// The relay's record in a SQLite file.
pub struct SqliteRelayState {
    path: PathBuf,
    connection: Arc<Mutex<Connection>>,
}

impl SqliteRelayState {
    /// Opens the file at `path`, and makes it where there is none. The directory must be there.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] where it cannot be opened, [`StoreError::Unreadable`] where it is no SQLite database.
    pub fn open(path: impl AsRef<Path>) -> Result<SqliteRelayState, StoreError> {
        let path = path.as_ref().to_owned();
        let connection = open(&path).map_err(|error| fault(&path, error))?;
        Ok(SqliteRelayState { path, connection: Arc::new(Mutex::new(connection)) })
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, StoreError> {
        let connection = Arc::clone(&self.connection);
        let work = move || work(&mut connection.lock().unwrap_or_else(PoisonError::into_inner));
        let done = tokio::task::spawn_blocking(work).await;
        let location = self.path.display().to_string();
        match done.map_err(|error| StoreError::Unavailable { location: location.clone(), source: error.into() })? {
            Ok(done) => Ok(done),
            Err(Fault::Sqlite(error)) => Err(fault(&self.path, error)),
            Err(Fault::Unreadable(reason)) => Err(StoreError::Unreadable { location, reason }),
        }
    }
}

#[async_trait]
impl RelayState for SqliteRelayState {
    async fn read(&self) -> Result<RelayRecord, StoreError> {
        self.run(|connection| read(connection)).await
    }

    async fn replace(&self, from: Stamp, to: &RelayRecord) -> Result<Replaced, StoreError> {
        let to = to.to_json();
        self.run(move |connection| {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            if read(&transaction)?.stamp != from {
                return Ok(Replaced::Superseded);
            }
            transaction.execute("INSERT OR REPLACE INTO relay VALUES (1, ?1)", [to])?;
            transaction.commit()?;
            Ok(Replaced::Done)
        })
        .await
    }
}

enum Fault {
    Sqlite(rusqlite::Error),
    Unreadable(String),
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Fault {
        Fault::Sqlite(error)
    }
}

fn open(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(PATIENCE)?;
    connection.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.execute_batch(TABLE)?;
    Ok(connection)
}

fn read(connection: &Connection) -> Result<RelayRecord, Fault> {
    let text: Option<String> = connection.query_row("SELECT record FROM relay", [], |row| row.get(0)).optional()?;
    text.map_or_else(|| Ok(RelayRecord::default()), |text| RelayRecord::from_json(&text).map_err(Fault::Unreadable))
}

fn fault(path: &Path, error: rusqlite::Error) -> StoreError {
    let location = path.display().to_string();
    match error.sqlite_error_code() {
        Some(rusqlite::ErrorCode::NotADatabase | rusqlite::ErrorCode::DatabaseCorrupt) => {
            StoreError::Unreadable { location, reason: error.to_string() }
        }
        _ => StoreError::Unavailable { location, source: error.into() },
    }
}
