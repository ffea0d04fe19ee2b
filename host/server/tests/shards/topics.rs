//! Topics that change under the hosts.

use reel_events::Place;
use reel_host::Topic;
use reel_read_model::{GenerationState, Promotion};

use crate::bed::{Bed, deployment, in_state, reached, rows, until};
use crate::posts::expected;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_topic_that_is_deleted_loses_nothing() {
    let Some(bed) = Bed::new(4).await else { return };
    bed.happen(50, 0..4).await;
    let (host, target) = bed.host().await;
    host.deploy(deployment(Promotion::Automatic)).await.unwrap();
    let live = in_state(&target, 1, GenerationState::Live).await;
    bed.delete_topic().await;
    bed.happen(50, 4..9).await;
    reached(&bed.store, &target, &live).await;
    bed.happen(50, 9..14).await;
    reached(&bed.store, &target, &live).await;
    assert_eq!(rows(&target, &live).await, expected(50, 14));
    assert_eq!(target.dead_letters(live.id, Place::START, 10).await.unwrap(), []);
    bed.end(&[&host]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn more_partitions_are_more_shards() {
    let Some(mut bed) = Bed::new(2).await else { return };
    bed.happen(50, 0..4).await;
    let (first, target) = bed.host().await;
    let (second, _) = bed.host().await;
    first.deploy(deployment(Promotion::Automatic)).await.unwrap();
    let live = in_state(&target, 1, GenerationState::Live).await;
    assert_eq!(live.shards, 2);
    bed.stop_relay().await;
    bed.grow_topic(6).await;
    bed.happen(50, 4..8).await;
    bed.start_relay(6);
    bed.happen(50, 8..14).await;
    until("six shards", async || {
        let found = target.live("posts").await.unwrap()?;
        (found.shards == 6).then_some(())
    })
    .await;
    reached(&bed.store, &target, &live).await;
    bed.happen(50, 14..17).await;
    reached(&bed.store, &target, &live).await;
    assert_eq!(rows(&target, &live).await, expected(50, 17));
    bed.end(&[&first, &second]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn without_a_relay_history_serves() {
    let Some(mut bed) = Bed::new(3).await else { return };
    bed.happen(50, 0..2).await;
    let (host, target) = bed.host().await;
    host.deploy(deployment(Promotion::Automatic)).await.unwrap();
    let live = in_state(&target, 1, GenerationState::Live).await;
    bed.stop_relay().await;
    bed.happen(50, 2..6).await;
    reached(&bed.store, &target, &live).await;
    assert_eq!(rows(&target, &live).await, expected(50, 6));
    // What the relay publishes now was applied already.
    bed.start_relay(3);
    bed.happen(50, 6..8).await;
    reached(&bed.store, &target, &live).await;
    assert_eq!(rows(&target, &live).await, expected(50, 8));
    bed.end(&[&host]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_is_laid_out_over_partitions_is_not_followed_from_one_of_their_checkpoints() {
    let Some(bed) = Bed::new(3).await else { return };
    bed.happen(50, 0..2).await;
    let (host, target) = bed.host().await;
    host.deploy(deployment(Promotion::Automatic)).await.unwrap();
    let live = in_state(&target, 1, GenerationState::Live).await;
    until("three shards", async || (target.checkpoints(live.id).await.unwrap().len() == 3).then_some(())).await;
    reached(&bed.store, &target, &live).await;
    host.stop().await;
    bed.happen(50, 2..4).await;
    let before = target.checkpoints(live.id).await.unwrap();
    let (astray, _) = bed.host_on(Topic::Store).await;
    let said = until("the host says why", async || {
        let statuses = astray.status(None, None).await.unwrap();
        statuses.into_iter().find_map(|status| status.problem).map(|problem| problem.message)
    })
    .await;
    assert!(said.contains("the 3 partitions of a Kafka topic"), "{said}");
    assert_eq!(target.checkpoints(live.id).await.unwrap(), before, "it was left alone");
    astray.stop().await;
    let (host, _) = bed.host().await;
    reached(&bed.store, &target, &live).await;
    assert_eq!(rows(&target, &live).await, expected(50, 4));
    bed.end(&[&host]).await;
}
