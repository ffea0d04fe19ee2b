//! A plugin that cannot apply one event, under every policy; and what an operator decides.

use std::path::Path;

use reel_e2e::components::{example, unruly};
use reel_e2e::reel::{Reel, Up};
use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;

/// Where the event at fault stands: the first touch of thing 7.
const FAULT: u64 = 22;

/// Twenty things, four touches; todos beside them.
async fn things(more: &[&str]) -> (TempDir, Reel) {
    let data = tempfile::tempdir().unwrap();
    let reel = Up::on(data.path()).with(more).start().await;
    for thing in 1..=20 {
        event(&reel, thing, "thing-made", thing).await;
    }
    for (thing, n) in [(3, 103), (7, 107), (7, 207), (9, 109)] {
        event(&reel, thing, "thing-touched", n).await;
    }
    reel.deploy(&example("todos"), &[]).await;
    (data, reel)
}

async fn event(reel: &Reel, thing: u64, kind: &str, n: u64) -> Value {
    let body = json!({ "events": [{ "type": kind, "data": { "n": n } }] });
    reel.command(Method::POST, &format!("/streams/thing-{thing}"), &body).await
}

/// The arguments of a deployment that misbehaves at the event at fault.
fn misbehaving(mode: &str) -> [String; 2] {
    ["--settings".into(), json!({ "mode": mode, "at": 107 }).to_string()]
}

async fn deploy(reel: &Reel, mode: &str, more: &[&str]) -> reel_e2e::reel::Ran {
    let settings = misbehaving(mode);
    let mut arguments: Vec<&str> = settings.iter().map(String::as_str).collect();
    arguments.extend(more);
    reel.deploy_only(&unruly(), &arguments).await
}

/// Todos are written and read: whatever else stopped, this did not.
async fn assert_others_go_on(reel: &Reel) {
    let made = reel.command(Method::POST, "/todos", &json!({ "title": "Go on", "owner": "ann" })).await;
    let token = made["token"].as_str().unwrap();
    let read = reel.get(&format!("/read/v1/todos/todos?id=eq.{}&wait-for={token}", made["id"].as_str().unwrap())).await;
    assert_eq!(read.rows().len(), 1, "{read:?}");
}

async fn thing(reel: &Reel, projection: &str, id: u64) -> Value {
    let mut rows = reel.query(projection, "things", &format!("id=eq.{id}")).await;
    rows.pop().unwrap_or_default()
}

async fn assert_all_things(reel: &Reel, projection: &str) {
    assert_eq!(reel.query(projection, "things", "").await.len(), 20);
    assert_eq!(thing(reel, projection, 3).await, json!({ "id": "3", "n": 3, "touched": 1, "label": "touched" }));
    assert_eq!(thing(reel, projection, 9).await, json!({ "id": "9", "n": 9, "touched": 1, "label": "touched" }));
    assert_eq!(thing(reel, projection, 8).await, json!({ "id": "8", "n": 8, "touched": 0, "label": "new" }));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_event_at_fault_is_named_and_nothing_else_stops() {
    let (_data, reel) = things(&[]).await;
    // One Reel, all of them at once: none stops another.
    let cases = [
        ("panic", "", &["thing number 107 is one too many", "src/lib.rs"][..]),
        ("reject", "too-many", &["thing number 107 is one too many"][..]),
        ("trespass", "", &["things", "id"][..]),
        ("patch-missing", "", &["things"][..]),
        ("long-text", "value-out-of-domain", &["label", "10"][..]),
    ];
    for (mode, code, parts) in cases {
        let name = format!("bad-{mode}");
        let ran = deploy(&reel, mode, &["--name", &name, "--wait"]).await;
        assert_eq!(ran.code, 1, "{mode}: {}", ran.stderr);
        let status = reel.status(&name).await;
        let problem = &status["problem"];
        assert_eq!(
            (&status["condition"], &problem["position"], &problem["stream"]),
            (&json!("halted"), &json!(FAULT), &json!("thing-7")),
            "{mode}: {status}"
        );
        assert_eq!(
            (&status["state"], &status["position"]),
            (&json!("build"), &json!(0)),
            "{mode}: a build that halts has loaded nothing: {status}"
        );
        assert!(code.is_empty() || problem["code"] == code, "{mode}: {status}");
        for part in parts {
            let message = problem["message"].as_str().unwrap();
            assert!(message.contains(part), "{mode}: no {part:?} in: {message}");
            assert!(ran.stderr.contains(part), "{mode}: no {part:?} in: {}", ran.stderr);
        }
        assert_others_go_on(&reel).await;
    }
    let good = deploy(&reel, "none", &["--wait"]).await;
    assert_eq!(good.code, 0, "{}", good.stderr);
    assert_all_things(&reel, "unruly").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_halted_projection_passes_what_an_operator_lets_go_and_so_does_its_replay() {
    let (data, reel) = things(&[]).await;
    let ran = deploy(&reel, "panic", &["--wait"]).await;
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    // It is known after a restart as well.
    reel.kill().await;
    let reel = Up::on(data.path()).start().await;
    let status = reel.status("unruly").await;
    assert_eq!((&status["condition"], &status["problem"]["position"]), (&json!("halted"), &json!(FAULT)));
    let wrong = reel.run(&["dead-letters", "skip", "unruly", "5"]).await;
    assert_eq!(wrong.code, 4, "{}", wrong.stderr);
    assert!(wrong.stderr.contains("position 22"), "it says where it waits: {}", wrong.stderr);
    // Resumed without a decision, it halts again at the same place.
    reel.ok(&["resume", "unruly"]).await;
    reel.until_status("unruly", |status| status["condition"] == "halted").await;
    reel.ok(&["dead-letters", "skip", "unruly", "22"]).await;
    reel.until_status("unruly", |status| status["state"] == "live").await;
    assert_all_things(&reel, "unruly").await;
    assert_eq!(thing(&reel, "unruly", 7).await, json!({ "id": "7", "n": 7, "touched": 1, "label": "touched" }));
    let again = reel.json(&["replay", "unruly", "--wait"]).await.remove(0);
    assert_eq!((&again["generation"], &again["state"]), (&json!("unruly@2"), &json!("live")));
    assert_eq!(thing(&reel, "unruly", 7).await["touched"], 1);
}

async fn letters(reel: &Reel) -> Vec<(u64, String)> {
    let letters = reel.json(&["dead-letters", "list", "unruly"]).await;
    letters
        .iter()
        .map(|letter| (letter["position"].as_u64().unwrap(), letter["reason"].as_str().unwrap().to_owned()))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn skipped_events_are_kept_as_dead_letters() {
    let (_data, reel) = things(&[]).await;
    let ran = deploy(&reel, "panic", &["--wait", "--on-failure", "skip"]).await;
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert_eq!(letters(&reel).await, [(FAULT, "skipped".into())]);
    assert_all_things(&reel, "unruly").await;
    assert_eq!(thing(&reel, "unruly", 7).await["touched"], 1, "the later event of its stream went on");
    let shown = reel.json(&["dead-letters", "show", "unruly", "22"]).await.remove(0);
    assert_eq!((&shown["stream"], &shown["kind"]), (&json!("thing-7"), &json!("thing-touched")));
    assert_eq!(shown["cloudEvent"]["data"], json!({ "n": 107 }));
    assert!(shown["message"].as_str().unwrap().contains("thing number 107 is one too many"), "{shown}");
    let refused = reel.run(&["dead-letters", "retry", "unruly", "22"]).await;
    assert_eq!(refused.code, 4, "{}", refused.stderr);
    assert!(refused.stderr.contains("replay unruly"), "{}", refused.stderr);
    assert_eq!(reel.run(&["dead-letters", "show", "unruly", "5"]).await.code, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_parked_stream_waits_and_the_others_go_on() {
    let (data, reel) = things(&[]).await;
    let ran = deploy(&reel, "panic", &["--wait", "--on-failure", "park"]).await;
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert_all_things(&reel, "unruly").await;
    let untouched = json!({ "id": "7", "n": 7, "touched": 0, "label": "new" });
    assert_eq!(thing(&reel, "unruly", 7).await, untouched);
    assert_eq!(letters(&reel).await, [(FAULT, "parked".into()), (FAULT + 1, "held".into())]);
    // What comes later of this stream waits too, also after a restart.
    reel.kill().await;
    let reel = Up::on(data.path()).start().await;
    let last = event(&reel, 7, "thing-touched", 307).await["position"].as_u64().unwrap();
    event(&reel, 8, "thing-touched", 108).await;
    reel.until_status("unruly", |status| status["position"] == last + 1).await;
    assert_eq!(thing(&reel, "unruly", 8).await["touched"], 1);
    assert_eq!(thing(&reel, "unruly", 7).await, untouched);
    assert_eq!(letters(&reel).await, [(FAULT, "parked".into()), (FAULT + 1, "held".into()), (last, "held".into())]);
    let refused = reel.run(&["dead-letters", "retry", "unruly", "22"]).await;
    assert_eq!(refused.code, 4, "{}", refused.stderr);
    assert_eq!(letters(&reel).await.len(), 3, "a retry that fails changes nothing");
    reel.ok(&["dead-letters", "skip", "unruly", "22"]).await;
    assert_eq!(thing(&reel, "unruly", 7).await, json!({ "id": "7", "n": 7, "touched": 2, "label": "touched" }));
    assert!(letters(&reel).await.iter().all(|(_, reason)| reason == "skipped"));
    assert_others_go_on(&reel).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_never_ends_halts_under_every_policy() {
    let (_data, reel) = things(&["--batch", "1"]).await;
    let ran = deploy(&reel, "loop", &["--on-failure", "skip"]).await;
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert_others_go_on(&reel).await;
    let status = reel.until_status("unruly", |status| status["condition"] == "halted").await;
    assert_eq!(
        (&status["problem"]["position"], &status["problem"]["stream"]),
        (&json!(FAULT), &json!("thing-7")),
        "{status}"
    );
    assert_others_go_on(&reel).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_that_remembers_events_fails() {
    let (_data, reel) = things(&[]).await;
    let ran = deploy(&reel, "count", &["--wait", "--on-failure", "skip"]).await;
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    let status = reel.status("unruly").await;
    assert_eq!((&status["condition"], &status["state"]), (&json!("halted"), &json!("failed")), "{status}");
    assert_eq!(letters(&reel).await, []);
    assert_eq!(reel.get("/read/v1/unruly/things").await.status, 404, "it never went live");
    assert_others_go_on(&reel).await;
    // The name is free for one that behaves.
    let better = reel.deploy(Path::new(&unruly()), &["--settings", r#"{"mode":"none"}"#]).await;
    assert_eq!(better["state"], "live");
    assert_all_things(&reel, "unruly").await;
}
