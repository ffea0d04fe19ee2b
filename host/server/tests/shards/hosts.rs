//! Hosts that come and go.

use reel_events::Place;
use reel_read_model::{GenerationState, Promotion};

use crate::bed::{Bed, deployment, in_state, reached, rows};
use crate::posts::expected;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_hosts_share_eight_shards() {
    let Some(bed) = Bed::new(8).await else { return };
    bed.happen(200, 0..5).await;
    let (first, target) = bed.host().await;
    first.deploy(deployment(Promotion::Automatic)).await.unwrap();
    let live = in_state(&target, 1, GenerationState::Live).await;
    assert_eq!(live.shards, 8);
    assert_eq!(rows(&target, &live).await, expected(200, 5));

    // A second host comes while events arrive, then the first goes.
    bed.happen(200, 5..10).await;
    let (second, _) = bed.host().await;
    bed.happen(200, 10..30).await;
    reached(&bed.store, &target, &live).await;
    first.stop().await;
    bed.happen(200, 30..40).await;
    reached(&bed.store, &target, &live).await;
    assert_eq!(rows(&target, &live).await, expected(200, 40));
    assert_eq!(target.dead_letters(live.id, Place::START, 10).await.unwrap(), []);
    bed.end(&[&second]).await;
}
