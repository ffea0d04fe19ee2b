//! The tables of one shard of a build, and the way back out of a batch that failed.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::io::{self, Write};
use std::ops::Range;
use std::sync::Arc;

use reel_events::EventBatch;

use super::stored;
use super::table::{BulkTable, Content, Sorted, Undo};
use crate::change::{Cell, Change, Row};
use crate::check::{Checked, Key, check, check_read, encode_key_of, encode_named_key};
use crate::failure::Fault;
use crate::fold::Writers;
use crate::manifest::{Manifest, Ownership};
use crate::ports::{Plugin, Sink, SinkError};
use crate::step::show_key;
use crate::value::ValueRef;

/// The tables as they stand, and what the batch under way has done to them.
pub(super) struct Tables {
    manifest: Arc<Manifest>,
    /// By table, whether other shards change its rows too: then its rows are left open.
    merged: Vec<bool>,
    tables: Vec<BulkTable>,
    journal: Vec<(u16, Undo)>,
    key: Vec<u8>,
    foreseen: Vec<Foreseen>,
}

/// A key that a change will look up.
struct Foreseen {
    table: usize,
    hash: u32,
    entry: Option<u32>,
}

/// What a batch did to the rows that it touched, by table and key.
pub(super) type Outcome = BTreeMap<(u16, Box<[u8]>), Content>;

/// The rows of a shard that has seen all its events, in key order.
pub struct FoldedShard {
    pub(super) tables: Vec<Sorted>,
}

impl FoldedShard {
    /// How many rows there are.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.tables.iter().map(Sorted::remaining).sum()
    }

    /// How many tables there are.
    #[must_use]
    pub fn tables(&self) -> usize {
        self.tables.len()
    }

    /// Writes the rows of one table, for [`StoredRun`](super::StoredRun) to read, and keeps them; how many there are.
    ///
    /// # Errors
    /// Where they cannot be written.
    pub fn store(&self, table: usize, into: &mut impl Write) -> io::Result<usize> {
        let mut rows = self.tables[table].to_come();
        stored::write_all(|| Ok(rows.next()), into)
    }
}

impl Tables {
    pub(super) fn new(manifest: Arc<Manifest>, writers: Writers) -> Tables {
        let shared = |ownership| writers == Writers::Many && ownership == Ownership::Shared;
        let merged = manifest.tables.iter().map(|table| shared(table.ownership)).collect();
        let tables = manifest.tables.iter().map(BulkTable::new).collect();
        Tables { manifest, merged, tables, journal: Vec::new(), key: Vec::with_capacity(64), foreseen: Vec::new() }
    }

    /// Runs pieces of a batch through the plugin. Follow it up by [`Tables::keep`] or [`Tables::roll_back`].
    pub(super) fn fold(
        &mut self,
        plugin: &mut dyn Plugin,
        batch: &EventBatch,
        pieces: &[Range<usize>],
    ) -> Result<(), Fault> {
        let mut applying = Applying { batch, tables: self };
        for piece in pieces.iter().filter(|piece| !piece.is_empty()) {
            plugin.apply(batch, piece.clone(), &mut applying)?;
        }
        Ok(())
    }

    /// The batch stays.
    pub(super) fn keep(&mut self) {
        self.journal.clear();
        self.tables.iter_mut().for_each(BulkTable::sweep);
    }

    /// The batch never was.
    pub(super) fn roll_back(&mut self) {
        while let Some((table, undo)) = self.journal.pop() {
            self.tables[usize::from(table)].undo(undo);
        }
    }

    pub(super) fn bytes(&self) -> usize {
        self.tables.iter().map(BulkTable::bytes).sum()
    }

    pub(super) fn rows(&self) -> usize {
        self.tables.iter().map(BulkTable::rows).sum()
    }

    pub(super) fn rows_where(&self, table: usize, wanted: impl Fn(&Row) -> bool) -> Vec<Row> {
        self.tables[table].rows_where(wanted)
    }

    pub(super) fn finish(self) -> FoldedShard {
        FoldedShard { tables: self.tables.into_iter().map(BulkTable::sorted).collect() }
    }

    /// What the batch under way did.
    pub(super) fn outcome(&self) -> Outcome {
        let mut outcome = Outcome::new();
        for (table, undo) in &self.journal {
            let rows = &self.tables[usize::from(*table)];
            if let Some((key, content)) = rows.touched(undo) {
                outcome.insert((*table, key.into()), content);
            }
        }
        outcome
    }

    /// Names the first row in which what the batch did now differs from what it did before, when its outcome was `before`.
    pub(super) fn difference(&mut self, before: Outcome) -> Option<String> {
        let now = self.outcome();
        let at = |tables: &Tables, (table, key): &(u16, Box<[u8]>)| tables.tables[usize::from(*table)].content(key);
        let differing = before.iter().find(|(place, content)| at(self, place) != **content);
        if let Some(((table, _), content)) = differing {
            let place = differing.map(|(place, _)| place).expect("found above");
            return Some(self.told(*table, content, &at(self, place)));
        }
        // What only the second run touched must be as it was before.
        let only_now: Vec<_> = now.into_iter().filter(|(place, _)| !before.contains_key(place)).collect();
        if only_now.is_empty() {
            return None;
        }
        let changed: Vec<_> = only_now.iter().map(|(place, content)| (place, content, self.original(place))).collect();
        let (place, content, original) = changed.into_iter().find(|(_, content, original)| *content != original)?;
        Some(self.told(place.0, &original, content))
    }

    /// A row as it was before the batch under way.
    fn original(&self, (table, key): &(u16, Box<[u8]>)) -> Content {
        let rows = &self.tables[usize::from(*table)];
        let undos = self.journal.iter().filter(|(of, _)| of == table).map(|(_, undo)| undo);
        rows.original(key, undos)
    }

    fn told(&self, table: u16, whole: &Content, pieces: &Content) -> String {
        let (name, rows) = (&self.manifest.tables[usize::from(table)].name, &self.tables[usize::from(table)]);
        let shown = |content: &Content| match content {
            Content::Row(row) => rows.shown(row).map_or_else(|| "no row".to_owned(), |row| show_key(&row)),
            Content::Open(open) => format!("{} changes", open.steps.len()),
        };
        format!("table {name} has {} whole, {} in pieces", shown(whole), shown(pieces))
    }

    /// Looks up what changes will: each way to memory is gone for all of them before the next, so that they are gone side by side. Where tables
    /// are larger than the processor's caches, changes would else wait for one after the other.
    fn foresee(&mut self, changes: &mut dyn Iterator<Item = (u16, &[Cell<'_>])>) {
        let Tables { manifest, tables, key, foreseen, .. } = self;
        foreseen.clear();
        for (table, cells) in changes {
            let table = usize::from(table);
            key.clear();
            if let Some(declared) = manifest.tables.get(table)
                && encode_named_key(declared, cells, key)
            {
                foreseen.push(Foreseen { table, hash: tables[table].hash(key), entry: None });
            }
        }
        for looked_up in &mut *foreseen {
            looked_up.entry = tables[looked_up.table].seek(looked_up.hash);
        }
        let row = |looked_up: &Foreseen| tables[looked_up.table].row_of(looked_up.entry?);
        foreseen.iter().filter_map(row).for_each(|row| {
            black_box(row.stands());
        });
    }

    fn take(&mut self, number: u16, change: Checked<'_>) -> Result<(), crate::change::Refusal> {
        let Tables { manifest, merged, tables, journal, key: bytes, .. } = self;
        let (table, rows) = (&manifest.tables[usize::from(number)], &mut tables[usize::from(number)]);
        let mut note = |undo: Undo| journal.push((number, undo));
        bytes.clear();
        match change {
            Checked::DeleteWhere(filter) => note(rows.delete_where(filter)),
            Checked::Put { row } => {
                encode_key_of(table, &row, bytes);
                note(rows.put(bytes, Some(&row)));
            }
            Checked::Delete { key } => {
                key.encode(bytes);
                note(rows.put(bytes, None));
            }
            Checked::Step { key, step } => {
                key.encode(bytes);
                if merged[usize::from(number)] {
                    note(rows.open(bytes, || key.own(), step));
                } else {
                    rows.step((table, bytes), || key.own(), &step, &mut note)?;
                }
            }
        }
        Ok(())
    }
}

/// What a plugin's code sees of the host while it runs.
struct Applying<'a> {
    batch: &'a EventBatch,
    tables: &'a mut Tables,
}

impl Sink for Applying<'_> {
    fn foresee(&mut self, changes: &mut dyn Iterator<Item = (u16, &[Cell<'_>])>) {
        self.tables.foresee(changes);
    }

    fn emit(&mut self, change: Change<'_>) -> Result<(), SinkError> {
        let checked = check(&self.tables.manifest, self.batch.stream(change.event), &change)?;
        Ok(self.tables.take(change.table, checked)?)
    }

    fn read(&mut self, event: usize, table: u16, keys: &[ValueRef<'_>]) -> Result<Vec<Option<Row>>, SinkError> {
        let Tables { manifest, tables, key: bytes, .. } = &mut *self.tables;
        let (keys, rows) =
            (check_read(manifest, self.batch.stream(event), (event, table), keys)?, &tables[usize::from(table)]);
        let mut find = |key: &Key<'_>| {
            bytes.clear();
            key.encode(bytes);
            rows.row(bytes)
        };
        Ok(keys.iter().map(&mut find).collect())
    }
}
