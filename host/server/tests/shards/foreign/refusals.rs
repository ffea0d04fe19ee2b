//! What does not go with another producer's topic is refused by name; so is a topic that is another one by now.

use reel_host::inspect::Which;
use reel_host::{Deployment, Until};
use reel_projector::ports::FailurePolicy;
use reel_read_model::{GenerationState, Promotion};

use super::bed::{ForeignBed, halted, under};
use crate::bed::{deployment, in_state, named, rows};
use crate::posts::expected;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_needs_history_is_refused() {
    let Some(bed) = ForeignBed::new(2).await else { return };
    let (host, target) = bed.host().await;
    host.deploy(under(FailurePolicy::Halt)).await.unwrap();
    in_state(&target, 1, GenerationState::Live).await;
    let past = Deployment { until: Some(Until::Position(1)), ..deployment(Promotion::Manual) };
    let posts = Which { wanted: named("posts"), target: None };
    let errors = [
        host.replay(&named("posts"), past).await.err().unwrap(),
        host.dry_run(&named("posts"), &deployment(Promotion::Manual)).await.err().unwrap(),
        host.verify(&posts).await.err().unwrap(),
        host.rederive(&posts, vec!["reel".into()]).await.err().unwrap(),
    ];
    for error in errors {
        let error = error.to_string();
        assert!(error.contains("needs the log's history") && error.contains("another producer's topic"), "{error}");
    }
    bed.end(&[&host]).await;
}

/// Keys go to other partitions then. A replay begins with as many shards as there are partitions.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn another_number_of_partitions_halts() {
    let Some(bed) = ForeignBed::new(2).await else { return };
    bed.happen(5, 0..2);
    let (host, target) = bed.host().await;
    host.deploy(under(FailurePolicy::Halt)).await.unwrap();
    let live = in_state(&target, 1, GenerationState::Live).await;
    bed.reached(&target, &live).await;
    bed.grow(3).await;
    let (_, code, message) = halted(&target, 1).await;
    assert_eq!(code, "partitions-changed");
    assert!(message.contains("has 3 partitions, and had 2 when the projection began"), "{message}");
    let error = host.resume(&named("posts"), None).await;
    drop(error);
    assert_eq!(halted(&target, 1).await.1, "partitions-changed");

    host.replay(&named("posts"), deployment(Promotion::Automatic)).await.unwrap();
    let next = in_state(&target, 2, GenerationState::Live).await;
    assert_eq!((next.shards, rows(&target, &next).await), (3, expected(5, 2)));
    bed.end(&[&host]).await;
}
