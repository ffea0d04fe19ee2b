//! Two hosts and one generation to build: one of them builds it, and where that one is killed the other does.

use reel_e2e::apart::Apart;
use reel_e2e::components::example;
use reel_e2e::deadline::until;
use reel_e2e::fold::{Fold, assert_rows};
use reel_e2e::reel::Reel;
use reqwest::Method;
use serde_json::{Value, json};

use crate::place::rows;

const POSTS: usize = 40;
/// Events of each post in one commit: a build of all of them takes some seconds.
const EVENTS: usize = 50;

async fn history(commands: &Reel) {
    for post in 0..POSTS {
        let created = json!({ "type": "post-created", "data": { "author": "ann", "message": "m" } });
        let liked = json!({ "type": "post-liked", "data": {} });
        let events: Vec<Value> = std::iter::once(created).chain(std::iter::repeat_n(liked, EVENTS - 1)).collect();
        commands.command(Method::POST, &format!("/streams/post-{post}"), &json!({ "events": events })).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_two_hosts_builds_and_the_other_one_where_it_is_killed() {
    let Some(apart) = Apart::on_given_servers(4).await else { return println!("passed over: servers are missing") };
    let commands = apart.start("command-service", "commands").await;
    history(&commands).await;
    let slow = async |name: &str| apart.process("host", name).with(&["--throttle", "200"]).start().await;
    let (mut builds, mut waits) = (slow("host-1").await, slow("host-2").await);
    let deployed = builds.deploy_only(&example("posts"), &[]).await;
    assert_eq!(deployed.code, 0, "{}", deployed.stderr);
    let folds = async |host: &Reel| host.status("posts").await["events"].as_u64().is_some_and(|events| events > 0);
    until("a host that builds", async || {
        let (first, second) = (folds(&builds).await, folds(&waits).await);
        assert!(!(first && second), "both build");
        if second {
            std::mem::swap(&mut builds, &mut waits);
        }
        (first || second).then_some(())
    })
    .await;
    // The one that waits does not take the other's build for one that does not move.
    let mut longest = 0.0;
    until("the host that waits looks again", async || {
        let idle = waits.status("posts").await["idleSeconds"].as_f64().unwrap_or_default();
        let again = idle < longest;
        longest = idle.max(longest);
        again.then_some(())
    })
    .await;
    assert_eq!(waits.status("posts").await["problem"], Value::Null);
    let log = builds.log();
    builds.kill().await;
    assert!(!log.contains("folded"), "it was killed in the midst: {log}");
    waits.until_status("posts@1", |status| status["state"] == "live").await;
    assert_eq!(waits.log().matches(": folded ").count(), 1, "{}", waits.log());
    let reads = apart.start("read-api", "reads").await;
    let fold = Fold::of(&commands.ok(&["export"]).await);
    assert_rows("after the kill", &rows(&reads, ("posts", "posts"), "id").await, &fold.posts());
    let all = waits.json(&["list"]).await;
    assert_eq!(all.len(), 1, "one generation: {all:?}");
}
