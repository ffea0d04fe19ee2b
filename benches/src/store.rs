//! An event store that holds the social workload.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use reel_event_log::{EventStore, Limits, SqliteStore};

use crate::error::BenchError;
use crate::workload::{Size, Social};

/// Commits in one call.
const PORTION: usize = 5_000;

/// Opens the store at `path`; where it holds nothing, fills it, and says at how many events a second.
pub(crate) async fn filled(
    path: &Path,
    size: Size,
    seed: u64,
) -> Result<(Arc<dyn EventStore>, Option<f64>), BenchError> {
    let store: Arc<dyn EventStore> = Arc::new(open(path)?);
    let head = store.head().await.map_err(BenchError::doing("reading the event store"))?.position;
    if head == size.events as u64 {
        return Ok((store, None));
    }
    if head != 0 {
        let message =
            format!("{} holds {head} events, not {}: remove it, and it is filled anew", path.display(), size.events);
        return Err(BenchError::Failed(message));
    }
    let rate = fill(&*store, size, seed).await?;
    Ok((store, Some(rate)))
}

/// Opens the store at `path`.
pub(crate) fn open(path: &Path) -> Result<SqliteStore, BenchError> {
    SqliteStore::open(path, Limits::default()).map_err(BenchError::doing("opening the event store"))
}

/// Fills the store, and says at how many events a second.
pub(crate) async fn fill(store: &dyn EventStore, size: Size, seed: u64) -> Result<f64, BenchError> {
    let mut social = Social::new(size, seed);
    let began = Instant::now();
    loop {
        let commits = social.commits(PORTION);
        if commits.is_empty() {
            return Ok(size.events as f64 / began.elapsed().as_secs_f64());
        }
        for answer in store.append_all(commits).await {
            answer.map_err(BenchError::doing("filling the event store"))?;
        }
    }
}
