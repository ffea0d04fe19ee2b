//! Brokers that go away, and a broker that never was there.

use std::time::Duration;

use reel_event_log::relay::state::Layout;

use crate::bed::{Bed, Broker, PATIENCE, assert_facts, consume};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_goes_away_and_comes_back() {
    let bed = Bed::new(Broker::mock(), 3).await;
    let relay = bed.relay();
    bed.append(100).await;
    bed.caught_up(&relay).await;
    bed.mock().broker_down(1).unwrap();
    for _ in 0..10 {
        bed.append(50).await;
    }
    bed.mock().broker_up(1).unwrap();
    bed.caught_up(&relay).await;
    let seen = bed.whole().await;
    let layout = Layout { from: 1, partitions: 3 };
    assert_eq!(consume(&seen, layout).len(), 600);
    assert_facts(&seen, &bed.log().await, &[layout]);
    relay.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_without_broker_is_named() {
    let mut bed = Bed::new(Broker::mock(), 1).await;
    bed.url = "kafka://127.0.0.1:1/events".parse().unwrap();
    let relay = bed.relay();
    let mut status = relay.status();
    let told = tokio::time::timeout(PATIENCE, status.wait_for(|status| status.trouble.is_some())).await.unwrap();
    let trouble = told.unwrap().trouble.clone().unwrap();
    assert!(trouble.contains("the topic kafka://127.0.0.1:1/events cannot be reached"), "{trouble}");
    let stopped = tokio::time::timeout(Duration::from_secs(10), relay.stop()).await;
    assert!(stopped.is_ok(), "it ends, though nothing answers");
}
