//! Reading: a few connections of their own, and the queries. Events are decoded straight from SQLite's memory into a batch.

use std::{
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use reel_events::{
    EventBatch, LogPoint, StreamId,
    stored::{self, CommitPlace, StoredEvents},
};
use rusqlite::{Connection, OptionalExtension, Row};
use uuid::Uuid;

use super::{
    fault::Fault,
    file,
    number::{signed, unsigned},
};
use crate::store::ReadLimit;

/// Connections that are kept open while nobody uses them.
const IDLE: usize = 4;
/// A batch holds texts below 4 GiB; no caller wants as much at once.
const MOST_BYTES: usize = 1 << 30;

/// Connections for reading, opened as they are needed.
pub(super) struct Readers {
    path: PathBuf,
    idle: Mutex<Vec<Connection>>,
}

impl Readers {
    pub(super) fn of(path: &Path) -> Readers {
        Readers { path: path.to_owned(), idle: Mutex::new(Vec::new()) }
    }

    /// Runs a query; a connection that failed is not used again.
    pub(super) fn run<T>(&self, query: impl FnOnce(&Connection) -> Result<T, Fault>) -> Result<T, Fault> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let connection = idle.map_or_else(|| file::open_for_reading(&self.path), Ok)?;
        let answer = query(&connection)?;
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < IDLE {
            idle.push(connection);
        }
        Ok(answer)
    }
}

/// Where the log ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct End {
    /// Position of the last event; 0 where there is none.
    pub(super) position: u64,
    /// Its id.
    pub(super) event: Uuid,
    /// When its commit was taken.
    pub(super) recorded_at: i64,
}

impl End {
    pub(super) fn point(self) -> LogPoint {
        LogPoint { position: self.position, event: self.event }
    }
}

pub(super) fn end(connection: &Connection) -> Result<End, Fault> {
    let mut statement = connection.prepare_cached(&format!("{SELECT} FROM commits ORDER BY position DESC LIMIT 1"))?;
    let mut rows = statement.query([])?;
    let Some(row) = rows.next()? else {
        return Ok(End { position: 0, event: Uuid::nil(), recorded_at: i64::MIN });
    };
    let commit = StoredCommit::of(row)?;
    let position = commit.last_position();
    Ok(End { position, event: commit.event_id(position)?, recorded_at: commit.place.recorded_at })
}

pub(super) fn point(connection: &Connection, position: u64) -> Result<Option<LogPoint>, Fault> {
    let select = format!("{SELECT} FROM commits WHERE position <= ?1 ORDER BY position DESC LIMIT 1");
    let mut statement = connection.prepare_cached(&select)?;
    let mut rows = statement.query([signed(position)])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    let commit = StoredCommit::of(row)?;
    if position > commit.last_position() {
        return Ok(None);
    }
    Ok(Some(LogPoint { position, event: commit.event_id(position)? }))
}

pub(super) fn read(connection: &Connection, after: u64, limit: ReadLimit) -> Result<EventBatch, Fault> {
    // The commit that holds the first position wanted may begin before it.
    let first = after.saturating_add(1);
    let select = "SELECT max(position) FROM commits WHERE position <= ?1";
    let from = connection.prepare_cached(select)?.query_row([signed(first)], |row| row.get::<_, Option<i64>>(0))?;
    let mut statement =
        connection.prepare_cached(&format!("{SELECT} FROM commits WHERE position >= ?1 ORDER BY position"))?;
    let mut rows = statement.query([from.unwrap_or_else(|| signed(first))])?;
    let mut filler = Filler { batch: EventBatch::new(), limit, next: first };
    while let Some(row) = rows.next()? {
        let commit = StoredCommit::of(row)?;
        if commit.last_position() < first {
            continue;
        }
        if filler.add(&commit, commit.place.position)? == Filled::Yes {
            break;
        }
    }
    Ok(filler.batch)
}

pub(super) fn read_stream(
    connection: &Connection,
    stream: &StreamId,
    after: u64,
    limit: ReadLimit,
) -> Result<EventBatch, Fault> {
    let (stream, first) = (stream.as_str(), after.saturating_add(1));
    let select = "SELECT max(version) FROM commits WHERE stream = ?1 AND version <= ?2";
    let mut statement = connection.prepare_cached(select)?;
    let from: Option<i64> = statement.query_row((stream, signed(first)), |row| row.get(0)).optional()?.flatten();
    let select = format!("{SELECT} FROM commits WHERE stream = ?1 AND version >= ?2 ORDER BY version");
    let mut statement = connection.prepare_cached(&select)?;
    let mut rows = statement.query((stream, from.unwrap_or_else(|| signed(first))))?;
    let mut filler = Filler { batch: EventBatch::new(), limit, next: first };
    while let Some(row) = rows.next()? {
        let commit = StoredCommit::of(row)?;
        if commit.place.version.saturating_add(commit.count) <= first {
            continue;
        }
        if filler.add(&commit, commit.place.version)? == Filled::Yes {
            break;
        }
    }
    Ok(filler.batch)
}

const SELECT: &str = StoredCommit::COLUMNS;

/// One row of `commits`, borrowed.
pub(super) struct StoredCommit<'a> {
    pub(super) place: CommitPlace<'a>,
    count: u64,
    bytes: &'a [u8],
}

impl<'a> StoredCommit<'a> {
    /// What a query selects first.
    pub(super) const COLUMNS: &'static str = "SELECT position, count, stream, version, recorded_at, events";

    pub(super) fn of(row: &'a Row<'_>) -> Result<StoredCommit<'a>, Fault> {
        let damaged = |error| Fault::Unreadable(format!("a commit's row is damaged: {error}"));
        let (position, count, version) = (unsigned(row, 0)?, unsigned(row, 1)?, unsigned(row, 3)?);
        let stream = row.get_ref(2)?.as_str().map_err(damaged)?;
        let bytes = row.get_ref(5)?.as_blob().map_err(damaged)?;
        if position == 0 || count == 0 {
            return Err(Fault::Unreadable(format!("a commit of {count} events at position {position}")));
        }
        Ok(StoredCommit { place: CommitPlace { stream, position, version, recorded_at: row.get(4)? }, count, bytes })
    }

    fn last_position(&self) -> u64 {
        // Both were stored as signed numbers: no overflow.
        self.place.position + self.count - 1
    }

    pub(super) fn events(&self) -> Result<StoredEvents<'a>, Fault> {
        stored::events(self.bytes, self.place).map_err(|error| self.fault(&error))
    }

    fn event_id(&self, position: u64) -> Result<Uuid, Fault> {
        for event in self.events()? {
            let event = event.map_err(|error| self.fault(&error))?;
            if event.position == position {
                return Ok(event.id);
            }
        }
        Err(self.short())
    }

    pub(super) fn fault(&self, error: &stored::StoredError) -> Fault {
        Fault::stored(self.place.position, error)
    }

    fn short(&self) -> Fault {
        let CommitPlace { position, .. } = self.place;
        Fault::Unreadable(format!(
            "the commit at position {position} does not hold the {} events it should",
            self.count
        ))
    }
}

#[derive(PartialEq, Eq)]
enum Filled {
    Yes,
    No,
}

/// Fills a batch up to a limit, and sees to it that no event is missing in between.
struct Filler {
    batch: EventBatch,
    limit: ReadLimit,
    /// The next position, or version, that belongs into the batch.
    next: u64,
}

impl Filler {
    /// Adds the events of a commit that begins at `start`, counted as `next` is.
    fn add(&mut self, commit: &StoredCommit<'_>, start: u64) -> Result<Filled, Fault> {
        if start > self.next {
            let (next, position) = (self.next, commit.place.position);
            return Err(Fault::Unreadable(format!(
                "events from {next} on are missing before the commit at position {position}"
            )));
        }
        let mut read = 0;
        for (number, event) in (start..).zip(commit.events()?) {
            let event = event.map_err(|error| commit.fault(&error))?;
            read += 1;
            if number < self.next {
                continue;
            }
            let texts = event.stream.len() + event.kind.len() + event.payload.len() + event.metadata.len();
            let most_bytes = self.limit.bytes.min(MOST_BYTES);
            if !self.batch.is_empty() && self.batch.heap_bytes() + texts > most_bytes {
                return Ok(Filled::Yes);
            }
            self.batch.push(event);
            self.next += 1;
            if self.batch.len() >= self.limit.events {
                return Ok(Filled::Yes);
            }
        }
        if read == commit.count { Ok(Filled::No) } else { Err(commit.short()) }
    }
}
