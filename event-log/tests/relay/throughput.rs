//! How fast a log is published. Only a release build tells:
//! `cargo test --release -p reel-event-log --test relay throughput -- --ignored --nocapture`

use std::time::Instant;

use reel_event_log::NewCommit;

use crate::bed::{Bed, Broker, commit};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "measures: needs a release build and REEL_TEST_KAFKA"]
async fn a_log_is_published() {
    const EVENTS: usize = 1_000_000;
    let broker = Broker::real().expect("REEL_TEST_KAFKA names a broker");
    let bed = Bed::new(broker, 4).await;
    let payload = format!("{{\"author\":\"somebody\",\"text\":\"{}\"}}", "word ".repeat(28));
    for from in (0..EVENTS).step_by(10_000) {
        let commit = |nth: usize| -> NewCommit { commit(&format!("post-{}", nth % 50_000), &payload) };
        for answer in bed.store.append_all((from..from + 10_000).map(commit).collect()).await {
            answer.unwrap();
        }
    }
    let started = Instant::now();
    let relay = bed.relay();
    bed.caught_up(&relay).await;
    let rate = EVENTS as f64 / started.elapsed().as_secs_f64();
    println!("published: {rate:.0} events/s");
    relay.stop().await;
    bed.delete_topic().await;
}
