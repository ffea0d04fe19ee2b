//! Which ids are taken: of commits and of events.
//!
//! Ids are random, so entering each at once would touch two pages of the file for every commit. Instead the ids of the latest
//! commits are held in memory and entered in bulk, in the order of the ids, a slice with every transaction: many of them
//! then share a page. What is not entered yet stands in the commits themselves, and is read from there when the file is opened;
//! `meta.indexed` says up to which position the tables hold everything.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension};
use uuid::Uuid;

use super::{
    fault::Fault,
    number::{signed, unsigned},
    reader::StoredCommit,
};

/// Events whose ids are held in memory before they are entered.
pub(super) const FREEZE_AT: usize = 100_000;
/// What is entered with every transaction at least.
const SLICE: usize = 256;

/// Ids, each with the position of its event or of its commit's first event.
#[derive(Default)]
pub(super) struct Ids {
    pub(super) commits: HashMap<Uuid, u64>,
    pub(super) events: HashMap<Uuid, u64>,
}

/// The ids that the tables may not hold yet.
pub(super) struct Recent {
    /// Growing with every commit.
    fresh: Ids,
    /// Being entered.
    frozen: Ids,
    freeze_at: usize,
}

impl Recent {
    pub(super) fn new(fresh: Ids, freeze_at: usize) -> Recent {
        Recent { fresh, frozen: Ids::default(), freeze_at }
    }

    /// Takes what the file says instead of all that was known.
    pub(super) fn replace(&mut self, fresh: Ids) {
        *self = Recent::new(fresh, self.freeze_at);
    }

    /// The position of a commit.
    pub(super) fn commit(&self, id: Uuid) -> Option<u64> {
        self.fresh.commits.get(&id).or_else(|| self.frozen.commits.get(&id)).copied()
    }

    /// Whether an event with this id is among them.
    pub(super) fn has_event(&self, id: Uuid) -> bool {
        self.fresh.events.contains_key(&id) || self.frozen.events.contains_key(&id)
    }

    /// Takes over what a transaction brought, which ended at position `end`, and how far it entered ids.
    pub(super) fn settle(&mut self, added: Ids, end: u64, merge: &mut Option<Merge>, entered: Entered) {
        self.fresh.commits.extend(added.commits);
        self.fresh.events.extend(added.events);
        if merge.as_mut().is_some_and(|merge| merge.advance(entered)) {
            *merge = None;
            self.frozen = Ids::default();
        }
        if merge.is_none() && self.fresh.events.len() >= self.freeze_at {
            self.frozen = std::mem::take(&mut self.fresh);
            *merge = Some(Merge::of(&self.frozen, end));
        }
    }
}

/// The frozen ids on their way into the tables, in order.
pub(super) struct Merge {
    commits: Vec<(Uuid, u64)>,
    events: Vec<(Uuid, u64)>,
    entered: Entered,
    /// Position of the last event among them.
    through: u64,
}

/// How many of each were entered.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Entered {
    commits: usize,
    events: usize,
}

impl Merge {
    fn of(ids: &Ids, through: u64) -> Merge {
        let sorted = |ids: &HashMap<Uuid, u64>| {
            let mut sorted: Vec<(Uuid, u64)> = ids.iter().map(|(id, position)| (*id, *position)).collect();
            sorted.sort_unstable();
            sorted
        };
        Merge { commits: sorted(&ids.commits), events: sorted(&ids.events), entered: Entered::default(), through }
    }

    /// Enters the next slice, twice as many as the transaction `added`: so this merge ends before the next one begins.
    pub(super) fn step(&self, connection: &Connection, added: &Ids) -> rusqlite::Result<Entered> {
        let slice = |ids: &[(Uuid, u64)], from: usize, added: usize| (from + SLICE + 2 * added).min(ids.len());
        let entered = Entered {
            commits: slice(&self.commits, self.entered.commits, added.commits.len()),
            events: slice(&self.events, self.entered.events, added.events.len()),
        };
        let commits = &self.commits[self.entered.commits..entered.commits];
        enter(connection, "INSERT OR IGNORE INTO commit_ids VALUES (?1, ?2)", commits)?;
        let events = &self.events[self.entered.events..entered.events];
        enter(connection, "INSERT OR IGNORE INTO event_ids VALUES (?1, ?2)", events)?;
        if self.is_complete(entered) {
            connection.execute("UPDATE meta SET value = ?1 WHERE key = 'indexed'", [signed(self.through)])?;
        }
        Ok(entered)
    }

    /// Notes what a transaction entered that was committed; whether that was all.
    fn advance(&mut self, entered: Entered) -> bool {
        self.entered = entered;
        self.is_complete(entered)
    }

    fn is_complete(&self, entered: Entered) -> bool {
        entered.commits == self.commits.len() && entered.events == self.events.len()
    }
}

fn enter(connection: &Connection, insert: &str, ids: &[(Uuid, u64)]) -> rusqlite::Result<()> {
    let mut insert = connection.prepare_cached(insert)?;
    for (id, position) in ids {
        insert.execute((id.as_bytes().as_slice(), signed(*position)))?;
    }
    Ok(())
}

/// The position of a commit, as the tables have it.
pub(super) fn entered_commit(connection: &Connection, id: Uuid) -> rusqlite::Result<Option<u64>> {
    let mut select = connection.prepare_cached("SELECT position FROM commit_ids WHERE id = ?1")?;
    select.query_row([id.as_bytes().as_slice()], |row| unsigned(row, 0)).optional()
}

/// Whether the tables hold an event with this id.
pub(super) fn entered_event(connection: &Connection, id: Uuid) -> rusqlite::Result<bool> {
    connection.prepare_cached("SELECT 1 FROM event_ids WHERE id = ?1")?.exists([id.as_bytes().as_slice()])
}

/// The ids that the tables may not hold yet, read from the commits.
pub(super) fn not_entered(connection: &Connection) -> Result<Ids, Fault> {
    let select = "SELECT value FROM meta WHERE key = 'indexed'";
    let indexed: i64 = connection
        .query_row(select, [], |row| row.get(0))
        .optional()?
        .ok_or_else(|| Fault::Unreadable("how far its ids are indexed is missing".to_owned()))?;
    let select = format!("{}, id FROM commits WHERE position > ?1 ORDER BY position", StoredCommit::COLUMNS);
    let mut statement = connection.prepare(&select)?;
    let mut rows = statement.query([indexed])?;
    let mut ids = Ids::default();
    while let Some(row) = rows.next()? {
        let commit = StoredCommit::of(row)?;
        ids.commits.insert(Uuid::from_bytes(row.get(6)?), commit.place.position);
        for event in commit.events()? {
            let event = event.map_err(|error| commit.fault(&error))?;
            ids.events.insert(event.id, event.position);
        }
    }
    Ok(ids)
}
