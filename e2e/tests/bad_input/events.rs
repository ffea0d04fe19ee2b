//! Events that cannot be kept: lines of an import, commands.

use reel_e2e::history;
use reel_e2e::reel::{Answer, Reel, Up, answer};
use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;

async fn fresh() -> (TempDir, Reel) {
    let data = tempfile::tempdir().unwrap();
    let reel = Up::on(data.path()).start().await;
    (data, reel)
}

async fn head(reel: &Reel) -> Value {
    reel.get("/commands/v1/head").await.body["position"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_line_is_named_and_what_came_before_it_is_kept() {
    let (data, reel) = fresh().await;
    let mut lines = history::lines();
    let whole = std::mem::replace(&mut lines[16_999], "{\"specversion\":\"1.0\",\"id\":".into());
    let file = data.path().join("broken.jsonl");
    std::fs::write(&file, lines.join("\n")).unwrap();
    let arguments = ["import", file.to_str().unwrap()];
    for _ in 0..2 {
        let ran = reel.run(&arguments).await;
        assert_eq!(ran.code, 1, "{}", ran.stderr);
        for part in ["broken.jsonl", "line 17000", "kept"] {
            assert!(ran.stderr.contains(part), "no {part:?} in: {}", ran.stderr);
        }
        assert_eq!(head(&reel).await, 16_999);
    }
    lines[16_999] = whole;
    std::fs::write(&file, lines.join("\n")).unwrap();
    let summary = reel.json(&arguments).await.remove(0);
    assert_eq!((&summary["already"], &summary["imported"]), (&json!(16_999), &json!(history::EVENTS - 16_999)));
    assert_eq!(head(&reel).await, history::EVENTS);
}

fn event(data: &str) -> String {
    format!(
        r#"{{"specversion":"1.0","id":"{}","source":"test","type":"thing-made","subject":"thing-1","data":{data}}}"#,
        uuid::Uuid::new_v4()
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_that_are_no_events_say_what_is_wrong_with_them() {
    let (_data, reel) = fresh().await;
    let good = event("{}");
    let large = format!("{{\"text\":\"{}\"}}", "x".repeat(20_000_000));
    let number = format!("{{\"n\":{}}}", "9".repeat(30));
    let cases = [
        (good.replace("\"type\":\"thing-made\",", ""), &["missing attribute", "type"][..]),
        (good.replace("\"subject\":\"thing-1\",", ""), &["missing attribute", "subject"][..]),
        (good.replace("\"specversion\":\"1.0\"", "\"specversion\":\"0.3\""), &["specversion"][..]),
        (event(&large), &["longer than", "4194304"][..]),
        (event(&number), &["data.n", "9999"][..]),
        (event(r#"{"text":"a\u0000b"}"#), &["NUL"][..]),
        ("[]".into(), &["line 2"][..]),
        ("\u{1}\u{2}".into(), &["line 2"][..]),
    ];
    for (number, (line, parts)) in cases.iter().enumerate() {
        let text = format!("{}\n{line}\n{}\n", event("{}"), event("{}"));
        let ran = reel.run_with(&["import", "-"], text.as_bytes()).await;
        assert_eq!(ran.code, 1, "{line:.200}: {}", ran.stderr);
        for part in parts.iter().chain(&["line 2"]) {
            assert!(ran.stderr.contains(part), "{line:.200}: no {part:?} in: {}", ran.stderr);
        }
        assert_eq!(head(&reel).await, number + 1, "the line before it is kept, the one behind it is not taken");
    }
}

async fn append(reel: &Reel, stream: &str, body: &Value) -> Answer {
    answer(reel.request(Method::POST, &format!("/commands/v1/streams/{stream}")).json(body)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_expected_version_says_the_actual_one() {
    let (_data, reel) = fresh().await;
    let event = json!({ "type": "thing-made", "data": { "n": 1 } });
    let taken = append(&reel, "thing-1", &json!({ "expectedVersion": 0, "events": [event, event] })).await;
    assert_eq!(taken.status, 200, "{taken:?}");
    let refused = append(&reel, "thing-1", &json!({ "expectedVersion": 1, "events": [event] })).await;
    assert_eq!(refused.status, 409, "{refused:?}");
    assert_eq!(refused.body["actualVersion"], 2);
    assert_eq!(refused.body["expectedVersion"], 1);
    let request = reel.request(Method::POST, "/commands/v1/streams/thing-1").header("if-match", "\"1\"");
    let refused = answer(request.json(&json!({ "events": [event] }))).await;
    assert_eq!((refused.status.as_u16(), &refused.body["actualVersion"]), (409, &json!(2)), "{refused:?}");
    assert_eq!(head(&reel).await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_that_cannot_be_kept_are_refused_and_named() {
    let (_data, reel) = fresh().await;
    let of = |data: Value| json!({ "events": [{ "type": "thing-made", "data": data }] });
    let large = append(&reel, "thing-1", &of(json!("x".repeat(600_000)))).await;
    assert_eq!(large.status, 413, "{:?}", large.body["detail"]);
    let huge = append(&reel, "thing-1", &of(json!("x".repeat(20_000_000)))).await;
    assert_eq!(huge.status, 413, "{:?}", huge.body["detail"]);
    let nul = append(&reel, "thing-1", &of(json!("a\0b"))).await;
    assert!(nul.status.is_client_error() && nul.body["detail"].to_string().contains("NUL"), "{nul:?}");
    let number = format!(r#"{{"events":[{{"type":"thing-made","data":{{"n":{}}}}}]}}"#, "9".repeat(30));
    let request = reel.request(Method::POST, "/commands/v1/streams/thing-1").header("content-type", "application/json");
    let number = answer(request.body(number)).await;
    assert!(number.status.is_client_error() && number.body.to_string().contains("9999"), "{number:?}");
    for (path, body, status) in [
        ("/commands/v1/posts", json!({ "author": "ann", "message": "" }), 422),
        ("/commands/v1/posts", json!({ "author": "ann", "message": "m", "massage": 1 }), 422),
        ("/commands/v1/posts/nonsense/likes", json!({}), 400),
        ("/commands/v1/posts/01a1fc28-37d4-71b0-a1dd-8b4bfab425ab/likes", json!({}), 404),
        ("/commands/v1/nothing", json!({}), 404),
    ] {
        let refused = answer(reel.request(Method::POST, path).json(&body)).await;
        assert_eq!(refused.status, status, "{path} {body}: {refused:?}");
        assert_eq!(refused.header("content-type"), "application/problem+json", "{path}");
    }
    assert_eq!(head(&reel).await, 0);
}
