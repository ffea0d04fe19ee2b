//! One commit: made ready by its caller, then appended within the transaction that its group shares.

use std::collections::HashMap;

use reel_events::{StreamId, Timestamp, stored};
use rusqlite::{CachedStatement, Connection, OptionalExtension};
use uuid::Uuid;

use super::{
    ids::{self, Ids, Recent},
    number::{signed, unsigned},
    reader::End,
};
use crate::store::{
    AppendError, Appended, ExpectedVersion, FoundCommit, NewCommit,
    portion::{Most, Ready},
};

/// What one transaction takes at most, but for a single commit that is larger.
pub(super) const MOST: Most = Most { commits: 8192, bytes: 32 << 20 };
/// Streams whose version is remembered; beyond that, all are forgotten and looked up again.
const REMEMBERED_STREAMS: usize = 1 << 16;

/// A commit that keeps the limits, its events in their stored form.
pub(super) struct Prepared {
    id: Uuid,
    stream: StreamId,
    expected: ExpectedVersion,
    digest: [u8; 32],
    event_ids: Vec<Uuid>,
    events: Vec<u8>,
}

impl Ready for Prepared {
    fn new(commit: NewCommit) -> Result<Prepared, AppendError> {
        Ok(Prepared {
            id: commit.id,
            stream: commit.stream,
            expected: commit.expected,
            digest: commit.digest,
            event_ids: commit.events.iter().map(|event| event.id).collect(),
            events: stored::encode(&commit.events),
        })
    }

    fn size(&self) -> usize {
        self.events.len()
    }
}

/// Looks a commit up by its id; `recent` is its position where the memory knows it.
pub(super) fn find(connection: &Connection, id: Uuid, recent: Option<u64>) -> rusqlite::Result<Option<FoundCommit>> {
    let position = recent.map_or_else(|| ids::entered_commit(connection, id), |position| Ok(Some(position)))?;
    let Some(position) = position else { return Ok(None) };
    let select = "SELECT version, count, recorded_at, digest FROM commits WHERE position = ?1";
    let found = connection.prepare_cached(select)?.query_row([signed(position)], |row| {
        let appended = Appended {
            first_position: position,
            first_version: unsigned(row, 0)?,
            count: row.get(1)?,
            recorded_at: Timestamp::from_micros(row.get(2)?),
            repeated: true,
        };
        Ok(FoundCommit { appended, digest: row.get(3)? })
    });
    found.optional()
}

/// The versions of streams that were written or looked up lately. Right as long as nobody else writes, and forgotten whenever
/// a transaction fails.
#[derive(Default)]
pub(super) struct StreamHeads(HashMap<StreamId, u64>);

impl StreamHeads {
    pub(super) fn forget(&mut self) {
        self.0.clear();
    }

    fn remember(&mut self, stream: &StreamId, version: u64) {
        match self.0.get_mut(stream) {
            Some(known) => *known = version,
            None => {
                if self.0.len() >= REMEMBERED_STREAMS {
                    self.forget();
                }
                self.0.insert(stream.clone(), version);
            }
        }
    }
}

/// The commits of one transaction, one after the other.
pub(super) struct Round<'c> {
    connection: &'c Connection,
    head: CachedStatement<'c>,
    insert: CachedStatement<'c>,
    heads: &'c mut StreamHeads,
    recent: &'c Recent,
    added: Ids,
    /// Where the log ends with the commits so far.
    end: End,
}

impl<'c> Round<'c> {
    /// Begins behind `end`; every commit is recorded at the time that `end` carries.
    pub(super) fn new(
        connection: &'c Connection,
        heads: &'c mut StreamHeads,
        recent: &'c Recent,
        end: End,
    ) -> rusqlite::Result<Round<'c>> {
        let prepare = |sql| connection.prepare_cached(sql);
        Ok(Round {
            connection,
            head: prepare("SELECT version + count - 1 FROM commits WHERE stream = ?1 ORDER BY version DESC LIMIT 1")?,
            insert: prepare("INSERT INTO commits VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)")?,
            heads,
            recent,
            added: Ids::default(),
            end,
        })
    }

    /// Where the log ends now, and the ids that were added.
    pub(super) fn finish(self) -> (End, Ids) {
        (self.end, self.added)
    }

    /// Appends one commit. A refusal leaves the transaction as it was; only an error of SQLite spoils it.
    pub(super) fn append(&mut self, commit: &Prepared) -> rusqlite::Result<Result<Appended, AppendError>> {
        let known = self.added.commits.get(&commit.id).copied().or_else(|| self.recent.commit(commit.id));
        if let Some(found) = find(self.connection, commit.id, known)? {
            let same = found.digest == commit.digest;
            return Ok(if same { Ok(found.appended) } else { Err(AppendError::CommitReused { id: commit.id }) });
        }
        let actual = self.stream_head(&commit.stream)?;
        if let ExpectedVersion::Exactly(expected) = commit.expected
            && expected != actual
        {
            return Ok(Err(AppendError::Conflict { stream: commit.stream.clone(), expected, actual }));
        }
        if let Some(id) = self.claim_event_ids(&commit.event_ids)? {
            return Ok(Err(AppendError::EventExists { id }));
        }
        let appended = Appended {
            first_position: self.end.position + 1,
            first_version: actual + 1,
            count: u32::try_from(commit.event_ids.len()).expect("a commit of 12 MiB has fewer events"),
            recorded_at: Timestamp::from_micros(self.end.recorded_at),
            repeated: false,
        };
        self.insert(commit, &appended)?;
        Ok(Ok(appended))
    }

    fn insert(&mut self, commit: &Prepared, appended: &Appended) -> rusqlite::Result<()> {
        self.insert.execute((
            signed(appended.first_position),
            commit.id.as_bytes().as_slice(),
            appended.count,
            commit.stream.as_str(),
            signed(appended.first_version),
            appended.recorded_at.micros(),
            commit.digest.as_slice(),
            commit.events.as_slice(),
        ))?;
        self.heads.remember(&commit.stream, appended.last_version());
        self.added.commits.insert(commit.id, appended.first_position);
        self.end.position = appended.last_position();
        self.end.event = *commit.event_ids.last().expect("checked: not empty");
        Ok(())
    }

    fn stream_head(&mut self, stream: &StreamId) -> rusqlite::Result<u64> {
        if let Some(version) = self.heads.0.get(stream) {
            return Ok(*version);
        }
        let version = self.head.query_row([stream.as_str()], |row| unsigned(row, 0)).optional()?.unwrap_or(0);
        self.heads.remember(stream, version);
        Ok(version)
    }

    /// Notes the ids of a commit's events; where one is taken, none of them is noted and that one is returned.
    fn claim_event_ids(&mut self, ids: &[Uuid]) -> rusqlite::Result<Option<Uuid>> {
        for (nth, id) in ids.iter().enumerate() {
            let taken = self.added.events.contains_key(id)
                || self.recent.has_event(*id)
                || ids::entered_event(self.connection, *id)?;
            if taken {
                for noted in &ids[..nth] {
                    self.added.events.remove(noted);
                }
                return Ok(Some(*id));
            }
            self.added.events.insert(*id, self.end.position + 1 + nth as u64);
        }
        Ok(None)
    }
}
