//! Messages that are no events: each policy, and what an operator does then.

use reel_events::Place;
use reel_projector::ports::{DeadLetterReason, FailurePolicy};
use reel_read_model::GenerationState;

use super::bed::{ForeignBed, halted, under};
use crate::bed::{in_state, named, rows, until};
use crate::posts::expected;

const BROKEN: &[u8] = b"{\"author\":\xff";

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn halt_stops_in_front_of_it_and_skip_passes_it() {
    let Some(bed) = ForeignBed::new(2).await else { return };
    bed.happen(4, 0..1);
    bed.publish(1, BROKEN, "post-liked");
    // Of a kind that the projection does not see: nothing that concerns it.
    bed.publish(1, BROKEN, "order-placed");
    bed.happen(4, 1..2);
    let (host, target) = bed.host().await;
    host.deploy(under(FailurePolicy::Halt)).await.unwrap();
    let (place, code, message) = halted(&target, 1).await;
    let found: Place = place.parse().unwrap();
    assert_eq!((found.partition(), code.as_str()), (Some(bed.partition(1)), "not-json"));
    assert!(message.contains(&format!("post-liked at position {place} of stream reel_foreign")), "{message}");
    assert!(message.contains("is not UTF-8"), "{message}");

    host.skip(&named("posts"), None, found).await.unwrap();
    let live = in_state(&target, 1, GenerationState::Live).await;
    bed.reached(&target, &live).await;
    assert_eq!(rows(&target, &live).await, expected(4, 2));
    let letters = target.dead_letters(live.id, Place::START, 10).await.unwrap();
    assert_eq!(
        letters.iter().map(|letter| (letter.position, letter.code.as_str())).collect::<Vec<_>>(),
        [(found, "let-go")]
    );
    let original = letters[0].original.as_deref().unwrap();
    assert!(
        original.contains(r#""valueBase64":"eyJhdXRob3IiOv8=""#) && original.contains(r#""value":"/shop""#),
        "{original}"
    );
    bed.end(&[&host]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_policy_skip_keeps_each_and_goes_on() {
    let Some(bed) = ForeignBed::new(2).await else { return };
    bed.happen(6, 0..1);
    (0..6).for_each(|post| bed.publish(post, BROKEN, "post-liked"));
    bed.happen(6, 1..3);
    let (host, target) = bed.host().await;
    host.deploy(under(FailurePolicy::Skip)).await.unwrap();
    let live = in_state(&target, 1, GenerationState::Live).await;
    bed.reached(&target, &live).await;
    assert_eq!(rows(&target, &live).await, expected(6, 3));
    let letters = target.dead_letters(live.id, Place::START, 10).await.unwrap();
    assert_eq!(letters.len(), 6);
    assert!(letters.is_sorted_by_key(|letter| letter.position));
    for letter in &letters {
        assert_eq!((letter.reason, letter.code.as_str()), (DeadLetterReason::Skipped, "not-json"));
        assert!(letter.original.is_some());
    }
    host.discard(&named("posts"), None, letters[0].position).await.unwrap();
    assert_eq!(target.dead_letters(live.id, Place::START, 10).await.unwrap(), letters[1..]);
    bed.end(&[&host]).await;
}

/// The messages that are held back are read from the topic again.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_parked_stream_goes_on_behind_what_is_let_go() {
    let Some(bed) = ForeignBed::new(2).await else { return };
    let (first, target) = bed.host().await;
    let (second, _) = bed.host().await;
    bed.happen(6, 0..1);
    bed.publish(3, BROKEN, "post-liked");
    bed.happen(6, 1..4);
    first.deploy(under(FailurePolicy::Park)).await.unwrap();
    let live = in_state(&target, 1, GenerationState::Live).await;
    bed.reached(&target, &live).await;
    let mut held = expected(6, 4);
    held.insert("3".into(), ("author-3".into(), 0, 0));
    assert_eq!(rows(&target, &live).await, held);
    let letters = target.dead_letters(live.id, Place::START, 10).await.unwrap();
    let reasons: Vec<_> = letters.iter().map(|letter| letter.reason).collect();
    assert_eq!(
        reasons,
        [DeadLetterReason::Parked, DeadLetterReason::Held, DeadLetterReason::Held, DeadLetterReason::Held]
    );
    for host in [&first, &second] {
        let error = host.retry(&named("posts"), None, letters[0].position).await.unwrap_err().to_string();
        assert!(error.contains("stays parked") && error.contains("not-json"), "{error}");
    }
    second.skip(&named("posts"), None, letters[0].position).await.unwrap();
    until("the stream's rows", async || (rows(&target, &live).await == expected(6, 4)).then_some(())).await;
    assert_eq!(target.dead_letters(live.id, Place::START, 10).await.unwrap(), []);
    bed.happen(6, 4..5);
    bed.reached(&target, &live).await;
    assert_eq!(rows(&target, &live).await, expected(6, 5));
    bed.end(&[&first, &second]).await;
}
