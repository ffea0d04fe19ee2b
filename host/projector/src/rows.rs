//! The rows of one shard as it sees them while it works: at hand, on their way into the database, or in it.

use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use crate::cache::RowCache;
use crate::change::{KeyValues, Row, Writes};
use crate::fold::{Base, Bases, Known};
use crate::key::encoded;
use crate::manifest::Manifest;
use crate::ports::{CommitError, ReadModel, ReadModelError};

/// Rows at hand, and the commit that is under way.
pub(crate) struct ShardRows {
    pub(crate) manifest: Arc<Manifest>,
    pub(crate) read_model: Arc<dyn ReadModel>,
    pub(crate) cache: RowCache,
    pub(crate) look_up: LookUp,
    in_flight: Option<InFlight>,
    failed: Option<CommitError>,
    runtime: Handle,
}

/// Where rows are looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LookUp {
    /// At hand first.
    Cache,
    /// Always in the database: two runs of the same events then begin with the same rows.
    Database,
}

struct InFlight {
    task: JoinHandle<Result<(), CommitError>>,
    writes: Arc<Writes>,
    known: Known,
}

impl ShardRows {
    pub(crate) fn new(manifest: Arc<Manifest>, read_model: Arc<dyn ReadModel>, cache: RowCache) -> ShardRows {
        let runtime = Handle::current();
        ShardRows { manifest, read_model, cache, look_up: LookUp::Cache, in_flight: None, failed: None, runtime }
    }

    /// Whether a commit is under way, or failed without anybody having heard of it.
    pub(crate) fn is_writing(&self) -> bool {
        self.in_flight.is_some() || self.failed.is_some()
    }

    /// Notes the commit that was just begun.
    pub(crate) fn writing(&mut self, task: JoinHandle<Result<(), CommitError>>, writes: Arc<Writes>, known: Known) {
        debug_assert!(self.in_flight.is_none(), "one commit at a time");
        self.cache.hand_over(&writes, &known);
        self.in_flight = Some(InFlight { task, writes, known });
    }

    /// Waits for the commit that is under way, and takes its rows back. Cancel-safe.
    pub(crate) async fn settle(&mut self) -> Result<(), CommitError> {
        if let Some(in_flight) = &mut self.in_flight {
            let result = (&mut in_flight.task).await.expect("a commit neither panics nor is it aborted");
            let InFlight { writes, known, .. } = self.in_flight.take().expect("still there");
            match result {
                Ok(()) => {
                    let writes = Arc::try_unwrap(writes).unwrap_or_else(|shared| (*shared).clone());
                    self.cache.keep(writes, known);
                }
                Err(error) => {
                    self.cache.clear();
                    self.failed = Some(error);
                }
            }
        }
        self.failed.take().map_or(Ok(()), Err)
    }

    /// Waits for the commit under way, from a thread that may block. A failure is kept for [`ShardRows::settle`] to report.
    fn settle_blocking(&mut self) -> Result<(), ReadModelError> {
        let runtime = self.runtime.clone();
        runtime.block_on(self.settle()).map_err(|error| {
            self.failed = Some(error);
            ReadModelError::Unavailable {
                target: "(this shard)".into(),
                source: "the commit before did not succeed".into(),
            }
        })
    }
}

impl Bases for ShardRows {
    fn take(&mut self, table: u16, key: &[u8]) -> Option<Base> {
        match (self.look_up, self.cache.take(table, key)?) {
            (LookUp::Database, _) => None,
            // Rows that are being written are neither at hand nor absent.
            (LookUp::Cache, Base::Absent) if self.in_flight.is_some() => None,
            (LookUp::Cache, base) => Some(base),
        }
    }

    fn read(&mut self, table: u16, keys: &[KeyValues]) -> Result<Vec<Option<Row>>, ReadModelError> {
        self.settle_blocking()?;
        let mut rows: Vec<Option<Row>> = vec![None; keys.len()];
        let mut unread = Vec::new();
        for (place, key) in keys.iter().enumerate() {
            let at_hand = if self.look_up == LookUp::Cache { self.cache.take(table, &encoded(key)) } else { None };
            match at_hand {
                Some(Base::Row(row)) => rows[place] = Some(row),
                Some(Base::Absent) => {}
                None => unread.push(place),
            }
        }
        if !unread.is_empty() {
            let keys: Vec<KeyValues> = unread.iter().map(|place| keys[*place].clone()).collect();
            let read = self.runtime.block_on(self.read_model.read(table, &keys))?;
            for (place, row) in unread.into_iter().zip(read) {
                rows[place] = row;
            }
        }
        Ok(rows)
    }
}
