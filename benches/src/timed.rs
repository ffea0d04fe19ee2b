//! The loop's ports with a stopwatch around each: where the time of a rebuild goes, as far as it can be seen from outside.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use reel_events::EventBatch;
use reel_projector::ports::{Commit, CommitError, Delivery};
use reel_projector::{
    ApplyError, Checkpoint, KeyValues, Plugin, ReadModel, ReadModelError, Row, Sink, Source, SourceError,
};

/// Nanoseconds that were spent, by whom; and what went through.
#[derive(Debug, Default)]
pub(crate) struct Spent {
    /// The loop waited for events.
    source: AtomicU64,
    /// The projection's code, and the host's checks and fold of what it emitted.
    plugin: AtomicU64,
    /// The database, writing; meanwhile the next batch is applied.
    commit: AtomicU64,
    /// The database, looking rows up for the fold.
    read: AtomicU64,
    rows_read: AtomicU64,
    commits: AtomicU64,
}

impl Spent {
    pub(crate) fn source(&self) -> Duration {
        duration(&self.source)
    }

    pub(crate) fn plugin(&self) -> Duration {
        duration(&self.plugin)
    }

    pub(crate) fn commit(&self) -> Duration {
        duration(&self.commit)
    }

    pub(crate) fn read(&self) -> Duration {
        duration(&self.read)
    }

    /// Rows that the fold looked up in the database.
    pub(crate) fn rows_read(&self) -> u64 {
        self.rows_read.load(Ordering::Relaxed)
    }

    pub(crate) fn commits(&self) -> u64 {
        self.commits.load(Ordering::Relaxed)
    }
}

fn duration(nanoseconds: &AtomicU64) -> Duration {
    Duration::from_nanos(nanoseconds.load(Ordering::Relaxed))
}

/// Runs from when it is made until it is dropped: a call that is given up counts too.
struct Stopwatch<'a> {
    into: &'a AtomicU64,
    since: Instant,
}

impl<'a> Stopwatch<'a> {
    fn start(into: &'a AtomicU64) -> Stopwatch<'a> {
        Stopwatch { into, since: Instant::now() }
    }
}

impl Drop for Stopwatch<'_> {
    fn drop(&mut self) {
        let nanoseconds = u64::try_from(self.since.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.into.fetch_add(nanoseconds, Ordering::Relaxed);
    }
}

/// A port with a stopwatch.
pub(crate) struct Timed<P: ?Sized> {
    spent: Arc<Spent>,
    port: Box<P>,
}

impl<P: ?Sized> Timed<P> {
    pub(crate) fn new(port: Box<P>, spent: &Arc<Spent>) -> Timed<P> {
        Timed { spent: Arc::clone(spent), port }
    }
}

#[async_trait]
impl Source for Timed<dyn Source> {
    async fn next(&mut self, most: usize) -> Result<Delivery, SourceError> {
        let _watch = Stopwatch::start(&self.spent.source);
        self.port.next(most).await
    }
}

impl Plugin for Timed<dyn Plugin> {
    fn apply(&mut self, batch: &EventBatch, range: Range<usize>, sink: &mut dyn Sink) -> Result<(), ApplyError> {
        let _watch = Stopwatch::start(&self.spent.plugin);
        self.port.apply(batch, range, sink)
    }
}

/// A read model with a stopwatch.
pub(crate) struct TimedReadModel {
    spent: Arc<Spent>,
    port: Arc<dyn ReadModel>,
}

impl TimedReadModel {
    pub(crate) fn new(port: Arc<dyn ReadModel>, spent: &Arc<Spent>) -> TimedReadModel {
        TimedReadModel { spent: Arc::clone(spent), port }
    }
}

#[async_trait]
impl ReadModel for TimedReadModel {
    async fn checkpoint(&self, shard: u32) -> Result<Option<Checkpoint>, ReadModelError> {
        self.port.checkpoint(shard).await
    }

    async fn read(&self, table: u16, keys: &[KeyValues]) -> Result<Vec<Option<Row>>, ReadModelError> {
        let _watch = Stopwatch::start(&self.spent.read);
        self.spent.rows_read.fetch_add(keys.len() as u64, Ordering::Relaxed);
        self.port.read(table, keys).await
    }

    async fn commit(&self, commit: Commit<'_>) -> Result<(), CommitError> {
        let _watch = Stopwatch::start(&self.spent.commit);
        self.spent.commits.fetch_add(1, Ordering::Relaxed);
        self.port.commit(commit).await
    }
}
