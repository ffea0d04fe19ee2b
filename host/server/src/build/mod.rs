//! A build: fills a generation from history, each row written once. The log's events up to its present head are folded in memory by
//! several workers, each with the streams that hash to it; then the rows are loaded into tables without keys and indexes, and one
//! transaction ends it: the generation is in state `catch-up`, and its loop goes on from there.
//!
//! Until that transaction nothing counts in the read database. Whatever ends a build before it — a failure, a kill, an operator — leaves a
//! generation in state `build`, and the next build makes its tables anew. Rows that outgrow the memory budget are folded part by part
//! (`passes`), and parts that are folded are put aside (`spill`): where a build was killed, the next one on this host folds the others.
//!
//! Not here: what an event makes of a row (`projector`), SQL (`read-model`), who decides to build (`runner`).

mod budget;
mod load;
mod orphans;
mod passes;
mod record;
mod spill;
mod thread;
mod workers;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use reel_event_log::EventStore;
use reel_event_log::archive::Archive;
use reel_event_log::history::Kinds;
use reel_events::LogPoint;
use reel_projector::manifest::{KindPattern, Order};
use reel_projector::ports::DeadLetter;
use reel_projector::{Checkpoint, Failure, Manifest, MergedTable, Phase, Plugin, Progress, RunError, RunSettings};
use reel_read_model::{Generation, Target};
use tokio::sync::watch;
use tokio::time::Instant;

use load::NotLoaded;
pub(crate) use orphans::let_go_of_orphans;
use passes::{Beyond, Passes};
use record::Owner;
use thread::Writing;

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
    /// Where rows are put aside until they are loaded, in a directory for each generation, which goes with its build.
    pub spill_dir: PathBuf,
    /// Which rows are put aside though they fit into memory.
    pub keeping: Keeping,
}

/// When the rows of the last pass over history are written down before they are loaded, so that a kill from then on does not cost them: where
/// folding them again would take much longer than that.
#[derive(Debug, Clone, Copy)]
pub struct Keeping {
    /// They took at least so long.
    pub at_least: Duration,
    /// They take at most so many bytes for each second of it.
    pub bytes_a_second: u64,
}

impl Default for Keeping {
    /// Ten seconds; 50 MiB a second: a disk that takes 500 adds a tenth to the fold at most.
    fn default() -> Keeping {
        Keeping { at_least: Duration::from_secs(10), bytes_a_second: 50 << 20 }
    }
}

impl BuildConfig {
    /// A quarter of the machine's memory, no throttle, a worker for each core, a directory among the system's temporary files.
    #[must_use]
    pub fn for_this_machine() -> BuildConfig {
        let workers = std::thread::available_parallelism().map_or(1, usize::from).min(16);
        let (spill_dir, keeping) = (std::env::temp_dir().join("reel-builds"), Keeping::default());
        BuildConfig { memory_bytes: quarter_of_memory(), throttle: None, workers, batch: 4_000, spill_dir, keeping }
    }

    /// Lets go of all that a build of a generation put aside, when there will be no other.
    pub(crate) async fn forget(&self, target: &str, generation: &Generation) {
        spill::discard(directory_of(&self.spill_dir, target, generation)).await;
    }
}

/// Where the rows of a generation are put aside.
fn directory_of(spill_dir: &Path, target: &str, generation: &Generation) -> PathBuf {
    spill_dir.join(Owner::of(target, generation).directory())
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
    tables: Vec<MergedTable>,
    aside: Vec<DeadLetter>,
    through: LogPoint,
}

impl Build {
    /// Builds until the generation is in state `catch-up`, or `stop` says so. What was put aside stays for the next attempt where there will be
    /// one that may go on from it.
    ///
    /// # Errors
    /// Where an event is at fault under the policy `halt`, the component cannot be run, or a database does not answer.
    pub async fn run(self, stop: &mut watch::Receiver<bool>) -> Result<Built, BuildError> {
        if self.store.log_id() != self.checkpoint.log {
            return Err(self.other_log());
        }
        let writing = Writing::default();
        let built = tokio::select! {
            built = self.attempts(&writing) => built.map(|()| Built::Whole),
            () = asked(stop) => Ok(Built::Stopped),
        };
        writing.give_up().await;
        let is_over =
            matches!(&built, Ok(Built::Whole) | Err(BuildError::Run(RunError::Halted(_) | RunError::Fatal(_))));
        if is_over {
            self.let_go().await;
        }
        built
    }

    async fn attempts(&self, writing: &Writing) -> Result<(), BuildError> {
        let (mut workers, mut beyond) = match self.generation.manifest.order {
            Order::Global => (1, Beyond::End),
            Order::ByStream => (self.config.workers.max(1), Beyond::Split),
        };
        loop {
            match self.build(writing, (workers, beyond)).await {
                Ok(()) => return Ok(()),
                // What is at fault is found in the order of all events.
                Err(NotBuilt::Together) if workers > 1 || beyond == Beyond::Split => {
                    (workers, beyond) = (1, Beyond::End);
                }
                Err(NotBuilt::Together) => unreachable!("one worker has nothing to merge"),
                Err(NotBuilt::TooLarge) => beyond = Beyond::End,
                Err(NotBuilt::For(error)) => return Err(error),
            }
            self.let_go().await;
        }
    }

    /// Nobody goes on from what was put aside.
    async fn let_go(&self) {
        self.config.forget(self.target.name(), &self.generation).await;
    }

    fn put_aside_in(&self) -> PathBuf {
        directory_of(&self.config.spill_dir, self.target.name(), &self.generation)
    }

    async fn build(&self, writing: &Writing, way: (usize, Beyond)) -> Result<(), NotBuilt> {
        self.progress.begin(0);
        self.progress.took_over(0);
        self.progress.enter(Phase::Folding);
        let begun = Instant::now();
        let folded = Passes::new(self, writing, way).fold().await?;
        let rows = folded.tables.iter().map(MergedTable::remaining).sum::<usize>();
        let position = folded.through.position;
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
    /// However many parts the streams are cut into, the rows of one of them do not fit into memory.
    TooLarge,
    For(BuildError),
}

impl From<RunError> for NotBuilt {
    fn from(error: RunError) -> NotBuilt {
        NotBuilt::For(error.into())
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
