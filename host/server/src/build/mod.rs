//! A build: fills a generation from history, each row written once. The log's events up to its present head are folded in memory by
//! several workers, each with the streams that hash to it; then the rows are loaded into tables without keys and indexes, and one
//! transaction ends it: the generation is in state `catch-up`, and its loop goes on from there.
//!
//! Until that transaction nothing counts. Whatever ends a build before it — a failure, a kill, an operator — leaves a generation in
//! state `build`, and the next build makes its tables anew. A build whose rows outgrow the memory budget is ended early, with what it
//! has: the loop applies the rest, and the read database is what it spills to.
//!
//! Not here: what an event makes of a row (`projector`), SQL (`read-model`), who decides to build (`runner`).

mod load;
mod workers;

use std::sync::Arc;
use std::time::Duration;

use reel_event_log::archive::Archive;
use reel_event_log::history::{History, Kinds, Sharing, Span, Wanted};
use reel_event_log::{EventStore, ReadLimit, StoreError};
use reel_events::LogPoint;
use reel_projector::manifest::{KindPattern, Order};
use reel_projector::ports::DeadLetter;
use reel_projector::{
    Checkpoint, Failure, FoldedShard, Manifest, Phase, Plugin, Progress, RunError, RunSettings, chain,
};
use reel_read_model::{Generation, Target};
use tokio::sync::watch;
use tokio::time::Instant;

use load::NotLoaded;
use workers::Workers;

/// How a host builds.
#[derive(Debug, Clone)]
pub struct BuildConfig {
    /// About how many bytes of rows all builds of one generation may hold before they are written.
    pub memory_bytes: usize,
    /// Most events a second; nothing = as fast as it goes.
    pub throttle: Option<u64>,
    /// How many threads fold; a projection of order `global` has one.
    pub workers: usize,
    /// Most events that a worker gets at once.
    pub batch: usize,
}

impl BuildConfig {
    /// A quarter of the machine's memory, no throttle, a worker for each core.
    #[must_use]
    pub fn for_this_machine() -> BuildConfig {
        let workers = std::thread::available_parallelism().map_or(1, usize::from).min(16);
        BuildConfig { memory_bytes: quarter_of_memory(), throttle: None, workers, batch: 4_000 }
    }
}

/// All that a build needs.
pub struct Build {
    /// Where the log is.
    pub store: Arc<dyn EventStore>,
    /// What of it is sealed.
    pub archive: Option<Archive>,
    /// The read database.
    pub target: Arc<dyn Target>,
    /// What is built.
    pub generation: Generation,
    /// Its checkpoint, as [`Target::take`] answered.
    pub checkpoint: Checkpoint,
    /// Makes the code of one worker.
    pub plugins: Plugins,
    /// The policy.
    pub settings: RunSettings,
    /// Where it says how it gets on.
    pub progress: Arc<Progress>,
    /// How it works.
    pub config: BuildConfig,
}

/// Makes the code of one worker.
pub type Plugins = Arc<dyn Fn() -> Result<Box<dyn Plugin>, Failure> + Send + Sync>;

/// How a build ended that did not fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Built {
    /// The generation is in state `catch-up`.
    Whole,
    /// It was told to stop; the generation is in state `build` still.
    Stopped,
}

/// Why a build did not end well, by what to do next.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// An event, the component or the log is at fault.
    #[error(transparent)]
    Run(#[from] RunError),
    /// Something may pass: build again.
    #[error("{0}")]
    Passing(String),
}

/// What history came to.
struct Folded {
    shards: Vec<FoldedShard>,
    aside: Vec<DeadLetter>,
    through: LogPoint,
}

impl Build {
    /// Builds until the generation is in state `catch-up`, or `stop` says so.
    ///
    /// # Errors
    /// Where an event is at fault under the policy `halt`, the component cannot be run, or a database does not answer.
    pub async fn run(self, stop: &mut watch::Receiver<bool>) -> Result<Built, BuildError> {
        if self.store.log_id() != self.checkpoint.log {
            return Err(self.other_log());
        }
        let mut workers = match self.generation.manifest.order {
            Order::Global => 1,
            Order::ByStream => self.config.workers.max(1),
        };
        loop {
            tokio::select! {
                built = self.build(workers) => match built {
                    Ok(()) => return Ok(Built::Whole),
                    Err(NotBuilt::Together) if workers > 1 => workers = 1,
                    Err(NotBuilt::Together) => unreachable!("one worker has nothing to merge"),
                    Err(NotBuilt::For(error)) => return Err(error),
                },
                () = asked(stop) => return Ok(Built::Stopped),
            }
        }
    }

    async fn build(&self, workers: usize) -> Result<(), NotBuilt> {
        self.progress.begin(0);
        self.progress.enter(Phase::Folding);
        let begun = Instant::now();
        let folded = self.fold(workers).await?;
        let (position, rows) = (folded.through.position, folded.shards.iter().map(FoldedShard::rows).sum::<usize>());
        tracing::info!(position, rows, seconds = begun.elapsed().as_secs_f64(), "folded");
        let begun = Instant::now();
        load::load(self, folded).await.map_err(|not| match not {
            NotLoaded::Together(refusal) => {
                tracing::info!(%refusal, "folding again with one worker, which finds the event at fault");
                NotBuilt::Together
            }
            NotLoaded::Refused(why) => NotBuilt::For(fatal("database-refused", why)),
            NotLoaded::Passing(why) => NotBuilt::For(BuildError::Passing(why)),
        })?;
        tracing::info!(position, rows, seconds = begun.elapsed().as_secs_f64(), "loaded");
        self.progress.enter(Phase::Following);
        Ok(())
    }

    /// Reads history and gives it to the workers, up to its end, or as far as memory reaches.
    async fn fold(&self, workers: usize) -> Result<Folded, NotBuilt> {
        let mut workers = Workers::start(self, workers)?;
        let mut pace = Pace { per_second: self.config.throttle, begun: Instant::now(), events: 0 };
        let mut through = LogPoint::START;
        loop {
            let mut history = match self.history(workers.number(), through.position).await {
                Ok(history) => history,
                Err(error) => {
                    self.wait_for_store(&error).await;
                    continue;
                }
            };
            let read = loop {
                match history.next().await {
                    Ok(Some(portion)) => {
                        (through, pace.events) = (portion.through, pace.events + portion.events() as u64);
                        if !workers.take(portion).await || workers.bytes() > self.config.memory_bytes {
                            break Ok(through);
                        }
                        pace.keep().await;
                    }
                    Ok(None) => break Ok(history.end()),
                    Err(error) => break Err(error),
                }
            };
            match read {
                Ok(through) => return Ok(workers.finish(through).await?),
                Err(error) => self.wait_for_store(&error).await,
            }
        }
    }

    async fn history(&self, workers: usize, after: u64) -> Result<History, StoreError> {
        let portion = ReadLimit { events: self.config.batch * workers, bytes: 16 << 20 };
        let span = Span { after, until: self.generation.promotion.until(), portion };
        let wanted = Wanted { kinds: kinds(&self.generation.manifest), sharing: Sharing::Each(workers as u32) };
        let history = History::open(Arc::clone(&self.store), self.archive.clone(), span, wanted).await?;
        self.progress.saw_head(history.end().position);
        Ok(history)
    }

    async fn wait_for_store(&self, error: &StoreError) {
        self.progress.waiting(&chain(error));
        tokio::time::sleep(Duration::from_secs(1)).await;
    }

    fn other_log(&self) -> BuildError {
        let (log, found) = (self.checkpoint.log, self.store.log_id());
        let message = format!(
            "the generation is to be built from log {log}, but the event store holds log {found}: bring the event store back, or \
             deploy again (--accept-new-log builds everything from the log that is there)"
        );
        fatal("log-changed", message)
    }
}

/// Why an attempt did not build.
enum NotBuilt {
    /// What several workers did to one row is refused; one worker finds out whose fault it is.
    Together,
    For(BuildError),
}

impl From<RunError> for NotBuilt {
    fn from(error: RunError) -> NotBuilt {
        NotBuilt::For(error.into())
    }
}

/// Keeps to a number of events a second.
struct Pace {
    per_second: Option<u64>,
    begun: Instant,
    events: u64,
}

impl Pace {
    async fn keep(&self) {
        if let Some(per_second) = self.per_second {
            let due = Duration::from_secs_f64(self.events as f64 / per_second.max(1) as f64);
            tokio::time::sleep_until(self.begun + due).await;
        }
    }
}

/// What the projection handles.
pub(crate) fn kinds(manifest: &Arc<Manifest>) -> Kinds {
    if manifest.kinds.contains(&KindPattern::All) {
        return Kinds::All;
    }
    let manifest = Arc::clone(manifest);
    Kinds::Matching(Arc::new(move |kind| manifest.kind_index(kind).is_some()))
}

fn fatal(code: &str, message: String) -> BuildError {
    let failure = Failure { position: None, stream: None, kind: None, code: code.into(), message };
    RunError::Fatal(failure).into()
}

/// Waits until the build is to stop.
async fn asked(stop: &mut watch::Receiver<bool>) {
    // The sender goes only when the runner does.
    let _ = stop.wait_for(|stop| *stop).await;
}

/// A quarter of the memory that this process may use: the machine's, or its control group's where that is less. 1 GiB where neither
/// can be told.
fn quarter_of_memory() -> usize {
    let machine = std::fs::read_to_string("/proc/meminfo").ok().and_then(|text| {
        let line = text.lines().find(|line| line.starts_with("MemTotal:"))?;
        line.split_whitespace().nth(1)?.parse::<usize>().ok().map(|kibibytes| kibibytes << 10)
    });
    let group = std::fs::read_to_string("/sys/fs/cgroup/memory.max").ok().and_then(|text| text.trim().parse().ok());
    machine.into_iter().chain(group).min().map_or(1 << 30, |bytes| bytes / 4)
}
