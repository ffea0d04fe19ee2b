//! The host itself: what it has, and which generations run in it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use reel_event_log::EventStore;
use reel_plugin::Engine;
use reel_read_model::{CatalogError, Condition, Generation, GenerationId, GenerationState, Target};
use tokio::sync::watch;

use crate::config::HostConfig;
use crate::error::HostError;
use crate::reference::ProjectionRef;
use crate::runner::Runner;
use crate::watch::Seen;

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
    /// How each generation moved, as far as it was looked at.
    pub(crate) seen: Seen,
}

/// Which generation a runner runs: the target's name, and the number within it.
pub(crate) type RunnerKey = (String, GenerationId);

impl Host {
    /// A host that runs nothing yet.
    #[must_use]
    pub fn new(store: Arc<dyn EventStore>, targets: Targets, engine: Engine, config: HostConfig) -> Host {
        let inner = Inner {
            store,
            targets,
            engine,
            config,
            commits: watch::Sender::new(0),
            runners: Mutex::default(),
            operations: tokio::sync::Mutex::default(),
            seen: Seen::default(),
        };
        Host { inner: Arc::new(inner) }
    }

    /// Starts all generations that are to run.
    ///
    /// # Errors
    /// Where a catalog cannot be read.
    pub async fn start(&self) -> Result<(), HostError> {
        let targets: Vec<_> = self.inner.targets.iter().cloned().collect();
        for target in targets {
            for generation in self.generations(&target).await? {
                self.start_generation(&target, &generation);
            }
        }
        Ok(())
    }

    /// Stops all generations, each behind the batch it is at.
    pub async fn stop(&self) {
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
        use GenerationState::{Build, CatchUp, Live, Previous, Ready};
        let runs = matches!(generation.state, Build | CatchUp | Ready | Live | Previous);
        if !runs || generation.condition != Condition::Running {
            return;
        }
        let key = (target.name().to_owned(), generation.id);
        let mut runners = self.runners();
        if runners.get(&key).is_none_or(Runner::is_finished) {
            runners.insert(key, Runner::start(self.clone(), Arc::clone(target), generation.clone()));
        }
    }

    /// Stops a generation behind the batch it is at; one that does not run is fine too.
    pub(crate) async fn stop_generation(&self, target: &Arc<dyn Target>, id: GenerationId) {
        let runner = self.runners().remove(&(target.name().to_owned(), id));
        if let Some(runner) = runner {
            runner.stop().await;
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
