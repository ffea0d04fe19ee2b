//! Kafka over TLS, with a login by SCRAM: what a binary says that was built without OpenSSL, and the journey through one that has it
//! (the feature `kafka-tls`).

use reel_e2e::components::example;
use reel_e2e::database;
use reel_e2e::deadline::until;
use reel_e2e::reel::{Up, finish, reel};
use reqwest::Method;
use serde_json::json;
use uuid::Uuid;

const POSTS: usize = 20;
const NOWHERE: &str = "kafkas://ann:hush@127.0.0.1:1/t?sasl.mechanisms=SCRAM-SHA-512&ssl.key.password=hush";

/// Whether the binary under test was built with the feature: else it takes no such topic, and says so.
async fn speaks_tls() -> bool {
    let ran = finish(reel().args(["doctor", "--topic", NOWHERE]), b"").await;
    assert!(!ran.stdout.contains("hush") && !ran.stderr.contains("hush"), "{ran:?}");
    ran.code != 2
}

#[tokio::test(flavor = "multi_thread")]
async fn a_binary_without_openssl_says_so_before_it_touches_anything() {
    if speaks_tls().await {
        return println!("passed over: this binary was built with kafka-tls");
    }
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    for up in [Up::on(&data), Up::serve("command-service", &data), Up::serve("host", &data)] {
        let ran = up.with(&["--topic", NOWHERE]).ends().await;
        assert_eq!(ran.code, 2, "{ran:?}");
        assert!(ran.stderr.contains("cargo build --release --features kafka-tls"), "{ran:?}");
        assert!(ran.stderr.contains("kafkas://ann:…@127.0.0.1:1/t") && !ran.stderr.contains("hush"), "{ran:?}");
        assert!(!ran.stderr.contains("listening") && !data.exists(), "{ran:?}");
    }
}

/// What the command service publishes reaches the rows of a second Reel that has no other way to it: for that one it is another
/// producer's topic, without an event store.
#[tokio::test(flavor = "multi_thread")]
async fn events_become_rows_over_tls_with_scram() {
    let Some(listener) = database::server("kafka_tls", "REEL_TEST_KAFKA_TLS") else {
        return println!("passed over: REEL_TEST_KAFKA_TLS is not set");
    };
    if !speaks_tls().await {
        return println!("passed over: this binary was built without kafka-tls");
    }
    let (broker, ca) = listener.split_once('?').expect("HOST:PORT?ssl.ca.location=FILE");
    let name = format!("tls-{}", Uuid::new_v4().simple());
    let topic = format!("kafkas://reel:let%20me%20in@{broker}/{name}?sasl.mechanisms=SCRAM-SHA-512&{ca}");
    let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let up = Up::on(here.path()).with(&["--topic", &topic]).variable("REEL_TOPIC_PARTITIONS", "1").start().await;
    up.deploy(&example("posts"), &[]).await;
    for nth in 0..POSTS {
        // By a stream of its own: the follower's rows are named by the messages' keys, for which the table has 36 characters.
        let event = json!({ "type": "post-created", "data": { "author": "ann", "message": format!("number {nth}") } });
        up.command(Method::POST, &format!("/streams/post-{nth}"), &json!({ "events": [event] })).await;
    }
    until("all is in the topic", async || {
        let metrics = up.request(Method::GET, "/metrics").send().await.ok()?.text().await.ok()?;
        metrics.lines().any(|line| line == format!("reel_relay_position {POSTS}")).then_some(())
    })
    .await;
    up.until_status("posts", |status| status["position"] == POSTS && status["lagEvents"] == 0).await;
    let checked = finish(reel().args(["doctor", "--data"]).arg(here.path()).args(["--topic", &topic]), b"").await;
    assert!(checked.stdout.contains("1 partitions") && !checked.stdout.contains("let"), "{checked:?}");

    let follower = Up::serve("host", there.path()).with(&["--topic", &format!("{topic}&foreign=cloudevents")]);
    let follower = follower.start().await;
    follower.deploy(&example("posts"), &[]).await;
    follower.until_status("posts", |status| status["position"] == POSTS && status["lagEvents"] == 0).await;
    let reads = Up::serve("read-api", there.path()).start().await;
    let mut messages: Vec<_> = reads.query("posts", "posts", "select=message").await;
    messages.sort_by_key(ToString::to_string);
    let mut expected: Vec<_> = (0..POSTS).map(|nth| json!({ "message": format!("number {nth}") })).collect();
    expected.sort_by_key(ToString::to_string);
    assert_eq!(messages, expected, "{}", follower.log());
    for process in [up, follower, reads] {
        assert!(process.stop().await.success());
    }
}
