//! Messages become rows, whichever host has their partition; generations are made, promoted and rolled back as ever.

use reel_host::Outcome;
use reel_projector::ports::FailurePolicy;
use reel_read_model::{GenerationState, IfBehind, Promotion};

use super::bed::{ForeignBed, under};
use crate::bed::{deployment, in_state, named, rows, until};
use crate::posts::expected;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn hosts_share_the_partitions_and_go_on_where_others_were() {
    let Some(bed) = ForeignBed::new(4).await else { return };
    bed.happen(40, 0..4);
    let (first, target) = bed.host().await;
    let (second, _) = bed.host().await;
    first.deploy(under(FailurePolicy::Halt)).await.unwrap();
    let live = in_state(&target, 1, GenerationState::Live).await;
    assert_eq!(live.shards, 4);
    bed.happen(40, 4..8);
    bed.reached(&target, &live).await;
    assert_eq!(rows(&target, &live).await, expected(40, 8));

    let again = second.deploy(under(FailurePolicy::Halt)).await.unwrap();
    assert_eq!(again.outcome, Outcome::Unchanged);
    let status = until("no lag", async || {
        let status = second.status(None, None).await.unwrap().remove(0);
        (status.lag_events == 0).then_some(status)
    })
    .await;
    assert_eq!((status.position, status.head, status.lag_seconds), (40 * 8, 40 * 8, 0.0));

    // One goes, and all that it had goes on; then both are gone, and another one begins where they were.
    first.stop().await;
    bed.happen(40, 8..10);
    bed.reached(&target, &live).await;
    second.stop().await;
    bed.happen(40, 10..12);
    let (third, _) = bed.host().await;
    bed.reached(&target, &live).await;
    assert_eq!(rows(&target, &live).await, expected(40, 12));
    bed.end(&[&third]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_replay_reads_the_topic_anew_and_is_promoted() {
    let Some(bed) = ForeignBed::new(2).await else { return };
    bed.happen(10, 0..4);
    let (host, target) = bed.host().await;
    host.deploy(under(FailurePolicy::Halt)).await.unwrap();
    let before = in_state(&target, 1, GenerationState::Live).await;
    host.replay(&named("posts"), deployment(Promotion::Manual)).await.unwrap();
    let next = in_state(&target, 2, GenerationState::Ready).await;
    bed.happen(10, 4..7);
    host.promote(&named("posts@2"), None, None).await.unwrap();
    bed.reached(&target, &next).await;
    assert_eq!(rows(&target, &next).await, expected(10, 7));
    let back = host.rollback(&named("posts"), None, IfBehind::Refuse).await.unwrap();
    assert_eq!(back.number, 1);
    bed.reached(&target, &before).await;
    assert_eq!(rows(&target, &before).await, expected(10, 7));
    bed.end(&[&host]).await;
}
