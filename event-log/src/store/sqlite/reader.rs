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
use crate::store::{
    ReadLimit,
    filler::{Filled, Filler, Place},
};

/// Connections that are kept open while nobody uses them.
const IDLE: usize = 4;

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
    let mut filler = Filler::new(first, limit);
    while let Some(row) = rows.next()? {
        let commit = StoredCommit::of(row)?;
        if commit.last_position() < first {
            continue;
        }
        if commit.fill(&mut filler, commit.place.position)? == Filled::Yes {
            break;
        }
    }
    Ok(filler.finish())
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
    let mut filler = Filler::new(first, limit);
    while let Some(row) = rows.next()? {
        let commit = StoredCommit::of(row)?;
        if commit.place.version.saturating_add(commit.count) <= first {
            continue;
        }
        if commit.fill(&mut filler, commit.place.version)? == Filled::Yes {
            break;
        }
    }
    Ok(filler.finish())
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
        Err(self.at(self.place.position).short().into())
    }

    pub(super) fn fault(&self, error: &stored::StoredError) -> Fault {
        Fault::stored(self.place.position, error)
    }

    /// Adds its events to a batch; `start` is its position or version, as the filler counts.
    fn fill(&self, filler: &mut Filler, start: u64) -> Result<Filled, Fault> {
        let events = self.events()?.map(|event| event.map_err(|error| self.fault(&error)));
        filler.add(self.at(start), events)
    }

    fn at(&self, start: u64) -> Place {
        Place { position: self.place.position, start, count: self.count }
    }
}
