//! One table of a build: rows by key, changed in place. Every change leaves what undoes it.

use hashbrown::hash_table::Entry as Slot;
use hashbrown::{DefaultHashBuilder, HashTable};
use std::hash::BuildHasher;

use super::entries::Entries;
use super::key_bytes::KeyBytes;
use crate::change::{KeyValues, Refusal, Row, RowFilter};
use crate::manifest::Table;
use crate::removals::{Moment, Removals};
use crate::step::Step;
use crate::value::Value;

/// How many removals are kept before all rows are checked against them at once: at least this many, and one for every few rows.
const MOST_REMOVALS: usize = 20_000;
const ROWS_A_REMOVAL: usize = 4;

/// What an entry takes beside its row and the bytes of a long key, about: itself, and its place in the index, which grows by half as
/// much as it needs at once.
const ENTRY_BYTES: usize = size_of::<Entry>() + 2 * size_of::<Indexed>();

/// What an entry takes more when the rows are put in order in the end.
const ORDER_BYTES: usize = size_of::<(u128, u32)>();

/// What a step that is left open takes, about.
const STEP_BYTES: usize = size_of::<Step>() + 64;

/// Entries are looked through for rows that are gone when there are twice as many as there were left last time, and this many.
const FEWEST_TO_SWEEP: usize = 16;

/// Rows by key. The entry of a row that is gone stays until the next sweep, so that there are at most about twice as many entries
/// as there were ever rows at once.
#[derive(Default)]
pub(super) struct BulkTable {
    index: HashTable<Indexed>,
    hasher: DefaultHashBuilder,
    entries: Entries<Entry>,
    removals: Removals,
    bytes: usize,
    /// How many entries the last sweep left.
    left: usize,
}

/// Where the index has an entry.
#[derive(Clone, Copy)]
struct Indexed {
    /// Of its key: most other keys are told apart by it, and the index grows without looking at any.
    hash: u32,
    entry: u32,
}

struct Entry {
    key: KeyBytes,
    content: Content,
    /// Since when the row stands as it is, but for steps.
    since: Moment,
}

/// What is known of a row.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Content {
    /// The row, or that there is none.
    Row(Option<Row>),
    /// Other shards change it too: what this one does to it, with its key.
    Open(KeyValues, Vec<Step>),
}

/// What undoes one change.
pub(super) enum Undo {
    /// The row was this.
    Row { entry: u32, row: Option<Row>, since: Moment },
    /// A cell was this.
    Cell { entry: u32, column: u16, value: Value },
    /// The row stood since then.
    Since { entry: u32, since: Moment },
    /// A step was this, or was not there.
    Step { entry: u32, place: usize, step: Option<Step> },
    /// The last removal was not there.
    Removal,
}

impl BulkTable {
    pub(super) fn bytes(&self) -> usize {
        self.bytes + self.entries.len() * ORDER_BYTES
    }

    pub(super) fn rows(&self) -> usize {
        self.entries.len()
    }

    /// How keys are told apart at first: for [`BulkTable::seek`].
    pub(super) fn hash(&self, key: &[u8]) -> u32 {
        hash(&self.hasher, key)
    }

    /// The entry of a key with that hash, most likely.
    pub(super) fn seek(&self, hash: u32) -> Option<u32> {
        self.index.find(spread(hash), |indexed| indexed.hash == hash).map(|indexed| indexed.entry)
    }

    /// The row of an entry, whether it stands or not.
    pub(super) fn row_of(&self, entry: u32) -> Option<&Row> {
        match &self.entries.get(entry as usize)?.content {
            Content::Row(row) => row.as_ref(),
            Content::Open(..) => None,
        }
    }

    /// The row as it stands.
    pub(super) fn row(&self, key: &[u8]) -> Option<&Row> {
        self.standing(self.find(key)?)
    }

    /// The rows that are wanted, as they stand, in key order.
    pub(super) fn rows_where(&self, wanted: impl Fn(&Row) -> bool) -> Vec<Row> {
        let standing = |number: usize| Some((&self.entries[number].key, self.standing(number)?));
        let mut rows: Vec<_> = (0..self.entries.len()).filter_map(standing).filter(|(_, row)| wanted(row)).collect();
        rows.sort_unstable_by_key(|(key, _)| *key);
        rows.into_iter().map(|(_, row)| row.clone()).collect()
    }

    /// What is known of a key.
    pub(super) fn content(&self, key: &[u8]) -> Content {
        let Some(entry) = self.find(key) else { return Content::Row(None) };
        match &self.entries[entry].content {
            Content::Row(_) => Content::Row(self.standing(entry).cloned()),
            open @ Content::Open(..) => open.clone(),
        }
    }

    /// Replaces a row whole, or deletes it.
    pub(super) fn put(&mut self, key: &[u8], row: Option<Row>) -> Undo {
        let number = self.entry(key, || Content::Row(None));
        let now = self.removals.now();
        let entry = &mut self.entries[number];
        let Content::Row(standing) = &mut entry.content else { unreachable!("open rows are not replaced") };
        self.bytes += row.as_ref().map_or(0, size_of_row);
        let old = std::mem::replace(standing, row);
        self.bytes -= old.as_ref().map_or(0, size_of_row);
        Undo::Row { entry: number as u32, row: old, since: std::mem::replace(&mut entry.since, now) }
    }

    /// Applies a step to a row.
    pub(super) fn step(
        &mut self,
        (table, key): (&Table, &[u8]),
        values: impl FnOnce() -> KeyValues,
        step: &Step,
        note: &mut impl FnMut(Undo),
    ) -> Result<(), Refusal> {
        let number = self.entry(key, || Content::Row(None));
        self.take_removed(number, note);
        let entry = &mut self.entries[number];
        let number = number as u32;
        let Content::Row(row) = &mut entry.content else { unreachable!("open rows are not stepped") };
        match row {
            None => note(Undo::Row { entry: number, row: None, since: entry.since }),
            Some(row) => {
                let cell = |column: u16| Undo::Cell { entry: number, column, value: row[usize::from(column)].clone() };
                step.each_column(|column| note(cell(column)));
            }
        }
        let measured = step.may_resize() || row.is_none();
        let before = if measured { row.as_ref().map_or(0, size_of_row) } else { 0 };
        // A row that is there knows its key.
        let applied = if row.is_some() { step.apply(table, &[], row) } else { step.apply(table, &values(), row) };
        if measured {
            self.bytes = self.bytes + row.as_ref().map_or(0, size_of_row) - before;
        }
        applied.map(drop)
    }

    /// Adds a step to a row that other shards change too.
    pub(super) fn open(&mut self, key: &[u8], values: impl FnOnce() -> KeyValues, step: Step) -> Undo {
        let number = self.entry(key, || Content::Open(values(), Vec::new()));
        let Content::Open(_, steps) = &mut self.entries[number].content else {
            unreachable!("rows of this table are open")
        };
        let entry = number as u32;
        for (place, earlier) in steps.iter_mut().enumerate().rev() {
            let before = earlier.clone();
            if earlier.absorb(&step) {
                return Undo::Step { entry, place, step: Some(before) };
            }
            if earlier.meets(&step) {
                break;
            }
        }
        self.bytes += STEP_BYTES;
        steps.push(step);
        Undo::Step { entry, place: steps.len() - 1, step: None }
    }

    /// Takes away every row that fits, without looking at them now.
    pub(super) fn delete_where(&mut self, filter: RowFilter) -> Undo {
        self.removals.add(filter);
        Undo::Removal
    }

    pub(super) fn undo(&mut self, undo: Undo) {
        match undo {
            Undo::Row { entry, row, since } => {
                let entry = &mut self.entries[entry as usize];
                let Content::Row(now) = &mut entry.content else { unreachable!("open rows are not replaced") };
                self.bytes += row.as_ref().map_or(0, size_of_row);
                self.bytes -= now.as_ref().map_or(0, size_of_row);
                (*now, entry.since) = (row, since);
            }
            Undo::Cell { entry, column, value } => {
                if let Content::Row(Some(row)) = &mut self.entries[entry as usize].content {
                    self.bytes = self.bytes + heap_bytes(&value) - heap_bytes(&row[usize::from(column)]);
                    row[usize::from(column)] = value;
                }
            }
            Undo::Since { entry, since } => self.entries[entry as usize].since = since,
            Undo::Step { entry, place, step } => {
                let Content::Open(_, steps) = &mut self.entries[entry as usize].content else { return };
                match step {
                    Some(step) => steps[place] = step,
                    None => {
                        self.bytes -= STEP_BYTES * (steps.len() - place);
                        steps.truncate(place);
                    }
                }
            }
            Undo::Removal => self.removals.take_back(),
        }
    }

    /// The rows that a change touched, as they stand.
    pub(super) fn touched(&self, undo: &Undo) -> Option<(&[u8], Content)> {
        let number = undo.entry()?;
        let key = &self.entries[number].key;
        Some((key, self.content(key)))
    }

    /// A row as it was before `undos`, which are in the order of the changes.
    pub(super) fn original<'u>(&self, key: &[u8], undos: impl DoubleEndedIterator<Item = &'u Undo>) -> Content {
        let Some(number) = self.find(key) else { return Content::Row(None) };
        let mut content = self.entries[number].content.clone();
        for undo in undos.rev().filter(|undo| undo.entry() == Some(number)) {
            match (undo, &mut content) {
                (Undo::Row { row, .. }, content) => *content = Content::Row(row.clone()),
                (Undo::Cell { column, value, .. }, Content::Row(Some(row))) => {
                    row[usize::from(*column)] = value.clone();
                }
                (Undo::Step { place, step: Some(step), .. }, Content::Open(_, steps)) => steps[*place] = step.clone(),
                (Undo::Step { place, step: None, .. }, Content::Open(_, steps)) => steps.truncate(*place),
                _ => {}
            }
        }
        content
    }

    /// Lets go of the rows that removals took and of the keys of rows that are gone, where there may be many. Nothing may be undone
    /// across it.
    pub(super) fn sweep(&mut self) {
        let removals = self.removals.now() as usize;
        let entries = self.entries.len();
        if removals > MOST_REMOVALS.max(entries / ROWS_A_REMOVAL) || entries > FEWEST_TO_SWEEP.max(2 * self.left) {
            self.take_all_removed();
            self.let_go_of_vacant();
            self.left = self.entries.len();
        }
    }

    /// The rows that are there, in key order.
    pub(super) fn sorted(mut self) -> Sorted {
        self.take_all_removed();
        drop(self.index);
        self.entries.retain(|entry| !entry.is_vacant());
        let entries = self.entries;
        // Most comparisons are decided by the first bytes, which are kept beside the number.
        let mut order: Vec<(u128, u32)> =
            entries.iter().enumerate().map(|(number, entry)| (first_bytes(&entry.key), number as u32)).collect();
        let key = |number: u32| &entries[number as usize].key;
        order.sort_unstable_by(|a, b| a.0.cmp(&b.0).then_with(|| key(a.1).cmp(key(b.1))));
        let order: Vec<u32> = order.into_iter().map(|(_, number)| number).collect();
        Sorted { entries, order: order.into_iter() }
    }

    fn take_all_removed(&mut self) {
        let removals = std::mem::take(&mut self.removals);
        let now = removals.now();
        for entry in self.entries.iter_mut() {
            if let Content::Row(row) = &mut entry.content
                && row.as_ref().is_some_and(|row| removals.took(row, entry.since, now))
            {
                self.bytes -= row.take().as_ref().map_or(0, size_of_row);
            }
            entry.since = 0;
        }
    }

    /// Entries change their numbers.
    fn let_go_of_vacant(&mut self) {
        let bytes = &mut self.bytes;
        let before = self.entries.len();
        self.entries.retain(|entry| {
            if entry.is_vacant() {
                *bytes -= entry.bytes();
            }
            !entry.is_vacant()
        });
        if self.entries.len() < before {
            self.index.clear();
            self.index.shrink_to(2 * self.entries.len(), Indexed::spread);
            for (number, entry) in self.entries.iter().enumerate() {
                let indexed = Indexed { hash: hash(&self.hasher, &entry.key), entry: number as u32 };
                self.index.insert_unique(indexed.spread(), indexed, Indexed::spread);
            }
        }
    }

    /// The row of an entry, unless a removal took it.
    fn standing(&self, entry: usize) -> Option<&Row> {
        let Entry { content, since, .. } = &self.entries[entry];
        let Content::Row(Some(row)) = content else { return None };
        (!self.removals.took(row, *since, self.removals.now())).then_some(row)
    }

    fn take_removed(&mut self, number: usize, note: &mut impl FnMut(Undo)) {
        let now = self.removals.now();
        let entry = &mut self.entries[number];
        if entry.since == now {
            return;
        }
        let since = std::mem::replace(&mut entry.since, now);
        let Content::Row(row) = &mut entry.content else { return };
        if row.as_ref().is_some_and(|row| self.removals.took(row, since, now)) {
            let row = row.take();
            self.bytes -= row.as_ref().map_or(0, size_of_row);
            note(Undo::Row { entry: number as u32, row, since });
        } else {
            note(Undo::Since { entry: number as u32, since });
        }
    }

    fn find(&self, key: &[u8]) -> Option<usize> {
        let hash = hash(&self.hasher, key);
        let same = |indexed: &Indexed| indexed.hash == hash && self.entries[indexed.entry as usize].key[..] == *key;
        self.index.find(spread(hash), same).map(|indexed| indexed.entry as usize)
    }

    fn entry(&mut self, key: &[u8], new: impl FnOnce() -> Content) -> usize {
        let Self { index, hasher, entries, .. } = self;
        let hash = hash(hasher, key);
        let same = |indexed: &Indexed| indexed.hash == hash && entries[indexed.entry as usize].key[..] == *key;
        match index.entry(spread(hash), same, Indexed::spread) {
            Slot::Occupied(slot) => slot.get().entry as usize,
            Slot::Vacant(slot) => {
                let number = entries.len();
                let entry = u32::try_from(number).expect("memory ends long before 4 billion rows");
                slot.insert(Indexed { hash, entry });
                entries.push(Entry { key: key.into(), content: new(), since: self.removals.now() });
                self.bytes += entries[number].bytes();
                number
            }
        }
    }
}

fn hash(hasher: &DefaultHashBuilder, key: &[u8]) -> u32 {
    hasher.hash_one(key) as u32
}

/// As the index wants a hash: it looks at the lowest bits and at the highest.
fn spread(hash: u32) -> u64 {
    u64::from(hash) << 32 | u64::from(hash)
}

impl Indexed {
    fn spread(&self) -> u64 {
        spread(self.hash)
    }
}

impl Entry {
    /// Whether there is nothing to be known of the row that a key without an entry would not say too.
    fn is_vacant(&self) -> bool {
        match &self.content {
            Content::Row(row) => row.is_none(),
            Content::Open(_, steps) => steps.is_empty(),
        }
    }

    /// About how many bytes it takes without its content.
    fn bytes(&self) -> usize {
        ENTRY_BYTES + self.key.heap_bytes()
    }
}

impl Undo {
    fn entry(&self) -> Option<usize> {
        match self {
            Undo::Row { entry, .. }
            | Undo::Cell { entry, .. }
            | Undo::Since { entry, .. }
            | Undo::Step { entry, .. } => Some(*entry as usize),
            Undo::Removal => None,
        }
    }
}

/// Rows of one table of one shard, in key order.
pub(super) struct Sorted {
    entries: Entries<Entry>,
    order: std::vec::IntoIter<u32>,
}

impl Sorted {
    /// How many rows there are to come.
    pub(super) fn remaining(&self) -> usize {
        self.order.len()
    }

    /// The rows to come, left where they are.
    pub(super) fn to_come(&self) -> impl Iterator<Item = (&[u8], &Content)> {
        let entries = self.order.as_slice().iter().map(|number| &self.entries[*number as usize]);
        entries.map(|entry| (&*entry.key, &entry.content))
    }

    pub(super) fn next(&mut self) -> Option<(KeyBytes, Content)> {
        let entry = &mut self.entries[self.order.next()? as usize];
        Some((std::mem::take(&mut entry.key), std::mem::replace(&mut entry.content, Content::Row(None))))
    }
}

fn first_bytes(key: &[u8]) -> u128 {
    let mut first = [0; 16];
    let length = key.len().min(16);
    first[..length].copy_from_slice(&key[..length]);
    u128::from_be_bytes(first)
}

/// About how many bytes a row takes.
fn size_of_row(row: &Row) -> usize {
    row.iter().map(|value| size_of::<Value>() + heap_bytes(value)).sum::<usize>() + 16
}

/// What a value has outside itself; allocations are rounded up to 16 bytes, about.
fn heap_bytes(value: &Value) -> usize {
    match value {
        Value::Text(text) | Value::Json(text) => text.len().next_multiple_of(16) + 8,
        Value::Bytes(bytes) => bytes.len().next_multiple_of(16) + 8,
        _ => 0,
    }
}
