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

/// What is only counted up, and what each counts.
const COUNTERS: [(&str, &str); 5] = [
    ("reel_commands_total", "Commands, by outcome"),
    ("reel_events_appended_total", "Events that this process put into the log"),
    ("reel_projection_events_total", "Events that this process applied"),
    ("reel_projection_rows_total", "Rows that this process wrote"),
    ("reel_http_requests_total", "Requests, by route, method and status"),
];

/// How things stand. All are numbers but those whose names say seconds.
const GAUGES: [(&str, &str); 18] = [
    ("reel_generation_position", "Last position whose changes are in the tables"),
    ("reel_generation_lag_events", "Events that are not applied yet"),
    ("reel_generation_lag_seconds", "Age of the oldest event that is not applied yet"),
    ("reel_generation_live", "1: what readers see"),
    ("reel_generation_halted", "1: stopped on a failure, waits for an operator"),
    ("reel_generation_stalled", "1: runs, has events in front of it, and has not moved for a minute"),
    ("reel_generation_phase", "1: what it is at; 0 everywhere once it is current"),
    ("reel_generation_pass", "Which reading of history a build is at; 0 where one will do"),
    ("reel_generation_passes", "Out of how many, as far as it knows"),
    ("reel_generation_eta_seconds", "Until its phase ends; 0 where that is not known"),
    ("reel_generation_dead_letters", "Events put aside (counted up to 10000)"),
    ("reel_target_up", "1: the read database answers"),
    ("reel_relay_leading", "1: this process fills the topic"),
    ("reel_relay_position", "Up to here the topic holds every event; told by who leads"),
    ("reel_archive_position", "Up to here the archive holds every event; told by who seals"),
    ("reel_archive_troubled", "1: something keeps this process from sealing"),
    ("reel_relay_troubled", "1: something keeps this relay from publishing"),
    ("reel_info", "1, with the version of Reel"),
];

/// What is timed, in seconds.
const TIMES: [(&str, &str); 3] = [
    ("reel_command_seconds", "Time until a command was answered, by outcome"),
    ("reel_commit_seconds", "Time of one transaction of rows and checkpoint"),
    ("reel_http_request_seconds", "Time until a request was answered, by route and method"),
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
    describe();
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

fn describe() {
    for (name, help) in COUNTERS {
        metrics::describe_counter!(name, Unit::Count, help);
    }
    for (name, help) in GAUGES {
        let unit = if name.ends_with("_seconds") { Unit::Seconds } else { Unit::Count };
        metrics::describe_gauge!(name, unit, help);
    }
    for (name, help) in TIMES {
        metrics::describe_histogram!(name, Unit::Seconds, help);
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
        let known = COUNTERS.iter().chain(&GAUGES).chain(&TIMES);
        let mut known: Vec<&str> = known.filter_map(|(name, _)| name.strip_prefix("reel_")).collect();
        listed.sort_unstable();
        known.sort_unstable();
        assert_eq!(listed, known);
    }
}
