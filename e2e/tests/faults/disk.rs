//! A disk that is full: files that may grow no further, which a process sees as a write that fails.

use std::process::Stdio;

use reel_e2e::deadline::until;
use reel_e2e::fold::assert_rows;
use reel_e2e::reel::{Up, answer};
use reel_e2e::{components, history};
use reqwest::Method;
use serde_json::json;
use uuid::Uuid;

/// The largest file that may be written, in blocks of 512 bytes: some of the events fit in it, not all.
const BLOCKS: u32 = 8_000;

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_what_it_cannot_keep_and_loses_nothing() {
    let data = tempfile::tempdir().unwrap();
    let reel = Up::on(data.path()).largest_file(BLOCKS).start().await;
    let file = history::file();
    let ran = reel.run(&["import", file.to_str().unwrap()]).await;
    assert_ne!(ran.code, 0, "{}", ran.stdout);
    assert!(ran.stderr.contains("store"), "it says what cannot be written: {}", ran.stderr);
    let body = json!({ "events": [{ "type": "thing-made", "data": "x".repeat(400_000) }] });
    let mut statuses = Vec::new();
    for _ in 0..20 {
        let given = answer(reel.request(Method::POST, "/commands/v1/streams/thing-1").json(&body)).await;
        statuses.push(given.status.as_u16());
    }
    assert!(statuses.contains(&503) && statuses.iter().all(|status| [200, 503].contains(status)), "{statuses:?}");
    // What was acknowledged is there, in order and whole, and can still be read.
    let head = reel.get("/commands/v1/head").await.body["position"].as_u64().unwrap();
    assert!(head > 0 && head < history::EVENTS, "{head}");
    let export = reel.verb(&["export"]).stdout(Stdio::piped()).output().await.unwrap();
    assert_eq!(String::from_utf8(export.stdout).unwrap().lines().count() as u64, head);
    reel.kill().await;

    // With room again, it goes on as if nothing had been.
    let reel = Up::on(data.path()).start().await;
    let now = reel.get("/commands/v1/head").await.body["position"].as_u64().unwrap();
    assert!(now >= head, "{head} events were acknowledged, {now} are there");
    reel.ok(&["import", file.to_str().unwrap()]).await;
    let taken = statuses.iter().filter(|status| **status == 200).count() as u64;
    assert_eq!(reel.get("/commands/v1/head").await.body["position"], history::EVENTS + taken);
    reel.deploy(&components::example("git-tree"), &[]).await;
    let mut rows = reel.query("git-tree", "files", "select=path,blob,mode").await;
    rows.sort_by(|a, b| a["path"].as_str().cmp(&b["path"].as_str()));
    assert_rows("after a full disk", &rows, &history::tree());
}

/// Something to be imported: `number` events of one kind, with ids that nothing compresses.
fn events(number: u64, kind: &str, data: &serde_json::Value) -> String {
    let event = |number: u64| {
        json!({
            "specversion": "1.0", "id": Uuid::new_v4(), "source": "test", "type": kind, "subject": format!("post-{number}"),
            "time": "2026-01-01T00:00:00Z", "data": data,
        })
    };
    (0..number).map(|number| event(number).to_string() + "\n").collect()
}

/// A build that finds no room for its rows waits and says so; what is live goes on being read, and with room again the build goes on.
#[tokio::test(flavor = "multi_thread")]
async fn a_build_without_room_for_its_tables_waits_and_disturbs_nobody() {
    const POSTS: u64 = 6_000;
    let data = tempfile::tempdir().unwrap();
    let reel = Up::on(data.path()).start().await;
    let posts = events(POSTS, "post-created", &json!({ "author": "ann", "message": "x".repeat(300) }));
    assert_eq!(reel.run_with(&["import", "-"], posts.as_bytes()).await.code, 0);
    reel.deploy(&components::example("posts"), &[]).await;
    assert!(reel.stop().await.success());

    // Less than the rows take, in whichever file they are written first.
    let reel = Up::on(data.path()).largest_file(2_000).start().await;
    reel.ok(&["replay", "posts"]).await;
    let waits = reel.until_status("posts@2", |status| status["problem"]["code"] == "waiting").await;
    assert_eq!((&waits["state"], &waits["condition"]), (&json!("build"), &json!("running")), "{waits}");
    let message = waits["problem"]["message"].as_str().unwrap();
    assert!(message.contains("disk"), "it says what is wrong: {message}");
    assert_eq!(reel.query("posts", "posts", "select=id").await.len() as u64, POSTS, "what is live never noticed");
    reel.kill().await;

    let reel = Up::on(data.path()).start().await;
    reel.until_status("posts@2", |status| status["state"] == "live").await;
    assert_eq!(reel.query("posts", "posts", "select=id").await.len() as u64, POSTS);
    assert_eq!(reel.run(&["verify", "posts"]).await.code, 0);
}

/// Without room for a segment nothing is sealed, which is said, and nothing else stops: history is read from the store.
#[tokio::test(flavor = "multi_thread")]
async fn an_archive_without_room_is_said_and_filled_later() {
    const RANGE: u64 = 65_536;
    let data = tempfile::tempdir().unwrap();
    let reel = Up::on(data.path()).variable("REEL_ARCHIVE_URL", "none").start().await;
    assert_eq!(reel.run_with(&["import", "-"], events(RANGE + 1, "noted", &json!({})).as_bytes()).await.code, 0);
    assert!(reel.stop().await.success());

    // A segment of so many ids takes more than a MiB.
    let reel = Up::on(data.path()).largest_file(1_000).start().await;
    until("the log says that sealing does not work", async || {
        let text = reel.request(Method::GET, "/metrics").send().await.unwrap().text().await.unwrap();
        text.lines().any(|line| line == "reel_archive_troubled 1").then_some(())
    })
    .await;
    let status = reel.json(&["archive", "status"]).await.remove(0);
    assert_eq!((&status["sealedThrough"], &status["segments"]), (&json!(0), &json!(0)), "{status}\n{}", reel.log());
    let deployed = reel.deploy(&components::example("todos"), &[]).await;
    assert_eq!((&deployed["state"], &deployed["position"]), (&json!("live"), &json!(RANGE + 1)), "{deployed}");
    reel.kill().await;

    let reel = Up::on(data.path()).start().await;
    until("the range is sealed", async || {
        (reel.json(&["archive", "status"]).await[0]["sealedThrough"] == RANGE).then_some(())
    })
    .await;
    let verified = reel.json(&["archive", "verify"]).await.remove(0);
    assert_eq!((&verified["sound"], &verified["events"]), (&json!(1), &json!(RANGE)), "{verified}");
}
