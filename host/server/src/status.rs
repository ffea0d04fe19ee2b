//! What a host says of its generations: where each stands, how far behind it is, how fast it moves.

use std::sync::Arc;
use std::time::Instant;

use reel_event_log::{EventStore, ReadLimit};
use reel_projector::{ProgressNow, chain};
use reel_read_model::{Condition, Generation, Target};
use serde::Serialize;

use crate::dead_letters::now;
use crate::error::HostError;
use crate::host::Host;
use crate::operate::title;
use crate::reference::ProjectionRef;

/// One generation, as `reel status` shows it.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GenerationStatus {
    /// `posts@2`
    pub generation: String,
    /// `posts`
    pub projection: String,
    /// The generation's number within the projection.
    pub number: u32,
    /// In which read database.
    pub target: String,
    /// `build`, `catch-up`, `ready`, `live`, `previous`, `failed`, `cancelled`.
    pub state: &'static str,
    /// `running`, `paused`, `halted`.
    pub condition: &'static str,
    /// The last position whose changes are in the tables.
    pub position: u64,
    /// The log's last position.
    pub head: u64,
    /// Events it has not applied yet.
    pub lag_events: u64,
    /// Age of the oldest of them, in seconds; 0 where there is none.
    pub lag_seconds: f64,
    /// Events applied since its loop began.
    pub events: u64,
    /// Rows written since its loop began.
    pub rows: u64,
    /// Events a second since its loop began; only while it is behind.
    pub events_per_second: Option<f64>,
    /// Seconds until it has caught up, at that rate.
    pub eta_seconds: Option<f64>,
    /// What it waits for, or why it halted.
    pub problem: Option<Problem>,
    /// Digest of its component.
    pub digest: String,
    /// The component's own version.
    pub version: String,
    /// The names of its tables.
    pub tables: Vec<String>,
    /// When it was made, RFC 3339.
    pub created_at: String,
    /// When it last went live, RFC 3339.
    pub promoted_at: Option<String>,
}

/// What is wrong with a generation.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Problem {
    /// Stable label: `row-missing`, `trapped`, `waiting`…
    pub code: String,
    /// For people.
    pub message: String,
    /// The event at fault, where one is.
    pub position: Option<u64>,
    /// Its stream.
    pub stream: Option<String>,
}

impl Host {
    /// All generations of all targets, oldest first; those of one projection, or one generation, if `wanted` says so.
    ///
    /// # Errors
    /// Where there is no such projection, or a catalog does not answer.
    pub async fn status(
        &self,
        wanted: Option<&ProjectionRef>,
        target: Option<&str>,
    ) -> Result<Vec<GenerationStatus>, HostError> {
        let targets = match target {
            Some(name) => vec![Arc::clone(self.inner.targets.get(Some(name))?)],
            None => self.inner.targets.iter().cloned().collect(),
        };
        let mut all = Vec::new();
        let mut missing = None;
        for target in &targets {
            let generations = match wanted {
                None => self.generations(target).await?,
                Some(wanted) => match self.named(target, wanted).await {
                    Err(error @ HostError::NotFound(_)) => {
                        missing = Some(error);
                        continue;
                    }
                    found => found?,
                },
            };
            for generation in generations {
                all.push(self.status_of(target, &generation).await?);
            }
        }
        match missing {
            Some(error) if all.is_empty() => Err(error),
            _ => Ok(all),
        }
    }

    pub(crate) async fn status_of(
        &self,
        target: &Arc<dyn Target>,
        generation: &Generation,
    ) -> Result<GenerationStatus, HostError> {
        let running = self.running(target, generation);
        let position = match &running {
            // A shared generation stands where its last shard does, whichever host runs that.
            Some((now, _)) if now.position > 0 && self.shared_topic(generation).is_none() => now.position,
            _ => self.stored_position(target, generation).await?,
        };
        let head = *self.inner.store.watch().borrow();
        let lag_events = head.saturating_sub(position);
        let (condition, halted) = describe(&generation.condition);
        let waiting = running.as_ref().and_then(|(now, _)| now.waiting.clone());
        let waiting = waiting.map(|message| Problem { code: "waiting".into(), message, position: None, stream: None });
        let events_per_second =
            running.as_ref().filter(|_| lag_events > 0).and_then(|(now, since)| rate(now.events, *since));
        Ok(GenerationStatus {
            generation: title(generation),
            projection: generation.projection.clone(),
            number: generation.number,
            target: target.name().into(),
            state: generation.state.as_str(),
            condition,
            position,
            head: head.max(position),
            lag_events,
            lag_seconds: if lag_events == 0 { 0.0 } else { age_behind(&*self.inner.store, position).await },
            events: running.as_ref().map_or(0, |(now, _)| now.events),
            rows: running.as_ref().map_or(0, |(now, _)| now.rows),
            events_per_second,
            eta_seconds: events_per_second.map(|rate| lag_events as f64 / rate),
            problem: halted.or(waiting),
            digest: generation.digest.clone(),
            version: generation.manifest.version.clone(),
            tables: generation.manifest.tables.iter().map(|table| table.name.clone()).collect(),
            created_at: generation.created_at.to_string(),
            promoted_at: generation.promoted_at.map(|at| at.to_string()),
        })
    }

    fn running(&self, target: &Arc<dyn Target>, generation: &Generation) -> Option<(ProgressNow, Instant)> {
        let runners = self.runners();
        let runner = runners.get(&(target.name().to_owned(), generation.id)).filter(|runner| !runner.is_finished())?;
        Some((runner.progress.now(), runner.started))
    }

    async fn stored_position(&self, target: &Arc<dyn Target>, generation: &Generation) -> Result<u64, HostError> {
        let checkpoints = target
            .checkpoints(generation.id)
            .await
            .map_err(|error| HostError::catalog("reading the catalog", error))?;
        Ok(checkpoints.iter().map(|checkpoint| checkpoint.point.position).min().unwrap_or(0))
    }
}

fn describe(condition: &Condition) -> (&'static str, Option<Problem>) {
    match condition {
        Condition::Running => ("running", None),
        Condition::Paused => ("paused", None),
        Condition::Halted { position, stream, code, message } => {
            let problem =
                Problem { code: code.clone(), message: message.clone(), position: *position, stream: stream.clone() };
            ("halted", Some(problem))
        }
    }
}

fn rate(events: u64, since: Instant) -> Option<f64> {
    let seconds = since.elapsed().as_secs_f64();
    (events > 0 && seconds > 0.0).then(|| events as f64 / seconds)
}

/// Seconds since the first event behind `position` was recorded. A store that does not answer makes no status fail.
async fn age_behind(store: &dyn EventStore, position: u64) -> f64 {
    match store.read(position, ReadLimit::events(1)).await {
        Ok(batch) if !batch.is_empty() => {
            let recorded = batch.get(0).recorded_at;
            ((now().micros() - recorded) as f64 / 1e6).max(0.0)
        }
        Ok(_) => 0.0,
        Err(error) => {
            tracing::debug!(error = chain(&error), "no age");
            0.0
        }
    }
}
