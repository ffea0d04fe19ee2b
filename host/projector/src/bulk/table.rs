//! One table of a build: rows by key, changed in place. Every change leaves what undoes it.

use hashbrown::hash_table::Entry as Slot;
use hashbrown::{DefaultHashBuilder, HashTable};
use std::hash::BuildHasher;

use super::entries::Entries;
use super::packed::{Layout, Packed, PackedPlace, View};
use crate::cells::Place;
use crate::change::{KeyValues, Refusal, Row, RowFilter};
use crate::check::TakenRow;
use crate::manifest::Table;
use crate::removals::{Moment, Removals};
use crate::step::Step;
use crate::value::Value;

/// How many removals are kept before all rows are checked against them at once: at least this many, and one for every few rows.
const MOST_REMOVALS: usize = 20_000;
const ROWS_A_REMOVAL: usize = 4;

/// What an entry takes beside its row with its key, about: itself, and its place in the index, which grows by half as
/// much as it needs at once.
const ENTRY_BYTES: usize = size_of::<Entry>() + 2 * size_of::<Indexed>();

/// What an entry takes more when the rows are put in order in the end.
const ORDER_BYTES: usize = size_of::<(u128, u32)>();

/// What a row that is left open takes beside its steps and its key's encoding, about.
const OPEN_BYTES: usize = size_of::<OpenRow>() + 64;

/// What a step that is left open takes, about.
const STEP_BYTES: usize = size_of::<Step>() + 64;

/// Entries are looked through for rows that are gone when there are twice as many as there were left last time, and this many.
const FEWEST_TO_SWEEP: usize = 16;

/// Rows by key. The entry of a row that is gone stays until the next sweep, so that there are at most about twice as many entries
/// as there were ever rows at once.
pub(super) struct BulkTable {
    layout: Layout,
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
    content: Content,
    /// Since when the row stands as it is, but for steps.
    since: Moment,
}

/// What is known of a row, and its key.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Content {
    /// The row, or that there is none.
    Row(Packed),
    /// Other shards change it too: what this one does to it.
    Open(Box<OpenRow>),
}

/// What one shard does to a row that others change too.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct OpenRow {
    /// Its key, encoded, and the key's values.
    pub(super) key: Box<[u8]>,
    pub(super) values: KeyValues,
    pub(super) steps: Vec<Step>,
}

/// What undoes one change.
pub(super) enum Undo {
    /// The row was this, or was not there.
    Row { entry: u32, row: Option<Packed>, since: Moment },
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
    /// No rows.
    pub(super) fn new(table: &Table) -> BulkTable {
        BulkTable {
            layout: Layout::of(table),
            index: HashTable::new(),
            hasher: DefaultHashBuilder::default(),
            entries: Entries::default(),
            removals: Removals::default(),
            bytes: 0,
            left: 0,
        }
    }

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
    pub(super) fn row_of(&self, entry: u32) -> Option<&Packed> {
        match &self.entries.get(entry as usize)?.content {
            Content::Row(row) => Some(row),
            Content::Open(_) => None,
        }
    }

    /// The row as it stands.
    pub(super) fn row(&self, key: &[u8]) -> Option<Row> {
        self.standing(self.find(key)?).map(View::unpack)
    }

    /// The rows that are wanted, as they stand, in key order.
    pub(super) fn rows_where(&self, wanted: impl Fn(&Row) -> bool) -> Vec<Row> {
        let standing = |number: usize| Some((self.entries[number].content.key(), self.standing(number)?.unpack()));
        let mut rows: Vec<_> = (0..self.entries.len()).filter_map(standing).filter(|(_, row)| wanted(row)).collect();
        rows.sort_unstable_by_key(|(key, _)| *key);
        rows.into_iter().map(|(_, row)| row).collect()
    }

    /// What is known of a key.
    pub(super) fn content(&self, key: &[u8]) -> Content {
        match self.find(key).map(|entry| (entry, &self.entries[entry].content)) {
            Some((entry, Content::Row(_))) if self.standing(entry).is_none() => Content::Row(Packed::vacant(key)),
            Some((_, content)) => content.clone(),
            None => Content::Row(Packed::vacant(key)),
        }
    }

    /// A row, for messages; nothing where there is none.
    pub(super) fn shown(&self, row: &Packed) -> Option<Row> {
        self.layout.view(row).map(View::unpack)
    }

    /// Replaces a row whole, or deletes it.
    pub(super) fn put(&mut self, key: &[u8], row: Option<&TakenRow<'_>>) -> Undo {
        let new = row.map_or_else(|| Packed::vacant(key), |values| self.layout.pack(key, values));
        let now = self.removals.now();
        let mut new = Some(new);
        let number = self.entry(key, || Content::Row(new.take().expect("asked once")));
        let entry = number as u32;
        let Some(new) = new else { return Undo::Row { entry, row: None, since: now } };
        let old = self.replace(number, new);
        let since = std::mem::replace(&mut self.entries[number].since, now);
        Undo::Row { entry, row: old.stands().then_some(old), since }
    }

    /// Applies a step to a row.
    pub(super) fn step(
        &mut self,
        (table, key): (&Table, &[u8]),
        values: impl FnOnce() -> KeyValues,
        step: &Step,
        note: &mut impl FnMut(Undo),
    ) -> Result<(), Refusal> {
        let number = self.entry(key, || Content::Row(Packed::vacant(key)));
        self.take_removed(number, note);
        let Entry { content, since } = &mut self.entries[number];
        let entry = number as u32;
        let Content::Row(row) = content else { unreachable!("open rows are not stepped") };
        let before = row.heap_bytes();
        let mut place = PackedPlace { layout: &self.layout, row };
        let applied = if place.stands() {
            let cell = |column: u16| Undo::Cell { entry, column, value: place.cell(column).into() };
            step.each_column(|column| note(cell(column)));
            step.apply(table, &[], &mut place)
        } else {
            note(Undo::Row { entry, row: None, since: *since });
            step.apply(table, &values(), &mut place)
        };
        self.bytes = self.bytes + place.row.heap_bytes() - before;
        applied.map(drop)
    }

    /// Adds a step to a row that other shards change too.
    pub(super) fn open(&mut self, key: &[u8], values: impl FnOnce() -> KeyValues, step: Step) -> Undo {
        let new = || OpenRow { key: key.into(), values: values(), steps: Vec::new() };
        let number = self.entry(key, || Content::Open(Box::new(new())));
        let Content::Open(open) = &mut self.entries[number].content else {
            unreachable!("rows of this table are open")
        };
        let steps = &mut open.steps;
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
                let number = entry as usize;
                let row = row.unwrap_or_else(|| Packed::vacant(self.entries[number].content.key()));
                self.replace(number, row);
                self.entries[number].since = since;
            }
            Undo::Cell { entry, column, value } => {
                if let Content::Row(row) = &mut self.entries[entry as usize].content
                    && row.stands()
                {
                    let before = row.heap_bytes();
                    self.layout.set(row, column, &value);
                    self.bytes = self.bytes + row.heap_bytes() - before;
                }
            }
            Undo::Since { entry, since } => self.entries[entry as usize].since = since,
            Undo::Step { entry, place, step } => {
                let Content::Open(open) = &mut self.entries[entry as usize].content else { return };
                let steps = &mut open.steps;
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
        let key = self.entries[undo.entry()?].content.key();
        Some((key, self.content(key)))
    }

    /// A row as it was before `undos`, which are in the order of the changes.
    pub(super) fn original<'u>(&self, key: &[u8], undos: impl DoubleEndedIterator<Item = &'u Undo>) -> Content {
        let Some(number) = self.find(key) else { return Content::Row(Packed::vacant(key)) };
        let mut content = self.entries[number].content.clone();
        for undo in undos.rev().filter(|undo| undo.entry() == Some(number)) {
            match (undo, &mut content) {
                (Undo::Row { row, .. }, Content::Row(now)) => {
                    *now = row.clone().unwrap_or_else(|| Packed::vacant(key));
                }
                (Undo::Cell { column, value, .. }, Content::Row(row)) if row.stands() => {
                    self.layout.set(row, *column, value);
                }
                (Undo::Step { place, step: Some(step), .. }, Content::Open(open)) => open.steps[*place] = step.clone(),
                (Undo::Step { place, step: None, .. }, Content::Open(open)) => open.steps.truncate(*place),
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
        self.entries.retain(|entry| !entry.content.is_vacant());
        let entries = self.entries;
        let key = |number: u32| entries[number as usize].content.key();
        // Most comparisons are decided by the first bytes, which are kept beside the number.
        let mut order: Vec<(u128, u32)> =
            (0..entries.len() as u32).map(|number| (first_bytes(key(number)), number)).collect();
        order.sort_unstable_by(|a, b| a.0.cmp(&b.0).then_with(|| key(a.1).cmp(key(b.1))));
        let order: Vec<u32> = order.into_iter().map(|(_, number)| number).collect();
        Sorted { entries, order: order.into_iter() }
    }

    fn take_all_removed(&mut self) {
        let removals = std::mem::take(&mut self.removals);
        let now = removals.now();
        for entry in self.entries.iter_mut() {
            if let Content::Row(row) = &mut entry.content
                && self.layout.view(row).is_some_and(|row| removals.took(&row, entry.since, now))
            {
                let vacant = Packed::vacant(row.key());
                self.bytes -= row.heap_bytes() - vacant.heap_bytes();
                *row = vacant;
            }
            entry.since = 0;
        }
    }

    /// Entries change their numbers.
    fn let_go_of_vacant(&mut self) {
        let bytes = &mut self.bytes;
        let before = self.entries.len();
        self.entries.retain(|entry| {
            let vacant = entry.content.is_vacant();
            if vacant {
                *bytes -= entry.bytes();
            }
            !vacant
        });
        if self.entries.len() < before {
            self.index.clear();
            self.index.shrink_to(2 * self.entries.len(), Indexed::spread);
            for (number, entry) in self.entries.iter().enumerate() {
                let indexed = Indexed { hash: hash(&self.hasher, entry.content.key()), entry: number as u32 };
                self.index.insert_unique(indexed.spread(), indexed, Indexed::spread);
            }
        }
    }

    /// The row of an entry, unless a removal took it.
    fn standing(&self, entry: usize) -> Option<View<'_>> {
        let Entry { content, since } = &self.entries[entry];
        let Content::Row(row) = content else { return None };
        self.layout.view(row).filter(|row| !self.removals.took(row, *since, self.removals.now()))
    }

    fn take_removed(&mut self, number: usize, note: &mut impl FnMut(Undo)) {
        let now = self.removals.now();
        let since = std::mem::replace(&mut self.entries[number].since, now);
        if since == now {
            return;
        }
        let entry = number as u32;
        let Content::Row(row) = &self.entries[number].content else { return };
        if self.layout.view(row).is_some_and(|row| self.removals.took(&row, since, now)) {
            let row = Some(self.replace(number, Packed::vacant(row.key())));
            note(Undo::Row { entry, row, since });
        } else {
            note(Undo::Since { entry, since });
        }
    }

    /// Puts a row where another one was, or none.
    fn replace(&mut self, number: usize, new: Packed) -> Packed {
        let Content::Row(row) = &mut self.entries[number].content else { unreachable!("open rows are not replaced") };
        self.bytes = self.bytes + new.heap_bytes() - row.heap_bytes();
        std::mem::replace(row, new)
    }

    fn find(&self, key: &[u8]) -> Option<usize> {
        let hash = hash(&self.hasher, key);
        let same =
            |indexed: &Indexed| indexed.hash == hash && self.entries[indexed.entry as usize].content.key() == key;
        self.index.find(spread(hash), same).map(|indexed| indexed.entry as usize)
    }

    fn entry(&mut self, key: &[u8], new: impl FnOnce() -> Content) -> usize {
        let Self { index, hasher, entries, .. } = self;
        let hash = hash(hasher, key);
        let same = |indexed: &Indexed| indexed.hash == hash && entries[indexed.entry as usize].content.key() == key;
        match index.entry(spread(hash), same, Indexed::spread) {
            Slot::Occupied(slot) => slot.get().entry as usize,
            Slot::Vacant(slot) => {
                let number = entries.len();
                let entry = u32::try_from(number).expect("memory ends long before 4 billion rows");
                slot.insert(Indexed { hash, entry });
                entries.push(Entry { content: new(), since: self.removals.now() });
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

impl Content {
    /// The encoding of the row's key.
    pub(super) fn key(&self) -> &[u8] {
        match self {
            Content::Row(row) => row.key(),
            Content::Open(open) => &open.key,
        }
    }

    /// Whether there is nothing to be known of the row that a key without an entry would not say too.
    fn is_vacant(&self) -> bool {
        match self {
            Content::Row(row) => !row.stands(),
            Content::Open(open) => open.steps.is_empty(),
        }
    }
}

impl Entry {
    /// About how many bytes it takes, its row included, without steps.
    fn bytes(&self) -> usize {
        let outside = match &self.content {
            Content::Row(row) => row.heap_bytes(),
            Content::Open(open) => OPEN_BYTES + open.key.len(),
        };
        ENTRY_BYTES + outside
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
    pub(super) fn to_come(&self) -> impl Iterator<Item = &Content> {
        self.order.as_slice().iter().map(|number| &self.entries[*number as usize].content)
    }

    pub(super) fn next(&mut self) -> Option<Content> {
        let entry = &mut self.entries[self.order.next()? as usize];
        Some(std::mem::replace(&mut entry.content, Content::Row(Packed::default())))
    }
}

fn first_bytes(key: &[u8]) -> u128 {
    let mut first = [0; 16];
    let length = key.len().min(16);
    first[..length].copy_from_slice(&key[..length]);
    u128::from_be_bytes(first)
}
