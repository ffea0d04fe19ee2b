//! The end of a build: the rows of all its shards, and of all passes over history, as one sequence in key order, for each table.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;
use std::io::{self, Read, Write};
use std::sync::Arc;

use super::packed::{Layout, View};
use super::stored;
use super::table::{Content, OpenRow, Sorted};
use super::tables::FoldedShard;
use crate::change::{Merge, Refusal, Row};
use crate::manifest::Manifest;
use crate::step::stay_in_range;

/// The rows of one table, from all shards. Takes them out as it goes.
pub struct MergedTable {
    manifest: Arc<Manifest>,
    table: usize,
    layout: Layout,
    runs: Vec<Run>,
    /// The first row of each run.
    heads: BinaryHeap<Reverse<Head>>,
    begun: bool,
    remaining: usize,
}

/// Rows in key order.
enum Run {
    Sorted(Sorted),
    Stored(StoredRun),
}

/// Rows of one table in key order, as [`MergedTable::store`] wrote them.
pub struct StoredRun {
    from: Box<dyn Read + Send>,
    rows: usize,
    record: Vec<u8>,
}

/// Why the next rows of a merge do not come.
#[derive(Debug, thiserror::Error)]
pub enum MergeError {
    /// What several shards did to one row together leaves a column's range, or may have left it on the way. Whether it did, and which
    /// event it was, shows when one shard alone folds all of them.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Rows that were stored do not come back.
    #[error("rows that were put aside cannot be read")]
    Unread(#[from] io::Error),
}

/// The first row of a run; ordered by its key, then by the run.
struct Head {
    content: Content,
    run: usize,
}

/// The tables of a build in the manifest's order, out of its shards.
#[must_use]
pub fn merge(manifest: &Arc<Manifest>, shards: Vec<FoldedShard>) -> Vec<MergedTable> {
    let table = |table| MergedTable {
        manifest: Arc::clone(manifest),
        table,
        layout: Layout::of(&manifest.tables[table]),
        runs: Vec::new(),
        heads: BinaryHeap::new(),
        begun: false,
        remaining: 0,
    };
    let mut tables: Vec<_> = (0..manifest.tables.len()).map(table).collect();
    for shard in shards {
        for (merged, table) in tables.iter_mut().zip(shard.tables) {
            merged.remaining += table.remaining();
            merged.runs.push(Run::Sorted(table));
        }
    }
    tables
}

impl StoredRun {
    /// So many rows, to be read from the beginning of `from`.
    #[must_use]
    pub fn new(from: Box<dyn Read + Send>, rows: usize) -> StoredRun {
        StoredRun { from, rows, record: Vec::new() }
    }
}

impl MergedTable {
    /// Adds what an earlier pass over history left. Before the first row is taken.
    pub fn add(&mut self, run: StoredRun) {
        self.remaining += run.rows;
        self.runs.push(Run::Stored(run));
    }

    /// How many rows there are to come; a row that several shards or passes changed counts for each.
    #[must_use]
    pub fn remaining(&self) -> usize {
        self.remaining
    }

    /// The next rows, at most `most`; none behind the last.
    ///
    /// # Errors
    /// See [`MergeError`].
    pub fn next(&mut self, most: usize) -> Result<Vec<Row>, MergeError> {
        self.begin()?;
        let mut rows = Vec::with_capacity(most.min(self.remaining));
        while rows.len() < most
            && let Some(content) = self.content()?
        {
            let table = &self.manifest.tables[self.table];
            match content {
                Content::Row(row) => rows.extend(self.layout.view(&row).map(View::unpack)),
                Content::Open(open) => {
                    stay_in_range(table, &open.steps)?;
                    let OpenRow { values: key, steps, .. } = *open;
                    rows.push(Merge { key, steps }.resolve(table, None)?);
                }
            }
        }
        Ok(rows)
    }

    /// Writes all rows, for [`StoredRun`] to read; how many there are.
    ///
    /// # Errors
    /// Where they cannot be written, or what was stored before cannot be read.
    pub fn store(mut self, into: &mut impl Write) -> io::Result<usize> {
        self.begin()?;
        stored::write_all(|| self.content(), into)
    }

    fn begin(&mut self) -> io::Result<()> {
        if std::mem::replace(&mut self.begun, true) {
            return Ok(());
        }
        for (number, run) in self.runs.iter_mut().enumerate() {
            if let Some(content) = run.next(&self.layout)? {
                self.heads.push(Reverse(Head { content, run: number }));
            }
        }
        Ok(())
    }

    /// The next row, or all that was done to it.
    fn content(&mut self) -> io::Result<Option<Content>> {
        let Some(mut content) = self.first()? else { return Ok(None) };
        if let Content::Open(open) = &mut content {
            while self.heads.peek().is_some_and(|Reverse(head)| *head.content.key() == *open.key)
                && let Some(Content::Open(mut more)) = self.first()?
            {
                open.steps.append(&mut more.steps);
            }
        }
        Ok(Some(content))
    }

    fn first(&mut self) -> io::Result<Option<Content>> {
        let Some(mut first) = self.heads.peek_mut() else { return Ok(None) };
        let run = first.0.run;
        let Reverse(Head { content, .. }) = match self.runs[run].next(&self.layout)? {
            Some(content) => std::mem::replace(&mut *first, Reverse(Head { content, run })),
            None => PeekMut::pop(first),
        };
        self.remaining -= 1;
        Ok(Some(content))
    }
}

impl Run {
    fn next(&mut self, layout: &Layout) -> io::Result<Option<Content>> {
        match self {
            Run::Sorted(sorted) => Ok(sorted.next()),
            Run::Stored(StoredRun { from, record, .. }) => stored::read(from, layout, record),
        }
    }
}

impl PartialEq for Head {
    fn eq(&self, other: &Head) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Head {}

impl PartialOrd for Head {
    fn partial_cmp(&self, other: &Head) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Head {
    fn cmp(&self, other: &Head) -> std::cmp::Ordering {
        self.content.key().cmp(other.content.key()).then(self.run.cmp(&other.run))
    }
}
