//! Rows that a shard knows: it alone writes them, so what it wrote last is what stands in the database. Bounded; what is evicted is
//! read again.

use hashbrown::HashMap;

use crate::change::{Row, Writes};
use crate::fold::Base;
use crate::key::encode_key;
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

    /// Takes in what was committed. Tables that the read model merges are left out: others write them too.
    pub(crate) fn keep(&mut self, manifest: &Manifest, writes: Writes, untouched: Vec<(u16, Row)>) {
        for (index, writes) in writes.tables.into_iter().enumerate() {
            let index = index as u16;
            for filter in writes.delete_where {
                self.tables[usize::from(index)].removals.add(filter);
            }
            for key in writes.deletes {
                self.forget(index, &key);
            }
            for row in writes.upserts {
                self.insert(manifest, index, row);
            }
            if self.tables[usize::from(index)].removals.now() > MOST_REMOVALS {
                self.tables[usize::from(index)].sweep();
            }
        }
        for (table, row) in untouched {
            self.insert(manifest, table, row);
        }
    }

    fn forget(&mut self, table: u16, key: &[Value]) {
        let mut bytes = Vec::with_capacity(40);
        encode_key(key, &mut bytes);
        let cache = &mut self.tables[usize::from(table)];
        cache.recent.remove(bytes.as_slice());
        cache.older.remove(bytes.as_slice());
    }

    fn insert(&mut self, manifest: &Manifest, table: u16, row: Row) {
        let meta = &manifest.tables[usize::from(table)];
        let mut bytes = Vec::with_capacity(40);
        for column in &meta.key {
            crate::key::encode_value(&row[usize::from(*column)], &mut bytes);
        }
        self.recent_bytes += size_of(&row) + 2 * bytes.len();
        let cache = &mut self.tables[usize::from(table)];
        let since = cache.removals.now();
        cache.older.remove(bytes.as_slice());
        cache.recent.insert(bytes.into(), Cached { row, since });
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
