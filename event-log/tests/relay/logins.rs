//! A listener that asks for a login. A real broker only: the mock lets everybody in.

use reel_event_log::topic::kafka::{TopicFault, TopicUrl, find_or_make};
use uuid::Uuid;

use crate::bed::{delete, fault_of, given};

/// The listener of `scripts/servers`, and a topic there that nobody else knows; nothing where none is given.
fn topic(login: &str, name: &str) -> Option<TopicUrl> {
    given("kafka_sasl").map(|broker| format!("kafka://{login}@{broker}/{name}").parse().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_login_is_taken_and_a_wrong_one_named() {
    let name = format!("reel-test-{}", Uuid::now_v7());
    let Some(url) = topic("reel:let%20me%20in", &name) else { return };
    assert_eq!(find_or_make(&url, 3).await.unwrap().partitions, 3);
    for login in ["reel:secret-that-is-wrong", "nobody:let%20me%20in"] {
        let url = topic(login, &name).unwrap();
        let fault = fault_of(&url).await;
        assert!(matches!(fault, TopicFault::NotLetIn { .. }), "{fault:?}");
        let said = fault.to_string();
        assert!(said.contains(&url.to_string()) && said.contains("user and password"), "{said}");
        assert!(!format!("{fault:?} {said}").contains("secret"), "{fault:?}");
    }
    delete(&url).await;
}
