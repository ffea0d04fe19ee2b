//! The second half of a build: rows in key order into the read database, several tables at the same time, then one step to `catch-up`.

use std::cmp::Reverse;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use reel_projector::change::{Refusal, Row};
use reel_projector::ports::CommitError;
use reel_projector::{MergeError, MergedTable, Phase, Progress, ReadModelError, chain};
use reel_read_model::{BulkLoad, CatalogError, Loaded};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::{JoinError, JoinSet};

use super::thread::yielding;
use super::{Build, Folded};

/// Rows that are handed over at once.
const ROWS: usize = 5_000;
/// How many such pieces wait.
const AHEAD: usize = 2;
/// A table that takes rows keeps so many cores busy: one merges and encodes, one is the database's, which may be on the same machine.
const CORES_A_TABLE: usize = 2;

/// Why the rows were not loaded, by what to do next.
pub(super) enum NotLoaded {
    /// What several workers did to one row is refused.
    Together(Refusal),
    /// The database refused.
    Refused(String),
    /// It may pass, or another host took over.
    Passing(String),
}

/// Loads what was folded: each table by a task of its own, while a thread of its own merges the rows that come next. The largest table
/// begins, and no more of them take rows at the same time than keep all cores busy: so the longest way, from its first row to its last
/// index, is held up by nobody, and the others take theirs beside its indexes.
pub(super) async fn load(build: &Build, folded: Folded) -> Result<(), NotLoaded> {
    let Folded { tables, aside, through } = folded;
    build.progress.to_load(tables.iter().map(MergedTable::remaining).sum::<usize>() as u64);
    build.progress.enter(Phase::Loading);
    let load = Arc::new(build.target.bulk_load(&build.generation, build.checkpoint.epoch).await?);
    let turns = Arc::new(Semaphore::new((cores() / CORES_A_TABLE).max(1)));
    let unfinished = Arc::new(AtomicUsize::new(tables.len()));
    let mut filling = JoinSet::new();
    for (number, rows) in largest_first(tables) {
        let turn = Arc::clone(&turns).acquire_owned().await.expect("it is never closed");
        while let Some(filled) = filling.try_join_next() {
            done(filled)?;
        }
        let (load, progress, unfinished) = (Arc::clone(&load), Arc::clone(&build.progress), Arc::clone(&unfinished));
        let table = Filling { load, progress, unfinished };
        filling.spawn(async move { table.fill(number, rows, turn).await });
    }
    while let Some(filled) = filling.join_next().await {
        done(filled)?;
    }
    let loaded =
        Loaded { through, layout: build.checkpoint.layout, shards: build.generation.shards, dead_letters: &aside };
    let load = Arc::into_inner(load).expect("every table's task has ended");
    load.finish(loaded).await?;
    Ok(())
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

fn largest_first(tables: Vec<MergedTable>) -> impl Iterator<Item = (u16, MergedTable)> {
    let mut tables: Vec<_> = (0..).zip(tables).collect();
    tables.sort_by_key(|(_, rows)| Reverse(rows.remaining()));
    tables.into_iter()
}

fn done(filled: Result<Result<(), NotLoaded>, JoinError>) -> Result<(), NotLoaded> {
    filled.expect("a table's task does not panic, and nobody aborts it")
}

struct Filling {
    load: Arc<Box<dyn BulkLoad>>,
    progress: Arc<Progress>,
    /// Tables whose rows are not all handed over.
    unfinished: Arc<AtomicUsize>,
}

impl Filling {
    /// Fills a table. Its turn ends with the first half of its rows: whoever is next takes what it leaves of the cores from then on.
    async fn fill(self, number: u16, rows: MergedTable, turn: OwnedSemaphorePermit) -> Result<(), NotLoaded> {
        let (half, mut handed_over, mut turn) = (rows.remaining() / 2, 0, Some(turn));
        let mut pieces = merged(rows);
        while let Some(rows) = pieces.recv().await {
            let rows = rows?;
            self.load.rows(number, &rows).await?;
            self.progress.loaded(rows.len() as u64);
            handed_over += rows.len();
            if handed_over >= half {
                turn = None;
            }
        }
        drop(turn);
        if self.unfinished.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.progress.enter(Phase::Indexing);
        }
        Ok(self.load.index(number).await?)
    }
}

/// Merges rows on a thread of its own, for as long as somebody takes them.
fn merged(mut table: MergedTable) -> mpsc::Receiver<Result<Vec<Row>, MergeError>> {
    let (sender, pieces) = mpsc::channel(AHEAD);
    // It has nothing to say in the end: the pieces end.
    drop(yielding(move || {
        let mut next = || match table.next(ROWS) {
            Ok(rows) if rows.is_empty() => None,
            rows => Some(rows),
        };
        while let Some(rows) = next() {
            let failed = rows.is_err();
            if sender.blocking_send(rows).is_err() || failed {
                break;
            }
        }
    }));
    pieces
}

impl From<MergeError> for NotLoaded {
    fn from(error: MergeError) -> NotLoaded {
        match error {
            MergeError::Refused(refusal) => NotLoaded::Together(refusal),
            MergeError::Unread(_) => NotLoaded::Passing(chain(&error)),
        }
    }
}

impl From<ReadModelError> for NotLoaded {
    fn from(error: ReadModelError) -> NotLoaded {
        match error {
            ReadModelError::Unavailable { .. } => NotLoaded::Passing(chain(&error)),
            ReadModelError::Refused { .. } => NotLoaded::Refused(chain(&error)),
        }
    }
}

impl From<CommitError> for NotLoaded {
    fn from(error: CommitError) -> NotLoaded {
        match error {
            CommitError::ReadModel(error) => error.into(),
            error => NotLoaded::Passing(chain(&error)),
        }
    }
}

impl From<CatalogError> for NotLoaded {
    fn from(error: CatalogError) -> NotLoaded {
        match error {
            CatalogError::ReadModel(error) => error.into(),
            error => NotLoaded::Passing(chain(&error)),
        }
    }
}
