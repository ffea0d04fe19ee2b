//! One of each process, and what the command service says of its relay; a broker that is not there.

use reel_e2e::apart::Apart;
use reel_e2e::components::example;
use reel_e2e::deadline::until;
use reel_e2e::reel::Up;
use reqwest::Method;
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn commands_go_through_mongodb_and_kafka_into_postgres() {
    let Some(apart) = Apart::on_given_servers(2).await else { return println!("passed over: servers are missing") };
    let commands = apart.start("command-service", "commands").await;
    let host = apart.start("host", "host").await;
    let (first, second) = (apart.start("read-api", "reads-1").await, apart.start("read-api", "reads-2").await);
    host.deploy(&example("posts"), &[]).await;
    for count in 1..=10_usize {
        let made = commands.command(Method::POST, "/posts", &json!({ "author": "ann", "message": "m" })).await;
        let token = made["token"].as_str().unwrap();
        for reads in [&first, &second] {
            let read = reads.get(&format!("/read/v1/posts/posts?wait-for={token}&wait-timeout=30s")).await;
            assert_eq!(read.rows().len(), count, "{read:?}\n{}", host.log());
        }
    }
    let metrics = commands.request(Method::GET, "/metrics").send().await.expect("it answers").text().await.unwrap();
    assert!(metrics.contains("reel_relay_leading 1"), "{metrics}");
    until("all is in the topic", async || {
        let metrics = commands.request(Method::GET, "/metrics").send().await.ok()?.text().await.ok()?;
        metrics.lines().any(|line| line == "reel_relay_position 10").then_some(())
    })
    .await;
    for process in [commands, host, first, second] {
        assert!(process.stop().await.success());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_at_a_wrong_address_is_named_and_commands_are_taken_all_the_same() {
    let data = tempfile::tempdir().unwrap();
    let reel = Up::serve("command-service", data.path()).with(&["--topic", "kafka://127.0.0.1:1/events"]).start().await;
    let answer = until("it says so", async || {
        let answer = reel.get("/health/ready").await;
        answer.body.to_string().contains("cannot be reached").then_some(answer)
    })
    .await;
    assert_eq!(answer.status, 503, "{answer:?}");
    assert!(answer.body.to_string().contains("127.0.0.1:1"), "{answer:?}");
    assert_eq!(reel.get("/health/live").await.status, 200);
    reel.command(Method::POST, "/posts", &json!({ "author": "ann", "message": "m" })).await;
    assert!(reel.stop().await.success());
}
