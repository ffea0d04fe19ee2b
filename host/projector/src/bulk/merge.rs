//! The end of a build: the rows of all its shards as one sequence in key order, for each table.

use std::sync::Arc;

use super::table::{Content, Sorted};
use super::tables::FoldedShard;
use crate::change::{Merge, Refusal, Row};
use crate::manifest::{Manifest, Table};

/// The rows of one table, from all shards. Takes them out as it goes.
pub struct MergedTable {
    manifest: Arc<Manifest>,
    table: usize,
    shards: Vec<Sorted>,
}

/// The tables of a build in the manifest's order, out of its shards.
#[must_use]
pub fn merge(manifest: &Arc<Manifest>, shards: Vec<FoldedShard>) -> Vec<MergedTable> {
    let table = |table| MergedTable { manifest: Arc::clone(manifest), table, shards: Vec::new() };
    let mut tables: Vec<_> = (0..manifest.tables.len()).map(table).collect();
    for shard in shards {
        for (table, sorted) in tables.iter_mut().zip(shard.tables) {
            table.shards.push(sorted);
        }
    }
    tables
}

impl MergedTable {
    /// How many rows there are to come; a row that several shards changed counts for each.
    #[must_use]
    pub fn remaining(&self) -> usize {
        self.shards.iter().map(Sorted::len).sum()
    }

    /// The next rows, at most `most`; none behind the last.
    ///
    /// # Errors
    /// Where what several shards did to one row together leaves a column's range. Which event it was shows when one shard alone folds
    /// all of them.
    pub fn next(&mut self, most: usize) -> Result<Vec<Row>, Refusal> {
        let manifest = Arc::clone(&self.manifest);
        let mut rows = Vec::with_capacity(most.min(self.remaining()));
        while rows.len() < most
            && let Some(row) = self.row(&manifest.tables[self.table])?
        {
            rows.push(row);
        }
        Ok(rows)
    }

    fn row(&mut self, table: &Table) -> Result<Option<Row>, Refusal> {
        let keys = self.shards.iter().enumerate().filter_map(|(number, shard)| Some((shard.first_key()?, number)));
        let Some(first) = keys.min().map(|(_, number)| number) else { return Ok(None) };
        let key: Box<[u8]> = self.shards[first].first_key().expect("it was the first").into();
        match self.shards[first].next().expect("it has a key") {
            Content::Row(row) => Ok(row),
            Content::Open(values, mut steps) => {
                for shard in &mut self.shards[first + 1..] {
                    if shard.first_key() == Some(&key)
                        && let Some(Content::Open(_, mut more)) = shard.next()
                    {
                        steps.append(&mut more);
                    }
                }
                Merge { key: values, steps }.resolve(table, None).map(Some)
            }
        }
    }
}
