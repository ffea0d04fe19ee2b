//! A read model that holds rows in memory and costs next to nothing: the pipeline without a database.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use reel_projector::key::encode_key;
use reel_projector::ports::{Commit, CommitError};
use reel_projector::{
    Checkpoint, KeyValues, Manifest, ReadModel, ReadModelError, Row, RowFilter, Table, TableWrites, Value,
};

/// Rows of all tables of a projection with owned tables.
pub(crate) struct Held {
    manifest: Arc<Manifest>,
    state: Mutex<State>,
}

struct State {
    checkpoint: Checkpoint,
    tables: Vec<BTreeMap<Vec<u8>, Row>>,
}

impl Held {
    pub(crate) fn new(manifest: Arc<Manifest>, checkpoint: Checkpoint) -> Held {
        let tables = manifest.tables.iter().map(|_| BTreeMap::new()).collect();
        Held { manifest, state: Mutex::new(State { checkpoint, tables }) }
    }

    fn locked(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nobody panics while holding it")
    }
}

#[async_trait]
impl ReadModel for Held {
    async fn checkpoint(&self, shard: u32) -> Result<Option<Checkpoint>, ReadModelError> {
        Ok((shard == 0).then(|| self.locked().checkpoint))
    }

    async fn read(&self, table: u16, keys: &[KeyValues]) -> Result<Vec<Option<Row>>, ReadModelError> {
        let state = self.locked();
        let rows = &state.tables[usize::from(table)];
        Ok(keys.iter().map(|key| rows.get(&encoded(key)).cloned()).collect())
    }

    async fn commit(&self, commit: Commit<'_>) -> Result<(), CommitError> {
        let state = &mut *self.locked();
        if state.checkpoint != commit.from {
            let (shard, expected) = (commit.shard, commit.from.point.position);
            return Err(CommitError::Superseded { shard, expected, found: Some(state.checkpoint) });
        }
        for ((rows, table), writes) in state.tables.iter_mut().zip(&self.manifest.tables).zip(&commit.writes.tables) {
            write(rows, table, writes);
        }
        state.checkpoint.point = commit.to;
        Ok(())
    }
}

fn write(rows: &mut BTreeMap<Vec<u8>, Row>, table: &Table, writes: &TableWrites) {
    assert!(writes.merges.is_empty(), "only owned tables are measured here");
    for filter in &writes.delete_where {
        delete_where(rows, table, filter);
    }
    for key in &writes.deletes {
        rows.remove(&encoded(key));
    }
    for row in &writes.upserts {
        let key: Vec<Value> = table.key.iter().map(|column| row[usize::from(*column)].clone()).collect();
        rows.insert(encoded(&key), row.clone());
    }
}

/// Along the key where it leads with the filter's columns, as a database would.
fn delete_where(rows: &mut BTreeMap<Vec<u8>, Row>, table: &Table, filter: &RowFilter) {
    let leading: Option<Vec<Value>> = table.key[..filter.equal.len().min(table.key.len())]
        .iter()
        .map(|column| filter.equal.iter().find(|(named, _)| named == column).map(|(_, value)| value.clone()))
        .collect();
    match leading {
        Some(values) if values.len() == filter.equal.len() => {
            let start = encoded(&values);
            let gone: Vec<Vec<u8>> = rows
                .range(start.clone()..)
                .map(|(key, _)| key)
                .take_while(|key| key.starts_with(&start))
                .cloned()
                .collect();
            for key in gone {
                rows.remove(&key);
            }
        }
        _ => rows.retain(|_, row| !filter.equal.iter().all(|(column, value)| row[usize::from(*column)] == *value)),
    }
}

fn encoded(key: &[Value]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(80);
    encode_key(key, &mut bytes);
    bytes
}
