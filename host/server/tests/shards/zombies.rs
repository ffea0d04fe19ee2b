//! Hosts that believe they own what is another's; events that nobody wrote.

use reel_events::partition_of;
use reel_read_model::{Condition, GenerationState, Promotion};

use crate::bed::{Bed, deployment, in_state, reached, rows, until};
use crate::posts::expected;

/// Whoever takes a shard over in the middle of its batches fences its owner, who takes it back and goes on from the checkpoint.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn shards_that_are_taken_over_again_and_again() {
    let Some(bed) = Bed::new(4).await else { return };
    bed.happen(100, 0..2).await;
    let (host, target) = bed.host().await;
    host.deploy(deployment(Promotion::Automatic)).await.unwrap();
    let live = in_state(&target, 1, GenerationState::Live).await;
    for round in 2..22 {
        bed.happen(100, round..round + 1).await;
        target.take_shard(live.id, round as u32 % 4).await.unwrap();
    }
    reached(&bed.store, &target, &live).await;
    assert_eq!(rows(&target, &live).await, expected(100, 22));
    assert_eq!(target.generations().await.unwrap()[0].condition, Condition::Running);
    bed.end(&[&host]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_event_that_the_store_does_not_have_halts_and_is_not_applied() {
    let Some(bed) = Bed::new(2).await else { return };
    bed.happen(10, 0..3).await;
    let (host, target) = bed.host().await;
    host.deploy(deployment(Promotion::Automatic)).await.unwrap();
    let live = in_state(&target, 1, GenerationState::Live).await;
    reached(&bed.store, &target, &live).await;
    // A message that nobody can read is passed over.
    bed.produce_noise(partition_of("post-3", 2)).await;
    bed.forge("post-3", 2).await;
    let message = until("the halt", async || {
        let generation = target.generations().await.unwrap().remove(0);
        match generation.condition {
            Condition::Halted { message, .. } => Some(message),
            _ => None,
        }
    })
    .await;
    assert!(message.contains("at position 31") && message.contains("the event store holds nothing there"), "{message}");
    assert_eq!(rows(&target, &live).await, expected(10, 3));
    bed.end(&[&host]).await;
}
