//! The test kit: events in, rows out, natively, through the host's own checks and fold. No Wasm, no database, no waiting.
//!
//! ```
//! # use reel_sdk::{Event, Events, Reject, Rows, Table, projection};
//! use reel_sdk::testing::{event, given, json};
//! # #[derive(Debug, Clone, PartialEq, Table)]
//! # #[table(name = "likes", owner = post)]
//! # struct Likes { #[key(length = 36)] post: String, #[default(0)] count: i64 }
//! # #[derive(Events)]
//! # enum PostEvent { #[kind("post-liked")] Liked }
//! # #[projection(name = "likes", version = "1.0.0", tables(Likes))]
//! # fn likes(event: Event<PostEvent>, rows: &mut Rows) -> Result<(), Reject> {
//! #     rows.add(Likes::key(event.stream_key()), Likes::COUNT, 1);
//! #     Ok(())
//! # }
//!
//! given([event("post-1", "post-liked", json!({})), event("post-1", "post-liked", json!({}))])
//!     .when(likes)
//!     .then([Likes { post: "1".into(), count: 2 }]);
//! ```
//!
//! Every run is done with the events in one batch, one by one, and cut in every place: the rows must be the same each time.

use std::{collections::HashMap, fmt::Debug, ops::Range, sync::Arc};

use reel_events::{EventBatch, EventKind, EventRef, StreamId};
use reel_projector::{Row, memory::MemoryTables};
pub use serde_json::json;

use crate::{
    Declared, NoSettings, Projection, Timestamp,
    native::{NativePlugin, abi_value},
    rows::RowReader,
};

/// An event of a test.
#[derive(Debug, Clone)]
pub struct GivenEvent {
    stream: String,
    kind: String,
    payload: serde_json::Value,
    metadata: Option<serde_json::Value>,
    schema: u16,
    recorded_at: Option<Timestamp>,
}

/// An event of `kind` in `stream`: `event("post-1", "post-liked", json!({}))`. Its place is that in the list; the first is
/// recorded at [`second`]`(1)`, the next at `second(2)` and so on, unless [`GivenEvent::at`] says otherwise.
///
/// # Panics
/// Where no log would take such a stream or kind.
#[must_use]
#[track_caller]
pub fn event(stream: &str, kind: &str, payload: serde_json::Value) -> GivenEvent {
    StreamId::new(stream).unwrap_or_else(|error| panic!("{error}"));
    EventKind::new(kind).unwrap_or_else(|error| panic!("{error}"));
    GivenEvent { stream: stream.into(), kind: kind.into(), payload, metadata: None, schema: 1, recorded_at: None }
}

/// The moment so many seconds after the beginning of 1970: when event number `count` is recorded.
#[must_use]
pub fn second(count: i64) -> Timestamp {
    Timestamp::from_micros(count * 1_000_000)
}

impl GivenEvent {
    /// Recorded at this time: RFC 3339.
    ///
    /// # Panics
    /// Where `time` is not RFC 3339.
    #[must_use]
    #[track_caller]
    pub fn at(self, time: &str) -> GivenEvent {
        let recorded_at = Some(time.parse().unwrap_or_else(|error| panic!("{error}")));
        GivenEvent { recorded_at, ..self }
    }

    /// With a payload of this schema version.
    #[must_use]
    pub fn schema(self, schema: u16) -> GivenEvent {
        GivenEvent { schema, ..self }
    }

    /// With metadata; a projection sees it if it asks for metadata.
    #[must_use]
    pub fn metadata(self, metadata: serde_json::Value) -> GivenEvent {
        GivenEvent { metadata: Some(metadata), ..self }
    }
}

/// Events to be applied, in the order of the log.
#[must_use]
pub fn given(events: impl IntoIterator<Item = GivenEvent>) -> Given {
    let mut batch = EventBatch::new();
    let mut versions: HashMap<String, u64> = HashMap::new();
    for (event, position) in events.into_iter().zip(1_u64..) {
        let version = versions.entry(event.stream.clone()).or_default();
        *version += 1;
        let metadata = event.metadata.map(|metadata| metadata.to_string()).unwrap_or_default();
        batch.push(EventRef {
            position,
            version: *version,
            id: uuid::Uuid::from_u128(u128::from(position)),
            stream: &event.stream,
            kind: &event.kind,
            schema: event.schema,
            recorded_at: event.recorded_at.unwrap_or(second(position as i64)).micros(),
            payload: &event.payload.to_string(),
            metadata: &metadata,
        });
    }
    Given { batch }
}

/// What [`given`] makes.
#[derive(Debug, Clone)]
pub struct Given {
    batch: EventBatch,
}

impl Given {
    /// Applies the events.
    ///
    /// # Panics
    /// Where the host would refuse the manifest, or where the rows depend on how the events are cut into batches.
    #[must_use]
    #[track_caller]
    pub fn when<P: Projection<Settings = NoSettings> + Send>(self, projection: fn() -> P) -> Outcome {
        self.run(|| NativePlugin::of(projection).unwrap_or_else(|error| panic!("{error}")))
    }

    /// Applies the events with settings, given as the JSON that a deployment would give.
    ///
    /// # Panics
    /// As [`Given::when`], and where the settings do not fit their type.
    #[must_use]
    #[track_caller]
    pub fn when_set<P: Projection + Send>(self, projection: fn() -> P, settings: serde_json::Value) -> Outcome {
        self.run(|| {
            let settings = serde_json::from_value(settings.clone()).unwrap_or_else(|error| panic!("settings: {error}"));
            NativePlugin::new(projection, settings).unwrap_or_else(|error| panic!("{error}"))
        })
    }

    #[track_caller]
    fn run<P: Projection + Send>(&self, plugin: impl Fn() -> NativePlugin<P>) -> Outcome {
        let whole = self.run_cut(plugin(), &[]);
        let count = self.batch.len();
        let every: Vec<usize> = (1..count).collect();
        let cuts = every.iter().map(std::slice::from_ref).take(64).chain([every.as_slice()]);
        for cut in cuts {
            let other = self.run_cut(plugin(), cut);
            let described = if cut.len() == 1 { format!("cut behind event {}", cut[0]) } else { "one by one".into() };
            assert!(
                whole.same_as(&other),
                "the rows depend on how events are cut into batches: keep nothing between events in variables; what must last \
                 belongs in a row\n  in one batch: {whole:?}\n  {described}: {other:?}"
            );
        }
        whole
    }

    /// Applies the events in batches that begin at `cuts`, each batch committed before the next.
    fn run_cut<P: Projection + Send>(&self, mut plugin: NativePlugin<P>, cuts: &[usize]) -> Outcome {
        let mut tables = MemoryTables::new(Arc::clone(plugin.manifest()));
        let ends = cuts.iter().copied().chain([self.batch.len()]);
        let starts = [0].into_iter().chain(cuts.iter().copied());
        let mut rejection = None;
        for range in starts.zip(ends).map(|(start, end)| start..end) {
            rejection = self.project(&mut plugin, &mut tables, range);
            if rejection.is_some() {
                break;
            }
        }
        Outcome { tables, rejection }
    }

    /// As a host does it: a batch that fails is applied event by event up to the one at fault.
    fn project<P: Projection + Send>(
        &self,
        plugin: &mut NativePlugin<P>,
        tables: &mut MemoryTables,
        range: Range<usize>,
    ) -> Option<Rejection> {
        let whole = tables.project(plugin, &self.batch, std::slice::from_ref(&range));
        if whole.is_ok() {
            return None;
        }
        let mut failures = range.filter_map(|index| {
            let one = index..index + 1;
            let result = tables.project(plugin, &self.batch, std::slice::from_ref(&one));
            result.err().map(|failure| (index, failure))
        });
        let (index, failure) = failures.next()?;
        Some(Rejection { event: index + 1, code: failure.code, message: failure.message })
    }
}

/// What became of the events.
#[derive(Debug)]
pub struct Outcome {
    tables: MemoryTables,
    rejection: Option<Rejection>,
}

#[derive(Debug, Clone, PartialEq)]
struct Rejection {
    /// From 1.
    event: usize,
    code: String,
    message: String,
}

impl Outcome {
    /// The rows of table `T`, in the order of their keys.
    ///
    /// # Panics
    /// Where an event was rejected.
    #[must_use]
    #[track_caller]
    pub fn rows<T: Declared>(&self) -> Vec<T> {
        if let Some(rejection) = &self.rejection {
            let Rejection { event, code, message } = rejection;
            panic!("event {event} was rejected with {code}: {message}");
        }
        self.tables.rows(usize::from(T::INDEX)).map(read).collect()
    }

    /// Table `T` holds these rows and no others, in any order.
    ///
    /// # Panics
    /// Where it does not.
    #[track_caller]
    pub fn then<T: Declared + Debug + PartialEq>(self, expected: impl IntoIterator<Item = T>) -> Outcome {
        let mut missing: Vec<T> = expected.into_iter().collect();
        let mut unexpected = Vec::new();
        for row in self.rows::<T>() {
            match missing.iter().position(|expected| *expected == row) {
                Some(index) => drop(missing.swap_remove(index)),
                None => unexpected.push(row),
            }
        }
        let table = T::DESCRIPTION.name;
        assert!(
            missing.is_empty() && unexpected.is_empty(),
            "table {table} differs\n  expected and not there: {missing:#?}\n  there and not expected: {unexpected:#?}"
        );
        self
    }

    /// Table `T` has no rows.
    ///
    /// # Panics
    /// Where it has.
    #[track_caller]
    pub fn then_none<T: Declared + Debug + PartialEq>(self) -> Outcome {
        self.then::<T>([])
    }

    /// An event was rejected with this code: one of the projection's own, `payload` for a payload of another shape, `trapped` for
    /// a panic, or one of the host's, such as `row-missing` for a patch of a row that is not there.
    ///
    /// # Panics
    /// Where none was, or with another code.
    #[track_caller]
    pub fn then_rejects(self, code: &str) -> Outcome {
        let Some(rejection) = &self.rejection else { panic!("no event was rejected; expected {code}") };
        assert_eq!(rejection.code, code, "event {}: {}", rejection.event, rejection.message);
        self
    }

    /// What was said about the rejected event; empty where none was.
    #[must_use]
    pub fn rejection_message(&self) -> &str {
        self.rejection.as_ref().map_or("", |rejection| &rejection.message)
    }

    fn same_as(&self, other: &Outcome) -> bool {
        self.tables == other.tables && self.rejection == other.rejection
    }
}

fn read<T: Declared>(row: &Row) -> T {
    let mut heap = Vec::new();
    let values = row.iter().map(|value| abi_value(value, &mut heap)).collect();
    T::read(&mut RowReader::new(values, &heap))
}
