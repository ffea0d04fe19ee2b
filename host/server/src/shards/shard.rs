//! One shard of a shared generation: takes its checkpoint over, and runs the loop on it until it is told to stop.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use reel_event_log::topic::TopicError;
use reel_event_log::topic::foreign::{ForeignError, ForeignFeed, ForeignTopic};
use reel_event_log::topic::shard::{Ends, Partition, ShardFeed, ShardPlace};
use reel_projector::ports::Delivery;
use reel_projector::{Checkpoint, Orders, Request, RunError, ShardParts, Source, SourceError};
use tokio::sync::{Mutex, mpsc, oneshot, watch};

use crate::metered::metered;
use crate::runner::{Ended, Run, asked, passing};

/// A shard takes its checkpoint over again after this: whoever lost it to another host hears of that first.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Events in one batch of each shard: all together, and at least for each. A generation's shards may all be here, so that a host's memory
/// would grow with them; how often a row is written depends on how much of the log one batch of each covers together.
const EVENTS: usize = 400_000;
const FEWEST_EVENTS: usize = 5_000;

/// How a shard is reached from outside.
pub(super) struct Reins {
    pub(super) stop: watch::Sender<bool>,
    pub(super) requests: mpsc::Sender<Request>,
}

/// Both ends of what a shard hears.
pub(super) fn reins() -> (Reins, Orders) {
    let (stop, stopped) = watch::channel(false);
    let (requests, asked) = mpsc::channel(1);
    (Reins { stop, requests }, Orders { stop: stopped, requests: asked })
}

/// Which shard, and where its events come from.
pub(super) struct ShardTask {
    pub(super) run: Run,
    pub(super) number: u32,
    pub(super) shards: u32,
    pub(super) feeding: Feeding,
}

/// Where a shard's events come from.
pub(super) enum Feeding {
    /// A partition of Reel's own topic, and history where that has holes.
    Own { partition: Arc<Mutex<Partition>>, ends: Ends },
    /// The partition of another producer's topic that has the shard's number.
    Foreign(ForeignTopic),
}

impl ShardTask {
    /// Runs until it is told to stop, or somebody must decide.
    pub(super) async fn until_stopped(self, mut orders: Orders) -> Result<(), Ended> {
        let mut wait = FIRST_PAUSE;
        loop {
            let before = self.run.progress.now().events;
            let why = match self.once(&mut orders).await {
                Err(Ended::Passing(why)) => why,
                ended => return ended,
            };
            tracing::info!(shard = self.number, %why, "trying again");
            if self.run.progress.now().events > before {
                wait = FIRST_PAUSE;
            }
            tokio::select! {
                () = tokio::time::sleep(wait) => wait = (wait * 2).min(LONGEST_PAUSE),
                () = asked(&mut orders.stop) => return Ok(()),
            }
        }
    }

    /// Fences whoever ran the shard before, and runs the loop from its checkpoint on.
    async fn once(&self, orders: &mut Orders) -> Result<(), Ended> {
        let parts = parts(&self.run, (self.number, self.shards)).await?;
        let mut settings = self.run.settings().await?;
        settings.most_events = settings.most_events.min(share(self.shards));
        let source = self.source(&parts.checkpoint).await;
        drive(&self.run, parts, source, (settings, orders)).await
    }

    async fn source(&self, from: &Checkpoint) -> Box<dyn Source> {
        let (number, shards, at) = (self.number, self.shards, from.point);
        match &self.feeding {
            Feeding::Own { partition, ends } => {
                let place = ShardPlace { log: from.log, layout: from.layout, shard: number, shards, at };
                let partition = Arc::clone(partition).lock_owned().await;
                let store = Arc::clone(&self.run.host.inner.store);
                Box::new(FeedSource(ShardFeed::new(store, place, partition, ends.clone())))
            }
            Feeding::Foreign(topic) => Box::new(ForeignSource(ForeignFeed::new(topic.clone(), number, at))),
        }
    }
}

/// Most events in one batch of each of so many shards.
fn share(shards: u32) -> usize {
    (EVENTS / shards.max(1) as usize).max(FEWEST_EVENTS)
}

/// Does what is asked of a shard that another host runs, or nobody: takes it over for one commit. Its owner takes it back.
pub(super) async fn run_apart(run: Run, (number, shards): (u32, u32), request: Request) {
    let Request { errand, reply } = request;
    let (answered, answer) = oneshot::channel();
    let (reins, orders) = reins();
    let inner = Request { errand, reply: answered };
    // The orders go with it: where it ends before it took the question, whoever asked hears that.
    let applied = async move {
        let mut orders = orders;
        let parts = parts(&run, (number, shards)).await?;
        let settings = run.settings().await?;
        drive(&run, parts, Box::new(Nothing), (settings, &mut orders)).await
    };
    let asking = async {
        let sent = reins.requests.send(inner).await.is_ok();
        let outcome = if sent { answer.await.ok() } else { None };
        reins.stop.send_replace(true);
        outcome
    };
    let (ended, outcome) = tokio::join!(applied, asking);
    match (outcome, ended) {
        // Whoever asked may have gone.
        (Some(outcome), _) => drop(reply.send(outcome)),
        (None, Err(Ended::Halted(failure) | Ended::Broken(failure))) => drop(reply.send(Err(failure))),
        (None, ended) => {
            tracing::debug!(shard = number, failed = ended.is_err(), "what was asked of a shard was not done");
        }
    }
}

async fn parts(run: &Run, (number, shards): (u32, u32)) -> Result<ShardParts, Ended> {
    let checkpoint = run.target.take_shard(run.generation.id, number).await.map_err(passing)?;
    Ok(ShardParts {
        manifest: Arc::clone(&run.generation.manifest),
        plugin: run.plugin().await?,
        read_model: run.target.read_model(&run.generation),
        number,
        shards,
        checkpoint,
        cache_bytes: run.host.inner.config.cache_bytes / shards.max(1) as usize,
        progress: Arc::clone(&run.progress),
    })
}

async fn drive(
    run: &Run,
    mut parts: ShardParts,
    source: Box<dyn Source>,
    (settings, orders): (reel_projector::RunSettings, &mut Orders),
) -> Result<(), Ended> {
    let names = (run.target.name(), run.generation.projection.as_str());
    let (source, read_model) = metered(names, source, parts.read_model);
    parts.read_model = read_model;
    let ended: Result<(), RunError> = reel_projector::run(parts, source, settings, orders).await;
    ended.map_err(Ended::from)
}

/// A shard's feed as the loop's source.
struct FeedSource(ShardFeed);

#[async_trait]
impl Source for FeedSource {
    async fn next(&mut self, most: usize) -> Result<Delivery, SourceError> {
        let fed = self.0.next(most).await.map_err(|error| match error {
            TopicError::Store { .. } => SourceError::Unavailable(error.into()),
            changed => SourceError::LogChanged(changed.to_string()),
        })?;
        Ok(Delivery { events: fed.events, through: fed.through, head: fed.head })
    }
}

/// The same of another producer's topic.
struct ForeignSource(ForeignFeed);

#[async_trait]
impl Source for ForeignSource {
    async fn next(&mut self, most: usize) -> Result<Delivery, SourceError> {
        let fed = self.0.next(most).await.map_err(|error| match error {
            ForeignError::Unavailable(fault) => SourceError::Unavailable(fault.into()),
            ForeignError::Changed(what) => SourceError::LogChanged(what),
        })?;
        Ok(Delivery { events: fed.events, through: fed.through, head: fed.head })
    }
}

/// A source without events.
struct Nothing;

#[async_trait]
impl Source for Nothing {
    async fn next(&mut self, _: usize) -> Result<Delivery, SourceError> {
        std::future::pending().await
    }
}
