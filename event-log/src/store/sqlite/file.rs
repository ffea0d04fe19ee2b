//! The file: its lock, its tables, its format's version, and the settings of a connection.

use std::{
    fs::{File, TryLockError},
    path::Path,
    time::Duration,
};

use reel_events::LogId;
use rusqlite::{Connection, OpenFlags, OptionalExtension};
use uuid::Uuid;

use super::{
    fault::Fault,
    ids::{self, Recent},
    reader::{self, End},
};
use crate::store::StoreError;

/// "Reel" in ASCII: in the file's header, so that a foreign file is known for one.
const APPLICATION: i32 = 0x5265_656c;
/// The format of the tables. A newer one is refused, so that nothing is written that its version would not understand.
const FORMAT: i32 = 1;
/// Pages in the write-ahead log before they are copied into the file: 32 MiB.
const CHECKPOINT_PAGES: i32 = 8192;
/// How long to wait for somebody's tool that holds the file.
const PATIENCE: Duration = Duration::from_secs(5);

/// `commits.events` is `reel_events::stored`; `recorded_at` is microseconds since the epoch. What
/// `commit_ids`, `event_ids` and `meta.indexed` hold is told in `ids`.
const TABLES: &str = "
    CREATE TABLE meta (key TEXT PRIMARY KEY, value ANY NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE commits (
        position INTEGER PRIMARY KEY,
        id BLOB NOT NULL,
        count INTEGER NOT NULL,
        stream TEXT NOT NULL,
        version INTEGER NOT NULL,
        recorded_at INTEGER NOT NULL,
        digest BLOB NOT NULL,
        events BLOB NOT NULL,
        UNIQUE (stream, version)
    ) STRICT;
    CREATE TABLE commit_ids (id BLOB PRIMARY KEY, position INTEGER NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE event_ids (id BLOB PRIMARY KEY, position INTEGER NOT NULL) STRICT, WITHOUT ROWID;
";

/// Keeps other processes out as long as it lives.
pub(super) struct Lock(#[expect(dead_code, reason = "held, not read: closing it frees the lock")] File);

impl Lock {
    pub(super) fn take(path: &Path) -> Result<Lock, StoreError> {
        let location = path.display().to_string();
        let mut name = path.as_os_str().to_owned();
        name.push(".lock");
        let opened = File::options().create(true).write(true).truncate(false).open(Path::new(&name));
        let file =
            opened.map_err(|error| StoreError::Unavailable { location: location.clone(), source: error.into() })?;
        match file.try_lock() {
            Ok(()) => Ok(Lock(file)),
            Err(TryLockError::WouldBlock) => Err(StoreError::InUse { location }),
            Err(TryLockError::Error(error)) => Err(StoreError::Unavailable { location, source: error.into() }),
        }
    }
}

/// The store's file, ready for writing.
pub(super) struct OpenFile {
    pub(super) connection: Connection,
    pub(super) log: LogId,
    pub(super) end: End,
    pub(super) recent: Recent,
}

/// Opens the file for writing; makes the tables where there are none.
pub(super) fn open(path: &Path) -> Result<OpenFile, Fault> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(PATIENCE)?;
    let new = is_new(&connection)?;
    let mode: String = connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))?;
    if mode != "wal" {
        return Err(Fault::Unreadable(format!("the file system allows no write-ahead log (journal mode {mode})")));
    }
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
    connection.pragma_update(None, "cache_size", -(64 << 10))?;
    connection.set_prepared_statement_cache_capacity(32);
    if new {
        create(&mut connection)?;
    }
    let log = log_id(&connection)?;
    let end = reader::end(&connection)?;
    let recent = Recent::new(ids::not_entered(&connection)?, ids::FREEZE_AT);
    Ok(OpenFile { connection, log, end, recent })
}

/// A connection that only reads; the one for writing must be open.
pub(super) fn open_for_reading(path: &Path) -> Result<Connection, Fault> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(PATIENCE)?;
    Ok(connection)
}

/// Whether the file is empty; refuses one that is not ours. Changes nothing.
fn is_new(connection: &Connection) -> Result<bool, Fault> {
    let number = |name: &str| connection.pragma_query_value(None, name, |row| row.get::<_, i32>(0));
    let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    let (application, format) = (number("application_id")?, number("user_version")?);
    if tables == 0 && application == 0 && format == 0 {
        return Ok(true);
    }
    if application != APPLICATION {
        return Err(Fault::Unreadable("it is a SQLite database, but not a Reel event store".to_owned()));
    }
    if format != FORMAT {
        let remedy = if format > FORMAT { "; use the newer version of Reel that wrote it" } else { "" };
        let reason = format!("it has format {format}, this version reads format {FORMAT}{remedy}");
        return Err(Fault::Unreadable(reason));
    }
    Ok(false)
}

/// Makes the tables and the log's identity in one transaction: a file has all of it or nothing.
fn create(connection: &mut Connection) -> Result<(), Fault> {
    let transaction = connection.transaction()?;
    transaction.execute_batch(TABLES)?;
    transaction.execute("INSERT INTO meta VALUES ('log_id', ?1)", [Uuid::now_v7().as_bytes().as_slice()])?;
    transaction.execute("INSERT INTO meta VALUES ('indexed', 0)", [])?;
    transaction.pragma_update(None, "application_id", APPLICATION)?;
    transaction.pragma_update(None, "user_version", FORMAT)?;
    transaction.commit()?;
    Ok(())
}

fn log_id(connection: &Connection) -> Result<LogId, Fault> {
    let select = "SELECT value FROM meta WHERE key = 'log_id'";
    let bytes: Option<[u8; 16]> = connection.query_row(select, [], |row| row.get(0)).optional()?;
    let missing = || Fault::Unreadable("the log's identity is missing".to_owned());
    bytes.map(|bytes| LogId(Uuid::from_bytes(bytes))).ok_or_else(missing)
}
