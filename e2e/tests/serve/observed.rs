//! What processes say of themselves: metrics, and a log in which one command can be followed to its rows.

use reel_e2e::components::example;
use reel_e2e::deadline::until;
use reel_e2e::reel::{Reel, Up, answer};
use reqwest::Method;
use serde_json::{Value, json};

/// The value of a series, by its name with its labels in the order they are written.
async fn metric(reel: &Reel, series: &str) -> Option<f64> {
    let answer = reel.request(Method::GET, "/metrics").send().await.expect("it answers");
    let text = answer.text().await.expect("metrics are text");
    let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.map(|value| value.parse().expect("a metric has a value"))
}

async fn until_metric(reel: &Reel, series: &str, wanted: f64) {
    until(series, async || (metric(reel, series).await == Some(wanted)).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_tell_of_commands_projections_and_requests() {
    let data = tempfile::tempdir().unwrap();
    let reel = Up::on(data.path()).start().await;
    reel.deploy(&example("posts"), &[]).await;
    for _ in 0..3 {
        reel.command(Method::POST, "/posts", &json!({ "author": "ann", "message": "m" })).await;
    }
    let refused = answer(reel.request(Method::POST, "/commands/v1/posts").json(&json!({ "author": "ann" }))).await;
    assert!(refused.status.is_client_error(), "{refused:?}");
    let generation = r#"{target="default",generation="posts@1"}"#;
    until_metric(&reel, &format!("reel_generation_position{generation}"), 3.0).await;
    for (series, value) in [
        (r#"reel_commands_total{outcome="kept"}"#.to_owned(), 3.0),
        (r#"reel_commands_total{outcome="refused"}"#.to_owned(), 1.0),
        (r#"reel_command_seconds_count{outcome="kept"}"#.to_owned(), 3.0),
        ("reel_events_appended_total".to_owned(), 3.0),
        (format!("reel_generation_lag_events{generation}"), 0.0),
        (format!("reel_generation_lag_seconds{generation}"), 0.0),
        (format!("reel_generation_live{generation}"), 1.0),
        (format!("reel_generation_halted{generation}"), 0.0),
        (format!("reel_generation_stalled{generation}"), 0.0),
        (format!("reel_generation_dead_letters{generation}"), 0.0),
        (r#"reel_projection_events_total{target="default",projection="posts"}"#.to_owned(), 3.0),
        (r#"reel_target_up{target="default"}"#.to_owned(), 1.0),
        (r#"reel_http_requests_total{route="/commands/v1/posts",method="POST",status="201"}"#.to_owned(), 3.0),
    ] {
        assert_eq!(metric(&reel, &series).await, Some(value), "{series}");
    }
    until_metric(&reel, "reel_archive_position", 0.0).await;
    assert_eq!(metric(&reel, "reel_archive_troubled").await, Some(0.0));
    let commits = metric(&reel, r#"reel_commit_seconds_count{target="default",projection="posts"}"#).await;
    assert!(commits >= Some(1.0), "{commits:?}");
    // What stands still is told of, too.
    reel.ok(&["pause", "posts"]).await;
    reel.command(Method::POST, "/posts", &json!({ "author": "ann", "message": "m" })).await;
    until_metric(&reel, &format!("reel_generation_lag_events{generation}"), 1.0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_is_followed_to_its_rows_by_its_trace() {
    let data = tempfile::tempdir().unwrap();
    let up = Up::on(data.path()).with(&["--log-format", "json"]).variable("REEL_LOG", "warn,reel=info,trace=debug");
    let reel = up.start().await;
    reel.deploy(&example("posts"), &[]).await;
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let request = reel.request(Method::POST, "/commands/v1/posts").json(&json!({ "author": "ann", "message": "m" }));
    let made = answer(request.header("traceparent", format!("00-{trace}-00f067aa0ba902b7-01"))).await;
    assert!(made.header("traceparent").contains(trace), "{made:?}");
    let position = made.body["position"].clone();
    let lines = until("both ends are logged", async || {
        let lines: Vec<Value> = reel.log().lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        let mut of_trace: Vec<Value> = lines.into_iter().filter(|line| line["trace"] == trace).collect();
        // Two tasks write them, in whichever order.
        of_trace.sort_by_key(|line| line["message"] == "applied");
        (of_trace.len() == 2).then_some(of_trace)
    })
    .await;
    assert_eq!((&lines[0]["message"], &lines[0]["position"]), (&json!("appended"), &position));
    assert_eq!((&lines[1]["message"], &lines[1]["position"]), (&json!("applied"), &position));
    assert_eq!(lines[1]["projection"], "posts", "{}", lines[1]);
}
