//! A disk that is full: files that may grow no further, which a process sees as a write that fails.

use std::process::Stdio;

use reel_e2e::fold::assert_rows;
use reel_e2e::reel::{Up, answer};
use reel_e2e::{components, history};
use reqwest::Method;
use serde_json::json;

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
