//! Deploy and replay: a new generation, made of a component and settings, built from history.

use std::sync::Arc;

use reel_event_log::{ReadLimit, StoreError};
use reel_events::Timestamp;
use reel_plugin::LoadedComponent;
use reel_projector::{chain, manifest::Order, ports::FailurePolicy};
use reel_read_model::{Component, Generation, GenerationState, NewGeneration, Promotion, Target};

use crate::error::HostError;
use crate::host::Host;
use crate::reference::ProjectionRef;

/// Events that are read at once to find a time.
const SCANNED: usize = 10_000;

/// What an operator wants deployed.
#[derive(Debug, Clone)]
pub struct Deployment {
    /// The component; nothing = the one that is deployed already (a replay).
    pub component: Option<Vec<u8>>,
    /// The projection's name; nothing = the manifest's.
    pub name: Option<String>,
    /// In which read database; nothing = the default one.
    pub target: Option<String>,
    /// JSON; nothing = those that are deployed already, or none.
    pub settings: Option<String>,
    /// What to do with an event that cannot be applied; nothing = what is deployed already, or halt.
    pub on_failure: Option<FailurePolicy>,
    /// Whether it goes live by itself.
    pub promotion: Promotion,
    /// Only for a replay: a generation of the past, which stands still there and never goes live.
    pub until: Option<Until>,
}

/// Up to where in the log a generation of the past goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// Up to and with this position.
    Position(u64),
    /// Up to and with the last position before the first event that was recorded later.
    Time(Timestamp),
}

/// A generation, and whether it is a new one.
#[derive(Debug, Clone)]
pub struct Deployed {
    /// The generation.
    pub generation: Generation,
    /// Whether anything was done.
    pub outcome: Outcome,
}

/// Whether a deployment did anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// A new generation is being built.
    Created,
    /// The same component with the same settings is live, or being built, already.
    Unchanged,
}

/// What a replay is made of.
pub(crate) struct Intended {
    /// What is deployed: the live generation, else the newest.
    pub(crate) model: Generation,
    pub(crate) loaded: LoadedComponent,
    bytes: Vec<u8>,
    pub(crate) settings: String,
}

impl Host {
    /// Deploys a component: a new generation, unless the same is live or on its way already.
    ///
    /// # Errors
    /// Where the component, its manifest or the settings are refused, or a catalog does not answer.
    pub async fn deploy(&self, deployment: Deployment) -> Result<Deployed, HostError> {
        let _one_at_a_time = self.inner.operations.lock().await;
        let target = Arc::clone(self.inner.targets.get(deployment.target.as_deref())?);
        if deployment.until.is_some() {
            return Err(HostError::Refused("a deployment goes up to the present: replay it up to a position".into()));
        }
        let bytes =
            deployment.component.clone().ok_or_else(|| HostError::Refused("a deployment needs a component".into()))?;
        let (loaded, bytes) = self.load(bytes).await?;
        let name = deployment.name.clone().unwrap_or_else(|| loaded.manifest().name.clone());
        let settings = settings_of(&loaded, deployment.settings.as_deref())?;
        let current = self.of_projection(&target, &name).await?;
        let same = current.iter().find(|g| {
            g.digest == loaded.digest()
                && g.settings == settings
                && g.log == self.inner.store.log_id()
                && g.promotion.until().is_none()
                && is_on_its_way(g.state)
        });
        if let Some(same) = same {
            return Ok(Deployed { generation: same.clone(), outcome: Outcome::Unchanged });
        }
        self.create(&target, (loaded, bytes), (name, settings), &deployment).await
    }

    /// Builds a projection anew: with the component that is deployed, or through another one.
    ///
    /// # Errors
    /// Where there is no such projection, the component is refused, or a catalog does not answer.
    pub async fn replay(&self, projection: &ProjectionRef, deployment: Deployment) -> Result<Deployed, HostError> {
        let _one_at_a_time = self.inner.operations.lock().await;
        let target = Arc::clone(self.inner.targets.get(deployment.target.as_deref())?);
        let Intended { model, loaded, bytes, settings } = self.intended(&target, projection, &deployment).await?;
        let promotion = match deployment.until {
            Some(until) => Promotion::Never { until: self.past(until).await? },
            None => deployment.promotion,
        };
        let deployment = Deployment { promotion, ..deployment };
        let deployment = Deployment { on_failure: deployment.on_failure.or(Some(model.on_failure)), ..deployment };
        self.create(&target, (loaded, bytes), (model.projection, settings), &deployment).await
    }

    /// The position that is meant.
    async fn past(&self, until: Until) -> Result<u64, HostError> {
        self.needs_history("a generation of the past")?;
        let unavailable =
            |error: StoreError| HostError::Unavailable { action: "reading the log", source: error.into() };
        let head = self.inner.store.head().await.map_err(unavailable)?.position;
        let time = match until {
            Until::Position(position) if (1..=head).contains(&position) => return Ok(position),
            Until::Position(position) => {
                return Err(HostError::Conflict(format!(
                    "position {position} is not in the log, whose last position is {head}: give one from 1 to {head}"
                )));
            }
            Until::Time(time) => time,
        };
        let mut last = 0;
        while last < head {
            let page = self.inner.store.read(last, ReadLimit::events(SCANNED)).await.map_err(unavailable)?;
            // Times need not rise where history was imported: what counts is the first event that is later.
            let later = page.iter().find(|event| event.recorded_at > time.micros());
            match later {
                Some(event) if event.position == 1 => {
                    let message =
                        format!("the log's first event was recorded later than {time}: there is nothing before");
                    return Err(HostError::Conflict(message));
                }
                Some(event) => return Ok(event.position - 1),
                None if page.is_empty() => break,
                None => last = page.get(page.len() - 1).position,
            }
        }
        if last == 0 { Err(HostError::Conflict("the log is empty: there is no past".to_owned())) } else { Ok(last) }
    }

    /// What a replay is made of: what it is asked for, and the rest as it is deployed.
    pub(crate) async fn intended(
        &self,
        target: &Arc<dyn Target>,
        projection: &ProjectionRef,
        deployment: &Deployment,
    ) -> Result<Intended, HostError> {
        let (home, model) = self.model(target, projection).await?;
        let bytes = match deployment.component.clone() {
            Some(bytes) => bytes,
            None => self.component_of(&home, &model).await?,
        };
        let (loaded, bytes) = self.load(bytes).await?;
        let inherited = (loaded.digest() == model.digest || loaded.manifest().settings.is_some())
            .then_some(model.settings.as_str());
        let settings = settings_of(&loaded, deployment.settings.as_deref().or(inherited))?;
        Ok(Intended { model, loaded, bytes, settings })
    }

    /// What is built again, and the read database that has it: the target's own, else that of the first other target which has the
    /// projection.
    async fn model(
        &self,
        target: &Arc<dyn Target>,
        projection: &ProjectionRef,
    ) -> Result<(Arc<dyn Target>, Generation), HostError> {
        let others = self.inner.targets.iter().filter(|other| other.name() != target.name());
        let mut missing = None;
        for home in std::iter::once(target).chain(others) {
            match self.named(home, projection).await {
                Ok(named) => {
                    let live = named.iter().find(|g| g.state == GenerationState::Live);
                    let model = live.or(named.last()).expect("named finds at least one").clone();
                    return Ok((Arc::clone(home), model));
                }
                Err(error @ HostError::NotFound(_)) => drop(missing.get_or_insert(error)),
                Err(error) => return Err(error),
            }
        }
        Err(missing.expect("a target was asked"))
    }

    /// Builds anew what was built from another log, or from more of it than the store holds now.
    ///
    /// # Errors
    /// Where a catalog does not answer, or a component is refused by now.
    pub async fn accept_log(&self) -> Result<(), HostError> {
        for target in self.inner.targets.clone().iter() {
            for old in self.generations(target).await? {
                let holds = self.log_holds(target, &old).await;
                let holds = holds.map_err(|error| HostError::catalog("reading the checkpoints", error))?;
                if holds || old.state != GenerationState::Live {
                    continue;
                }
                tracing::warn!(projection = %old.projection, "built anew: the log is not the one it was built from");
                let deployment = Deployment {
                    component: None,
                    name: None,
                    target: Some(target.name().into()),
                    settings: None,
                    on_failure: None,
                    promotion: Promotion::Automatic,
                    until: None,
                };
                self.replay(&ProjectionRef { projection: old.projection, generation: None }, deployment).await?;
            }
        }
        Ok(())
    }

    async fn create(
        &self,
        target: &Arc<dyn Target>,
        (loaded, bytes): (LoadedComponent, Vec<u8>),
        (projection, settings): (String, String),
        deployment: &Deployment,
    ) -> Result<Deployed, HostError> {
        check_name(&projection)?;
        (self.inner.config.check_manifest)(loaded.manifest())
            .map_err(|why| HostError::Refused(format!("manifest: {why}")))?;
        self.can_follow(loaded.manifest())?;
        if deployment.on_failure == Some(FailurePolicy::Park) && loaded.manifest().order == Order::Global {
            let message = "the policy park holds back one stream, but this projection reads all streams in one order: use halt or skip";
            return Err(HostError::Refused(message.into()));
        }
        let plugin = loaded.clone();
        let checked = settings.clone();
        let trial = tokio::task::spawn_blocking(move || plugin.instantiate_plugin(&checked).map(drop));
        trial
            .await
            .expect("loading does not panic, and nobody aborts it")
            .map_err(|error| HostError::Refused(chain(&error)))?;
        let component = Component { digest: loaded.digest().into(), manifest: loaded.manifest_json().into(), bytes };
        let catalog = |error| HostError::catalog("deploying", error);
        target.put_component(&component).await.map_err(catalog)?;
        let new = NewGeneration {
            projection,
            digest: loaded.digest().into(),
            manifest: Arc::clone(loaded.manifest()),
            settings,
            on_failure: deployment.on_failure.unwrap_or(FailurePolicy::Halt),
            promotion: deployment.promotion,
            log: self.inner.store.log_id(),
            shards: 1,
        };
        let generation = target.create_generation(new).await.map_err(catalog)?;
        tracing::info!(projection = %generation.projection, number = generation.number, digest = %generation.digest, "deployed");
        self.start_generation(target, &generation);
        Ok(Deployed { generation, outcome: Outcome::Created })
    }

    async fn load(&self, bytes: Vec<u8>) -> Result<(LoadedComponent, Vec<u8>), HostError> {
        let engine = self.inner.engine.clone();
        let loaded = tokio::task::spawn_blocking(move || engine.load(&bytes).map(|loaded| (loaded, bytes)));
        loaded
            .await
            .expect("loading does not panic, and nobody aborts it")
            .map_err(|error| HostError::Refused(chain(&error)))
    }

    async fn component_of(&self, target: &Arc<dyn Target>, generation: &Generation) -> Result<Vec<u8>, HostError> {
        let found = target
            .component(&generation.digest)
            .await
            .map_err(|error| HostError::catalog("reading the catalog", error))?;
        found.map(|component| component.bytes).ok_or_else(|| {
            HostError::NotFound(format!("the catalog has lost component {}: give it with --with", generation.digest))
        })
    }

    async fn of_projection(&self, target: &Arc<dyn Target>, name: &str) -> Result<Vec<Generation>, HostError> {
        let mut all = self.generations(target).await?;
        all.retain(|generation| generation.projection == name);
        Ok(all)
    }
}

/// Whether a generation is live or will be: deploying the same again would change nothing.
fn is_on_its_way(state: GenerationState) -> bool {
    use GenerationState::{Build, CatchUp, Live, Ready};
    matches!(state, Build | CatchUp | Ready | Live)
}

fn settings_of(loaded: &LoadedComponent, settings: Option<&str>) -> Result<String, HostError> {
    reel_projector::settings::check_settings(loaded.manifest(), settings.unwrap_or("{}"))
        .map(|settings| settings.as_str().to_owned())
        .map_err(|error| HostError::Refused(error.to_string()))
}

fn check_name(name: &str) -> Result<(), HostError> {
    let fits = (1..=24).contains(&name.len())
        && name.as_bytes()[0].is_ascii_lowercase()
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    if fits {
        return Ok(());
    }
    Err(HostError::Refused(format!(
        "projection name {name:?} must be 1 to 24 lower-case letters, digits or -, and begin with a letter"
    )))
}
