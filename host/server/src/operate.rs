//! What an operator does with what is deployed: promote, roll back, pause, resume, cancel, drop.

use std::sync::Arc;

use reel_read_model::target::{DropScope, IfBehind};
use reel_read_model::{Condition, Generation, GenerationState, Target};

use crate::error::HostError;
use crate::host::Host;
use crate::lifecycle::{self, Flip};
use crate::reference::ProjectionRef;

impl Host {
    /// Makes a generation live: the one named, or the newest that is ready. `keep` = how many that were live before stay; nothing = as
    /// configured.
    ///
    /// # Errors
    /// [`HostError::Conflict`] where none is ready.
    pub async fn promote(
        &self,
        wanted: &ProjectionRef,
        target: Option<&str>,
        keep: Option<usize>,
    ) -> Result<Generation, HostError> {
        use GenerationState::{Live, Previous, Ready};
        let target = Arc::clone(self.inner.targets.get(target)?);
        let named = self.named(&target, wanted).await?;
        let chosen = match wanted.generation {
            Some(_) => named.last(),
            None => named.iter().rfind(|g| g.state == Ready && g.promotion.until().is_none()),
        };
        let Some(chosen) = chosen else {
            return Err(HostError::Conflict(format!("no generation of {wanted} is ready; {}", states(&named))));
        };
        if let Some(until) = chosen.promotion.until() {
            return Err(HostError::Conflict(format!(
                "{} shows the past, up to position {until}, and never goes live: replay {} without --until",
                title(chosen),
                chosen.projection
            )));
        }
        match chosen.state {
            Live => Err(HostError::Conflict(format!("{} is live already", title(chosen)))),
            Ready | Previous if chosen.condition == Condition::Running => {
                self.flip(&target, chosen, Flip { keep, ..Flip::default() }).await
            }
            Ready | Previous => Err(HostError::Conflict(format!("{} does not run: resume it first", title(chosen)))),
            state => Err(HostError::Conflict(format!("{} is in state {}, not ready", title(chosen), state.as_str()))),
        }
    }

    /// Makes the generation that was live before live again. One that has stopped stays as old as it is: only by force.
    ///
    /// # Errors
    /// [`HostError::Conflict`] where there is none, or it has stopped and would be behind.
    pub async fn rollback(
        &self,
        projection: &ProjectionRef,
        target: Option<&str>,
        behind: IfBehind,
    ) -> Result<Generation, HostError> {
        let target = Arc::clone(self.inner.targets.get(target)?);
        let named = self.named(&target, &ProjectionRef { generation: None, ..projection.clone() }).await?;
        let previous = named.iter().filter(|g| g.state == GenerationState::Previous).max_by_key(|g| g.promoted_at);
        let Some(previous) = previous else {
            return Err(HostError::Conflict(format!(
                "{projection} has no previous generation to go back to; {}",
                states(&named)
            )));
        };
        if previous.condition != Condition::Running && behind == IfBehind::Refuse {
            let message = format!(
                "{} does not run, so readers would go back to where it stopped: resume it first, or say --force",
                title(previous)
            );
            return Err(HostError::Conflict(message));
        }
        self.flip(&target, previous, Flip { behind, keep: None }).await
    }

    /// Stops generations behind the batch they are at: the one named, or all of a projection.
    ///
    /// # Errors
    /// Where there is none, or the catalog does not answer.
    pub async fn pause(&self, wanted: &ProjectionRef, target: Option<&str>) -> Result<Vec<Generation>, HostError> {
        self.each(wanted, target, &Condition::Paused, "pausing").await
    }

    /// Starts generations that were paused or have halted: the one named, or all of a projection that can run. A build goes on from the parts
    /// that this host has put aside, or begins again from the log's start.
    ///
    /// # Errors
    /// Where there is none, the one named has failed for good, or the catalog does not answer.
    pub async fn resume(&self, wanted: &ProjectionRef, target: Option<&str>) -> Result<Vec<Generation>, HostError> {
        self.each(wanted, target, &Condition::Running, "resuming").await
    }

    async fn each(
        &self,
        wanted: &ProjectionRef,
        target: Option<&str>,
        condition: &Condition,
        action: &'static str,
    ) -> Result<Vec<Generation>, HostError> {
        let _one_at_a_time = self.inner.operations.lock().await;
        let target = Arc::clone(self.inner.targets.get(target)?);
        let mut changed = Vec::new();
        for mut generation in able_to_run(self.named(&target, wanted).await?, wanted)? {
            if *condition != Condition::Running {
                self.stop_generation(&target, generation.id).await;
            }
            let resumed = *condition == Condition::Running && generation.condition == Condition::Running;
            if !resumed {
                target
                    .set_condition(generation.id, condition)
                    .await
                    .map_err(|error| HostError::catalog(action, error))?;
            }
            generation.condition = condition.clone();
            self.start_generation(&target, &generation);
            changed.push(generation);
        }
        Ok(changed)
    }

    /// Ends builds: the one named, or all of a projection that are not live yet. Their tables go.
    ///
    /// # Errors
    /// [`HostError::Conflict`] where nothing is being built.
    pub async fn cancel(&self, wanted: &ProjectionRef, target: Option<&str>) -> Result<Vec<Generation>, HostError> {
        use GenerationState::{Build, CatchUp, Ready};
        let _one_at_a_time = self.inner.operations.lock().await;
        let target = Arc::clone(self.inner.targets.get(target)?);
        let named = self.named(&target, wanted).await?;
        let builds: Vec<_> = named.iter().filter(|g| matches!(g.state, Build | CatchUp | Ready)).cloned().collect();
        if builds.is_empty() {
            return Err(HostError::Conflict(format!("nothing of {wanted} is being built; {}", states(&named))));
        }
        for build in &builds {
            self.remove(&target, build, DropScope::Generation).await?;
        }
        Ok(builds)
    }

    /// Drops a generation that is not live, or a whole projection with all it has.
    ///
    /// # Errors
    /// [`HostError::Conflict`] where the one named is live.
    pub async fn drop_projection(
        &self,
        wanted: &ProjectionRef,
        target: Option<&str>,
    ) -> Result<Vec<Generation>, HostError> {
        let _one_at_a_time = self.inner.operations.lock().await;
        let target = Arc::clone(self.inner.targets.get(target)?);
        let mut named = self.named(&target, wanted).await?;
        if wanted.generation.is_some() {
            let one = named.last().expect("named finds at least one");
            if one.state == GenerationState::Live {
                let message = format!(
                    "{} is live: promote another one first, or drop the whole projection {}",
                    title(one),
                    one.projection
                );
                return Err(HostError::Conflict(message));
            }
            self.remove(&target, one, DropScope::Generation).await?;
            return Ok(named);
        }
        // What readers see goes last.
        named.sort_by_key(|generation| generation.state == GenerationState::Live);
        let last = named.len() - 1;
        for (place, generation) in named.iter().enumerate() {
            let scope = if place == last { DropScope::Projection } else { DropScope::Generation };
            self.remove(&target, generation, scope).await?;
        }
        Ok(named)
    }

    async fn remove(
        &self,
        target: &Arc<dyn Target>,
        generation: &Generation,
        scope: DropScope,
    ) -> Result<(), HostError> {
        self.stop_generation(target, generation.id).await;
        target.drop_generation(generation.id, scope).await.map_err(|error| HostError::catalog("dropping", error))?;
        self.inner.config.build.forget(target.name(), generation).await;
        tracing::info!(generation = title(generation), "dropped");
        Ok(())
    }

    async fn flip(
        &self,
        target: &Arc<dyn Target>,
        generation: &Generation,
        how: Flip,
    ) -> Result<Generation, HostError> {
        let catalog = |error| HostError::catalog("flipping", error);
        lifecycle::promote(self, target, generation, how).await.map_err(catalog)?;
        let live = target.live(&generation.projection).await.map_err(catalog)?;
        live.ok_or_else(|| HostError::Conflict(format!("{} was dropped meanwhile", generation.projection)))
    }
}

/// Those of a projection that can be paused and resumed: what has failed keeps its evidence.
fn able_to_run(mut named: Vec<Generation>, wanted: &ProjectionRef) -> Result<Vec<Generation>, HostError> {
    use GenerationState::{Cancelled, Failed};
    let is_over = |generation: &Generation| matches!(generation.state, Failed | Cancelled);
    if let (Some(_), Some(over)) = (wanted.generation, named.iter().find(|generation| is_over(generation))) {
        let message = format!(
            "{over} is {state}, and cannot run: `reel replay {projection} --with FILE.wasm` builds another generation through a mended component, \
             `reel drop {over}` removes this one",
            state = over.state.as_str(),
            projection = over.projection,
            over = title(over),
        );
        return Err(HostError::Conflict(message));
    }
    named.retain(|generation| !is_over(generation));
    Ok(named)
}

/// `posts@2`
pub(crate) fn title(generation: &Generation) -> String {
    format!("{}@{}", generation.projection, generation.number)
}

fn states(generations: &[Generation]) -> String {
    let states: Vec<_> = generations.iter().map(|g| format!("{} is {}", title(g), g.state.as_str())).collect();
    states.join(", ")
}
