//! What an operator does at one host is done at all of them.

use reel_events::Place;
use reel_projector::ports::FailurePolicy;
use reel_read_model::{Condition, GenerationState, IfBehind, Promotion};

use crate::bed::{Bed, deployment, in_state, named, reached, rows, until};
use crate::posts::expected;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn acts_at_one_host_reach_the_other() {
    let Some(bed) = Bed::new(4).await else { return };
    bed.happen(50, 0..4).await;
    let (first, target) = bed.host().await;
    let (second, _) = bed.host().await;
    first.deploy(deployment(Promotion::Automatic)).await.unwrap();
    let live = in_state(&target, 1, GenerationState::Live).await;

    second.pause(&named("posts"), None).await.unwrap();
    bed.happen(50, 4..8).await;
    second.resume(&named("posts"), None).await.unwrap();
    reached(&bed.store, &target, &live).await;
    assert_eq!(rows(&target, &live).await, expected(50, 8));

    second.replay(&named("posts"), deployment(Promotion::Manual)).await.unwrap();
    in_state(&target, 2, GenerationState::Ready).await;
    bed.happen(50, 8..12).await;
    let next = first.promote(&named("posts@2"), None, None).await.unwrap();
    assert_eq!((next.number, &next.condition), (2, &Condition::Running));
    reached(&bed.store, &target, &next).await;
    assert_eq!(rows(&target, &next).await, expected(50, 12));
    let back = second.rollback(&named("posts"), None, IfBehind::Refuse).await.unwrap();
    assert_eq!(back.number, 1);

    first.drop_projection(&named("posts"), None).await.unwrap();
    until("the second host lets go", async || second.status(None, None).await.unwrap().is_empty().then_some(())).await;
    assert_eq!(target.generations().await.unwrap(), []);
    bed.end(&[&first, &second]).await;
}

/// A retry is asked of both hosts: one of them does not run the shard.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_retry_works_at_every_host() {
    let Some(bed) = Bed::new(4).await else { return };
    bed.happen(8, 0..1).await;
    let (first, target) = bed.host().await;
    let (second, _) = bed.host().await;
    let parking = reel_host::Deployment { on_failure: Some(FailurePolicy::Park), ..deployment(Promotion::Automatic) };
    first.deploy(parking).await.unwrap();
    let live = in_state(&target, 1, GenerationState::Live).await;
    // A like for a post that nobody made.
    bed.happen(9, 1..2).await;
    bed.happen(9, 2..4).await;
    reached(&bed.store, &target, &live).await;
    let letters = target.dead_letters(live.id, Place::START, 10).await.unwrap();
    assert_eq!(letters.len(), 3, "{letters:?}");
    for host in [&first, &second] {
        let error = host.retry(&named("posts"), None, letters[0].position).await.unwrap_err().to_string();
        assert!(error.contains("stays parked"), "{error}");
    }
    // Without the first like, the second one is at fault.
    let error = second.skip(&named("posts"), None, letters[0].position).await.unwrap_err().to_string();
    assert!(error.contains("stays parked"), "{error}");
    bed.happen(8, 4..5).await;
    reached(&bed.store, &target, &live).await;
    assert_eq!(rows(&target, &live).await, expected(8, 5));
    bed.end(&[&first, &second]).await;
}
