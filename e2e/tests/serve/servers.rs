//! The processes on servers of their own, as docker-compose.yml starts them: commands → MongoDB → Kafka → host → PostgreSQL → read API.

use reel_e2e::components::example;
use reel_e2e::database::Postgres;
use reel_e2e::deadline::until;
use reel_e2e::reel::{Reel, Up};
use reqwest::Method;
use serde_json::json;
use uuid::Uuid;

/// A server that tests were given, or why they are passed over.
#[expect(clippy::print_stdout, reason = "whoever runs the tests is to see what did not run")]
fn given(variable: &str) -> Option<String> {
    let value = std::env::var(variable).ok();
    let required = std::env::var("REEL_TEST_REQUIRE").unwrap_or_default().to_uppercase();
    let name = variable.trim_start_matches("REEL_TEST_");
    assert!(value.is_some() || !required.split([',', ' ']).any(|each| each == name), "{variable} is required");
    if value.is_none() {
        println!("passed over: {variable} is not set");
    }
    value
}

async fn until_ready(reel: &Reel) {
    until("ready", async || {
        let answer = reel.get("/health/ready").await;
        (answer.status == 200).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_go_through_mongodb_and_kafka_into_postgres() {
    let (Some(mongo), Some(kafka)) = (given("REEL_TEST_MONGODB"), given("REEL_TEST_KAFKA")) else { return };
    let Some(database) = Postgres::new().await else { return println!("passed over: REEL_TEST_POSTGRES is not set") };
    let name = format!("serve-{}", Uuid::new_v4().simple());
    // The servers that tests can have are no replica sets.
    let store = format!("{}/{name}?reel-standalone=true", mongo.trim_end_matches('/'));
    let topic = format!("kafka://{kafka}/{name}");
    let target = database.url_through(database.address());
    let data = tempfile::tempdir().unwrap();
    let of = |process: &str| {
        let folder = data.path().join(process);
        let up = Up::serve(process, &folder).with(&["--store", &store, "--topic", &topic, "--target", &target]);
        up.variable("REEL_TOPIC_PARTITIONS", "2")
    };
    let commands = of("command-service").start().await;
    until_ready(&commands).await;
    let host = of("host").start().await;
    until_ready(&host).await;
    let (first, second) = (of("read-api").start().await, of("read-api").start().await);
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
