//! Tables in memory: the read model of tests, of the SDK's test kit, and the model that the real ones are compared with.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use reel_events::{EventBatch, Place};

use crate::change::{KeyValues, Row, TableWrites, Writes};
use crate::failure::Failure;
use crate::fold::{Base, Bases, Fold, Writers};
use crate::key::{encode_value, encoded};
use crate::manifest::{Manifest, Table};
use crate::ports::{Checkpoint, Commit, CommitError, DeadLetter, Plugin, ReadModel, ReadModelError};
use crate::shard::fold_pieces;

/// The rows of all tables of a projection, each table in key order.
#[derive(Debug, Clone, PartialEq)]
pub struct MemoryTables {
    manifest: Arc<Manifest>,
    tables: Vec<BTreeMap<Vec<u8>, Row>>,
}

impl MemoryTables {
    /// Empty tables.
    #[must_use]
    pub fn new(manifest: Arc<Manifest>) -> MemoryTables {
        let tables = vec![BTreeMap::new(); manifest.tables.len()];
        MemoryTables { manifest, tables }
    }

    /// The manifest they were made for.
    #[must_use]
    pub fn manifest(&self) -> &Arc<Manifest> {
        &self.manifest
    }

    /// The rows of table number `table`, in key order.
    pub fn rows(&self, table: usize) -> impl ExactSizeIterator<Item = &Row> {
        self.tables[table].values()
    }

    /// Runs events through a plugin, exactly as a host does, and applies what comes out. `pieces` are calls, one after the other,
    /// in one batch.
    ///
    /// # Errors
    /// The first failure; the tables are as before then.
    pub fn project(
        &mut self,
        plugin: &mut dyn Plugin,
        batch: &EventBatch,
        pieces: &[Range<usize>],
    ) -> Result<(), Failure> {
        let fold = Fold::new(Arc::clone(&self.manifest), Writers::One);
        let folded = fold_pieces(fold, plugin, self, (batch, pieces)).map_err(|fault| fault.into_failure(batch))?;
        self.write(&folded.writes).map_err(|error| Failure::general("refused", error.to_string()))
    }

    /// Writes all, or nothing where a merge is refused.
    pub(crate) fn write(&mut self, writes: &Writes) -> Result<(), CommitError> {
        let manifest = Arc::clone(&self.manifest);
        let tables = || self.tables.iter().zip(&manifest.tables).zip(&writes.tables);
        let merged =
            tables().map(|((rows, table), writes)| merge(rows, table, writes)).collect::<Result<Vec<_>, _>>()?;
        for (((rows, table), writes), merged) in
            self.tables.iter_mut().zip(&manifest.tables).zip(&writes.tables).zip(merged)
        {
            write_table(rows, table, writes);
            rows.extend(merged);
        }
        Ok(())
    }
}

/// What the merges of a table come to.
fn merge(
    rows: &BTreeMap<Vec<u8>, Row>,
    table: &Table,
    writes: &TableWrites,
) -> Result<Vec<(Vec<u8>, Row)>, CommitError> {
    let merges = writes.merges.iter().map(|merge| {
        let key = encoded(&merge.key);
        let row = merge.resolve(table, rows.get(&key).cloned())?;
        Ok((key, row))
    });
    merges.collect()
}

fn write_table(rows: &mut BTreeMap<Vec<u8>, Row>, table: &Table, writes: &TableWrites) {
    for filter in &writes.delete_where {
        rows.retain(|_, row| !filter.equal.iter().all(|(column, value)| row[usize::from(*column)] == *value));
    }
    for key in &writes.deletes {
        rows.remove(&encoded(key));
    }
    for row in &writes.upserts {
        let mut key = Vec::new();
        table.key.iter().for_each(|column| encode_value(&row[usize::from(*column)], &mut key));
        rows.insert(key, row.clone());
    }
}

impl Bases for MemoryTables {
    fn take(&mut self, table: u16, key: &[u8]) -> Option<Base> {
        let row = self.tables[usize::from(table)].get(key);
        Some(row.map_or(Base::Absent, |row| Base::Row(row.clone())))
    }

    fn read(&mut self, table: u16, keys: &[KeyValues]) -> Result<Vec<Option<Row>>, ReadModelError> {
        Ok(keys.iter().map(|key| self.tables[usize::from(table)].get(&encoded(key)).cloned()).collect())
    }
}

/// A read model of one shard that keeps everything in memory.
#[derive(Debug)]
pub struct MemoryReadModel {
    state: Mutex<MemoryState>,
}

/// What a [`MemoryReadModel`] holds.
#[derive(Debug, Clone)]
pub struct MemoryState {
    /// The rows.
    pub tables: MemoryTables,
    /// The one shard's checkpoint.
    pub checkpoint: Checkpoint,
    /// Dead letters, in order of position.
    pub dead_letters: BTreeMap<Place, DeadLetter>,
}

impl MemoryReadModel {
    /// Empty tables, at `checkpoint`.
    #[must_use]
    pub fn new(manifest: Arc<Manifest>, checkpoint: Checkpoint) -> MemoryReadModel {
        let state = MemoryState { tables: MemoryTables::new(manifest), checkpoint, dead_letters: BTreeMap::new() };
        MemoryReadModel { state: Mutex::new(state) }
    }

    /// All it holds now.
    #[must_use]
    pub fn state(&self) -> MemoryState {
        self.locked().clone()
    }

    fn locked(&self) -> std::sync::MutexGuard<'_, MemoryState> {
        self.state.lock().expect("nobody panics while holding it")
    }
}

#[async_trait]
impl ReadModel for MemoryReadModel {
    async fn checkpoint(&self, shard: u32) -> Result<Option<Checkpoint>, ReadModelError> {
        Ok((shard == 0).then(|| self.locked().checkpoint))
    }

    async fn read(&self, table: u16, keys: &[KeyValues]) -> Result<Vec<Option<Row>>, ReadModelError> {
        self.locked().tables.read(table, keys)
    }

    async fn commit(&self, commit: Commit<'_>) -> Result<(), CommitError> {
        let mut state = self.locked();
        if state.checkpoint != commit.from {
            let (shard, expected) = (commit.shard, commit.from.point.position);
            return Err(CommitError::Superseded { shard, expected, found: Some(state.checkpoint) });
        }
        if !commit.settled.iter().all(|position| state.dead_letters.contains_key(position)) {
            let (shard, expected) = (commit.shard, commit.from.point.position);
            return Err(CommitError::Superseded { shard, expected, found: Some(state.checkpoint) });
        }
        state.tables.write(commit.writes)?;
        state.dead_letters.extend(commit.dead_letters.iter().map(|letter| (letter.position, letter.clone())));
        for position in commit.settled {
            state.dead_letters.remove(position);
        }
        state.checkpoint.point = commit.to;
        Ok(())
    }
}
