//! What every event store must do, whatever it is kept in. An adapter's test file names a [`Place`] and gets every case:
//!
//! ```ignore
//! mod store_conformance;
//! store_conformance::store_conformance!(MyPlace);
//! ```

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

pub(crate) mod appending;
pub(crate) mod concurrency;
pub(crate) mod reading;

use std::sync::Arc;

use async_trait::async_trait;
use reel_event_log::{EventStore, ExpectedVersion, IdOrigin, Limits, NewCommit};
use reel_events::{CanonicalJson, EventKind, NewEvent, StreamId};
use uuid::Uuid;

/// Where a store is kept, empty at first. Opening it again, after every earlier store was dropped, gives the same log.
#[async_trait]
pub(crate) trait Place: Send + Sync + Sized + 'static {
    /// Whether there is such a place here; where there is none, its cases are passed over.
    fn is_given() -> bool {
        true
    }

    /// A new, empty place; it goes away when it is dropped.
    async fn new() -> Self;

    /// Opens the store that is kept here.
    async fn open(&self, limits: Limits) -> Arc<dyn EventStore>;
}

/// Every case, as a test of the given place.
macro_rules! store_conformance {
    ($name:ident: $place:ty) => {
        mod $name {
            use super::*;
            $crate::store_conformance::store_conformance!($place);
        }
    };
    ($place:ty) => {
        use $crate::store_conformance::{appending, concurrency, reading};
        $crate::store_conformance::store_conformance!($place;
            appending::positions_and_versions_follow_on,
            appending::a_wrong_expected_version_is_a_conflict_with_the_actual_one,
            appending::a_repeat_answers_with_the_first_result,
            appending::a_commit_id_with_another_digest_is_refused,
            appending::an_event_id_is_taken_once,
            appending::what_is_too_large_or_empty_is_refused,
            appending::a_failing_commit_does_not_spoil_its_neighbours,
            appending::a_commit_id_twice_in_one_call_is_one_commit,
            appending::an_event_keeps_a_time_of_its_own,
            appending::commits_are_found_by_id,
            reading::what_was_appended_is_read,
            reading::limits_of_events_and_bytes_are_kept,
            reading::every_position_can_be_read_from,
            reading::a_large_commit_is_found_from_within,
            reading::one_stream_is_read_from_any_version,
            reading::head_point_and_watch,
            reading::a_restart_keeps_everything,
            concurrency::concurrent_writers_leave_no_gap_and_readers_see_no_hole,
            concurrency::of_writers_that_expect_the_same_version_one_wins,
            concurrency::concurrent_repeats_of_one_commit_are_one_commit,
            concurrency::a_watcher_learns_of_every_append,
        );
    };
    ($place:ty; $($module:ident :: $case:ident),* $(,)?) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $case() {
                if <$place as $crate::store_conformance::Place>::is_given() {
                    $module::$case::<$place>().await;
                }
            }
        )*
    };
}
pub(crate) use store_conformance;

/// An empty store, and the place that it is kept in.
pub(crate) async fn empty<P: Place>() -> (P, Arc<dyn EventStore>) {
    let place = P::new().await;
    let store = place.open(Limits::default()).await;
    (place, store)
}

pub(crate) fn stream(id: &str) -> StreamId {
    StreamId::new(id).unwrap()
}

/// A new event whose payload is `text` as a JSON string.
pub(crate) fn event(text: &str) -> NewEvent {
    NewEvent {
        id: Uuid::now_v7(),
        kind: EventKind::new("noted").unwrap(),
        schema: 1,
        recorded_at: None,
        payload: CanonicalJson::from_serialize(text).unwrap(),
        metadata: CanonicalJson::default(),
    }
}

/// A new commit of `count` events that expects nothing.
pub(crate) fn commit(stream_id: &str, count: usize) -> NewCommit {
    NewCommit {
        id: Uuid::now_v7(),
        stream: stream(stream_id),
        expected: ExpectedVersion::Any,
        digest: [7; 32],
        ids: IdOrigin::Given,
        events: (0..count).map(|nth| event(&format!("{stream_id} {nth}"))).collect(),
    }
}

/// The same with an expected version.
pub(crate) fn commit_at(stream_id: &str, expected: u64, count: usize) -> NewCommit {
    NewCommit { expected: ExpectedVersion::Exactly(expected), ..commit(stream_id, count) }
}
