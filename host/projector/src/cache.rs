//! Rows that a shard knows: it alone writes them, so what it wrote last is what stands in the database. Bounded; what is evicted is
//! read again.

use hashbrown::HashMap;

use crate::change::{Row, Writes};
use crate::fold::{Base, Known};
use crate::manifest::Manifest;
use crate::removals::{Moment, Removals};
use crate::value::Value;

/// How many removals are kept before all rows are checked against them at once.
const MOST_REMOVALS: Moment = 20_000;

/// Rows at hand, by table and key. Two halves: rows that were touched lately, and those before them; when the first half is full,
/// the second is dropped and the first takes its place.
#[derive(Debug)]
pub(crate) struct RowCache {
    tables: Vec<TableCache>,
    budget: usize,
    recent_bytes: usize,
    coverage: Coverage,
}

/// What it means that a row is not at hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Coverage {
    /// There is no such row: the shard began with empty tables, and every row it made is here.
    Complete,
    /// Nothing.
    Partial,
}

#[derive(Debug, Default)]
struct TableCache {
    recent: HashMap<Box<[u8]>, Cached>,
    older: HashMap<Box<[u8]>, Cached>,
    removals: Removals,
}

#[derive(Debug)]
struct Cached {
    row: Row,
    since: Moment,
}

impl RowCache {
    /// At most about `budget` bytes.
    pub(crate) fn new(manifest: &Manifest, budget: usize, coverage: Coverage) -> RowCache {
        let tables = manifest.tables.iter().map(|_| TableCache::default()).collect();
        RowCache { tables, budget, recent_bytes: 0, coverage }
    }

    /// Takes a row out.
    pub(crate) fn take(&mut self, table: u16, key: &[u8]) -> Option<Base> {
        let cache = &mut self.tables[usize::from(table)];
        let found = cache.recent.remove(key).or_else(|| cache.older.remove(key));
        match found {
            Some(cached) if cache.removals.took(&cached.row, cached.since, cache.removals.now()) => Some(Base::Absent),
            Some(cached) => Some(Base::Row(cached.row)),
            None if self.coverage == Coverage::Complete => Some(Base::Absent),
            None => None,
        }
    }

    /// Forgets everything: somebody else may have written, or rows that were taken out did not come back.
    pub(crate) fn clear(&mut self) {
        for table in &mut self.tables {
            *table = TableCache::default();
        }
        self.recent_bytes = 0;
        self.coverage = Coverage::Partial;
    }

    /// What is on its way into the database is not at hand until it is there.
    pub(crate) fn hand_over(&mut self, writes: &Writes, known: &Known) {
        for (cache, (writes, written)) in self.tables.iter_mut().zip(writes.tables.iter().zip(&known.written)) {
            written.iter().for_each(|key| cache.forget(key));
            for filter in &writes.delete_where {
                cache.removals.add(filter.clone());
            }
            if cache.removals.now() > MOST_REMOVALS {
                cache.sweep();
            }
        }
        for (table, key) in &known.deleted {
            self.tables[usize::from(*table)].forget(key);
        }
        for (table, key, _) in &known.untouched {
            self.tables[usize::from(*table)].forget(key);
        }
    }

    /// Takes in what was committed. Rows that the read model merges are not among it: others write them too.
    pub(crate) fn keep(&mut self, writes: Writes, known: Known) {
        for (index, (writes, written)) in writes.tables.into_iter().zip(known.written).enumerate() {
            for (row, key) in writes.upserts.into_iter().zip(written) {
                self.insert(index as u16, key, row);
            }
        }
        for (table, key, row) in known.untouched {
            self.insert(table, key, row);
        }
    }

    fn insert(&mut self, table: u16, key: Vec<u8>, row: Row) {
        self.recent_bytes += size_of(&row) + 2 * key.len();
        let cache = &mut self.tables[usize::from(table)];
        let since = cache.removals.now();
        cache.recent.insert(key.into(), Cached { row, since });
        if self.recent_bytes > self.budget / 2 {
            self.age();
        }
    }

    fn age(&mut self) {
        self.recent_bytes = 0;
        for table in &mut self.tables {
            if !table.older.is_empty() {
                self.coverage = Coverage::Partial;
            }
            table.older = std::mem::take(&mut table.recent);
        }
    }
}

impl TableCache {
    fn forget(&mut self, key: &[u8]) {
        if self.recent.remove(key).is_none() {
            self.older.remove(key);
        }
    }

    fn sweep(&mut self) {
        let removals = std::mem::take(&mut self.removals);
        let now = removals.now();
        for half in [&mut self.recent, &mut self.older] {
            half.retain(|_, cached| !removals.took(&cached.row, cached.since, now));
            half.values_mut().for_each(|cached| cached.since = 0);
        }
    }
}

/// About how many bytes a row takes.
fn size_of(row: &Row) -> usize {
    let heap = |value: &Value| match value {
        Value::Text(text) | Value::Json(text) => text.len(),
        Value::Bytes(bytes) => bytes.len(),
        _ => 0,
    };
    row.iter().map(|value| size_of_val(value) + heap(value)).sum::<usize>() + 64
}
