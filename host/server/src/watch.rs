//! A host looks at its own generations every few seconds: it keeps the gauges and counters of `/metrics`, and raises the alarm where one
//! says that it runs, has something to do, and does not move.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use reel_events::Place;
use reel_projector::chain;
use reel_read_model::{CatalogError, GenerationId, Target};

use crate::host::Host;
use crate::status::GenerationStatus;

/// How often a host looks.
const PERIOD: Duration = Duration::from_secs(5);
/// How long a generation may stand still with events in front of it.
const STILL: Duration = Duration::from_secs(60);
/// Dead letters are counted up to this many; beyond it the number does not matter any more.
const MOST_LETTERS: u64 = 10_000;

/// What a generation may be at.
const PHASES: [&str; 4] = ["folding", "loading", "indexing", "catching-up"];

/// What was seen of each generation, by its full name (`default posts@2`).
#[derive(Default)]
pub(crate) struct Seen(Mutex<HashMap<String, Movement>>);

/// How a generation moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Movement {
    position: u64,
    events: u64,
    rows: u64,
    since: Instant,
    alarmed: bool,
}

impl Host {
    /// Looks every few seconds, until it is dropped.
    pub async fn watch(&self) {
        loop {
            self.measure().await;
            tokio::time::sleep(PERIOD).await;
        }
    }

    /// Looks at all generations, and sets the gauges. A read database that does not answer has `reel_target_up` 0, and its
    /// generations keep the values they had.
    pub async fn measure(&self) {
        for target in self.targets().iter() {
            let looked = self.measure_target(target).await;
            if let Err(error) = &looked {
                tracing::debug!(target = target.name(), error = chain(error), "no metrics");
            }
            gauge("reel_target_up", &[("target", target.name())], f64::from(u8::from(looked.is_ok())));
        }
    }

    async fn measure_target(&self, target: &Arc<dyn Target>) -> Result<(), crate::HostError> {
        let statuses = self.status(None, Some(target.name())).await?;
        let generations = self.generations(target).await?;
        for status in statuses {
            let id = generations.iter().find(|g| g.projection == status.projection && g.number == status.number);
            let letters = match id {
                Some(generation) => count_letters(target, generation.id).await.unwrap_or(0),
                None => 0,
            };
            self.note(&status, letters);
        }
        Ok(())
    }

    fn note(&self, status: &GenerationStatus, letters: u64) {
        let standing = self.inner.seen.look(status, Instant::now());
        let labels = [("target", status.target.as_str()), ("generation", status.generation.as_str())];
        let set = |name: &'static str, value: f64| gauge(name, &labels, value);
        set("reel_generation_position", status.position as f64);
        set("reel_generation_lag_events", status.lag_events as f64);
        set("reel_generation_lag_seconds", status.lag_seconds);
        set("reel_generation_live", f64::from(u8::from(status.state == "live")));
        set("reel_generation_halted", f64::from(u8::from(status.condition == "halted")));
        set("reel_generation_stalled", f64::from(u8::from(standing.stalled)));
        set("reel_generation_dead_letters", letters as f64);
        set("reel_generation_pass", f64::from(status.pass.unwrap_or(0)));
        set("reel_generation_passes", f64::from(status.passes.unwrap_or(0)));
        set("reel_generation_eta_seconds", status.eta_seconds.unwrap_or(0.0));
        for phase in PHASES {
            let labels = [labels[0], labels[1], ("phase", phase)];
            gauge("reel_generation_phase", &labels, f64::from(u8::from(status.phase == Some(phase))));
        }
        let of = |name: &'static str, by: u64| {
            let (target, projection) = (status.target.clone(), status.projection.clone());
            metrics::counter!(name, "target" => target, "projection" => projection).increment(by);
        };
        of("reel_projection_events_total", standing.events);
        of("reel_projection_rows_total", standing.rows);
        if standing.alarm {
            let (generation, target, position) = (&status.generation, &status.target, status.position);
            tracing::warn!(%generation, target_name = %target, position, lag = status.lag_events, "running but not moving");
        }
    }
}

/// What one look found out.
#[derive(Debug, Default, PartialEq, Eq)]
struct Standing {
    /// Events applied since the last look.
    events: u64,
    /// Rows written since.
    rows: u64,
    stalled: bool,
    /// It has stalled just now.
    alarm: bool,
}

impl Seen {
    fn look(&self, status: &GenerationStatus, now: Instant) -> Standing {
        let GenerationStatus { position, events, rows, .. } = *status;
        let mut seen = self.0.lock().expect("nobody panics while holding it");
        let name = format!("{} {}", status.target, status.generation);
        let fresh = Movement { position, events, rows, since: now, alarmed: false };
        let before = seen.entry(name).or_insert(Movement { events: 0, rows: 0, ..fresh });
        // A loop that began anew counts from zero again.
        let more = |now: u64, before: u64| if now < before { now } else { now - before };
        let mut standing =
            Standing { events: more(events, before.events), rows: more(rows, before.rows), ..Standing::default() };
        // A long index build moves nothing that could be counted; a build that loads has read everything already.
        let nothing_to_do = match status.phase {
            Some("indexing") => true,
            Some("loading") => false,
            _ => status.lag_events == 0,
        };
        let idle = nothing_to_do || status.condition != "running";
        if idle || (position, events, rows) != (before.position, before.events, before.rows) {
            *before = fresh;
            return standing;
        }
        standing.stalled = now.duration_since(before.since) >= STILL;
        standing.alarm = standing.stalled && !before.alarmed;
        before.alarmed |= standing.alarm;
        standing
    }
}

async fn count_letters(target: &Arc<dyn Target>, id: GenerationId) -> Result<u64, CatalogError> {
    let (mut after, mut count) = (Place::START, 0);
    loop {
        let page = target.dead_letters(id, after, 1_000).await?;
        let Some(last) = page.last() else { return Ok(count) };
        after = last.position;
        count += page.len() as u64;
        if count >= MOST_LETTERS {
            return Ok(MOST_LETTERS);
        }
    }
}

fn gauge(name: &'static str, labels: &[(&'static str, &str)], value: f64) {
    let labels: Vec<metrics::Label> =
        labels.iter().map(|(key, value)| metrics::Label::new(*key, value.to_string())).collect();
    metrics::gauge!(name, labels).set(value);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(position: u64, events: u64, lag_events: u64, condition: &'static str) -> GenerationStatus {
        GenerationStatus {
            generation: "posts@2".into(),
            projection: "posts".into(),
            number: 2,
            target: "default".into(),
            state: "build",
            phase: Some("folding"),
            pass: None,
            passes: None,
            taken_over: None,
            condition,
            position,
            head: position + lag_events,
            until: None,
            lag_events,
            lag_seconds: 0.0,
            events,
            rows: events,
            rows_to_load: None,
            events_per_second: None,
            rows_per_second: None,
            eta_seconds: None,
            idle_seconds: None,
            problem: None,
            digest: String::new(),
            version: String::new(),
            tables: Vec::new(),
            created_at: String::new(),
            promoted_at: None,
        }
    }

    #[test]
    fn what_runs_and_does_not_move_is_an_alarm_once() {
        let (seen, start) = (Seen::default(), Instant::now());
        let look = |seconds, status: GenerationStatus| seen.look(&status, start + Duration::from_secs(seconds));
        assert_eq!(look(0, status(5, 5, 9, "running")), Standing { events: 5, rows: 5, ..Standing::default() });
        assert!(!look(59, status(5, 5, 9, "running")).stalled);
        let standing = look(60, status(5, 5, 9, "running"));
        assert!(standing.stalled && standing.alarm);
        let standing = look(70, status(5, 5, 10, "running"));
        assert!(standing.stalled && !standing.alarm, "it was said");
        // Events of a build are movement, though its checkpoint stands.
        assert_eq!(look(80, status(5, 8, 9, "running")).events, 3);
        assert!(!look(139, status(5, 8, 9, "running")).stalled);
        assert!(look(140, status(5, 8, 9, "running")).alarm);
    }

    #[test]
    fn what_has_nothing_to_do_or_is_not_to_run_is_none() {
        let (seen, start) = (Seen::default(), Instant::now());
        for (seconds, lag, condition) in
            [(0, 0, "running"), (1_000, 0, "running"), (2_000, 7, "halted"), (3_000, 7, "paused")]
        {
            let standing = seen.look(&status(5, 5, lag, condition), start + Duration::from_secs(seconds));
            assert!(!standing.stalled, "{seconds}");
        }
        let indexing = || GenerationStatus { phase: Some("indexing"), ..status(5, 5, 9, "running") };
        assert!(![3_100, 3_900].into_iter().any(|at| seen.look(&indexing(), start + Duration::from_secs(at)).stalled));
        // A loop that began anew counts from zero.
        let standing = seen.look(&status(7, 2, 0, "running"), start + Duration::from_secs(4_000));
        assert_eq!(standing.events, 2);
    }
}
