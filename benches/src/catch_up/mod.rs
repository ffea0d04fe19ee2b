//! `catch-up`: events a second out of Kafka into PostgreSQL by a host that has fallen behind, against what a team would write by hand.
//! All of it in one run, over the same topic.

mod by_hand;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;
use reel_event_log::topic::kafka::TopicUrl;
use reel_host::{Deployment, Host, HostConfig, Hosts, KafkaTopic, ProjectionRef, Targets, Topic};
use reel_plugin::{Engine, EngineConfig};
use reel_projector::Checkpoint;
use reel_projector::ports::FailurePolicy;
use reel_read_model::{Generation, GenerationState, Promotion, Target};

use self::by_hand::{ByHand, Way};
use crate::error::BenchError;
use crate::posts::component;
use crate::process::{peak_mebibytes, processor_seconds};
use crate::relayed::{Relayed, delete, own_topic};
use crate::report::Report;
use crate::store;
use crate::workload::Size;

/// The name that the projection has in the target: no one else's.
const PROJECTION: &str = "reel-bench-catch-up";
/// How long anything may take that is waited for.
const PATIENCE: Duration = Duration::from_secs(600);

/// A host that has fallen behind: events a second from Kafka into PostgreSQL, against two consumers written by hand
#[derive(Debug, Args)]
pub(crate) struct CatchUp {
    /// Events in the topic
    #[arg(long, default_value_t = 1_000_000)]
    events: usize,
    /// Partitions of the topic, and shards
    #[arg(long, default_value_t = 4)]
    partitions: u32,
    /// Seed of the workload
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Most events in one batch of a shard
    #[arg(long, default_value_t = 20_000)]
    batch: usize,
    /// Measure Reel alone, without the consumers written by hand
    #[arg(long)]
    alone: bool,
    /// Brokers, as HOST:PORT
    #[arg(long, env = "REEL_TEST_KAFKA", value_name = "BROKERS")]
    kafka: String,
    /// A PostgreSQL database; what is made there is dropped in the end
    #[arg(long, env = "REEL_TEST_POSTGRES", value_name = "URL", hide_env_values = true)]
    postgres: String,
    /// The component of the posts example; built where none is given
    #[arg(long, value_name = "FILE")]
    component: Option<std::path::PathBuf>,
}

/// What one consumer came to.
struct Measured {
    who: &'static str,
    events: u64,
    seconds: f64,
    /// Processor time of this process.
    processor: f64,
    rows: u64,
}

pub(crate) async fn run(options: CatchUp) -> Result<Report, BenchError> {
    let files = tempfile::tempdir().map_err(BenchError::doing("making a temporary directory"))?;
    let url = own_topic(&options.kafka)?;
    let bed = Bed::new(&options, files.path(), url.clone()).await?;
    let reel = bed.measure(&options).await?;
    let by_hand = ByHand { url: url.clone(), postgres: options.postgres.clone(), partitions: options.partitions };
    let mut all = vec![reel];
    if !options.alone {
        all.push(by_hand.run(Way::Batches, options.events.min(300_000)).await?);
        // The slow one needs no million events to be measured.
        all.push(by_hand.run(Way::OneByOne, options.events.min(20_000)).await?);
        by_hand.clean().await?;
    }
    delete(&[&url]).await?;
    Ok(report(&options, &all))
}

/// Seconds of processor time so far.
fn used() -> f64 {
    processor_seconds().unwrap_or(f64::NAN)
}

fn report(options: &CatchUp, all: &[Measured]) -> Report {
    let columns =
        &["consumer", "events", "seconds", "events_per_second", "processor_us_per_event", "rows_per_event", "ratio"];
    let mut report = Report::new("catch-up", columns);
    let rate = |measured: &Measured| measured.events as f64 / measured.seconds;
    let reel = rate(&all[0]);
    for measured in all {
        let rows = measured.rows as f64 / measured.events as f64;
        report.row(vec![
            measured.who.into(),
            measured.events.into(),
            measured.seconds.into(),
            rate(measured).round().into(),
            (measured.processor / measured.events as f64 * 1e6).into(),
            rows.into(),
            (reel / rate(measured)).into(),
        ]);
    }
    report.note(format!(
        "{} partitions, batches of at most {}; the ratio is Reel's rate over the consumer's",
        options.partitions, options.batch
    ));
    if let Some(peak) = peak_mebibytes() {
        report.note(format!("peak memory of the whole bench {peak} MiB"));
    }
    report
}

/// A log with its relay and topic, a host that has the projection live and paused at the log's beginning, then the events.
struct Bed {
    relayed: Relayed,
    host: Host,
    target: Arc<dyn Target>,
}

impl Bed {
    async fn new(options: &CatchUp, files: &Path, url: TopicUrl) -> Result<Bed, BenchError> {
        let relayed = Relayed::new(files, url.clone(), options.partitions).await?;
        let target = reel_read_model::open("bench", &options.postgres)
            .await
            .map_err(BenchError::doing("opening the read database"))?;
        let engine =
            Engine::new(EngineConfig::default()).map_err(BenchError::doing("starting the WebAssembly engine"))?;
        let config = HostConfig {
            most_events: options.batch,
            topic: Topic::Kafka(KafkaTopic { url, relay: relayed.state.clone() }),
            hosts: Hosts::Several,
            ..HostConfig::new(|_| Ok(()))
        };
        let host = Host::new(Arc::clone(&relayed.store), Targets::new(vec![Arc::clone(&target)]), engine, config);
        Ok(Bed { relayed, host, target })
    }

    async fn measure(self, options: &CatchUp) -> Result<Measured, BenchError> {
        let operating = BenchError::doing::<reel_host::HostError>;
        let projection = ProjectionRef { projection: PROJECTION.to_owned(), generation: None };
        let deployment = Deployment {
            component: Some(component(options.component.as_deref())?),
            name: Some(PROJECTION.to_owned()),
            target: None,
            settings: None,
            on_failure: Some(FailurePolicy::Halt),
            promotion: Promotion::Automatic,
            until: None,
        };
        self.host.start().await.map_err(operating("starting the host"))?;
        let _ = self.host.drop_projection(&projection, None).await;
        self.host.deploy(deployment).await.map_err(operating("deploying"))?;
        let live = self.live().await?;
        self.host.pause(&projection, None).await.map_err(operating("pausing"))?;
        let size = Size { events: options.events, posts: options.events.div_ceil(20) };
        store::fill(&*self.relayed.store, size, options.seed).await?;
        self.relayed.published(options.events as u64).await?;

        let before = self.checkpoints(&live).await?;
        self.host.resume(&projection, None).await.map_err(operating("resuming"))?;
        let taken = |now: &[Checkpoint]| now.iter().zip(&before).any(|(now, before)| now.epoch > before.epoch);
        self.wait(&live, taken).await?;
        let (began, processor) = (Instant::now(), used());
        let head = options.events as u64;
        self.wait(&live, |now| now.iter().all(|checkpoint| checkpoint.point.position >= head)).await?;
        let (seconds, processor) = (began.elapsed().as_secs_f64(), used() - processor);
        let statuses = self.host.status(Some(&projection), None).await.map_err(operating("looking"))?;
        let rows = statuses.iter().map(|status| status.rows).sum();
        self.host.drop_projection(&projection, None).await.map_err(operating("dropping"))?;
        self.host.stop().await;
        self.relayed.stop().await;
        Ok(Measured { who: "reel", events: head, seconds, processor, rows })
    }

    async fn live(&self) -> Result<Generation, BenchError> {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            let live = self.target.live(PROJECTION).await.map_err(BenchError::doing("reading the catalog"))?;
            if let Some(live) = live.filter(|live| live.state == GenerationState::Live) {
                return Ok(live);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Err(BenchError::Failed("the projection did not become live".into()))
    }

    async fn checkpoints(&self, generation: &Generation) -> Result<Vec<Checkpoint>, BenchError> {
        self.target.checkpoints(generation.id).await.map_err(BenchError::doing("reading checkpoints"))
    }

    async fn wait(&self, generation: &Generation, enough: impl Fn(&[Checkpoint]) -> bool) -> Result<(), BenchError> {
        let deadline = Instant::now() + PATIENCE;
        while !enough(&self.checkpoints(generation).await?) {
            if Instant::now() > deadline {
                return Err(BenchError::Failed("the host did not catch up".into()));
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok(())
    }
}
