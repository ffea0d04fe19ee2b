//! A listener that asks for a login. A real broker only: the mock lets everybody in.

use std::time::Instant;

use reel_event_log::topic::kafka::{TopicFault, TopicUrl, find, find_or_make};
use uuid::Uuid;

use crate::bed::{PATIENCE, delete};

/// The listener of `scripts/servers`, and a topic there that nobody else knows; nothing where none is given.
fn topic(login: &str, name: &str) -> Option<TopicUrl> {
    match std::env::var("REEL_TEST_KAFKA_SASL") {
        Ok(broker) => Some(format!("kafka://{login}@{broker}/{name}").parse().unwrap()),
        Err(_) => {
            println!("passed over: REEL_TEST_KAFKA_SASL is not set");
            None
        }
    }
}

/// What is found in the end: a broker that has just begun takes its time for the first logins.
async fn refusal(url: &TopicUrl) -> TopicFault {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match find(url).await.unwrap_err() {
            TopicFault::Unavailable { .. } if Instant::now() < deadline => {}
            fault => return fault,
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_login_is_taken_and_a_wrong_one_named() {
    let name = format!("reel-test-{}", Uuid::now_v7());
    let Some(url) = topic("reel:let%20me%20in", &name) else { return };
    assert_eq!(find_or_make(&url, 3).await.unwrap().partitions, 3);
    for login in ["reel:secret-that-is-wrong", "nobody:let%20me%20in"] {
        let url = topic(login, &name).unwrap();
        let fault = refusal(&url).await;
        assert!(matches!(fault, TopicFault::NotLetIn { .. }), "{fault:?}");
        let said = fault.to_string();
        assert!(said.contains(&url.to_string()) && said.contains("user and password"), "{said}");
        assert!(!format!("{fault:?} {said}").contains("secret"), "{fault:?}");
    }
    delete(&url).await;
}
