//! Importing JSON Lines: what is kept, what is refused, and what the answer says.

use std::time::Duration;

use axum::body::Body;
use futures::{StreamExt, stream};
use reel_command_service::Config;
use reel_event_log::Limits;
use serde_json::json;

use crate::service::{Answer, Service};

/// One line of a file of events; 500 streams, in turn.
fn line(nth: u64) -> String {
    let uuid = uuid::Uuid::from_u128(u128::from(nth) + 1);
    format!(
        r#"{{"specversion":"1.0","id":"{uuid}","source":"test","type":"file-added","subject":"file:{}","time":"2023-01-04T16:03:33+01:00","data":{{"nth":{nth}}}}}"#,
        nth % 500
    )
}

fn lines(numbers: std::ops::RangeInclusive<u64>) -> Vec<String> {
    numbers.map(line).collect()
}

fn counts(answer: &Answer) -> [u64; 4] {
    let json = answer.json();
    ["imported", "already", "lines", "lastPosition"].map(|name| json[name].as_u64().unwrap_or(u64::MAX))
}

#[tokio::test]
async fn a_broken_line_stops_there_and_a_second_run_goes_on() {
    let service = Service::new();
    let mut file = lines(1..=20_000);
    file[16_999] = line(17_000).replace("\"subject\"", "subject");
    let broken = service.import("", file.join("\n")).await;
    assert_eq!(broken.problem(), "422 invalid-event");
    assert_eq!((broken.text_of("line"), broken.text_of("kept")), ("17000".into(), "16999".into()));
    assert!(broken.detail().starts_with("line 17000: not a CloudEvent: "), "{}", broken.detail());
    assert!(broken.detail().contains(" at column "), "{}", broken.detail());
    assert_eq!(service.events().await.len(), 16_999);

    file[16_999] = line(17_000);
    let mended = service.import("", file.join("\n")).await;
    assert_eq!(counts(&mended), [3_001, 16_999, 20_000, 20_000], "{mended:?}");
    let again = service.import("", file.join("\n")).await;
    assert_eq!(counts(&again), [0, 20_000, 20_000, 20_000]);

    let events = service.events().await;
    assert_eq!(events.len(), 20_000);
    for (nth, event) in (1..).zip(&events) {
        assert_eq!(event.payload.as_str(), format!(r#"{{"nth":{nth}}}"#));
        assert_eq!((event.position, event.version), (nth, (nth - 1) / 500 + 1));
    }
    assert_eq!(events[0].recorded_at.to_string(), "2023-01-04T15:03:33Z");
    assert_eq!(events[0].metadata.as_str(), r#"{"source":"test"}"#);
}

#[tokio::test]
async fn a_file_may_come_in_parts_and_in_any_pieces() {
    let service = Service::new();
    let file = lines(1..=3_000).join("\r\n") + "\n\n \n";
    let pieces: Vec<Result<Vec<u8>, std::io::Error>> =
        file.as_bytes().chunks(777).map(|piece| Ok(piece.to_vec())).collect();
    let answer = service.import("", Body::from_stream(stream::iter(pieces))).await;
    assert_eq!(counts(&answer), [3_000, 0, 3_002, 3_000], "{answer:?}");
    let second = service.import("?line=3003", format!("{}\n[]\n", line(3_001))).await;
    assert_eq!((second.text_of("line"), second.text_of("kept")), ("3004".into(), "1".into()));
    assert!(second.detail().starts_with("line 3004: not a CloudEvent"), "{}", second.detail());
    assert_eq!(service.import("?line=0", "").await.problem(), "400 bad-request");
    assert_eq!(counts(&service.import("", "").await), [0, 0, 0, 3_001]);
}

/// A second line; the problem, and what its detail says.
fn refused_lines() -> Vec<(String, &'static str, &'static str)> {
    let with = |from: &str, to: &str| line(2).replace(from, to);
    vec![
        (with("\"specversion\":\"1.0\",", ""), "422 invalid-event", r#"missing attribute "specversion""#),
        (with("\"subject\":\"file:2\",", ""), "422 invalid-event", r#"missing attribute "subject""#),
        (with("\"file-added\"", "\"no kind\""), "422 invalid-event", "type: event kind \"no kind\""),
        (with("2023-01-04T", "2023-13-04T"), "422 invalid-event", "time: \"2023-13-04T"),
        (
            with("{\"nth\":2}", &format!("{{\"n\":{}}}", "9".repeat(30))),
            "422 invalid-event",
            "data.n (column 168): the integer 9999",
        ),
        (with("{\"nth\":2}", r#""a\u0000b""#), "422 invalid-event", "text holds NUL"),
        (with("{\"nth\":2}", &format!("\"{}\"", "x".repeat(600_000))), "413 too-large", "the event has "),
        (
            with("{\"nth\":2}", &format!("\"{}\"", "x".repeat(20_000_000))),
            "413 too-large",
            "the line is longer than the 4194304 bytes",
        ),
        (with("\"file:2\"", "\"\\ud800\""), "422 invalid-event", "subject must be a string"),
        (line(1).replace("{\"nth\":1}", "{\"nth\":9}"), "409 event-differs", "its id was imported before"),
    ]
}

#[tokio::test]
async fn lines_that_are_refused() {
    for (text, problem, detail) in refused_lines() {
        let service = Service::new();
        let answer = service.import("", format!("{}\n{text}\n{}\n", line(1), line(3))).await;
        assert_eq!(answer.problem(), problem, "{text:.300}: {answer:?}");
        assert!(answer.detail().starts_with("line 2: ") && answer.detail().contains(detail), "{}", answer.detail());
        let told = ["line", "kept", "imported"].map(|name| answer.json()[name].clone());
        assert_eq!(told, [json!(2), json!(1), json!(if problem.starts_with("409") { 2 } else { 1 })], "{answer:?}");
        assert_eq!(service.events().await[0].payload.as_str(), r#"{"nth":1}"#);
    }
}

#[tokio::test]
async fn what_was_appended_under_its_id_is_not_imported_again() {
    let service = Service::new();
    let id = uuid::Uuid::from_u128(2);
    let body = format!(r#"{{"events":[{{"id":"{id}","type":"file-added","data":{{"nth":1}}}}]}}"#);
    assert_eq!(service.post("/streams/file:1", &body).await.status, 200);
    let answer = service.import("", lines(1..=2).join("\n")).await;
    assert_eq!(counts(&answer), [1, 1, 2, 2], "{answer:?}");
}

#[tokio::test]
async fn a_line_twice_in_one_file_is_one_event() {
    let service = Service::new();
    let answer = service.import("", [line(1), line(2), line(1)].join("\n")).await;
    assert_eq!(counts(&answer), [2, 1, 3, 2], "{answer:?}");
}

#[tokio::test]
async fn an_import_that_falls_silent_keeps_what_came() {
    let service = Service::with(Config { silence: Duration::from_millis(50), ..Config::default() }, Limits::default());
    let begun: Result<String, std::io::Error> = Ok(format!("{}\n{}\n{{\"spec", line(1), line(2)));
    let answer = service.import("", Body::from_stream(stream::iter([begun]).chain(stream::pending()))).await;
    assert_eq!((answer.problem().as_str(), answer.text_of("kept").as_str()), ("408 timeout", "2"));
    assert_eq!(service.events().await.len(), 2);
}

#[tokio::test]
async fn an_import_that_breaks_off_keeps_what_came() {
    let service = Service::new();
    let pieces = [Ok(format!("{}\n{{\"spec", line(1))), Err(std::io::Error::other("gone"))];
    let answer = service.import("", Body::from_stream(stream::iter(pieces))).await;
    assert_eq!((answer.problem().as_str(), answer.text_of("kept").as_str()), ("400 bad-request", "1"));
    assert_eq!(service.events().await.len(), 1);
}

#[tokio::test]
async fn a_compressed_body_is_refused() {
    let service = Service::new();
    let request = axum::http::Request::post("/commands/v1/import").header("content-encoding", "gzip");
    let answer = service.send(request.body(Body::from("x")).unwrap()).await;
    assert_eq!(answer.problem(), "415 unsupported-media-type");
}
