//! A topic that has fewer partitions than are configured: it is used as it is, and everybody who looks says so.

use reel_e2e::apart::Apart;
use reel_e2e::components::example;
use reel_e2e::deadline::until;
use reel_e2e::reel::{Up, finish, reel};
use reqwest::Method;
use serde_json::{Value, json};

/// Two partitions, where eight are configured.
#[tokio::test(flavor = "multi_thread")]
async fn a_topic_with_fewer_partitions_than_configured_is_used_and_named() {
    let Some(apart) = Apart::on_given_servers(2).await else { return println!("passed over: servers are missing") };
    let first = apart.start("command-service", "commands-1").await;
    until("a topic", async || doctor(&apart, "2").await["ok"].as_bool().filter(|ok| *ok)).await;
    assert!(first.stop().await.success());

    let wants_eight = |up: Up| up.variable("REEL_TOPIC_PARTITIONS", "8");
    let commands = wants_eight(apart.process("command-service", "commands-2")).start().await;
    let host = wants_eight(apart.process("host", "host")).start().await;
    let reads = apart.start("read-api", "reads").await;
    host.deploy(&example("posts"), &[]).await;
    let mut token = String::new();
    for _ in 0..20 {
        let made = commands.command(Method::POST, "/posts", &json!({ "author": "ann", "message": "m" })).await;
        token = made["token"].as_str().unwrap().to_owned();
    }
    until("all rows", async || {
        let read = reads.get(&format!("/read/v1/posts/posts?wait-for={token}&wait-timeout=30s")).await;
        (read.status == 200 && read.rows().len() == 20).then_some(())
    })
    .await;
    let log = commands.log();
    let told =
        log.lines().find(|line| line.contains("another number of partitions")).unwrap_or_else(|| panic!("{log}"));
    assert!(told.contains("configured=8") && told.contains("found=2"), "{told}");

    let found = doctor(&apart, "8").await;
    let problem = &found["problems"][0];
    assert_eq!(problem["what"], "it has 2 partitions, 8 are configured", "{found}");
    assert!(problem["remedy"].as_str().unwrap().contains("add partitions"), "{found}");
    for process in [commands, host, reads] {
        assert!(process.stop().await.success());
    }
}

/// What `reel doctor` finds of the topic, where so many partitions are configured.
async fn doctor(apart: &Apart, partitions: &str) -> Value {
    let data = tempfile::tempdir().unwrap();
    let mut command = reel();
    command.args(["doctor", "--json", "--url", "http://127.0.0.1:1", "--data", data.path().to_str().unwrap()]);
    command.args(["--store", &apart.store, "--topic", &apart.topic, "--target", &apart.target]);
    command.env("REEL_TOPIC_PARTITIONS", partitions);
    let ran = finish(&mut command, b"").await;
    let document: Value = serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {ran:?}"));
    let checks = document["checks"].as_array().unwrap();
    checks.iter().find(|check| check["name"] == "topic").unwrap_or_else(|| panic!("{document}")).clone()
}
