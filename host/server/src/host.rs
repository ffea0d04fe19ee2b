//! The host itself: what it has, and which generations run in it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use reel_event_log::EventStore;
use reel_plugin::Engine;
use reel_projector::{Request, chain, manifest::Order};
use reel_read_model::{CatalogError, Condition, Generation, GenerationId, GenerationState, Target};
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::build::let_go_of_orphans;
use crate::config::{HostConfig, Hosts, Topic};
use crate::error::HostError;
use crate::reference::ProjectionRef;
use crate::runner::Runner;
use crate::watch::Seen;

/// How often a host looks what other hosts have done.
const RECONCILED: Duration = Duration::from_secs(1);

/// The read databases of a host, by name.
#[derive(Clone)]
pub struct Targets {
    all: Vec<Arc<dyn Target>>,
}

impl Targets {
    /// The first one is meant where nobody names another.
    ///
    /// # Panics
    /// Where there is none.
    #[must_use]
    pub fn new(all: Vec<Arc<dyn Target>>) -> Targets {
        assert!(!all.is_empty(), "a host has at least one read database");
        Targets { all }
    }

    /// The target `name`, or the default one.
    ///
    /// # Errors
    /// [`HostError::NotFound`], with the names there are.
    pub fn get(&self, name: Option<&str>) -> Result<&Arc<dyn Target>, HostError> {
        let Some(name) = name else { return Ok(&self.all[0]) };
        self.all.iter().find(|target| target.name() == name).ok_or_else(|| {
            let names: Vec<_> = self.all.iter().map(|target| target.name()).collect();
            HostError::NotFound(format!("there is no target {name}; there are: {}", names.join(", ")))
        })
    }

    /// All of them, the default one first.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<dyn Target>> {
        self.all.iter()
    }
}

/// A host. Cheap to clone; all clones are the same host.
#[derive(Clone)]
pub struct Host {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) store: Arc<dyn EventStore>,
    pub(crate) targets: Targets,
    pub(crate) engine: Engine,
    pub(crate) config: HostConfig,
    /// Goes up with every commit of any generation.
    pub(crate) commits: watch::Sender<u64>,
    pub(crate) runners: Mutex<HashMap<RunnerKey, Runner>>,
    /// One operation at a time: each looks at the catalog first, and then acts on what it saw.
    pub(crate) operations: tokio::sync::Mutex<()>,
    /// One flip of a projection at a time. A flip may wait for long, for whoever reads a view: nothing else waits with it.
    flips: Mutex<HashMap<ProjectionKey, Arc<tokio::sync::Mutex<()>>>>,
    /// Told when a reader on this host holds generations, or lets go of them: else that is heard a second later.
    pub(crate) asked_to_hold: Notify,
    /// How each generation moved, as far as it was looked at.
    pub(crate) seen: Seen,
    /// Who this host is where leases are held.
    pub(crate) holder: Uuid,
    /// What looks at the catalogs.
    looking: Mutex<JoinSet<()>>,
}

/// Which generation a runner runs: the target's name, and the number within it.
pub(crate) type RunnerKey = (String, GenerationId);

/// Whose flips are meant: the target's name, and the projection's.
type ProjectionKey = (String, String);

impl Host {
    /// A host that runs nothing yet.
    #[must_use]
    pub fn new(store: Arc<dyn EventStore>, targets: Targets, engine: Engine, config: HostConfig) -> Host {
        let holder = match config.hosts {
            Hosts::One => store.log_id().0,
            Hosts::Several => Uuid::new_v4(),
        };
        let inner = Inner {
            holder,
            looking: Mutex::default(),
            store,
            targets,
            engine,
            config,
            commits: watch::Sender::new(0),
            runners: Mutex::default(),
            operations: tokio::sync::Mutex::default(),
            flips: Mutex::default(),
            asked_to_hold: Notify::new(),
            seen: Seen::default(),
        };
        Host { inner: Arc::new(inner) }
    }

    /// Starts all generations that are to run, and from then on starts and stops what other hosts have deployed, resumed, paused
    /// or dropped.
    ///
    /// # Errors
    /// Where a catalog cannot be read.
    pub async fn start(&self) -> Result<(), HostError> {
        for target in self.inner.targets.clone().iter() {
            self.reconcile(target).await?;
        }
        self.let_go_of_orphans().await;
        let mut looking = JoinSet::new();
        let host = self.clone();
        looking.spawn(async move { host.keep_reconciled().await });
        for target in self.inner.targets.iter() {
            looking.spawn(self.clone().keep_to_holds(Arc::clone(target)));
        }
        // Whoever looked before is aborted.
        *self.looking() = looking;
        Ok(())
    }

    async fn keep_reconciled(&self) {
        loop {
            tokio::time::sleep(RECONCILED).await;
            for target in self.inner.targets.iter() {
                if let Err(error) = self.reconcile(target).await {
                    tracing::debug!(target = target.name(), error = chain(&error), "the catalog is not looked at");
                }
            }
        }
    }

    /// Runs what the catalog says is to run, and nothing else.
    async fn reconcile(&self, target: &Arc<dyn Target>) -> Result<(), HostError> {
        let _one_at_a_time = self.inner.operations.lock().await;
        let generations = self.generations(target).await?;
        for generation in &generations {
            self.start_generation(target, generation);
        }
        let idle: Vec<GenerationId> = {
            let runs = |id| generations.iter().any(|generation| generation.id == id && is_to_run(generation));
            let runners = self.runners();
            let here = runners.keys().filter(|(name, _)| name == target.name());
            here.map(|(_, id)| *id).filter(|id| !runs(*id)).collect()
        };
        if idle.is_empty() {
            return Ok(());
        }
        for id in idle {
            self.stop_generation(target, id).await;
        }
        self.let_go_of_orphans().await;
        Ok(())
    }

    async fn let_go_of_orphans(&self) {
        let_go_of_orphans(&self.inner.config.build.spill_dir, &self.inner.targets).await;
    }

    fn looking(&self) -> std::sync::MutexGuard<'_, JoinSet<()>> {
        self.inner.looking.lock().expect("nobody panics while holding it")
    }

    /// Stops all generations, each behind the batch it is at.
    pub async fn stop(&self) {
        self.looking().abort_all();
        let runners: Vec<_> = self.runners().drain().map(|(_, runner)| runner).collect();
        for runner in &runners {
            runner.ask_to_stop();
        }
        for runner in runners {
            runner.stop().await;
        }
    }

    /// Changes with every commit of any generation.
    #[must_use]
    pub fn commits(&self) -> watch::Receiver<u64> {
        self.inner.commits.subscribe()
    }

    /// The read databases.
    #[must_use]
    pub fn targets(&self) -> &Targets {
        &self.inner.targets
    }

    /// Whether the log still is the one that a generation was built from. Where it is not (another store, an older copy), positions do
    /// not compare: nothing is ahead or behind.
    pub(crate) async fn log_holds(&self, target: &Arc<dyn Target>, built: &Generation) -> Result<bool, CatalogError> {
        if built.log != self.inner.store.log_id() {
            return Ok(false);
        }
        for checkpoint in target.checkpoints(built.id).await? {
            match self.inner.store.point(checkpoint.point.position).await {
                Ok(found) if found != Some(checkpoint.point) => return Ok(false),
                // A store that does not answer says nothing: then the caller is careful.
                Ok(_) | Err(_) => {}
            }
        }
        Ok(true)
    }

    pub(crate) fn start_generation(&self, target: &Arc<dyn Target>, generation: &Generation) {
        if !is_to_run(generation) {
            return;
        }
        let key = (target.name().to_owned(), generation.id);
        let mut runners = self.runners();
        if runners.get(&key).is_none_or(Runner::is_finished) {
            runners.insert(key, Runner::start(self.clone(), Arc::clone(target), generation.clone()));
        }
    }

    /// The topic whose partitions hosts share, if this generation may be shared: the order of all streams together is known to the
    /// store alone.
    pub(crate) fn shared_topic(&self, generation: &Generation) -> Option<&Topic> {
        let topic = &self.inner.config.topic;
        // What stands still needs no topic.
        let may_be_shared = generation.manifest.order == Order::ByStream && generation.promotion.until().is_none();
        match topic {
            Topic::Kafka(_) => may_be_shared.then_some(topic),
            Topic::Foreign(_) => Some(topic),
            Topic::Store => None,
        }
    }

    /// What whoever flips a projection holds.
    pub(crate) fn flips_of(&self, target: &Arc<dyn Target>, projection: &str) -> Arc<tokio::sync::Mutex<()>> {
        let mut flips = self.inner.flips.lock().expect("nobody panics while holding it");
        Arc::clone(flips.entry((target.name().to_owned(), projection.to_owned())).or_default())
    }

    /// Stops a generation behind the batch it is at; one that does not run is fine too.
    pub(crate) async fn stop_generation(&self, target: &Arc<dyn Target>, id: GenerationId) {
        let runner = self.runners().remove(&(target.name().to_owned(), id));
        if let Some(runner) = runner {
            runner.stop().await;
        }
    }

    /// Gives a request to the generation's loop; where there is none, it is dropped, and whoever waits for the reply sees that.
    pub(crate) async fn hand_over(&self, target: &Arc<dyn Target>, generation: &Generation, request: Request) {
        let sender =
            self.runners().get(&(target.name().to_owned(), generation.id)).map(|runner| runner.requests.clone());
        if let Some(sender) = sender {
            // A loop that has just ended drops it as well.
            let _ = sender.send(request).await;
        }
    }

    pub(crate) fn runners(&self) -> std::sync::MutexGuard<'_, HashMap<RunnerKey, Runner>> {
        self.inner.runners.lock().expect("nobody panics while holding it")
    }

    pub(crate) async fn generations(&self, target: &Arc<dyn Target>) -> Result<Vec<Generation>, HostError> {
        target.generations().await.map_err(|error| HostError::catalog("reading the catalog", error))
    }

    /// The generations that `wanted` names, oldest first: one, or all of a projection.
    pub(crate) async fn named(
        &self,
        target: &Arc<dyn Target>,
        wanted: &ProjectionRef,
    ) -> Result<Vec<Generation>, HostError> {
        let all = self.generations(target).await?;
        let of_projection: Vec<_> = all.iter().filter(|g| g.projection == wanted.projection).cloned().collect();
        if of_projection.is_empty() {
            let mut names: Vec<_> = all.into_iter().map(|g| g.projection).collect();
            names.dedup();
            let known = if names.is_empty() {
                "nothing is deployed".into()
            } else {
                format!("deployed are: {}", names.join(", "))
            };
            return Err(HostError::NotFound(format!(
                "there is no projection {} in target {}; {known}",
                wanted.projection,
                target.name()
            )));
        }
        let Some(number) = wanted.generation else { return Ok(of_projection) };
        let found: Vec<_> = of_projection.iter().filter(|g| g.number == number).cloned().collect();
        if found.is_empty() {
            let numbers: Vec<_> = of_projection.iter().map(|g| format!("{}@{}", g.projection, g.number)).collect();
            return Err(HostError::NotFound(format!(
                "there is no generation {wanted}; there are: {}",
                numbers.join(", ")
            )));
        }
        Ok(found)
    }
}

/// Whether a generation is to run, as the catalog says.
fn is_to_run(generation: &Generation) -> bool {
    use GenerationState::{Build, CatchUp, Live, Previous, Ready};
    let runs = matches!(generation.state, Build | CatchUp | Ready | Live | Previous);
    runs && generation.condition == Condition::Running
}
