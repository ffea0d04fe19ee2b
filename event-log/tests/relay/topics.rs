//! Topics that are missing, made anew, grow, or belong to somebody else. A real broker only: the mock makes no topics.

use reel_event_log::{
    relay::state::Layout,
    topic::kafka::{find, find_or_make},
};

use crate::bed::{Bed, Broker, PATIENCE, assert_facts, commit, consume};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_topic_is_made() {
    let Some(broker) = Broker::real() else { return };
    let bed = Bed::new(broker, 0).await;
    bed.append(100).await;
    let error = find(&bed.url).await.unwrap_err().to_string();
    assert_eq!(error, format!("the topic {} is not there", bed.url));
    let relay = bed.relay();
    bed.caught_up(&relay).await;
    assert_eq!(find(&bed.url).await.unwrap().partitions, 4);
    assert_eq!(consume(&bed.whole().await, Layout { from: 1, partitions: 4 }).len(), 100);
    relay.stop().await;
    bed.delete_topic().await;
}

/// What was published before is gone from the topic; what comes later is there, and says what is missing in front of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_that_is_deleted_is_made_again_and_published_on() {
    let Some(broker) = Broker::real() else { return };
    let bed = Bed::new(broker, 4).await;
    let relay = bed.relay();
    bed.append(200).await;
    bed.caught_up(&relay).await;
    bed.delete_topic().await;
    bed.append(200).await;
    bed.caught_up(&relay).await;
    let deadline = std::time::Instant::now() + PATIENCE;
    while find(&bed.url).await.is_err() {
        assert!(std::time::Instant::now() < deadline, "it is not made again");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    bed.append(200).await;
    let seen = bed.whole().await;
    assert_facts(&seen, &bed.log().await, &[Layout { from: 1, partitions: 4 }]);
    let last: Vec<u64> =
        seen.iter().filter(|message| message.stream.is_some()).map(|message| message.position).collect();
    assert!((401..=600).all(|position| last.contains(&position)));
    relay.stop().await;
    bed.delete_topic().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_partitions_are_a_new_layout() {
    let Some(broker) = Broker::real() else { return };
    let bed = Bed::new(broker, 2).await;
    let relay = bed.relay();
    bed.append(300).await;
    bed.caught_up(&relay).await;
    bed.grow_topic(5).await;
    let mut status = relay.status();
    tokio::time::timeout(PATIENCE, status.wait_for(|status| status.leading.is_none())).await.unwrap().unwrap();
    bed.append(300).await;
    bed.caught_up(&relay).await;
    let layouts = bed.state().read().await.unwrap().layouts;
    let [old, new] = layouts[..] else { panic!("{layouts:?}") };
    assert_eq!((old, new.partitions), (Layout { from: 1, partitions: 2 }, 5));
    assert!((301..=601).contains(&new.from), "{new:?}");
    // However much the old layout took, the new one has events now.
    bed.append(300).await;
    bed.caught_up(&relay).await;
    let seen = bed.whole().await;
    assert_facts(&seen, &bed.log().await, &layouts);
    let before: Vec<_> = seen.iter().filter(|message| message.placement.layout == old.from).cloned().collect();
    let mut taken = consume(&before, old);
    taken.extend(consume(&seen, new));
    assert_eq!(taken, (1..=900).collect::<Vec<u64>>());
    relay.stop().await;
    bed.delete_topic().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_of_another_log_is_refused_by_name() {
    let Some(broker) = Broker::real() else { return };
    let first = Bed::new(broker, 2).await;
    let relay = first.relay();
    first.append(10).await;
    first.caught_up(&relay).await;
    relay.stop().await;

    let mut second = Bed::new(Broker::real().unwrap(), 0).await;
    second.url = first.url.clone();
    second.append(10).await;
    let relay = second.relay();
    let mut status = relay.status();
    let told = tokio::time::timeout(PATIENCE, status.wait_for(|status| status.trouble.is_some())).await.unwrap();
    let trouble = told.unwrap().trouble.clone().unwrap();
    let expected =
        format!("holds events of log {}, but the event store is log {}", first.store.log_id(), second.store.log_id());
    assert!(trouble.contains(&expected), "{trouble}");
    drop(relay);
    first.delete_topic().await;
}

/// An event that the topic does not take is left out; what follows says that it is missing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_too_large_is_left_out_and_stops_nothing() {
    let Some(broker) = Broker::real() else { return };
    let bed = Bed::new(broker, 0).await;
    let found = find_or_make(&bed.url, 2).await.unwrap();
    let largest = found.largest_event().unwrap();
    assert!(largest > 1_000_000, "{largest}");
    bed.limit_messages(20_000).await;
    bed.append_to("post-1").await;
    bed.store.append(commit("post-1", &format!("\"{}\"", incompressible(200_000)))).await.unwrap();
    bed.append_to("post-1").await;
    let relay = bed.relay();
    let seen = bed.whole().await;
    assert_facts(&seen, &bed.log().await, &[Layout { from: 1, partitions: 2 }]);
    let events: Vec<_> = seen.iter().filter(|message| message.stream.is_some()).collect();
    let places: Vec<_> = events.iter().map(|message| (message.position, message.placement.previous)).collect();
    assert_eq!(places, [(1, 0), (3, 2)]);
    relay.stop().await;
    bed.delete_topic().await;
}

/// Hexadecimal digits that no compression makes small enough.
fn incompressible(length: usize) -> String {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut text = String::with_capacity(length + 16);
    while text.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        text.push_str(&format!("{state:016x}"));
    }
    text
}
