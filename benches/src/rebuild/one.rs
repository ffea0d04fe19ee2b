//! One rebuild, measured from within its own process.

use std::collections::HashSet;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use clap::Args;
use reel_event_log::archive::Archive;
use reel_event_log::history::{History, Sharing, Span, Wanted};
use reel_event_log::{EventStore, ReadLimit};
use reel_host::{Build, BuildConfig};
use reel_projector::manifest::KindPattern;
use reel_projector::ports::FailurePolicy;
use reel_projector::{Checkpoint, Manifest, Plugin, Progress, RunSettings};
use reel_read_model::{Generation, Target};
use serde::{Deserialize, Serialize};
use tokio::sync::{oneshot, watch};

use super::watched::{Timed, phases};
use super::{From, Kind, Tuning, place};
use crate::error::BenchError;
use crate::posts::{Posts, Runs};
use crate::process::{peak_mebibytes, processor_seconds};
use crate::read_databases::ReadDatabases;
use crate::sealed::{self, SealedLog};
use crate::store;

#[derive(Debug, Args)]
pub(crate) struct One {
    #[arg(long, value_enum)]
    target: Kind,
    #[arg(long, value_enum)]
    source: From,
    #[arg(long, value_enum)]
    runs: Runs,
    #[arg(long)]
    log: PathBuf,
    #[arg(long)]
    component: PathBuf,
    #[arg(long)]
    only: Option<String>,
    #[command(flatten)]
    databases: ReadDatabases,
    #[command(flatten)]
    tuning: Tuning,
}

/// What one rebuild came to. Times are in seconds.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Measured {
    pub(super) events: u64,
    pub(super) seconds: f64,
    pub(super) rows: u64,
    pub(super) passes: u32,
    pub(super) peak_mib: Option<u64>,
    pub(super) cpu_seconds: Option<f64>,
    pub(super) read: Option<f64>,
    pub(super) plugin: f64,
    pub(super) folding: f64,
    pub(super) loading: f64,
    pub(super) indexing: f64,
    pub(super) rows_alone: Option<f64>,
}

impl Measured {
    /// Events a second.
    pub(super) fn rate(&self) -> f64 {
        self.events as f64 / self.seconds
    }
}

/// What is built from.
#[derive(Clone)]
struct Log {
    store: Arc<dyn EventStore>,
    archive: Option<Archive>,
}

/// Rebuilds once, and prints what was measured as JSON.
pub(crate) async fn one(one: One) -> Result<(), BenchError> {
    let posts = Posts::load(Some(&one.component))?;
    let log = open(one.source, &one.log).await?;
    let read = if one.tuning.alone { None } else { Some(read(&log, config(&one.tuning)).await?) };
    let files = one.log.parent().map_or_else(tempfile::tempdir, tempfile::tempdir_in);
    let files = files.map_err(BenchError::doing("making a temporary directory"))?;
    let target = place::open(one.target, files.path(), &one.databases).await?;
    let measured = Measured { read, ..rebuild(&one, posts, log, &target).await? };
    let measured = serde_json::to_string(&measured).expect("plain data");
    writeln!(std::io::stdout(), "{measured}").map_err(BenchError::doing("writing to standard output"))
}

async fn open(source: From, path: &Path) -> Result<Log, BenchError> {
    match source {
        From::Archive => {
            let archive = sealed::open(path)?;
            Ok(Log { store: Arc::new(SealedLog::open(archive.clone()).await?), archive: Some(archive) })
        }
        From::Store => Ok(Log { store: Arc::new(store::open(path)?), archive: None }),
    }
}

fn config(tuning: &Tuning) -> BuildConfig {
    let host = BuildConfig::for_this_machine();
    BuildConfig {
        batch: tuning.batch.unwrap_or(host.batch),
        workers: tuning.workers.unwrap_or(host.workers),
        memory_bytes: tuning.memory_mib.map_or(host.memory_bytes, |mebibytes| mebibytes << 20),
        ..host
    }
}

/// Seconds that reading all of history takes, shared out as for a build.
async fn read(log: &Log, config: BuildConfig) -> Result<f64, BenchError> {
    let portion = ReadLimit { events: config.batch * config.workers, bytes: 16 << 20 };
    let span = Span { after: 0, until: None, portion };
    let wanted = Wanted { sharing: Sharing::Each(config.workers as u32), ..Wanted::default() };
    let doing = "reading history";
    let began = Instant::now();
    let opened = History::open(Arc::clone(&log.store), log.archive.clone(), span, wanted).await;
    let mut history = opened.map_err(BenchError::doing(doing))?;
    while history.next().await.map_err(BenchError::doing(doing))?.is_some() {}
    Ok(began.elapsed().as_secs_f64())
}

async fn rebuild(one: &One, posts: Posts, log: Log, target: &Arc<dyn Target>) -> Result<Measured, BenchError> {
    let mut manifest = Manifest::clone(posts.loaded.manifest());
    if let Some(kind) = &one.only {
        // The component stays as it is: it is only not told of the others.
        manifest.kinds.retain(|pattern| *pattern == KindPattern::Exactly(kind.clone()));
        if manifest.kinds.is_empty() {
            return Err(BenchError::Failed(format!(
                "the posts example does not handle {kind}: see `reel-bench workload`"
            )));
        }
    }
    let bare = without_indexes(manifest.clone());
    let manifest = if one.tuning.without_indexes { bare.clone() } else { manifest };
    let id = log.store.log_id();
    let made = place::generation(&**target, &posts, manifest, id).await?;
    let posts = Arc::new(posts);
    let mut measured = built(one, (&posts, log), target, &made).await?;
    if one.tuning.alone {
        place::drop_generation(&**target, &made.0).await?;
        return Ok(measured);
    }
    let rows = place::rows(&**target, &made.0).await?;
    place::drop_generation(&**target, &made.0).await?;
    let (generation, checkpoint) = place::generation(&**target, &posts, bare, id).await?;
    let began = Instant::now();
    place::load(&**target, (&generation, checkpoint), &rows).await?;
    measured.rows_alone = Some(began.elapsed().as_secs_f64());
    place::drop_generation(&**target, &generation).await?;
    Ok(measured)
}

/// Builds the generation as a host does.
async fn built(
    one: &One,
    (posts, log): (&Arc<Posts>, Log),
    target: &Arc<dyn Target>,
    (generation, checkpoint): &(Generation, Checkpoint),
) -> Result<Measured, BenchError> {
    let head = log.store.head().await.map_err(BenchError::doing("reading the event store"))?.position;
    let nanoseconds = Arc::new(AtomicU64::new(0));
    let (of, runs, spent) = (Arc::clone(posts), one.runs, Arc::clone(&nanoseconds));
    let progress = Arc::new(Progress::new(0, watch::Sender::new(0)));
    let build = Build {
        store: log.store,
        archive: log.archive,
        target: Arc::clone(target),
        generation: generation.clone(),
        checkpoint: *checkpoint,
        plugins: Arc::new(move || {
            let plugin = of.plugin(runs).expect("it was made before");
            Ok(Box::new(Timed { plugin, nanoseconds: Arc::clone(&spent) }) as Box<dyn Plugin>)
        }),
        settings: RunSettings {
            on_failure: FailurePolicy::Halt,
            let_go: HashSet::new(),
            parked: HashSet::new(),
            most_events: 20_000,
        },
        progress: Arc::clone(&progress),
        config: config(&one.tuning),
    };
    let (_go_on, mut stop) = watch::channel(false);
    let (end, ended) = oneshot::channel();
    let watched = tokio::spawn(phases(Arc::clone(&progress), ended));
    let (before, began) = (processor_seconds(), Instant::now());
    build.run(&mut stop).await.map(drop).map_err(BenchError::doing("building"))?;
    let seconds = began.elapsed().as_secs_f64();
    drop(end);
    let done = progress.now();
    let spent = watched.await.map_err(BenchError::doing("watching the build"))?;
    Ok(Measured {
        events: head,
        seconds,
        rows: done.rows,
        passes: done.passes,
        peak_mib: peak_mebibytes(),
        cpu_seconds: processor_seconds().zip(before).map(|(after, before)| after - before),
        read: None,
        plugin: nanoseconds.load(Ordering::Relaxed) as f64 / 1e9,
        folding: spent.folding,
        loading: spent.loading,
        indexing: spent.indexing,
        rows_alone: None,
    })
}

fn without_indexes(mut manifest: Manifest) -> Manifest {
    manifest.tables.iter_mut().for_each(|table| table.indexes.clear());
    manifest
}
