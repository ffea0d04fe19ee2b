//! One shard of a generation at work: applies ranges of events through the plugin, folds what comes out, and commits it with the
//! checkpoint. While one batch is being written, the next is applied.
//!
//! Which ranges, and what to do when one fails, is the loop's business (`run`).

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use reel_events::{EventBatch, LogPoint, Place, chain};
use tokio::sync::watch;

use crate::cache::{Coverage, RowCache};
use crate::change::{Change, Row};
use crate::check::{Key, check, check_read};
use crate::failure::{Fault, depends_on_batches};
use crate::fold::{Bases, Fold, Folded, Writers};
use crate::manifest::Manifest;
use crate::ports::{
    ApplyError, Checkpoint, Commit, CommitError, DeadLetter, Plugin, ReadModel, ReadModelError, Sink, SinkError,
};
use crate::progress::Progress;
use crate::rows::{LookUp, ShardRows};
use crate::run::asked;
use crate::value::ValueRef;
use crate::work::{Scrutiny, Work};

/// What a shard is made of.
pub struct ShardParts {
    /// What the projection says of itself.
    pub manifest: Arc<Manifest>,
    /// Its code.
    pub plugin: Box<dyn Plugin>,
    /// Its tables.
    pub read_model: Arc<dyn ReadModel>,
    /// Which shard.
    pub number: u32,
    /// Out of how many.
    pub shards: u32,
    /// Where it stands.
    pub checkpoint: Checkpoint,
    /// About how many bytes of rows it may keep at hand.
    pub cache_bytes: usize,
    /// Where it says how it gets on.
    pub progress: Arc<Progress>,
}

/// A shard at work.
pub(crate) struct Shard {
    pub(crate) checkpoint: Checkpoint,
    pub(crate) progress: Arc<Progress>,
    /// Where it stood before the commit under way.
    before: LogPoint,
    number: u32,
    shards: u32,
    stop: watch::Receiver<bool>,
    /// Moves into the thread that applies, and back.
    engine: Option<Engine>,
}

struct Engine {
    plugin: Box<dyn Plugin>,
    rows: ShardRows,
    writers: Writers,
}

impl Shard {
    pub(crate) fn new(parts: ShardParts, stop: watch::Receiver<bool>) -> Shard {
        let coverage = if parts.checkpoint.point == LogPoint::START { Coverage::Complete } else { Coverage::Partial };
        let cache = RowCache::new(&parts.manifest, parts.cache_bytes, coverage);
        let writers = if parts.shards == 1 { Writers::One } else { Writers::Many };
        let rows = ShardRows::new(parts.manifest, parts.read_model, cache);
        Shard {
            checkpoint: parts.checkpoint,
            progress: parts.progress,
            before: parts.checkpoint.point,
            stop,
            number: parts.number,
            shards: parts.shards,
            engine: Some(Engine { plugin: parts.plugin, rows, writers }),
        }
    }

    /// Applies a range and folds it, in a thread that may block; a commit that is under way goes on meanwhile.
    pub(crate) async fn apply(&mut self, work: &Work, scrutiny: Scrutiny) -> Result<Folded, Fault> {
        let mut engine = self.engine.take().expect("one range at a time");
        let (batch, range) = (Arc::clone(&work.batch), work.range.clone());
        let applied = tokio::task::spawn_blocking(move || {
            let result = engine.apply(&batch, range, scrutiny);
            (engine, result)
        });
        let (engine, result) = applied.await.expect("the host's own code does not panic, and nobody aborts it");
        let rows = &mut self.engine.insert(engine).rows;
        if result.is_err() {
            rows.cache.clear();
        }
        result
    }

    /// Whether a commit is under way.
    pub(crate) fn is_writing(&self) -> bool {
        self.rows_ref().is_writing()
    }

    /// Waits for the commit under way. Cancel-safe.
    pub(crate) async fn settle(&mut self) -> Result<(), Fault> {
        Ok(self.rows().settle().await?)
    }

    /// Makes sure that nobody took the shard over: its checkpoint is where this host left it. No commit may be under way.
    pub(crate) async fn confirm(&mut self) -> Result<(), Fault> {
        let (shard, expected) = (self.number, self.checkpoint.point.position);
        let read_model = Arc::clone(&self.rows().read_model);
        let found = read_model.checkpoint(shard).await?;
        if found == Some(self.checkpoint) {
            return Ok(());
        }
        Err(CommitError::Superseded { shard, expected, found }.into())
    }

    /// The last commit did not happen: the shard stands where it stood before.
    pub(crate) fn step_back(&mut self) {
        self.checkpoint.point = self.before;
    }

    /// Begins to write what a range came to. No commit may be under way.
    pub(crate) fn write(&mut self, work: &Work, folded: Folded) {
        let Folded { writes, known } = folded;
        let writes = Arc::new(writes);
        let step = OwnedCommit {
            shard: self.number,
            from: self.checkpoint,
            to: work.through,
            writes: Arc::clone(&writes),
            aside: work.aside.clone(),
            settled: work.settled.clone(),
            read_model: Arc::clone(&self.rows_ref().read_model),
            progress: Arc::clone(&self.progress),
            stop: self.stop.clone(),
        };
        self.before = std::mem::replace(&mut self.checkpoint.point, work.through);
        let events = work.range.len() as u64;
        let task = tokio::spawn(async move { step.commit(events).await });
        self.rows().writing(task, writes, known);
    }

    /// Whether it is shard `number` out of `shards`.
    pub(crate) fn is(&self, number: u32, shards: u32) -> bool {
        (self.number, self.shards) == (number, shards)
    }

    /// Forgets the rows at hand. No commit may be under way.
    pub(crate) fn forget(&mut self) {
        self.rows().cache.clear();
    }

    fn rows(&mut self) -> &mut ShardRows {
        &mut self.engine.as_mut().expect("no range is being applied").rows
    }

    fn rows_ref(&self) -> &ShardRows {
        &self.engine.as_ref().expect("no range is being applied").rows
    }
}

impl Engine {
    fn apply(&mut self, batch: &EventBatch, range: Range<usize>, scrutiny: Scrutiny) -> Result<Folded, Fault> {
        if scrutiny == Scrutiny::Trust || range.len() < 2 {
            return self.fold(batch, std::slice::from_ref(&range));
        }
        self.rows.look_up = LookUp::Database;
        let compared = self.compare(batch, range);
        self.rows.look_up = LookUp::Cache;
        compared
    }

    /// A component that keeps something between events shows it here: whole and event by event, the same must come of them.
    fn compare(&mut self, batch: &EventBatch, range: Range<usize>) -> Result<Folded, Fault> {
        let whole = self.fold(batch, std::slice::from_ref(&range))?;
        let pieces: Vec<_> = range.clone().map(|event| event..event + 1).collect();
        let failure = match self.fold(batch, &pieces) {
            Ok(split) if split.writes == whole.writes => return Ok(whole),
            Ok(split) => whole.difference(&split, &self.rows.manifest),
            Err(fault @ (Fault::Passing(_) | Fault::Superseded(_) | Fault::Exhausted { .. })) => return Err(fault),
            Err(Fault::Poison { message, .. }) => format!("in pieces an event fails: {message}"),
            Err(Fault::Fatal(failure)) => failure.message,
        };
        Err(depends_on_batches(batch, range, &failure))
    }

    fn fold(&mut self, batch: &EventBatch, pieces: &[Range<usize>]) -> Result<Folded, Fault> {
        let fold = Fold::new(Arc::clone(&self.rows.manifest), self.writers);
        fold_pieces(fold, &mut *self.plugin, &mut self.rows, (batch, pieces))
    }
}

/// Applies pieces of a batch one after the other into one fold.
pub(crate) fn fold_pieces(
    fold: Fold,
    plugin: &mut dyn Plugin,
    bases: &mut dyn Bases,
    (batch, pieces): (&EventBatch, &[Range<usize>]),
) -> Result<Folded, Fault> {
    let mut applying = Applying { batch, fold, bases };
    for piece in pieces.iter().filter(|piece| !piece.is_empty()) {
        plugin.apply(batch, piece.clone(), &mut applying)?;
    }
    let Applying { fold, bases, .. } = applying;
    fold.finish(bases).map_err(|error| Fault::from(ApplyError::Sink(error)))
}

/// What a plugin's code sees of the host while it runs.
struct Applying<'a> {
    batch: &'a EventBatch,
    fold: Fold,
    bases: &'a mut dyn Bases,
}

impl Sink for Applying<'_> {
    fn emit(&mut self, change: Change<'_>) -> Result<(), SinkError> {
        let checked = check(self.fold.manifest(), self.batch.stream(change.event), &change)?;
        Ok(self.fold.take(change.table, checked, self.bases)?)
    }

    fn read(&mut self, event: usize, table: u16, keys: &[ValueRef<'_>]) -> Result<Vec<Option<Row>>, SinkError> {
        let checked = check_read(self.fold.manifest(), self.batch.stream(event), (event, table), keys)?;
        self.fold.rows(table, checked.into_iter().map(Key::own).collect(), self.bases)
    }
}

/// A commit on its way, with all it needs.
struct OwnedCommit {
    shard: u32,
    from: Checkpoint,
    to: LogPoint,
    writes: Arc<crate::change::Writes>,
    aside: Vec<DeadLetter>,
    settled: Vec<Place>,
    read_model: Arc<dyn ReadModel>,
    progress: Arc<Progress>,
    stop: watch::Receiver<bool>,
}

impl OwnedCommit {
    /// Commits; while the database is away, tries again, until the loop is to end.
    async fn commit(mut self, events: u64) -> Result<(), CommitError> {
        let mut wait = Backoff::new();
        loop {
            let commit = Commit {
                shard: self.shard,
                from: self.from,
                to: self.to,
                writes: &self.writes,
                dead_letters: &self.aside,
                settled: &self.settled,
            };
            match self.read_model.commit(commit).await {
                Ok(()) => break,
                Err(error) if wait.tried() && self.is_done(&error) => break,
                Err(CommitError::ReadModel(error @ ReadModelError::Unavailable { .. })) => {
                    self.progress.waiting(&chain(&error));
                    tokio::select! {
                        () = wait.pause() => {}
                        () = asked(&mut self.stop) => return Err(error.into()),
                    }
                }
                Err(error) => return Err(error),
            }
        }
        let rows = self.writes.tables.iter().map(|table| table.rows() as u64).sum();
        self.progress.committed(self.to.position, events, rows);
        Ok(())
    }

    /// Whether an attempt whose answer was lost did commit after all.
    fn is_done(&self, error: &CommitError) -> bool {
        let CommitError::Superseded { found: Some(found), .. } = error else { return false };
        *found == Checkpoint { point: self.to, ..self.from } && self.to != self.from.point
    }
}

/// Waits that grow from 20 ms to 5 s.
pub(crate) struct Backoff {
    next: Duration,
}

impl Backoff {
    const FIRST: Duration = Duration::from_millis(20);

    pub(crate) fn new() -> Backoff {
        Backoff { next: Self::FIRST }
    }

    pub(crate) fn tried(&self) -> bool {
        self.next != Self::FIRST
    }

    pub(crate) async fn pause(&mut self) {
        tokio::time::sleep(self.next).await;
        self.next = (self.next * 2).min(Duration::from_secs(5));
    }
}
