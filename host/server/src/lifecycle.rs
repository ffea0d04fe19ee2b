//! A generation's way from build to live: watches how far its loop has come, and moves it on.

use std::sync::Arc;
use std::time::Duration;

use reel_projector::{Progress, chain};
use reel_read_model::{CatalogError, FlipOutcome, Generation, GenerationState, Promotion, Target, target::IfBehind};

use crate::host::Host;

/// How often a flip finds the new generation behind the live one before the live one is held still for it.
const PATIENCE: u32 = 20;
/// How often a flip is tried at all: about five seconds.
const LAST_TRY: u32 = 1_000;

/// Moves a generation on until it is live, or ready and waits for an operator.
pub(crate) async fn follow(host: Host, target: Arc<dyn Target>, generation: Generation, progress: Arc<Progress>) {
    let way = Way { host, target, generation, progress };
    let mut wait = Duration::from_millis(20);
    while let Err(error) = way.go().await {
        tracing::warn!(error = chain(&error), "the generation cannot be moved on yet");
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(Duration::from_secs(2));
    }
}

struct Way {
    host: Host,
    target: Arc<dyn Target>,
    generation: Generation,
    progress: Arc<Progress>,
}

impl Way {
    async fn go(&self) -> Result<(), CatalogError> {
        use GenerationState::{Build, CatchUp, Ready};
        let mut state = self.state().await?;
        for (from, to) in [(Build, CatchUp), (CatchUp, Ready)] {
            if state == from {
                self.reach_head().await;
                self.target.set_state(self.generation.id, from, to).await?;
                tracing::info!(state = ?to, position = self.progress.now().position, "moved on");
                state = to;
            }
        }
        if state == Ready && self.generation.promotion == Promotion::Automatic {
            promote(&self.host, &self.target, &self.generation).await?;
        }
        Ok(())
    }

    async fn state(&self) -> Result<GenerationState, CatalogError> {
        let all = self.target.generations().await?;
        Ok(all.into_iter().find(|g| g.id == self.generation.id).map_or(GenerationState::Dropped, |g| g.state))
    }

    /// Waits until the loop has passed what is the log's last position now.
    async fn reach_head(&self) {
        let head = *self.host.inner.store.watch().borrow();
        let reached = self.progress.watch().wait_for(|position| *position >= head).await.map(|_| ());
        reached.expect("the progress lives as long as this");
    }
}

/// Makes a ready generation live, and drops those that were live too long ago.
pub(crate) async fn promote(
    host: &Host,
    target: &Arc<dyn Target>,
    generation: &Generation,
) -> Result<(), CatalogError> {
    let _one_at_a_time = host.inner.operations.lock().await;
    flip(host, target, generation).await?;
    tracing::info!(projection = %generation.projection, number = generation.number, "live");
    drop_old(host, target, &generation.projection).await
}

/// Flips readers to `generation`. Where commands keep arriving, the two may miss each other again and again: then the live one is
/// held still until the new one has passed it.
pub(crate) async fn flip(host: &Host, target: &Arc<dyn Target>, generation: &Generation) -> Result<(), CatalogError> {
    let live = target.live(&generation.projection).await?;
    let behind = match &live {
        Some(live) if !host.log_holds(target, live).await? => IfBehind::Force,
        _ => IfBehind::Refuse,
    };
    let mut held = None;
    let mut tries = 0;
    let outcome = loop {
        let outcome = target.flip(generation.id, behind).await;
        let Ok(FlipOutcome::Behind { at, live: ahead, .. }) = outcome else { break outcome.map(drop) };
        tries += 1;
        if tries == LAST_TRY {
            break Err(still_behind(generation, at.position, ahead.position));
        }
        if tries == PATIENCE
            && let Some(live) = &live
        {
            host.stop_generation(target, live.id).await;
            held = Some(live.clone());
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    };
    if let Some(live) = held {
        host.start_generation(target, &live);
    }
    outcome
}

fn still_behind(generation: &Generation, at: u64, live: u64) -> CatalogError {
    CatalogError::Conflict {
        what: crate::operate::title(generation),
        actual: format!("at position {at}"),
        wanted: format!("the live generation is at {live} already: try again when it has caught up"),
    }
}

async fn drop_old(host: &Host, target: &Arc<dyn Target>, projection: &str) -> Result<(), CatalogError> {
    let mut previous: Vec<_> = target.generations().await?;
    previous.retain(|g| g.projection == projection && g.state == GenerationState::Previous);
    previous.sort_by_key(|g| std::cmp::Reverse(g.promoted_at));
    for old in previous.into_iter().skip(host.inner.config.keep_previous) {
        host.stop_generation(target, old.id).await;
        target.drop_generation(old.id, reel_read_model::target::DropScope::Generation).await?;
        tracing::info!(projection, number = old.number, "dropped: it was live too long ago");
    }
    Ok(())
}
