//! A generation's way from catch-up to live: watches how far its loop has come, and moves it on.

use std::sync::Arc;
use std::time::{Duration, Instant};

use reel_event_log::topic::foreign::ForeignTopic;
use reel_projector::chain;
use reel_read_model::{CatalogError, FlipOutcome, Generation, GenerationState, Promotion, Target, target::IfBehind};

use crate::foreign::{self, has_reached};
use crate::host::Host;
use crate::runner::Run;

/// How often checkpoints are looked at while this host commits, and while others may.
const LOOK: Duration = Duration::from_millis(10);
const LOOK_APART: Duration = Duration::from_millis(100);
/// How often a flip finds the new generation behind the live one before the live one is held still for it.
const PATIENCE: u32 = 20;
/// For how long a flip is tried at all.
const TRIED: Duration = Duration::from_secs(10);

/// Moves a generation on until it is live, or ready and waits for an operator.
pub(crate) async fn follow(run: Run) {
    let way = Way(run);
    let (mut wait, mut troubled) = (Duration::from_millis(20), false);
    while let Err(error) = way.go().await {
        way.0.progress.waiting(&format!("it cannot be moved on yet: {}", chain(&error)));
        troubled = true;
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(Duration::from_secs(2));
    }
    if troubled {
        way.0.progress.moving();
    }
}

struct Way(Run);

impl Way {
    async fn go(&self) -> Result<(), CatalogError> {
        use GenerationState::{CatchUp, Ready};
        let Way(Run { host, target, generation, .. }) = self;
        let mut state = self.state().await?;
        if state == CatchUp {
            let position = self.reach_head().await?;
            target.set_state(generation.id, CatchUp, Ready).await?;
            tracing::info!(state = ?Ready, position, "moved on");
            state = Ready;
        }
        if state == Ready && generation.promotion == Promotion::Automatic {
            promote(host, target, generation, Flip::default()).await?;
        }
        Ok(())
    }

    async fn state(&self) -> Result<GenerationState, CatalogError> {
        let all = self.0.target.generations().await?;
        Ok(all.into_iter().find(|g| g.id == self.0.generation.id).map_or(GenerationState::Dropped, |g| g.state))
    }

    /// Waits until every shard, whichever host runs it, has passed what is its partition's end now.
    async fn reach_ends(&self, topic: &ForeignTopic) -> Result<u64, CatalogError> {
        let Way(Run { target, generation, progress, .. }) = self;
        let ends = loop {
            match topic.ends().await {
                Ok(ends) => break ends,
                Err(error) => progress.waiting(&chain(&error)),
            }
            tokio::time::sleep(LOOK_APART).await;
        };
        loop {
            let checkpoints = target.checkpoints(generation.id).await?;
            if has_reached(&checkpoints, &ends) {
                return Ok(foreign::Way::of(&checkpoints, &ends).gone);
            }
            tokio::time::sleep(LOOK_APART).await;
        }
    }

    /// Waits until every shard, whichever host runs it, has passed what is the log's last position now.
    async fn reach_head(&self) -> Result<u64, CatalogError> {
        let Way(Run { host, target, generation, .. }) = self;
        if let Some(topic) = host.foreign() {
            return self.reach_ends(topic).await;
        }
        let head = *host.inner.store.watch().borrow();
        let head = generation.promotion.until().map_or(head, |until| until.min(head));
        let mut commits = host.commits();
        loop {
            commits.mark_unchanged();
            let checkpoints = target.checkpoints(generation.id).await?;
            if let Some(lowest) = checkpoints.iter().map(|checkpoint| checkpoint.point.position).min()
                && lowest >= head
            {
                return Ok(lowest);
            }
            tokio::time::sleep(LOOK).await;
            // Other hosts' commits are not heard of here.
            let _ = tokio::time::timeout(LOOK_APART, commits.changed()).await;
        }
    }
}

/// What an operator says of a flip.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Flip {
    /// What becomes of it where the new generation is behind the live one.
    pub(crate) behind: IfBehind,
    /// How many generations that were live before are kept; nothing = as configured.
    pub(crate) keep: Option<usize>,
}

impl Default for Flip {
    fn default() -> Flip {
        Flip { behind: IfBehind::Refuse, keep: None }
    }
}

/// Makes a ready generation live, and drops those that were live too long ago.
pub(crate) async fn promote(
    host: &Host,
    target: &Arc<dyn Target>,
    generation: &Generation,
    how: Flip,
) -> Result<(), CatalogError> {
    let flips = host.flips_of(target, &generation.projection);
    let _one_at_a_time = flips.lock().await;
    flip(host, target, generation, how.behind).await?;
    tracing::info!(projection = %generation.projection, number = generation.number, "live");
    let keep = how.keep.unwrap_or(host.inner.config.keep_previous);
    if let Err(error) = drop_old(host, target, &generation.projection, keep).await {
        // It is live all the same.
        tracing::warn!(error = chain(&error), "older generations stay until the next promotion");
    }
    Ok(())
}

/// Flips readers to `generation`. Where commands keep arriving, the two may miss each other again and again: then the live one is
/// held still until the new one has passed it.
async fn flip(
    host: &Host,
    target: &Arc<dyn Target>,
    generation: &Generation,
    wanted: IfBehind,
) -> Result<(), CatalogError> {
    let live = target.live(&generation.projection).await?;
    let behind = match &live {
        Some(live) if !host.log_holds(target, live).await? => IfBehind::Force,
        // Another number of partitions, and so shards that cannot be compared: what was live has halted at that.
        Some(live) if host.foreign().is_some() && live.shards != generation.shards => IfBehind::Force,
        _ => wanted,
    };
    let mut held = None;
    let (mut tries, began) = (0, Instant::now());
    let outcome = loop {
        let outcome = target.flip(generation.id, behind).await;
        let Ok(FlipOutcome::Behind { at, live: ahead, .. }) = outcome else { break outcome.map(drop) };
        tries += 1;
        if began.elapsed() > TRIED {
            break Err(still_behind(generation, at.position, ahead.position));
        }
        if tries == PATIENCE
            && let Some(live) = &live
            && host.shared_topic(live).is_none()
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

async fn drop_old(host: &Host, target: &Arc<dyn Target>, projection: &str, keep: usize) -> Result<(), CatalogError> {
    let _one_at_a_time = host.inner.operations.lock().await;
    let mut previous: Vec<_> = target.generations().await?;
    previous.retain(|g| g.projection == projection && g.state == GenerationState::Previous);
    previous.sort_by_key(|g| std::cmp::Reverse(g.promoted_at));
    for old in previous.into_iter().skip(keep) {
        host.stop_generation(target, old.id).await;
        target.drop_generation(old.id, reel_read_model::target::DropScope::Generation).await?;
        tracing::info!(projection, number = old.number, "dropped: it was live too long ago");
    }
    Ok(())
}
