//! Events, logs and readers that the tests share.

use std::{num::NonZeroU32, sync::Arc};

use proptest::prelude::*;
use reel_event_log::{
    EventStore, ExpectedVersion, IdOrigin, Limits, NewCommit, ReadLimit, SqliteStore, StoreError,
    archive::{Archive, Segment, SegmentBuilder},
    history::{History, Portion, Span, Wanted},
};
use reel_events::{CanonicalJson, Event, EventBatch, EventKind, LogId, NewEvent, StreamId, Timestamp};
use uuid::Uuid;

pub(crate) const LOG: LogId = LogId(Uuid::from_u128(0x0192_0000_0000_7000_8000_0000_0000_00aa));

/// Everything, from the first position.
pub(crate) const ALL: Span = Span { after: 0, until: None, portion: ReadLimit { events: 10_000, bytes: 16 << 20 } };

pub(crate) fn memory() -> Archive {
    Archive::on(Arc::new(object_store::memory::InMemory::new()), "".into(), "memory")
}

/// Any events, from position `first` on.
pub(crate) fn any_events(
    first: u64,
    count: impl Into<proptest::collection::SizeRange>,
) -> impl Strategy<Value = Vec<Event>> {
    let payload = prop_oneof![
        Just(String::new()),
        Just("{}".to_owned()),
        any::<String>().prop_map(|text| CanonicalJson::from_serialize(&text).unwrap().as_str().to_owned()),
    ];
    let kind = prop_oneof![
        Just("post-liked"),
        Just("post-created"),
        Just("comment-added"),
        Just("z"),
        Just("com.example/P:v1")
    ];
    let event = (any::<u64>(), any::<u128>(), "[a-zé]{1,5}[-:][a-zß]{1,3}", kind, any::<u16>(), any::<i64>(), payload);
    proptest::collection::vec(event, count).prop_map(move |events| {
        let event = |(position, (version, id, stream, kind, schema, time, payload)): (
            u64,
            (_, _, String, &str, _, _, String),
        )| Event {
            position,
            version,
            id: Uuid::from_u128(id),
            stream: StreamId::new(&stream).unwrap(),
            kind: EventKind::new(kind).unwrap(),
            schema,
            recorded_at: Timestamp::from_micros(time),
            metadata: CanonicalJson::trusted(if payload.is_empty() { r#"{"redacted":true}"# } else { "" }),
            payload: CanonicalJson::trusted(&payload),
        };
        (first..).zip(events).map(event).collect()
    })
}

/// Plain events at these positions.
pub(crate) fn plain(positions: std::ops::RangeInclusive<u64>) -> impl Iterator<Item = Event> {
    positions.map(|position| Event {
        position,
        version: position,
        id: Uuid::from_u128(u128::from(position)),
        stream: StreamId::new(&format!("post-{}", position % 97)).unwrap(),
        kind: EventKind::new(if position.is_multiple_of(100) { "post-created" } else { "post-liked" }).unwrap(),
        schema: 1,
        recorded_at: Timestamp::from_micros(1_700_000_000_000_000 + position as i64),
        payload: CanonicalJson::trusted(&format!(r#"{{"n":{position}}}"#)),
        metadata: CanonicalJson::default(),
    })
}

/// One segment of these events.
pub(crate) fn sealed<'a>(log: LogId, events: impl IntoIterator<Item = &'a Event>) -> Segment {
    let mut events = events.into_iter().peekable();
    let mut builder = SegmentBuilder::new(log, events.peek().unwrap().position);
    events.for_each(|event| builder.push(event.as_ref()));
    builder.seal(NonZeroU32::MIN)
}

/// Reads to the end.
pub(crate) async fn read(mut history: History) -> Result<Vec<Portion>, StoreError> {
    let mut portions = Vec::new();
    while let Some(portion) = history.next().await? {
        portions.push(portion);
    }
    Ok(portions)
}

/// Reads what the archive holds of [`LOG`].
pub(crate) async fn archived(archive: &Archive, span: Span, wanted: Wanted) -> Result<Vec<Portion>, StoreError> {
    read(History::of_archive(archive.clone(), LOG, span, wanted).await.unwrap()).await
}

/// Events of batch `batch` of all portions.
pub(crate) fn events(portions: &[Portion], batch: usize) -> Vec<Event> {
    portions.iter().flat_map(|portion| portion.batches[batch].iter().map(|event| event.to_event())).collect()
}

/// A store in a directory that goes with it.
pub(crate) struct Place {
    pub(crate) directory: tempfile::TempDir,
    pub(crate) store: Arc<dyn EventStore>,
}

/// A store of so many small events.
pub(crate) async fn store_of(count: u64) -> Place {
    let directory = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(directory.path().join("log"), Limits::default()).unwrap();
    append(&store, count).await;
    Place { directory, store: Arc::new(store) }
}

/// Appends so many small events, 1,000 a commit.
pub(crate) async fn append(store: &dyn EventStore, count: u64) {
    let commits = (0..count.div_ceil(1_000)).map(|nth| NewCommit {
        id: Uuid::now_v7(),
        stream: StreamId::new(&format!("post-{}", nth % 7)).unwrap(),
        expected: ExpectedVersion::Any,
        digest: [0; 32],
        ids: IdOrigin::Given,
        events: (0..1_000.min(count - nth * 1_000)).map(new_event).collect(),
    });
    for answer in store.append_all(commits.collect()).await {
        answer.unwrap();
    }
}

fn new_event(nth: u64) -> NewEvent {
    NewEvent {
        id: Uuid::now_v7(),
        kind: EventKind::new(if nth.is_multiple_of(100) { "post-created" } else { "post-liked" }).unwrap(),
        schema: 1,
        recorded_at: None,
        payload: CanonicalJson::trusted("{}"),
        metadata: CanonicalJson::default(),
    }
}

/// All that a store holds.
pub(crate) async fn stored(store: &dyn EventStore) -> EventBatch {
    let mut all = EventBatch::new();
    loop {
        let read = store.read(all.len() as u64, ReadLimit::events(100_000)).await.unwrap();
        if read.is_empty() {
            return all;
        }
        all.extend(read.iter());
    }
}
