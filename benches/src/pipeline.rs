//! The host's own loop, put together for a measurement: a source, a plugin, a read model, and how long it takes.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use reel_events::{EventBatch, LogPoint};
use reel_projector::ports::{Delivery, FailurePolicy};
use reel_projector::{
    Checkpoint, Manifest, Orders, Plugin, Progress, ReadModel, RunError, RunSettings, ShardParts, Source, SourceError,
};
use tokio::sync::{mpsc, watch};

use crate::error::BenchError;

/// What a run is made of.
pub(crate) struct Parts {
    pub(crate) manifest: Arc<Manifest>,
    pub(crate) source: Box<dyn Source>,
    pub(crate) plugin: Box<dyn Plugin>,
    pub(crate) read_model: Arc<dyn ReadModel>,
    pub(crate) checkpoint: Checkpoint,
    /// Most events in one batch.
    pub(crate) batch: usize,
    /// About how many bytes of rows are kept at hand.
    pub(crate) cache_bytes: usize,
}

/// Runs the loop until `head` is committed: how long that takes.
pub(crate) async fn run_to(head: u64, parts: Parts) -> Result<Duration, BenchError> {
    let progress = Arc::new(Progress::new(0, watch::Sender::new(0)));
    let shard = ShardParts {
        manifest: parts.manifest,
        plugin: parts.plugin,
        read_model: parts.read_model,
        number: 0,
        shards: 1,
        checkpoint: parts.checkpoint,
        cache_bytes: parts.cache_bytes,
        progress: Arc::clone(&progress),
    };
    let settings = RunSettings {
        on_failure: FailurePolicy::Halt,
        let_go: HashSet::new(),
        parked: HashSet::new(),
        most_events: parts.batch,
    };
    let (stop, stopped) = watch::channel(false);
    // Nobody asks for anything; a channel whose sender lives on stays silent.
    let (_asking, requests) = mpsc::channel(1);
    let mut orders = Orders { stop: stopped, requests };
    let began = Instant::now();
    let running = reel_projector::run(shard, parts.source, settings, &mut orders);
    tokio::pin!(running);
    let mut position = progress.watch();
    tokio::select! {
        ended = &mut running => return Err(ended_early(ended)),
        reached = position.wait_for(|position| *position >= head) => { reached.map(drop).map_err(BenchError::doing("following the loop"))?; }
    }
    let elapsed = began.elapsed();
    stop.send_replace(true);
    running.await.map_err(BenchError::doing("ending the loop"))?;
    Ok(elapsed)
}

fn ended_early(ended: Result<(), RunError>) -> BenchError {
    match ended {
        Ok(()) => BenchError::Failed("the loop ended before it was told to".into()),
        Err(error) => BenchError::doing("running the loop")(error),
    }
}

/// Batches that were made beforehand, one after the other.
pub(crate) struct Batches {
    batches: VecDeque<EventBatch>,
    head: u64,
}

impl Batches {
    pub(crate) fn new(batches: impl IntoIterator<Item = EventBatch>) -> Batches {
        let batches: VecDeque<EventBatch> = batches.into_iter().collect();
        let head = batches.back().map_or(0, |last| end_of(last).position);
        Batches { batches, head }
    }
}

#[async_trait]
impl Source for Batches {
    async fn next(&mut self, _most: usize) -> Result<Delivery, SourceError> {
        match self.batches.pop_front() {
            Some(events) => Ok(Delivery { through: end_of(&events), events, head: self.head }),
            None => std::future::pending().await,
        }
    }
}

fn end_of(batch: &EventBatch) -> LogPoint {
    let last = batch.get(batch.len() - 1);
    LogPoint { position: last.position, event: last.id }
}
