//! What comes out, and that it is what went in.

use std::sync::Arc;

use reel_event_log::{EventStore, Limits, NewCommit, ReadLimit};
use reel_events::{CanonicalJson, Event, EventKind, LogPoint, NewEvent, StreamId, Timestamp};
use uuid::Uuid;

use super::{Place, commit, empty, stream};

const ALL: ReadLimit = ReadLimit { events: usize::MAX, bytes: usize::MAX };

/// Commits of several sizes on several streams.
async fn fill(store: &Arc<dyn EventStore>) -> u64 {
    let commits = (0..40).map(|nth| commit(&format!("s-{}", nth % 3), 1 + nth % 4)).collect();
    let answers = store.append_all(commits).await;
    answers.last().unwrap().as_ref().unwrap().last_position()
}

fn positions(events: &reel_events::EventBatch) -> Vec<u64> {
    events.iter().map(|event| event.position).collect()
}

pub(crate) async fn what_was_appended_is_read<P: Place>() {
    let (_place, store) = empty::<P>().await;
    let new = NewEvent {
        id: Uuid::from_u128(u128::MAX - 1),
        kind: EventKind::new("com.example/Post:v1_x").unwrap(),
        schema: u16::MAX,
        recorded_at: Some(Timestamp::MIN),
        payload: CanonicalJson::parse(r#"{"text":"é😀\u0001\"","n":-9223372036854775808,"d":5e-324}"#).unwrap(),
        metadata: CanonicalJson::parse_object(r#"{"actor":"b","trace":[1,null]}"#).unwrap(),
    };
    let redacted = NewEvent { id: Uuid::now_v7(), payload: CanonicalJson::default(), ..new.clone() };
    let longest = format!("é-{}", "ü".repeat(254));
    let events = vec![new.clone(), redacted.clone()];
    store.append(NewCommit { stream: stream(&longest), events, ..commit("x-1", 1) }).await.unwrap();
    let read = store.read(0, ALL).await.unwrap();
    let read: Vec<Event> = read.iter().map(|event| event.to_event()).collect();
    let expected = |nth: u64, new: NewEvent| Event {
        position: nth,
        version: nth,
        id: new.id,
        stream: stream(&longest),
        kind: new.kind,
        schema: new.schema,
        recorded_at: Timestamp::MIN,
        payload: new.payload,
        metadata: new.metadata,
    };
    assert_eq!(read, [expected(1, new), expected(2, redacted)]);
}

pub(crate) async fn limits_of_events_and_bytes_are_kept<P: Place>() {
    let (_place, store) = empty::<P>().await;
    fill(&store).await;
    for events in 1..12 {
        let batch = store.read(3, ReadLimit::events(events)).await.unwrap();
        assert_eq!(positions(&batch), (4..4 + events as u64).collect::<Vec<_>>());
    }
    assert_eq!(store.read(3, ReadLimit::events(0)).await.unwrap().len(), 1, "at least one");
    let whole = store.read(3, ALL).await.unwrap();
    for bytes in [0, 1, 20, 50, 100, 333] {
        let batch = store.read(3, ReadLimit { events: 1000, bytes }).await.unwrap();
        assert_eq!(batch.get(0), whole.get(0), "at least one");
        assert!(batch.heap_bytes() <= bytes || batch.len() == 1, "{bytes}");
        let next = whole.get(batch.len());
        let longer =
            batch.heap_bytes() + next.stream.len() + next.kind.len() + next.payload.len() + next.metadata.len();
        assert!(longer > bytes, "{bytes}: as many as fit");
    }
}

pub(crate) async fn every_position_can_be_read_from<P: Place>() {
    let (_place, store) = empty::<P>().await;
    assert!(store.read(0, ALL).await.unwrap().is_empty());
    let last = fill(&store).await;
    let whole = store.read(0, ALL).await.unwrap();
    assert_eq!(positions(&whole), (1..=last).collect::<Vec<_>>());
    for after in 0..=last {
        let batch = store.read(after, ALL).await.unwrap();
        assert!(batch.iter().eq(whole.iter().skip(after as usize)), "after {after}");
    }
    for after in [last + 1, i64::MAX as u64, u64::MAX] {
        assert!(store.read(after, ALL).await.unwrap().is_empty());
    }
}

/// A commit of many events is found from any of them, by position and by version; and what follows on it is not passed over.
pub(crate) async fn a_large_commit_is_found_from_within<P: Place>() {
    let (_place, store) = empty::<P>().await;
    let answers = store.append_all(vec![commit("s-1", 1), commit("s-1", 6_000), commit("s-1", 2)]).await;
    assert_eq!(answers.last().unwrap().as_ref().unwrap().last_position(), 6_003);
    let whole = store.read(0, ALL).await.unwrap();
    for position in [1, 2, 65, 66, 67, 4_097, 4_099, 6_001, 6_002, 6_003] {
        let event = whole.get(position as usize - 1);
        assert_eq!(store.point(position).await.unwrap(), Some(LogPoint { position, event: event.id }));
        let batch = store.read(position - 1, ReadLimit::events(3)).await.unwrap();
        assert!(batch.iter().eq(whole.iter().skip(position as usize - 1).take(3)), "from {position}");
        let of_stream = store.read_stream(&stream("s-1"), position - 1, ReadLimit::events(3)).await.unwrap();
        assert!(of_stream.iter().eq(batch.iter()), "from {position}");
    }
    assert_eq!(store.head().await.unwrap(), LogPoint { position: 6_003, event: whole.get(6_002).id });
}

pub(crate) async fn one_stream_is_read_from_any_version<P: Place>() {
    let (_place, store) = empty::<P>().await;
    fill(&store).await;
    let whole = store.read(0, ALL).await.unwrap();
    let of_stream: Vec<_> = whole.iter().filter(|event| event.stream == "s-1").collect();
    for after in 0..=of_stream.len() {
        let batch = store.read_stream(&stream("s-1"), after as u64, ALL).await.unwrap();
        assert!(batch.iter().eq(of_stream[after..].iter().copied()), "after {after}");
        let first = store.read_stream(&stream("s-1"), after as u64, ReadLimit::events(2)).await.unwrap();
        assert!(first.iter().eq(of_stream[after..].iter().copied().take(2)), "after {after}");
    }
    assert!(store.read_stream(&stream("s-1"), u64::MAX, ALL).await.unwrap().is_empty());
    for other in ["s-", "s-11", "S-1", "s:1"].into_iter().filter_map(|id| StreamId::new(id).ok()) {
        assert!(store.read_stream(&other, 0, ALL).await.unwrap().is_empty());
    }
}

pub(crate) async fn head_point_and_watch<P: Place>() {
    let (_place, store) = empty::<P>().await;
    let watch = store.watch();
    assert_eq!(store.head().await.unwrap(), LogPoint::START);
    assert_eq!(store.point(0).await.unwrap(), Some(LogPoint::START));
    assert_eq!(store.point(1).await.unwrap(), None);
    assert_eq!(*watch.borrow(), 0);
    let last = fill(&store).await;
    assert_eq!(*watch.borrow(), last, "the process that appended knows at once");
    for event in store.read(0, ALL).await.unwrap().iter() {
        let expected = LogPoint { position: event.position, event: event.id };
        assert_eq!(store.point(event.position).await.unwrap(), Some(expected));
        if event.position == last {
            assert_eq!(store.head().await.unwrap(), expected);
        }
    }
    for beyond in [last + 1, u64::MAX] {
        assert_eq!(store.point(beyond).await.unwrap(), None);
    }
}

pub(crate) async fn a_restart_keeps_everything<P: Place>() {
    let (place, store) = empty::<P>().await;
    let log = store.log_id();
    let repeated = commit("r-1", 2);
    let first = store.append(repeated.clone()).await.unwrap();
    let last = fill(&store).await;
    let before = store.read(0, ALL).await.unwrap();
    drop(store);

    let store = place.open(Limits::default()).await;
    assert_eq!(store.log_id(), log);
    assert_eq!(*store.watch().borrow(), last);
    assert!(store.read(0, ALL).await.unwrap().iter().eq(before.iter()));
    assert_eq!(store.append(repeated).await.unwrap().first_position, first.first_position);
    let mut reused = commit("r-2", 1);
    reused.events[0].id = before.get(0).id;
    assert!(store.append(reused).await.is_err());
    let next = store.append(super::commit_at("r-1", 2, 1)).await.unwrap();
    assert_eq!((next.first_position, next.first_version), (last + 1, 3));
    assert_ne!(P::new().await.open(Limits::default()).await.log_id(), log, "each log has an identity of its own");
}
