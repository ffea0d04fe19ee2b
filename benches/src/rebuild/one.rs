//! One rebuild, measured from within its own process.

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use reel_event_log::EventStore;
use reel_event_log::topic::Tail;
use reel_events::{LogId, LogPoint};
use reel_host::LogSource;
use reel_projector::ports::FailurePolicy;
use reel_projector::{Checkpoint, Manifest, ReadModel};
use reel_read_model::target::DropScope;
use reel_read_model::{Component, Generation, NewGeneration, Promotion, Target};
use serde::{Deserialize, Serialize};

use super::{Kind, Tuning};
use crate::error::BenchError;
use crate::held::Held;
use crate::pipeline::{Parts, Went, run_to};
use crate::posts::{Posts, Runs};
use crate::process::{peak_mebibytes, processor_seconds};
use crate::store;

/// The name that the projection has in a target: no one else's.
const PROJECTION: &str = "reel-bench-posts";

#[derive(Debug, Args)]
pub(crate) struct One {
    #[arg(long, value_enum)]
    target: Kind,
    #[arg(long, value_enum)]
    runs: Runs,
    #[arg(long)]
    store: PathBuf,
    #[arg(long)]
    component: PathBuf,
    #[arg(long, env = "REEL_TEST_POSTGRES", hide_env_values = true)]
    postgres: Option<String>,
    #[arg(long, env = "REEL_TEST_MYSQL", hide_env_values = true)]
    mysql: Option<String>,
    #[command(flatten)]
    tuning: Tuning,
}

/// What one rebuild came to. Times are in seconds.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Measured {
    pub(super) events: u64,
    pub(super) seconds: f64,
    pub(super) rows: u64,
    pub(super) peak_mib: Option<u64>,
    pub(super) cpu_seconds: Option<f64>,
    pub(super) source: f64,
    pub(super) plugin: f64,
    pub(super) commit: f64,
    pub(super) look_up: f64,
    pub(super) rows_looked_up: u64,
    pub(super) commits: u64,
}

impl Measured {
    /// Events a second.
    pub(super) fn rate(&self) -> f64 {
        self.events as f64 / self.seconds
    }
}

/// Where the rows go, and what is to be done about it in the end.
struct Place {
    read_model: Arc<dyn ReadModel>,
    checkpoint: Checkpoint,
    in_target: Option<(Arc<dyn Target>, Generation)>,
    _files: tempfile::TempDir,
}

/// Rebuilds once, and prints what was measured as JSON.
pub(crate) async fn one(one: One) -> Result<(), BenchError> {
    let posts = Posts::load(Some(&one.component))?;
    let store: Arc<dyn EventStore> = Arc::new(store::open(&one.store)?);
    let head = store.head().await.map_err(BenchError::doing("reading the event store"))?.position;
    let place = place(&one, &posts, store.log_id()).await?;
    let parts = Parts {
        manifest: Arc::clone(posts.loaded.manifest()),
        plugin: posts.plugin(one.runs)?,
        source: Box::new(LogSource::new(Tail::from_start(store))),
        read_model: Arc::clone(&place.read_model),
        checkpoint: place.checkpoint,
        batch: one.tuning.batch,
        cache_bytes: one.tuning.cache_mib << 20,
    };
    let before = processor_seconds();
    let went = run_to(head, parts).await?;
    let cpu_seconds = processor_seconds().zip(before).map(|(after, before)| after - before);
    let measured = serde_json::to_string(&measured(head, &went, cpu_seconds)).expect("plain data");
    writeln!(std::io::stdout(), "{measured}").map_err(BenchError::doing("writing to standard output"))?;
    let Some((target, generation)) = place.in_target else { return Ok(()) };
    target
        .drop_generation(generation.id, DropScope::Projection)
        .await
        .map_err(BenchError::doing("dropping what was built"))
}

fn measured(events: u64, went: &Went, cpu_seconds: Option<f64>) -> Measured {
    Measured {
        events,
        seconds: went.elapsed.as_secs_f64(),
        rows: went.rows,
        peak_mib: peak_mebibytes(),
        cpu_seconds,
        source: went.spent.source().as_secs_f64(),
        plugin: went.spent.plugin().as_secs_f64(),
        commit: went.spent.commit().as_secs_f64(),
        look_up: went.spent.read().as_secs_f64(),
        rows_looked_up: went.spent.rows_read(),
        commits: went.spent.commits(),
    }
}

async fn place(one: &One, posts: &Posts, log: LogId) -> Result<Place, BenchError> {
    let files = one.store.parent().map_or_else(tempfile::tempdir, tempfile::tempdir_in);
    let files = files.map_err(BenchError::doing("making a temporary directory"))?;
    let manifest = posts.loaded.manifest();
    let url = match one.target {
        Kind::Memory => {
            let checkpoint = Checkpoint { log, point: LogPoint::START, layout: 1, epoch: 1 };
            let read_model = Arc::new(Held::new(Arc::clone(manifest), checkpoint));
            return Ok(Place { read_model, checkpoint, in_target: None, _files: files });
        }
        Kind::Sqlite => format!("sqlite:{}", files.path().join("read.db").display()),
        Kind::Postgres => {
            let missing = "rebuilding into PostgreSQL needs --postgres URL or REEL_TEST_POSTGRES";
            one.postgres.clone().ok_or_else(|| BenchError::Failed(missing.into()))?
        }
        Kind::MySql => {
            let missing = "rebuilding into MySQL needs --mysql URL or REEL_TEST_MYSQL";
            one.mysql.clone().ok_or_else(|| BenchError::Failed(missing.into()))?
        }
    };
    let target = reel_read_model::open("bench", &url).await.map_err(BenchError::doing("opening the read database"))?;
    let generation = generation(&*target, (one, posts), log).await?;
    let checkpoints = target.take(generation.id).await.map_err(BenchError::doing("taking the generation"))?;
    let checkpoint =
        *checkpoints.first().ok_or_else(|| BenchError::Failed("a new generation has no checkpoint".into()))?;
    Ok(Place {
        read_model: target.read_model(&generation),
        checkpoint,
        in_target: Some((target, generation)),
        _files: files,
    })
}

/// A new generation of the projection; one that an earlier run left behind goes.
async fn generation(target: &dyn Target, (one, posts): (&One, &Posts), log: LogId) -> Result<Generation, BenchError> {
    let catalog = "making a generation in the read database";
    let old = target.generations().await.map_err(BenchError::doing(catalog))?;
    for old in old.into_iter().filter(|generation| generation.projection == PROJECTION) {
        target.drop_generation(old.id, DropScope::Projection).await.map_err(BenchError::doing(catalog))?;
    }
    let digest = posts.loaded.digest().to_owned();
    let component =
        Component { digest: digest.clone(), manifest: posts.loaded.manifest_json().into(), bytes: posts.bytes.clone() };
    target.put_component(&component).await.map_err(BenchError::doing(catalog))?;
    let mut manifest = Manifest::clone(posts.loaded.manifest());
    if one.tuning.without_indexes {
        manifest.tables.iter_mut().for_each(|table| table.indexes.clear());
    }
    let new = NewGeneration {
        projection: PROJECTION.into(),
        digest,
        manifest: Arc::new(manifest),
        settings: "{}".into(),
        on_failure: FailurePolicy::Halt,
        promotion: Promotion::Manual,
        log,
        shards: 1,
    };
    target.create_generation(new).await.map_err(BenchError::doing(catalog))
}
