//! What holds against any broker: the mock, and a real one.

use std::sync::Arc;

use reel_event_log::relay::state::Layout;

use crate::bed::{Bed, Broker, assert_facts, consume};

const THREE: Layout = Layout { from: 1, partitions: 3 };

fn all(count: u64) -> Vec<u64> {
    (1..=count).collect()
}

/// The log as far as it is there at the start, and what comes later, in order; watermarks where a partition is silent.
async fn the_log_is_published(broker: Broker) {
    let bed = Bed::new(broker, 3).await;
    bed.append(1000).await;
    let relay = bed.relay();
    bed.caught_up(&relay).await;
    bed.append(500).await;
    for _ in 0..5 {
        bed.append_to("post-1").await;
    }
    let seen = bed.whole().await;
    assert_eq!(consume(&seen, THREE), all(1505));
    assert_facts(&seen, &bed.log().await, &[THREE]);
    let watermarks = seen.iter().filter(|message| message.stream.is_none()).count();
    assert!((2..20).contains(&watermarks), "{watermarks} watermarks");
    relay.stop().await;
    bed.delete_topic().await;
}

/// A relay that dies is followed by another, which goes on where the topic ends.
async fn another_goes_on_where_one_died(broker: Broker) {
    let bed = Bed::new(broker, 3).await;
    bed.append(2000).await;
    for _ in 0..3 {
        let relay = bed.relay();
        bed.messages(|seen| !seen.is_empty()).await;
        drop(relay);
        bed.append(500).await;
    }
    let relay = bed.relay();
    let seen = bed.whole().await;
    assert_eq!(consume(&seen, THREE), all(3500));
    assert_facts(&seen, &bed.log().await, &[THREE]);
    relay.stop().await;
    bed.delete_topic().await;
}

/// Two that do not know of each other: all is there twice, and a consumer takes it once.
async fn two_that_both_think_they_lead(broker: Broker) {
    let bed = Bed::new(broker, 3).await;
    bed.append(300).await;
    let first = bed.relay_with(bed.state_named("first.db"));
    let second = bed.relay_with(bed.state_named("second.db"));
    for _ in 0..20 {
        bed.append(50).await;
    }
    bed.caught_up(&first).await;
    bed.caught_up(&second).await;
    let seen = bed.whole().await;
    assert_eq!(consume(&seen, THREE), all(1300));
    assert_facts(&seen, &bed.log().await, &[THREE]);
    first.stop().await;
    second.stop().await;
    bed.delete_topic().await;
}

/// Who waits leads soon after the leader died, and at once after it stopped.
async fn a_standby_takes_over(broker: Broker) {
    let bed = Bed::new(broker, 3).await;
    bed.append(10).await;
    let first = bed.relay();
    bed.caught_up(&first).await;
    let second = bed.relay();
    bed.append(10).await;
    bed.caught_up(&first).await;
    assert_eq!(second.status().borrow().leading, None);
    drop(first);
    bed.append(10).await;
    bed.caught_up(&second).await;
    let third = bed.relay();
    second.stop().await;
    bed.append(10).await;
    bed.caught_up(&third).await;
    let record = bed.state().read().await.unwrap();
    assert_eq!((record.stamp.epoch, record.layouts), (3, vec![THREE]));
    assert_eq!(consume(&bed.whole().await, THREE), all(40));
    third.stop().await;
    assert_eq!(bed.state().read().await.unwrap().holder, None);
    bed.delete_topic().await;
}

/// A stopped relay has published all that it had read, and what is written down says so.
async fn a_stop_leaves_nothing_on_its_way(broker: Broker) {
    let bed = Bed::new(broker, 3).await;
    bed.append(5000).await;
    let relay = bed.relay();
    bed.messages(|seen| !seen.is_empty()).await;
    relay.stop().await;
    let record = bed.state().read().await.unwrap();
    let seen = bed.messages(|_| true).await;
    let reached = crate::bed::last_by_partition(&seen);
    for (partition, known) in (0..).zip(&record.published.partitions) {
        assert_eq!(known.through, reached.get(&partition).copied().unwrap_or(0), "partition {partition}");
    }
    let state = Arc::clone(&bed.state());
    let relay = bed.relay_with(state);
    assert_eq!(consume(&bed.whole().await, THREE), all(5000));
    let twice = bed.whole().await.iter().filter(|message| message.stream.is_some()).count();
    assert_eq!(twice, 5000, "nothing is published again");
    relay.stop().await;
    bed.delete_topic().await;
}

/// Each case once against the mock, and once against the real broker where it is given.
macro_rules! against_every_broker {
    ($($case:ident),* $(,)?) => {
        mod mock {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                super::$case(crate::bed::Broker::mock()).await;
            })*
        }

        mod real {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                if let Some(broker) = crate::bed::Broker::real() {
                    super::$case(broker).await;
                }
            })*
        }
    };
}

pub(crate) use against_every_broker;

against_every_broker!(
    the_log_is_published,
    another_goes_on_where_one_died,
    two_that_both_think_they_lead,
    a_standby_takes_over,
    a_stop_leaves_nothing_on_its_way,
);
