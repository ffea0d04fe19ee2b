//! What becomes of a commit: where it stands, or why it is refused.

use reel_event_log::{AppendError, Appended, Limits, NewCommit, ReadLimit};
use reel_events::{CanonicalJson, Timestamp};
use uuid::Uuid;

use super::{Place, commit, commit_at, empty, event, stream};

fn place_of(appended: &Appended) -> (u64, u64, u32) {
    (appended.first_position, appended.first_version, appended.count)
}

pub(crate) async fn positions_and_versions_follow_on<P: Place>() {
    let (_place, store) = empty::<P>().await;
    let commits = vec![commit("a-1", 2), commit("b-1", 1), commit("a-1", 3)];
    let answers: Vec<Appended> = store.append_all(commits).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(answers.iter().map(place_of).collect::<Vec<_>>(), [(1, 1, 2), (3, 1, 1), (4, 3, 3)]);
    let next = store.append(commit("b-1", 1)).await.unwrap();
    assert_eq!(place_of(&next), (7, 2, 1));
    assert!(next.recorded_at >= answers[0].recorded_at && !next.repeated);
    assert!(store.append_all(Vec::new()).await.is_empty());
}

pub(crate) async fn a_wrong_expected_version_is_a_conflict_with_the_actual_one<P: Place>() {
    let (_place, store) = empty::<P>().await;
    store.append(commit_at("a-1", 0, 3)).await.unwrap();
    for expected in [0, 2, 4, u64::MAX] {
        match store.append(commit_at("a-1", expected, 1)).await {
            Err(AppendError::Conflict { stream: of, expected: given, actual }) => {
                assert_eq!((of, given, actual), (stream("a-1"), expected, 3));
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(matches!(store.append(commit_at("new-1", 1, 1)).await, Err(AppendError::Conflict { actual: 0, .. })));
    assert_eq!(place_of(&store.append(commit_at("a-1", 3, 1)).await.unwrap()), (4, 4, 1));
}

pub(crate) async fn a_repeat_answers_with_the_first_result<P: Place>() {
    let (_place, store) = empty::<P>().await;
    store.append(commit("b-1", 1)).await.unwrap();
    let first = commit_at("a-1", 0, 2);
    let appended = store.append(first.clone()).await.unwrap();
    store.append(commit_at("a-1", 2, 1)).await.unwrap();
    let repeated = store.append(first).await.unwrap();
    assert_eq!(repeated, Appended { repeated: true, ..appended });
    assert_eq!(store.head().await.unwrap().position, 4);
}

pub(crate) async fn a_commit_id_with_another_digest_is_refused<P: Place>() {
    let (_place, store) = empty::<P>().await;
    let first = commit("a-1", 1);
    store.append(first.clone()).await.unwrap();
    let other = NewCommit { id: first.id, digest: [8; 32], ..commit("a-1", 1) };
    assert!(matches!(store.append(other).await, Err(AppendError::CommitReused { id }) if id == first.id));
    assert_eq!(store.head().await.unwrap().position, 1);
}

pub(crate) async fn an_event_id_is_taken_once<P: Place>() {
    let (_place, store) = empty::<P>().await;
    let first = commit("a-1", 1);
    let taken = first.events[0].id;
    store.append(first).await.unwrap();
    let mut second = commit("b-1", 3);
    second.events[2].id = taken;
    let free = second.events[0].id;
    assert!(matches!(store.append(second).await, Err(AppendError::EventExists { id }) if id == taken));
    let mut twice = commit("b-1", 2);
    twice.events[0].id = free;
    twice.events[1].id = free;
    assert!(matches!(store.append(twice).await, Err(AppendError::EventExists { id }) if id == free));
    let mut third = commit("b-1", 1);
    third.events[0].id = free;
    assert_eq!(place_of(&store.append(third).await.unwrap()), (2, 1, 1), "a refused commit takes no id");
}

pub(crate) async fn what_is_too_large_or_empty_is_refused<P: Place>() {
    let place = P::new().await;
    let limits = Limits { event_bytes: 1000, commit_bytes: 2500 };
    let store = place.open(limits).await;
    assert_eq!(store.limits(), limits);
    let sized = |sizes: &[usize]| {
        // Two quotes belong to the payload.
        let events = sizes.iter().map(|size| event(&"x".repeat(size - 2))).collect();
        NewCommit { events, ..commit("a-1", 1) }
    };
    let mut annotated = sized(&[900]);
    annotated.events[0].metadata = CanonicalJson::parse_object(format!("{{\"a\":\"{}\"}}", "m".repeat(100))).unwrap();
    assert!(matches!(store.append(sized(&[1001])).await, Err(AppendError::TooLarge { bytes: 1001, limit: 1000, .. })));
    assert!(matches!(store.append(annotated).await, Err(AppendError::TooLarge { bytes: 1008, .. })));
    match store.append(sized(&[10, 2000])).await {
        Err(AppendError::TooLarge { what, .. }) => assert_eq!(what, "event 2 of the commit"),
        other => panic!("{other:?}"),
    }
    match store.append(sized(&[1000, 1000, 501])).await {
        Err(AppendError::TooLarge { what, bytes: 2501, limit: 2500 }) => assert_eq!(what, "the commit"),
        other => panic!("{other:?}"),
    }
    assert!(matches!(store.append(sized(&[])).await, Err(AppendError::Empty)));
    assert_eq!(place_of(&store.append(sized(&[1000, 1000, 500])).await.unwrap()), (1, 1, 3));
}

pub(crate) async fn a_failing_commit_does_not_spoil_its_neighbours<P: Place>() {
    let (_place, store) = empty::<P>().await;
    let taken = event("taken");
    let with_taken = || NewCommit { events: vec![event("x"), taken.clone()], ..commit("c-1", 1) };
    let commits = vec![
        with_taken(),
        commit_at("a-1", 5, 1),
        commit("a-1", 1),
        commit("a-1", 0),
        with_taken(),
        commit_at("a-1", 1, 1),
    ];
    let answers = store.append_all(commits).await;
    assert_eq!(place_of(answers[0].as_ref().unwrap()), (1, 1, 2));
    assert!(matches!(answers[1], Err(AppendError::Conflict { actual: 0, .. })));
    assert_eq!(place_of(answers[2].as_ref().unwrap()), (3, 1, 1));
    assert!(matches!(answers[3], Err(AppendError::Empty)));
    assert!(matches!(answers[4], Err(AppendError::EventExists { .. })));
    assert_eq!(place_of(answers[5].as_ref().unwrap()), (4, 2, 1));
}

pub(crate) async fn a_commit_id_twice_in_one_call_is_one_commit<P: Place>() {
    let (_place, store) = empty::<P>().await;
    let once = commit_at("a-1", 0, 2);
    let other = NewCommit { digest: [9; 32], ..once.clone() };
    let answers = store.append_all(vec![once.clone(), once, other]).await;
    let first = *answers[0].as_ref().unwrap();
    assert!(!first.repeated);
    assert_eq!(*answers[1].as_ref().unwrap(), Appended { repeated: true, ..first });
    assert!(matches!(answers[2], Err(AppendError::CommitReused { .. })));
    assert_eq!(store.head().await.unwrap().position, 2);
}

pub(crate) async fn an_event_keeps_a_time_of_its_own<P: Place>() {
    let (_place, store) = empty::<P>().await;
    let own = Timestamp::parse("1999-12-31T23:59:59.000001Z").unwrap();
    let mut history = commit("a-1", 2);
    history.events[0].recorded_at = Some(own);
    let appended = store.append(history).await.unwrap();
    let batch = store.read(0, ReadLimit::events(10)).await.unwrap();
    assert_eq!(batch.get(0).recorded_at, own.micros());
    assert_eq!(batch.get(1).recorded_at, appended.recorded_at.micros());
    assert!(appended.recorded_at > own);
}

pub(crate) async fn commits_are_found_by_id<P: Place>() {
    let (_place, store) = empty::<P>().await;
    let sought = commit("a-1", 2);
    store.append(commit("b-1", 1)).await.unwrap();
    let appended = store.append(sought.clone()).await.unwrap();
    let found = store.find_commit(sought.id).await.unwrap().unwrap();
    assert_eq!(found.appended, Appended { repeated: true, ..appended });
    assert_eq!(found.digest, sought.digest);
    assert_eq!(store.find_commit(Uuid::now_v7()).await.unwrap(), None);
}
