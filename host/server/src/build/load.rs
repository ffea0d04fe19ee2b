//! The second half of a build: rows in key order into the read database, all tables at the same time, then one step to `catch-up`.

use std::sync::atomic::{AtomicUsize, Ordering};

use futures::future::try_join_all;
use reel_projector::bulk::merge;
use reel_projector::change::Refusal;
use reel_projector::ports::CommitError;
use reel_projector::{MergedTable, Phase, Progress, ReadModelError, chain};
use reel_read_model::{BulkLoad, CatalogError, Loaded};

use super::{Build, Folded};

/// Rows that are handed over at once.
const ROWS: usize = 5_000;

/// Why the rows were not loaded, by what to do next.
pub(super) enum NotLoaded {
    /// What several workers did to one row is refused.
    Together(Refusal),
    /// The database refused.
    Refused(String),
    /// It may pass, or another host took over.
    Passing(String),
}

/// Loads what was folded.
pub(super) async fn load(build: &Build, folded: Folded) -> Result<(), NotLoaded> {
    let tables = merge(&build.generation.manifest, folded.shards);
    build.progress.to_load(tables.iter().map(MergedTable::remaining).sum::<usize>() as u64);
    build.progress.enter(Phase::Loading);
    let load = build.target.bulk_load(&build.generation, build.checkpoint.epoch).await?;
    let unfinished = AtomicUsize::new(tables.len());
    let filling = tables.into_iter().enumerate().map(|(number, rows)| {
        let filling = Filling { load: load.as_ref(), progress: &build.progress, unfinished: &unfinished };
        async move { filling.table(number as u16, rows).await }
    });
    try_join_all(filling).await?;
    let loaded = Loaded {
        through: folded.through,
        layout: build.checkpoint.layout,
        shards: build.generation.shards,
        dead_letters: &folded.aside,
    };
    load.finish(loaded).await?;
    Ok(())
}

struct Filling<'a> {
    load: &'a dyn BulkLoad,
    progress: &'a Progress,
    /// Tables whose rows are not all handed over.
    unfinished: &'a AtomicUsize,
}

impl Filling<'_> {
    async fn table(&self, number: u16, mut rows: MergedTable) -> Result<(), NotLoaded> {
        loop {
            let some = rows.next(ROWS).map_err(NotLoaded::Together)?;
            if some.is_empty() {
                break;
            }
            self.load.rows(number, &some).await?;
            self.progress.loaded(some.len() as u64);
        }
        if self.unfinished.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.progress.enter(Phase::Indexing);
        }
        Ok(self.load.index(number).await?)
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
