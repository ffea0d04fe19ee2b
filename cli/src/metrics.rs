//! The metrics of a process, as Prometheus reads them at `/metrics`. Which there are and what each means is listed here and in
//! docs/operations.md; where they are counted is beside what they count.

use std::time::{Duration, Instant};

use axum::extract::{MatchedPath, Request};
use axum::middleware::Next;
use axum::response::Response;
use metrics::Unit;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use reel_event_log::archive::SealerStatus;
use reel_event_log::relay::RelayStatus;

/// Buckets of everything that is timed, in seconds.
const SECONDS: [f64; 12] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0];
/// How often what was timed is put into its buckets, so that it takes no memory where nobody asks.
const UPKEEP: Duration = Duration::from_secs(5);
/// A gauge that was not set for so long is of something that is gone.
const GONE: Duration = Duration::from_secs(60);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Counter,
    Gauge,
    Histogram,
}

struct Described {
    name: &'static str,
    kind: Kind,
    unit: Unit,
    help: &'static str,
}

const fn described(name: &'static str, kind: Kind, unit: Unit, help: &'static str) -> Described {
    Described { name, kind, unit, help }
}

const METRICS: [Described; 26] = [
    described("reel_commands_total", Kind::Counter, Unit::Count, "Commands, by outcome"),
    described("reel_command_seconds", Kind::Histogram, Unit::Seconds, "Time until a command was answered, by outcome"),
    described("reel_events_appended_total", Kind::Counter, Unit::Count, "Events that this process put into the log"),
    described("reel_generation_position", Kind::Gauge, Unit::Count, "Last position whose changes are in the tables"),
    described("reel_generation_lag_events", Kind::Gauge, Unit::Count, "Events that are not applied yet"),
    described(
        "reel_generation_lag_seconds",
        Kind::Gauge,
        Unit::Seconds,
        "Age of the oldest event that is not applied yet",
    ),
    described("reel_generation_live", Kind::Gauge, Unit::Count, "1: what readers see"),
    described("reel_generation_halted", Kind::Gauge, Unit::Count, "1: stopped on a failure, waits for an operator"),
    described(
        "reel_generation_stalled",
        Kind::Gauge,
        Unit::Count,
        "1: runs, has events in front of it, and has not moved for a minute",
    ),
    described("reel_generation_phase", Kind::Gauge, Unit::Count, "1: what it is at; 0 everywhere once it is current"),
    described(
        "reel_generation_pass",
        Kind::Gauge,
        Unit::Count,
        "Which reading of history a build is at; 0 where one will do",
    ),
    described("reel_generation_passes", Kind::Gauge, Unit::Count, "Out of how many, as far as it knows"),
    described(
        "reel_generation_eta_seconds",
        Kind::Gauge,
        Unit::Seconds,
        "Until its phase ends; 0 where that is not known",
    ),
    described("reel_generation_dead_letters", Kind::Gauge, Unit::Count, "Events put aside (counted up to 10000)"),
    described("reel_projection_events_total", Kind::Counter, Unit::Count, "Events that this process applied"),
    described("reel_projection_rows_total", Kind::Counter, Unit::Count, "Rows that this process wrote"),
    described("reel_commit_seconds", Kind::Histogram, Unit::Seconds, "Time of one transaction of rows and checkpoint"),
    described("reel_target_up", Kind::Gauge, Unit::Count, "1: the read database answers"),
    described("reel_http_requests_total", Kind::Counter, Unit::Count, "Requests, by route, method and status"),
    described(
        "reel_http_request_seconds",
        Kind::Histogram,
        Unit::Seconds,
        "Time until a request was answered, by route and method",
    ),
    described("reel_relay_leading", Kind::Gauge, Unit::Count, "1: this process fills the topic"),
    described(
        "reel_relay_position",
        Kind::Gauge,
        Unit::Count,
        "Up to here the topic holds every event; told by who leads",
    ),
    described(
        "reel_archive_position",
        Kind::Gauge,
        Unit::Count,
        "Up to here the archive holds every event; told by who seals",
    ),
    described("reel_archive_troubled", Kind::Gauge, Unit::Count, "1: something keeps this process from sealing"),
    described("reel_relay_troubled", Kind::Gauge, Unit::Count, "1: something keeps this relay from publishing"),
    described("reel_info", Kind::Gauge, Unit::Count, "1, with the version of Reel"),
];

/// Starts counting, for the whole process; the handle renders what was counted.
///
/// # Panics
/// Where it was started before, and outside a runtime.
pub(crate) fn start() -> PrometheusHandle {
    let recorder = PrometheusBuilder::new()
        .set_buckets(&SECONDS)
        .expect("there are buckets")
        .idle_timeout(metrics_util::MetricKindMask::GAUGE, Some(GONE))
        .build_recorder();
    let handle = recorder.handle();
    metrics::set_global_recorder(recorder).expect("a process starts counting once");
    METRICS.iter().for_each(Described::describe);
    let upkeep = handle.clone();
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(UPKEEP).await;
            upkeep.run_upkeep();
        }
    });
    handle
}

/// What `/metrics` answers.
pub(crate) fn render(handle: &PrometheusHandle) -> String {
    metrics::gauge!("reel_info", "version" => env!("CARGO_PKG_VERSION")).set(1.0);
    handle.render()
}

impl Described {
    fn describe(&self) {
        let Described { name, kind, unit, help } = *self;
        match kind {
            Kind::Counter => metrics::describe_counter!(name, unit, help),
            Kind::Gauge => metrics::describe_gauge!(name, unit, help),
            Kind::Histogram => metrics::describe_histogram!(name, unit, help),
        }
    }
}

/// How a relay stands. The position of the one that leads is how far the topic is filled.
pub(crate) fn of_relay(status: &RelayStatus) {
    metrics::gauge!("reel_relay_leading").set(f64::from(u8::from(status.leading.is_some())));
    metrics::gauge!("reel_relay_troubled").set(f64::from(u8::from(status.trouble.is_some())));
    if let Some(position) = status.leading {
        metrics::gauge!("reel_relay_position").set(position as f64);
    }
}

/// How sealing gets on. A process that does not seal tells no position.
pub(crate) fn of_sealer(status: &SealerStatus) {
    metrics::gauge!("reel_archive_troubled").set(f64::from(u8::from(status.troubled)));
    if let Some(position) = status.sealed {
        metrics::gauge!("reel_archive_position").set(position as f64);
    }
}

/// Counts and times a request by its route: never by its path, of which there are as many as there are things.
pub(crate) async fn of_request(request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().map_or("(none)", MatchedPath::as_str).to_owned();
    let method = method(request.method());
    let began = Instant::now();
    let response = next.run(request).await;
    let status = response.status().as_u16().to_string();
    metrics::counter!("reel_http_requests_total", "route" => route.clone(), "method" => method, "status" => status)
        .increment(1);
    metrics::histogram!("reel_http_request_seconds", "route" => route, "method" => method).record(began.elapsed());
    response
}

/// Anybody can make methods up; each would be a series of its own.
fn method(method: &axum::http::Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manual_lists_every_metric_and_no_other() {
        let manual = include_str!("../../docs/operations.md");
        let table =
            manual.lines().skip_while(|line| !line.starts_with("| metric |")).take_while(|line| !line.is_empty());
        let mut listed: Vec<&str> = table.filter_map(|line| line.strip_prefix("| `reel_")).collect();
        listed.iter_mut().for_each(|line| *line = line.split(['`', '{']).next().unwrap_or(line));
        let mut known: Vec<&str> = METRICS.iter().filter_map(|metric| metric.name.strip_prefix("reel_")).collect();
        listed.sort_unstable();
        known.sort_unstable();
        assert_eq!(listed, known);
    }
}
