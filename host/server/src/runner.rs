//! One generation at work: its loop in a task of its own, and what happens when the loop ends.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use reel_event_log::topic::Tail;
use reel_events::Place;
use reel_projector::{
    Failure, Orders, Plugin, Progress, Request, RunError, RunSettings, ShardParts, chain,
    ports::{Checkpoint, DeadLetterReason},
};
use reel_read_model::{CatalogError, Condition, Generation, GenerationState, Target};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use crate::build::{Build, BuildError, Built, Plugins};
use crate::gate::Gate;
use crate::host::Host;
use crate::lease::Lease;
use crate::lifecycle;
use crate::metered::metered;
use crate::source::LogSource;

/// How often a host asks for the lease of a generation that another one runs.
const LEASE_ASKED: Duration = Duration::from_millis(500);

/// A generation that runs.
pub(crate) struct Runner {
    pub(crate) progress: Arc<Progress>,
    pub(crate) requests: mpsc::Sender<Request>,
    pub(crate) gate: Arc<Gate>,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Runner {
    pub(crate) fn start(host: Host, target: Arc<dyn Target>, generation: Generation) -> Runner {
        let progress = Arc::new(Progress::new(0, host.inner.commits.clone()));
        let (stop, stopped) = watch::channel(false);
        let (requests, asked) = mpsc::channel(1);
        let orders = Orders { stop: stopped, requests: asked };
        let gate = Arc::new(Gate::default());
        let run = Run { host, target, generation, progress: Arc::clone(&progress), gate: Arc::clone(&gate) };
        let task = tokio::spawn(run.until_stopped(orders));
        Runner { progress, requests, gate, stop, task }
    }

    pub(crate) fn is_finished(&self) -> bool {
        self.task.is_finished()
    }

    pub(crate) fn ask_to_stop(&self) {
        self.stop.send_replace(true);
    }

    /// Stops behind the batch it is at.
    pub(crate) async fn stop(self) {
        self.ask_to_stop();
        if let Err(error) = self.task.await {
            tracing::error!(%error, "a generation's task ended badly");
        }
    }
}

/// What runs one generation.
#[derive(Clone)]
pub(crate) struct Run {
    pub(crate) host: Host,
    pub(crate) target: Arc<dyn Target>,
    pub(crate) generation: Generation,
    pub(crate) progress: Arc<Progress>,
    /// Where its loop can be held.
    pub(crate) gate: Arc<Gate>,
}

/// Why an attempt to run ended without being asked to.
pub(crate) enum Ended {
    /// The catalog has changed: look at it and begin again.
    Again,
    /// Passing: try again soon.
    Passing(String),
    /// An operator must decide.
    Halted(Failure),
    /// Nothing can be applied by this generation.
    Broken(Failure),
}

impl Run {
    #[tracing::instrument(name = "generation", skip_all, fields(projection = %self.generation.projection, number = self.generation.number))]
    async fn until_stopped(self, mut orders: Orders) {
        let mut wait = Duration::from_millis(50);
        let mut stop = orders.stop.clone();
        loop {
            match self.attempt(&mut orders).await {
                Ok(()) => return,
                Err(Ended::Again) => continue,
                Err(Ended::Halted(failure)) => return self.halt(failure, None).await,
                Err(Ended::Broken(failure)) => return self.halt(failure, Some(GenerationState::Failed)).await,
                Err(Ended::Passing(why)) => {
                    tracing::warn!(%why, "trying again");
                    self.progress.waiting(&why);
                }
            }
            tokio::select! {
                () = tokio::time::sleep(wait) => wait = (wait * 2).min(Duration::from_secs(5)),
                () = asked(&mut stop) => return,
            }
        }
    }

    /// Runs the generation once, until it is told to stop or something is in the way.
    async fn attempt(&self, orders: &mut Orders) -> Result<(), Ended> {
        if self.state().await? == GenerationState::Build && self.build(&mut orders.stop).await? == Built::Stopped {
            return Ok(());
        }
        if let Some(topic) = self.host.shared_topic(&self.generation) {
            return self.share(topic, orders).await;
        }
        let Some(lease) = self.leased(&mut orders.stop).await? else { return Ok(()) };
        let ended = self.follow_store(orders).await;
        lease.release().await;
        ended
    }

    /// Waits until this host has the generation's lease; nothing where it is told to stop before.
    async fn leased(&self, stop: &mut watch::Receiver<bool>) -> Result<Option<Lease>, Ended> {
        loop {
            let holder = self.host.inner.holder;
            if let Some(lease) = Lease::take(&self.target, self.generation.id, holder).await.map_err(passing)? {
                return Ok(Some(lease));
            }
            tokio::select! {
                () = tokio::time::sleep(LEASE_ASKED) => {}
                () = asked(stop) => return Ok(None),
            }
        }
    }

    /// Runs the loop from the checkpoint on; beside it goes what moves the generation through its life.
    async fn follow_store(&self, orders: &mut Orders) -> Result<(), Ended> {
        self.in_one_piece().await?;
        let checkpoint = self.take_over().await?;
        self.progress.begin(checkpoint.point.position);
        let plugin = self.plugin().await?;
        let settings = self.settings().await?;
        let tail = Tail::new(Arc::clone(&self.host.inner.store), checkpoint.log, checkpoint.point);
        let source = LogSource::new(tail).behind(&self.gate, checkpoint.point.position);
        let source = match self.generation.promotion.until() {
            Some(until) => source.until(checkpoint.point.position, until),
            None => source,
        };
        let names = (self.target.name(), self.generation.projection.as_str());
        let (source, read_model) = metered(names, Box::new(source), self.target.read_model(&self.generation));
        let parts = ShardParts {
            manifest: Arc::clone(&self.generation.manifest),
            plugin,
            read_model,
            number: 0,
            shards: self.generation.shards,
            checkpoint,
            cache_bytes: self.host.inner.config.cache_bytes,
            progress: Arc::clone(&self.progress),
        };
        let follow = AbortOnDrop(tokio::spawn(lifecycle::follow(self.clone())));
        let ended = reel_projector::run(parts, source, settings, orders).await;
        drop(follow);
        ended.map_err(Ended::from)
    }

    /// Fills the generation from history, under its lease. Whoever waits for that looks whether another host has built it meanwhile:
    /// that one may keep the lease for good, to move the generation on.
    async fn build(&self, stop: &mut watch::Receiver<bool>) -> Result<Built, Ended> {
        while self.state().await? == GenerationState::Build {
            let holder = self.host.inner.holder;
            if let Some(lease) = Lease::take(&self.target, self.generation.id, holder).await.map_err(passing)? {
                let built = self.build_now(stop).await;
                lease.release().await;
                return built;
            }
            // Another host builds it, and says how that gets on: nothing stands still here.
            self.progress.moving();
            tokio::select! {
                () = tokio::time::sleep(LEASE_ASKED) => {}
                () = asked(stop) => return Ok(Built::Stopped),
            }
        }
        Ok(Built::Whole)
    }

    async fn build_now(&self, stop: &mut watch::Receiver<bool>) -> Result<Built, Ended> {
        if self.state().await? != GenerationState::Build {
            // Another host has built it between the look and the lease.
            return Ok(Built::Whole);
        }
        if let Some(topic) = self.host.foreign() {
            return self.lay_out(topic).await;
        }
        let config = &self.host.inner.config;
        let build = Build {
            store: Arc::clone(&self.host.inner.store),
            archive: config.archive.clone(),
            target: Arc::clone(&self.target),
            generation: self.generation.clone(),
            checkpoint: self.take_over().await?,
            plugins: self.plugins().await?,
            // What an earlier build of it put aside is none of this one's.
            settings: RunSettings { parked: HashSet::new(), ..self.settings().await? },
            progress: Arc::clone(&self.progress),
            config: config.build.clone(),
        };
        build.run(stop).await.map_err(|error| match error {
            BuildError::Run(error) => error.into(),
            BuildError::Passing(why) => Ended::Passing(why),
        })
    }

    async fn state(&self) -> Result<GenerationState, Ended> {
        let all = self.target.generations().await.map_err(passing)?;
        let own = all.into_iter().find(|generation| generation.id == self.generation.id);
        own.map(|generation| generation.state).ok_or_else(|| Ended::Passing("the generation was dropped".into()))
    }

    /// A generation that hosts share by the partitions of a topic stands at as many points as it has shards, and nobody may follow the
    /// store from one of them. It is left alone, so that hosts that have the topic go on with it.
    async fn in_one_piece(&self) -> Result<(), Ended> {
        let shards = self.target.checkpoints(self.generation.id).await.map_err(passing)?.len();
        if shards <= 1 {
            return Ok(());
        }
        Err(Ended::Passing(format!(
            "it is laid out over the {shards} partitions of a Kafka topic, and this host's `topic` is the event store itself: give the \
             host that topic, or replay the projection here"
        )))
    }

    /// Fences whoever ran the generation before.
    pub(crate) async fn take_over(&self) -> Result<Checkpoint, Ended> {
        let checkpoints = self.target.take(self.generation.id).await.map_err(passing)?;
        checkpoints.into_iter().next().ok_or_else(|| Ended::Passing("the generation has no checkpoint".into()))
    }

    pub(crate) async fn plugin(&self) -> Result<Box<dyn Plugin>, Ended> {
        self.plugins().await?().map_err(Ended::Broken)
    }

    /// What makes the generation's code, once for each worker.
    async fn plugins(&self) -> Result<Plugins, Ended> {
        let digest = &self.generation.digest;
        let component = self.target.component(digest).await.map_err(passing)?;
        let Some(component) = component else {
            return Err(Ended::Broken(broken(format!("the catalog has lost component {digest}: deploy it again"))));
        };
        let engine = self.host.inner.engine.clone();
        let loaded = tokio::task::spawn_blocking(move || engine.load(&component.bytes));
        let loaded = loaded.await.expect("loading does not panic, and nobody aborts it");
        let loaded = loaded.map_err(|error| Ended::Broken(broken(chain(&error))))?;
        let settings = self.generation.settings.clone();
        Ok(Arc::new(move || {
            let plugin = loaded.instantiate_plugin(&settings);
            plugin.map(|plugin| Box::new(plugin) as Box<dyn Plugin>).map_err(|error| broken(chain(&error)))
        }))
    }

    pub(crate) async fn settings(&self) -> Result<RunSettings, Ended> {
        let Generation { id, log, digest, settings, on_failure, .. } = &self.generation;
        let let_go = self.target.decisions(*log, digest, settings).await.map_err(passing)?;
        let mut parked = HashSet::new();
        let mut after = Place::START;
        loop {
            let page = self.target.dead_letters(*id, after, 1000).await.map_err(passing)?;
            let Some(last) = page.last() else { break };
            after = last.position;
            parked.extend(
                page.into_iter().filter(|letter| letter.reason == DeadLetterReason::Parked).map(|letter| letter.stream),
            );
        }
        Ok(RunSettings {
            on_failure: *on_failure,
            let_go: let_go.into_iter().collect(),
            parked,
            most_events: self.host.inner.config.most_events,
        })
    }

    /// Notes in the catalog why the generation stopped; a build that nothing can mend has failed.
    async fn halt(&self, failure: Failure, state: Option<GenerationState>) {
        tracing::error!(code = %failure.code, position = failure.position.map(tracing::field::display), stream = failure.stream, message = %failure.message, "halted");
        let condition = Condition::Halted {
            position: failure.position,
            stream: failure.stream,
            code: failure.code,
            message: failure.message,
        };
        let mut wait = Duration::from_millis(50);
        while let Err(error) = self.note(&condition, state).await {
            // It was dropped, perhaps by another host; that was why it failed.
            if matches!(error, CatalogError::NotFound(_)) {
                return;
            }
            tracing::warn!(error = chain(&error), "the failure cannot be noted yet");
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(Duration::from_secs(5));
        }
    }

    async fn note(&self, condition: &Condition, state: Option<GenerationState>) -> Result<(), CatalogError> {
        self.target.set_condition(self.generation.id, condition).await?;
        let Some(state) = state else { return Ok(()) };
        let now = self.target.generations().await?.into_iter().find(|g| g.id == self.generation.id);
        match now.map(|generation| generation.state) {
            Some(from @ (GenerationState::Build | GenerationState::CatchUp)) => {
                self.target.set_state(self.generation.id, from, state).await
            }
            _ => Ok(()),
        }
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Ended::Again => f.write_str("the catalog has changed"),
            Ended::Passing(why) => f.write_str(why),
            Ended::Halted(failure) | Ended::Broken(failure) => failure.fmt(f),
        }
    }
}

impl From<RunError> for Ended {
    fn from(error: RunError) -> Ended {
        match error {
            RunError::Halted(failure) => Ended::Halted(failure),
            RunError::Fatal(failure) if failure.code == "log-changed" => Ended::Halted(failure),
            RunError::Fatal(failure) => Ended::Broken(failure),
            RunError::Superseded(by) => Ended::Passing(by),
        }
    }
}

/// Waits until the generation is to stop.
pub(crate) async fn asked(stop: &mut watch::Receiver<bool>) {
    // The sender goes only when the runner does.
    let _ = stop.wait_for(|stop| *stop).await;
}

pub(crate) fn passing(error: CatalogError) -> Ended {
    Ended::Passing(chain(&error))
}

fn broken(message: String) -> Failure {
    Failure { position: None, stream: None, kind: None, code: "component".into(), message }
}

/// A task that ends with whoever started it.
pub(crate) struct AbortOnDrop(pub(crate) JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}
