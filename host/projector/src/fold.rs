//! The fold: what a batch of changes comes to, per table and key, so that one statement a row is written however often it
//! changed. Equal to applying the changes one by one; the property tests hold it to that.

use std::sync::Arc;

use hashbrown::HashMap;
use hashbrown::hash_map::EntryRef;

use crate::change::{KeyValues, Merge, Refusal, Row, TableWrites, Writes};
use crate::check::{Checked, encode_key_of, key_of};
use crate::key::encoded;
use crate::manifest::{Manifest, Ownership, Table};
use crate::ports::{ReadModelError, SinkError};
use crate::removals::{Moment, Removals};
use crate::step::{Effect, Step, show_key};
use crate::value::Value;

/// Where the fold finds rows as they stand before the batch.
pub(crate) trait Bases {
    /// Takes a row out of what is at hand, without asking anybody; nothing = not at hand.
    fn take(&mut self, table: u16, key: &[u8]) -> Option<Base>;

    /// Reads rows that were not at hand.
    fn read(&mut self, table: u16, keys: &[KeyValues]) -> Result<Vec<Option<Row>>, ReadModelError>;
}

/// A row that is known to be there, or known not to be.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Base {
    Row(Row),
    Absent,
}

/// Whether other shards change the rows of shared tables at the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Writers {
    /// The generation has one shard: what it knows of a row stays true.
    One,
    /// Rows of shared tables are merged by the read model, inside the transaction.
    Many,
}

/// The changes of one batch so far.
#[derive(Debug)]
pub(crate) struct Fold {
    manifest: Arc<Manifest>,
    writers: Writers,
    tables: Vec<TableFold>,
    key: Vec<u8>,
}

#[derive(Debug, Default)]
struct TableFold {
    entries: HashMap<Vec<u8>, Entry>,
    removals: Removals,
}

#[derive(Debug)]
struct Entry {
    key: KeyValues,
    before: Before,
    state: State,
}

/// Whether the row is known to have been there before the batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Before {
    There,
    NotKnown,
}

#[derive(Debug)]
enum State {
    /// The row is known, as it stands since `since`.
    Known { row: Option<Row>, since: Moment, effect: Effect },
    /// The row as it stood before the batch is not known yet: these steps, each at its moment, make of it what it is.
    Open { steps: Vec<(Moment, Step)> },
}

impl Fold {
    pub(crate) fn new(manifest: Arc<Manifest>, writers: Writers) -> Fold {
        let tables = manifest.tables.iter().map(|_| TableFold::default()).collect();
        Fold { manifest, writers, tables, key: Vec::new() }
    }

    pub(crate) fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Takes a checked change of table number `table`.
    pub(crate) fn take(&mut self, table: u16, change: Checked<'_>, bases: &mut dyn Bases) -> Result<(), Refusal> {
        let merged = self.is_merged(table);
        let Fold { manifest, tables, key: buffer, .. } = self;
        let (meta, fold) = (&manifest.tables[usize::from(table)], &mut tables[usize::from(table)]);
        let now = fold.removals.now();
        buffer.clear();
        let (key, state, step) = match change {
            Checked::DeleteWhere(filter) => {
                fold.removals.add(filter);
                return Ok(());
            }
            Checked::Put { row } => {
                encode_key_of(meta, &row, buffer);
                let row = Some(row.into_iter().map(Value::from).collect());
                (None, State::Known { row, since: now, effect: Effect::Changed }, None)
            }
            Checked::Delete { key } => {
                key.encode(buffer);
                (Some(key), State::Known { row: None, since: now, effect: Effect::Changed }, None)
            }
            Checked::Step { key, step } => {
                key.encode(buffer);
                (Some(key), State::Open { steps: Vec::new() }, Some(step))
            }
        };
        let entry = match fold.entries.entry_ref(buffer.as_slice()) {
            EntryRef::Occupied(entry) if step.is_none() => {
                entry.into_mut().replace(state, now);
                return Ok(());
            }
            EntryRef::Occupied(entry) => entry.into_mut(),
            EntryRef::Vacant(entry) => {
                let key = match (key, &state) {
                    (Some(key), _) => key.own(),
                    (None, State::Known { row: Some(row), .. }) => key_of(meta, row),
                    (None, _) => unreachable!("only a row brings its key itself"),
                };
                // Asked for a row that is replaced too: what was at hand must not be taken for the row from now on.
                let at_hand = if merged { None } else { bases.take(table, buffer) };
                entry.insert(Entry::over(at_hand, key, state, &fold.removals))
            }
        };
        match step {
            Some(step) => entry.step(meta, &fold.removals, step),
            None => Ok(()),
        }
    }

    /// The rows under `keys` as they stand now.
    pub(crate) fn rows(
        &mut self,
        table: u16,
        keys: Vec<KeyValues>,
        bases: &mut dyn Bases,
    ) -> Result<Vec<Option<Row>>, SinkError> {
        let encoded: Vec<Vec<u8>> = keys.iter().map(|key| encoded(key)).collect();
        let TableFold { entries, removals } = &mut self.tables[usize::from(table)];
        for (bytes, key) in encoded.iter().zip(keys) {
            entries.entry_ref(bytes.as_slice()).or_insert_with(|| {
                Entry::over(bases.take(table, bytes), key, State::Open { steps: Vec::new() }, removals)
            });
        }
        self.close(table, &encoded, bases)?;
        let TableFold { entries, removals } = &mut self.tables[usize::from(table)];
        Ok(encoded
            .iter()
            .map(|bytes| {
                let entry = entries.get_mut(bytes.as_slice()).expect("inserted above");
                entry.known(removals).clone()
            })
            .collect())
    }

    /// What is to be written. Reads the rows that open entries still need.
    pub(crate) fn finish(mut self, bases: &mut dyn Bases) -> Result<Folded, SinkError> {
        let manifest = Arc::clone(&self.manifest);
        let mut folded = Folded::default();
        for index in 0..manifest.tables.len() as u16 {
            if !self.is_merged(index) {
                self.close_all(index, bases)?;
            }
            let fold = std::mem::take(&mut self.tables[usize::from(index)]);
            fold.finish(&mut folded);
        }
        Ok(folded)
    }

    /// Whether the read model merges the changes of this table.
    fn is_merged(&self, table: u16) -> bool {
        self.writers == Writers::Many && self.manifest.tables[usize::from(table)].ownership == Ownership::Shared
    }

    fn close_all(&mut self, table: u16, bases: &mut dyn Bases) -> Result<(), SinkError> {
        let entries = &self.tables[usize::from(table)].entries;
        let mut open: Vec<Vec<u8>> =
            entries.iter().filter(|(_, e)| matches!(e.state, State::Open { .. })).map(|(key, _)| key.clone()).collect();
        // In key order, so that of several faults the same one is named every time, and databases read along their index.
        open.sort_unstable();
        self.close(table, &open, bases)
    }

    /// Makes open entries known: finds the rows as they stood before the batch, and applies the steps.
    fn close(&mut self, table: u16, keys: &[Vec<u8>], bases: &mut dyn Bases) -> Result<(), SinkError> {
        let TableFold { entries, removals } = &mut self.tables[usize::from(table)];
        let meta = &self.manifest.tables[usize::from(table)];
        let mut unread: Vec<&Vec<u8>> = Vec::new();
        let mut wanted: Vec<KeyValues> = Vec::new();
        let mut refused: Option<Refusal> = None;
        for bytes in keys {
            let entry = entries.get_mut(bytes.as_slice()).expect("the caller names entries");
            if !matches!(entry.state, State::Open { .. }) {
                continue;
            }
            match bases.take(table, bytes) {
                Some(base) => keep_first(&mut refused, entry.close(meta, removals, base)),
                None => {
                    unread.push(bytes);
                    wanted.push(entry.key.clone());
                }
            }
        }
        if !wanted.is_empty() {
            let rows = bases.read(table, &wanted)?;
            for (bytes, row) in unread.into_iter().zip(rows) {
                let entry = entries.get_mut(bytes.as_slice()).expect("found above");
                keep_first(&mut refused, entry.close(meta, removals, row.map_or(Base::Absent, Base::Row)));
            }
        }
        refused.map_or(Ok(()), |refusal| Err(refusal.into()))
    }
}

/// Of several faults the first event's counts; one whose event is not known yet makes the batch be split.
fn keep_first(kept: &mut Option<Refusal>, result: Result<(), Refusal>) {
    let Err(new) = result else { return };
    let earlier = match kept {
        None => true,
        Some(old) => new.event.is_none() || (old.event.is_some() && new.event < old.event),
    };
    if earlier {
        *kept = Some(new);
    }
}

impl State {
    /// The same over the row as it stood before, if that is at hand.
    fn over(self, base: Option<Base>, removals: &Removals) -> State {
        match (self, base) {
            (State::Open { .. }, Some(Base::Row(row))) => {
                State::Known { row: Some(row), since: 0, effect: Effect::Unchanged }
            }
            (State::Open { .. }, Some(Base::Absent)) => State::Known { row: None, since: 0, effect: Effect::Unchanged },
            (State::Known { row: Some(new), since, .. }, Some(Base::Row(old)))
                if new == old && !removals.took(&old, 0, since) =>
            {
                State::Known { row: Some(new), since, effect: Effect::Unchanged }
            }
            (State::Known { row: None, since, .. }, Some(Base::Absent)) => {
                State::Known { row: None, since, effect: Effect::Unchanged }
            }
            (state, _) => state,
        }
    }
}

impl Entry {
    /// A row that is touched for the first time, over the row as it stood before, if that is at hand.
    fn over(base: Option<Base>, key: KeyValues, state: State, removals: &Removals) -> Entry {
        let before = if matches!(base, Some(Base::Row(_))) { Before::There } else { Before::NotKnown };
        Entry { key, before, state: state.over(base, removals) }
    }

    /// The row is another one now. What was done to it before counts only where an event may be at fault for it.
    fn replace(&mut self, new: State, now: Moment) {
        match (&mut self.state, new) {
            (State::Open { steps }, State::Known { row, .. }) if steps.iter().any(|(_, step)| step.may_refuse()) => {
                steps.push((now, Step::Become { row }));
            }
            (state, new) => *state = new,
        }
    }

    fn step(&mut self, table: &Table, removals: &Removals, step: Step) -> Result<(), Refusal> {
        let now = removals.now();
        match &mut self.state {
            State::Known { row, since, effect } => {
                remove_if_taken(row, since, effect, removals);
                if step.apply(table, &self.key, row)? == Effect::Changed {
                    *effect = Effect::Changed;
                }
            }
            State::Open { steps } => {
                let absorbed = steps.last_mut().is_some_and(|(moment, last)| *moment == now && last.absorb(&step));
                if !absorbed {
                    steps.push((now, step));
                }
            }
        }
        Ok(())
    }

    fn close(&mut self, table: &Table, removals: &Removals, base: Base) -> Result<(), Refusal> {
        let State::Open { steps } = &mut self.state else { return Ok(()) };
        let steps = std::mem::take(steps);
        let mut row = match base {
            Base::Row(row) => Some(row),
            Base::Absent => None,
        };
        if row.is_some() {
            self.before = Before::There;
        }
        let (mut since, mut effect) = (0, Effect::Unchanged);
        for (moment, step) in steps {
            if row.as_ref().is_some_and(|row| removals.took(row, since, moment)) {
                (row, effect) = (None, Effect::Changed);
            }
            since = moment;
            if step.apply(table, &self.key, &mut row)? == Effect::Changed {
                effect = Effect::Changed;
            }
        }
        self.state = State::Known { row, since, effect };
        Ok(())
    }

    fn known(&mut self, removals: &Removals) -> &Option<Row> {
        match &mut self.state {
            State::Known { row, since, effect } => {
                remove_if_taken(row, since, effect, removals);
                row
            }
            State::Open { .. } => unreachable!("closed before it is looked at"),
        }
    }
}

fn remove_if_taken(row: &mut Option<Row>, since: &mut Moment, effect: &mut Effect, removals: &Removals) {
    let now = removals.now();
    if row.as_ref().is_some_and(|row| removals.took(row, *since, now)) {
        (*row, *effect) = (None, Effect::Changed);
    }
    *since = now;
}

/// What a batch comes to: what is written, and what is known of rows once it is.
#[derive(Debug, Default)]
pub(crate) struct Folded {
    pub(crate) writes: Writes,
    pub(crate) known: Known,
}

/// The keys of the rows that a batch looked at, encoded.
#[derive(Debug, Default)]
pub(crate) struct Known {
    /// Of the rows that are written, by table, in the order of [`TableWrites::upserts`].
    pub(crate) written: Vec<Vec<Vec<u8>>>,
    /// Of the rows that are deleted.
    pub(crate) deleted: Vec<(u16, Vec<u8>)>,
    /// The rows that stay as they are.
    pub(crate) untouched: Vec<(u16, Vec<u8>, Row)>,
}

impl Folded {
    /// Names the first row in which another folding of the same events differs.
    pub(crate) fn difference(&self, other: &Folded, manifest: &Manifest) -> String {
        let differing =
            manifest.tables.iter().zip(self.writes.tables.iter().zip(&other.writes.tables)).find(|(_, (a, b))| a != b);
        let Some((table, (whole, pieces))) = differing else { return "no table differs".into() };
        let row = whole.upserts.iter().zip(&pieces.upserts).find(|(a, b)| a != b);
        match row {
            Some((whole, pieces)) => {
                format!("table {} has {} whole, {} in pieces", table.name, show_key(whole), show_key(pieces))
            }
            None => {
                format!("table {} has {} rows written whole, {} in pieces", table.name, whole.rows(), pieces.rows())
            }
        }
    }
}

impl TableFold {
    fn finish(self, folded: &mut Folded) {
        let table = folded.writes.tables.len() as u16;
        let (mut writes, mut new, mut changed) = (TableWrites::default(), Vec::new(), Vec::new());
        let mut entries: Vec<_> = self.entries.into_iter().collect();
        entries.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        for (bytes, mut entry) in entries {
            if let State::Open { steps } = entry.state {
                let steps = steps.into_iter().map(|(_, step)| step).collect();
                writes.merges.push(Merge { key: entry.key, steps });
                continue;
            }
            entry.known(&self.removals);
            match entry.state {
                State::Known { row: Some(row), effect: Effect::Changed, .. } => {
                    let rows = if entry.before == Before::There { &mut changed } else { &mut new };
                    rows.push((row, bytes));
                }
                State::Known { row: None, effect: Effect::Changed, .. } => {
                    writes.deletes.push(entry.key);
                    folded.known.deleted.push((table, bytes));
                }
                State::Known { row: Some(row), .. } => folded.known.untouched.push((table, bytes, row)),
                State::Known { row: None, .. } | State::Open { .. } => {}
            }
        }
        writes.likely_new = new.len();
        let (upserts, written) = new.into_iter().chain(changed).unzip();
        writes.upserts = upserts;
        writes.delete_where = self.removals.into_filters();
        folded.writes.tables.push(writes);
        folded.known.written.push(written);
    }
}

#[cfg(test)]
mod tests;
