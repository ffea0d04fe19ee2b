//! What a host says of its generations: where each stands, how far behind it is, how fast it moves.

use std::sync::Arc;
use std::time::Duration;

use reel_event_log::topic::foreign::ForeignTopic;
use reel_event_log::{EventStore, ReadLimit};
use reel_events::Place;
use reel_projector::{Phase, ProgressNow, chain};
use reel_read_model::{Condition, Generation, GenerationState, Target};
use serde::Serialize;

use crate::dead_letters::now;
use crate::error::HostError;
use crate::foreign::Way;
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
    /// What it is at while it runs: `folding`, `loading`, `indexing` in a build, then `catching-up`; nothing once it is current.
    pub phase: Option<&'static str>,
    /// Which reading of history it is at, from 1, where a build reads it several times so that its rows fit into memory: `position` begins again
    /// with each.
    pub pass: Option<u32>,
    /// Out of how many, as far as it knows.
    pub passes: Option<u32>,
    /// How many of them an earlier attempt of the build had done, before it was killed: the build went on behind them.
    pub taken_over: Option<u32>,
    /// `running`, `paused`, `halted`.
    pub condition: &'static str,
    /// The last position whose changes are in the tables; of another producer's topic, the sum over its partitions.
    pub position: u64,
    /// The log's last position, or `until`; of another producer's topic, the sum over its partitions.
    pub head: u64,
    /// Where it stands still, if it shows the past (`replay --until`).
    pub until: Option<u64>,
    /// Events it has not applied yet.
    pub lag_events: u64,
    /// Age of the oldest of them, in seconds; 0 where there is none, and where it is not known. In another producer's topic, since it was
    /// published.
    pub lag_seconds: f64,
    /// Events applied since its loop began.
    pub events: u64,
    /// Rows written since its loop began.
    pub rows: u64,
    /// Rows that its build has to write, once that is known.
    pub rows_to_load: Option<u64>,
    /// Events a second in this phase; only while it is behind.
    pub events_per_second: Option<f64>,
    /// Rows a second, while a build writes them.
    pub rows_per_second: Option<f64>,
    /// Seconds until the phase ends, with all passes that it has, at that rate.
    pub eta_seconds: Option<f64>,
    /// For how long nothing moved, in seconds, where something should.
    pub idle_seconds: Option<f64>,
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
    pub position: Option<Place>,
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
        let (position, head) = self.stands(target, generation, running.as_ref()).await?;
        let until = generation.promotion.until();
        let lag_events = head.saturating_sub(position);
        let (condition, halted) = describe(&generation.condition);
        let pace = running.as_ref().map(|now| Pace::of(now, generation.state, lag_events)).unwrap_or_default();
        let is_built = generation.state == GenerationState::Build;
        let waiting = running.as_ref().and_then(|now| now.waiting.clone());
        let waiting = waiting.map(|message| problem("waiting", message));
        Ok(GenerationStatus {
            generation: title(generation),
            projection: generation.projection.clone(),
            number: generation.number,
            target: target.name().into(),
            state: generation.state.as_str(),
            phase: pace.phase,
            pass: pace.passes.map(|(pass, _)| pass),
            passes: pace.passes.map(|(_, passes)| passes),
            taken_over: running.as_ref().filter(|_| is_built).map(|now| now.taken_over).filter(|parts| *parts > 0),
            condition,
            position,
            head: head.max(position),
            until,
            lag_events,
            lag_seconds: if lag_events == 0 { 0.0 } else { self.age(target, generation, position).await },
            events: running.as_ref().map_or(0, |now| now.events),
            rows: running.as_ref().map_or(0, |now| now.rows),
            rows_to_load: running.as_ref().map(|now| now.rows_to_load).filter(|rows| *rows > 0),
            events_per_second: pace.events_per_second,
            rows_per_second: pace.rows_per_second,
            eta_seconds: pace.eta_seconds,
            idle_seconds: pace.idle_seconds,
            problem: halted.or(waiting).or_else(|| pace.stalled()),
            digest: generation.digest.clone(),
            version: generation.manifest.version.clone(),
            tables: generation.manifest.tables.iter().map(|table| table.name.clone()).collect(),
            created_at: generation.created_at.to_string(),
            promoted_at: generation.promoted_at.map(|at| at.to_string()),
        })
    }

    /// Where a generation stands, and how far it has to go.
    async fn stands(
        &self,
        target: &Arc<dyn Target>,
        generation: &Generation,
        running: Option<&ProgressNow>,
    ) -> Result<(u64, u64), HostError> {
        if let Some(topic) = self.foreign() {
            return self.stands_in(topic, target, generation).await;
        }
        let position = match running {
            // A shared generation stands where its last shard does, whichever host runs that; but for its build, which one host does.
            Some(now)
                if now.position > 0 && (now.phase != Phase::Following || self.shared_topic(generation).is_none()) =>
            {
                now.position
            }
            _ => self.stored_position(target, generation).await?,
        };
        let head = *self.inner.store.watch().borrow();
        Ok((position, generation.promotion.until().map_or(head, |until| until.min(head))))
    }

    /// The same in all partitions of another producer's topic together. A broker that does not answer makes no status fail.
    async fn stands_in(
        &self,
        topic: &ForeignTopic,
        target: &Arc<dyn Target>,
        generation: &Generation,
    ) -> Result<(u64, u64), HostError> {
        let checkpoints = target.checkpoints(generation.id).await;
        let checkpoints = checkpoints.map_err(|error| HostError::catalog("reading the catalog", error))?;
        let ends = tokio::time::timeout(ENDS_ASKED, topic.recent_ends()).await;
        let ends = ends.ok().and_then(Result::ok).unwrap_or_else(|| Arc::from([]));
        let gone = checkpoints.iter().map(|checkpoint| checkpoint.point.position).sum();
        Ok((gone, gone + Way::of(&checkpoints, &ends).left))
    }

    /// Seconds since the first event that it has not applied was recorded.
    async fn age(&self, target: &Arc<dyn Target>, generation: &Generation, position: u64) -> f64 {
        let Some(topic) = self.foreign() else { return age_behind(&*self.inner.store, position).await };
        match tokio::time::timeout(ENDS_ASKED, oldest_in(topic, target, generation)).await {
            Ok(Some(recorded)) => seconds_since(recorded),
            Ok(None) | Err(_) => 0.0,
        }
    }

    fn running(&self, target: &Arc<dyn Target>, generation: &Generation) -> Option<ProgressNow> {
        let runners = self.runners();
        let runner = runners.get(&(target.name().to_owned(), generation.id)).filter(|runner| !runner.is_finished())?;
        Some(runner.progress.now())
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

/// How long a broker may take to say where its partitions end.
const ENDS_ASKED: Duration = Duration::from_secs(2);
/// How long nothing may move before that is a problem.
const STALLED: f64 = 30.0;

/// What a running generation is at, how fast it goes, and how long it will take.
#[derive(Debug, Default)]
struct Pace {
    phase: Option<&'static str>,
    /// Which of several, where a build folds in passes.
    passes: Option<(u32, u32)>,
    events_per_second: Option<f64>,
    rows_per_second: Option<f64>,
    eta_seconds: Option<f64>,
    idle_seconds: Option<f64>,
}

impl Pace {
    fn of(now: &ProgressNow, state: GenerationState, lag_events: u64) -> Pace {
        let phase = match now.phase {
            Phase::Folding => Some("folding"),
            // About to begin, or in another host's hands.
            Phase::Following if state == GenerationState::Build => Some("folding"),
            Phase::Loading => Some("loading"),
            Phase::Indexing => Some("indexing"),
            Phase::Following if state == GenerationState::CatchUp || lag_events > 0 => Some("catching-up"),
            Phase::Following => None,
        };
        let idle_seconds =
            phase.filter(|_| now.phase != Phase::Indexing && lag_events > 0).map(|_| now.idle.as_secs_f64());
        let seconds = now.in_phase.as_secs_f64();
        let per_second = |count: u64| (count > 0 && seconds > 0.0).then(|| count as f64 / seconds);
        let eta = |left: u64, rate: Option<f64>| rate.map(|rate| left as f64 / rate);
        if now.phase == Phase::Loading {
            let rows_per_second = per_second(now.phase_rows);
            let eta_seconds = eta(now.rows_to_load.saturating_sub(now.phase_rows), rows_per_second);
            let idle_seconds = Some(now.idle.as_secs_f64());
            return Pace { phase, rows_per_second, eta_seconds, idle_seconds, ..Pace::default() };
        }
        let events_per_second = per_second(now.phase_events).filter(|_| lag_events > 0);
        let passes = Some((now.pass, now.passes)).filter(|(_, passes)| now.phase == Phase::Folding && *passes > 1);
        let eta_seconds = match passes {
            // A pass takes the events of one part only, but goes through all positions.
            Some((pass, passes)) => {
                let head = (now.position + lag_events).max(1) as f64;
                let done = f64::from(pass - 1) + now.position as f64 / head;
                // What an earlier attempt had done took no time in this one.
                let here = done - f64::from(now.taken_over);
                (here > 0.0).then(|| seconds * (f64::from(passes.max(pass)) - done) / here)
            }
            None => eta(lag_events, events_per_second),
        };
        Pace { phase, passes, events_per_second, eta_seconds, idle_seconds, ..Pace::default() }
    }

    /// It runs, is behind, waits for nothing that it knows of, and does not move.
    fn stalled(&self) -> Option<Problem> {
        let idle = self.idle_seconds.filter(|idle| *idle > STALLED)?;
        let phase = self.phase.unwrap_or_default();
        Some(problem("not-moving", format!("nothing has moved for {idle:.0} s while {phase}: see the log of the host")))
    }
}

fn problem(code: &str, message: String) -> Problem {
    Problem { code: code.into(), message, position: None, stream: None }
}

/// When the oldest message was published that a generation has in front of it. A broker or a catalog that does not answer makes no status fail.
async fn oldest_in(topic: &ForeignTopic, target: &Arc<dyn Target>, generation: &Generation) -> Option<i64> {
    let checkpoints = target.checkpoints(generation.id).await.ok()?;
    let ends = topic.recent_ends().await.ok()?;
    let shards = checkpoints.iter().zip(&*ends).zip(0..);
    let behind = shards.filter(|((at, ends), _)| at.point.position.max(ends.start) < ends.end);
    // A position is that of the message in front of it: the offset of the next.
    topic.oldest(behind.map(|((at, ends), shard)| (shard, at.point.position.max(ends.start))).collect()).await.ok()?
}

fn seconds_since(recorded_at: i64) -> f64 {
    ((now().micros() - recorded_at) as f64 / 1e6).max(0.0)
}

/// Seconds since the first event behind `position` was recorded. A store that does not answer makes no status fail.
async fn age_behind(store: &dyn EventStore, position: u64) -> f64 {
    match store.read(position, ReadLimit::events(1)).await {
        Ok(batch) if !batch.is_empty() => seconds_since(batch.get(0).recorded_at),
        Ok(_) => 0.0,
        Err(error) => {
            tracing::debug!(error = chain(&error), "no age");
            0.0
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now(phase: Phase, position: u64, (pass, passes): (u32, u32), idle: u64) -> ProgressNow {
        let seconds = Duration::from_secs(10);
        let (idle, phase_events) = (Duration::from_secs(idle), 500);
        ProgressNow {
            position,
            head: 1_000,
            events: 500,
            rows: 0,
            phase,
            in_phase: seconds,
            phase_events,
            phase_rows: 0,
            rows_to_load: 0,
            pass,
            passes,
            taken_over: 0,
            most_held: 0,
            idle,
            waiting: None,
        }
    }

    #[test]
    fn a_build_in_passes_says_which_and_counts_those_that_are_left() {
        let alone = Pace::of(&now(Phase::Folding, 500, (1, 1), 0), GenerationState::Build, 500);
        assert_eq!((alone.passes, alone.eta_seconds), (None, Some(10.0)));
        // Half of the second of four: 3/8 took ten seconds.
        let second = Pace::of(&now(Phase::Folding, 500, (2, 4), 0), GenerationState::Build, 500);
        assert_eq!(second.passes, Some((2, 4)));
        assert!((second.eta_seconds.unwrap() - 10.0 * 5.0 / 3.0).abs() < 1e-9, "{second:?}");
        // The first was done before: an eighth of all took ten seconds, and five eighths are left.
        let went_on = ProgressNow { taken_over: 1, ..now(Phase::Folding, 500, (2, 4), 0) };
        let went_on = Pace::of(&went_on, GenerationState::Build, 500);
        assert!((went_on.eta_seconds.unwrap() - 50.0).abs() < 1e-9, "{went_on:?}");
        let begins = Pace::of(&now(Phase::Folding, 0, (1, 4), 0), GenerationState::Build, 1_000);
        assert_eq!((begins.passes, begins.eta_seconds), (Some((1, 4)), None));
        assert_eq!(Pace::of(&now(Phase::Loading, 500, (4, 4), 0), GenerationState::Build, 500).passes, None);
    }

    #[test]
    fn a_build_that_has_not_begun_does_not_catch_up() {
        let phase = |state| Pace::of(&now(Phase::Following, 0, (1, 1), 0), state, 500).phase;
        assert_eq!(phase(GenerationState::Build), Some("folding"));
        assert_eq!(phase(GenerationState::CatchUp), Some("catching-up"));
    }

    #[test]
    fn what_does_not_move_is_a_problem_unless_it_makes_indexes() {
        for (phase, stalls) in
            [(Phase::Folding, true), (Phase::Loading, true), (Phase::Following, true), (Phase::Indexing, false)]
        {
            let still = Pace::of(&now(phase, 500, (1, 1), 31), GenerationState::Build, 500);
            assert_eq!(still.stalled().is_some_and(|problem| problem.code == "not-moving"), stalls, "{phase:?}");
            assert!(Pace::of(&now(phase, 500, (1, 1), 29), GenerationState::Build, 500).stalled().is_none());
        }
    }
}
