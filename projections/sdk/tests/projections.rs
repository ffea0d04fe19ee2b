//! What authors may write: every column type, every operation, every form of event, through the host's own checks and fold.

use std::{
    borrow::Cow,
    sync::atomic::{AtomicU64, Ordering},
};

use reel_projector::{Manifest, manifest::Order};
use reel_sdk::{
    Bytes, Date, Decimal, Event, Events, Json, Projection, Reject, Rows, Settings, Table, Time, Timestamp, Uuid,
    projection,
    testing::{event, given, json, second},
};
use serde::Deserialize;

mod types {
    //! Every column type, there and back.
    use super::*;

    #[derive(Debug, Clone, PartialEq, Table)]
    #[table(name = "samples", owner = id)]
    struct Sample {
        #[key(length = 36)]
        id: String,
        flag: bool,
        small: i16,
        medium: i32,
        large: i64,
        real: f64,
        #[length(5)]
        bytes: Bytes,
        uuid: Uuid,
        json: Json<Vec<i64>>,
        date: Date,
        time: Time,
        moment: Timestamp,
        price: Decimal<18, 2>,
        maybe: Option<i64>,
        maybe_text: Option<String>,
    }

    #[derive(Events)]
    enum SampleEvent {
        #[kind("sample-taken")]
        Taken {
            uuid: Uuid,
            date: Date,
            time: Time,
            price: Decimal<18, 2>,
            maybe: Option<i64>,
            #[serde(default)]
            text: Option<String>,
            bytes: Vec<u8>,
        },
        #[kind("sample-read-back")]
        ReadBack,
    }

    #[projection(name = "samples", version = "1.0.0", tables(Sample))]
    fn samples(event: Event<SampleEvent>, rows: &mut Rows) -> Result<(), Reject> {
        let id = event.stream_key();
        match event.payload {
            SampleEvent::Taken { uuid, date, time, price, maybe, text, bytes } => rows.upsert(Sample {
                id: id.into(),
                flag: true,
                small: i16::MIN,
                medium: i32::MAX,
                large: i64::MIN,
                real: 0.1,
                bytes: bytes.into(),
                uuid,
                json: Json(vec![3, 1]),
                date,
                time,
                moment: event.recorded_at,
                price,
                maybe,
                maybe_text: text,
            }),
            SampleEvent::ReadBack => {
                let sample = rows.get(Sample::key(id)).ok_or_else(|| Reject::new("missing", "no such sample"))?;
                rows.upsert(Sample { id: id.into(), small: 1, maybe: Some(2), ..sample });
            }
        }
        Ok(())
    }

    fn taken(bytes: &[u8]) -> reel_sdk::testing::GivenEvent {
        event(
            "sample-1",
            "sample-taken",
            json!({
                "uuid": "0190163d-8694-739b-aea5-966c26f8ad90", "date": "2024-02-29", "time": "23:59:59.5", "price": 12.5,
                "maybe": null, "bytes": bytes, "unknown": {"more": []}
            }),
        )
    }

    #[test]
    fn values_come_back_as_they_went() {
        let expected = Sample {
            id: "1".into(),
            flag: true,
            small: 1,
            medium: i32::MAX,
            large: i64::MIN,
            real: 0.1,
            bytes: vec![0, 255].into(),
            uuid: "0190163d-8694-739b-aea5-966c26f8ad90".parse().unwrap(),
            json: Json(vec![3, 1]),
            date: "2024-02-29".parse().unwrap(),
            time: "23:59:59.5".parse().unwrap(),
            moment: second(1),
            price: "12.50".parse().unwrap(),
            maybe: Some(2),
            maybe_text: None,
        };
        given([taken(&[0, 255]), event("sample-1", "sample-read-back", json!({}))]).when(samples).then([expected]);
    }

    #[test]
    fn what_a_column_does_not_take_is_the_events_fault() {
        given([taken(&[0; 6])]).when(samples).then_rejects("value-out-of-domain");
    }

    #[test]
    fn the_projections_own_code_is_kept() {
        given([event("sample-9", "sample-read-back", json!({}))]).when(samples).then_rejects("missing");
    }
}

mod operations {
    //! What shared tables take, and the careful forms of insert and patch.
    use super::*;

    #[derive(Debug, Clone, PartialEq, Table)]
    #[table(name = "days", shared)]
    struct Day {
        #[key]
        day: Date,
        #[default(0)]
        orders: i32,
        #[default("0.00")]
        turnover: Decimal<12, 2>,
        first: Option<Time>,
        last: Option<Time>,
    }

    #[derive(Debug, Clone, PartialEq, Table)]
    #[table(name = "orders", owner_stream_id = stream)]
    struct Order {
        #[key(length = 64)]
        stream: String,
        #[default("new")]
        #[length(16)]
        state: String,
    }

    #[derive(Events)]
    enum OrderEvent {
        #[kind("order-placed")]
        Placed { total: Decimal<12, 2> },
        #[kind("order-shipped")]
        Shipped,
    }

    #[projection(name = "orders", version = "1.0.0", tables(Day, Order))]
    fn orders(event: Event<OrderEvent>, rows: &mut Rows) -> Result<(), Reject> {
        let (day, time) = (event.recorded_at.date(), event.recorded_at.time());
        match event.payload {
            OrderEvent::Placed { total } => {
                rows.add(Day::key(day), Day::ORDERS, 1);
                rows.add(Day::key(day), Day::TURNOVER, total);
                rows.minimum(Day::key(day), Day::FIRST, time);
                rows.maximum(Day::key(day), Day::LAST, time);
                rows.insert_if_absent(Order { stream: event.stream_id().into(), state: "new".into() });
            }
            OrderEvent::Shipped => rows.patch_if_present(Order::key(event.stream_id()), Order::STATE.set("shipped")),
        }
        Ok(())
    }

    #[test]
    fn sums_and_extremes_need_no_reading() {
        let placed = |stream, total: &str, time| event(stream, "order-placed", json!({ "total": total })).at(time);
        given([
            placed("order-1", "10.10", "2026-01-01T12:00:00Z"),
            placed("order-2", "0.05", "2026-01-01T08:00:00Z"),
            event("order-2", "order-shipped", json!({})),
            event("order-3", "order-shipped", json!({})),
            placed("order-2", "1", "2026-01-02T00:00:00Z"),
        ])
        .when(orders)
        .then([
            Day {
                day: "2026-01-01".parse().unwrap(),
                orders: 2,
                turnover: "10.15".parse().unwrap(),
                first: Some("08:00:00".parse().unwrap()),
                last: Some("12:00:00".parse().unwrap()),
            },
            Day {
                day: "2026-01-02".parse().unwrap(),
                orders: 1,
                turnover: "1.00".parse().unwrap(),
                first: Some(Time::from_micros(0)),
                last: Some(Time::from_micros(0)),
            },
        ])
        .then([
            Order { stream: "order-1".into(), state: "new".into() },
            Order { stream: "order-2".into(), state: "shipped".into() },
        ]);
    }

    #[test]
    fn another_streams_row_is_out_of_reach() {
        #[derive(Debug, Clone, PartialEq, Table)]
        #[table(name = "rows", owner = id)]
        struct Owned {
            #[key(length = 36)]
            id: String,
        }
        #[derive(Events)]
        enum Any {
            #[kind("*")]
            Any,
        }
        #[projection(name = "thief", version = "1.0.0", tables(Owned))]
        fn thief(event: Event<Any>, rows: &mut Rows) -> Result<(), Reject> {
            let Any::Any = event.payload;
            rows.delete(Owned::key("2"));
            Ok(())
        }
        given([event("a-1", "a", json!(null))]).when(thief).then_rejects("not-owned");
    }
}

mod events {
    //! Patterns, borrowed and whole payloads, older schemas, metadata, settings, global order.
    use super::*;

    #[derive(Debug, Clone, PartialEq, Table)]
    #[table(name = "lines")]
    struct Line {
        #[key]
        position: i64,
        text: String,
    }

    #[derive(Events)]
    enum Anything<'a> {
        #[kind("name-given", schema = 3, upcast = from_older)]
        Named { first: String, last: String },
        #[kind("said", "shouted")]
        Said { text: Cow<'a, str>, loud: Option<&'a str> },
        #[kind("raw")]
        Raw(serde_json::Value),
        #[kind("post-*")]
        Post,
        #[kind("*")]
        Other,
    }

    fn from_older(schema: u16, mut payload: serde_json::Value) -> Result<serde_json::Value, Reject> {
        if schema < 2 {
            return Err(Reject::new("too-old", "version 1 never left the laboratory"));
        }
        let name = payload["name"].take();
        let (first, last) = name.as_str().and_then(|name| name.split_once(' ')).unwrap_or_default();
        Ok(json!({"first": first, "last": last}))
    }

    #[derive(Deserialize)]
    struct Prefix {
        prefix: String,
    }

    impl Settings for Prefix {
        const SCHEMA: &'static str =
            r#"{"type": "object", "properties": {"prefix": {"type": "string"}}, "required": ["prefix"]}"#;
    }

    #[derive(Deserialize)]
    struct Actor<'a> {
        actor: &'a str,
    }

    #[projection(name = "lines", version = "0.1.0", description = "Lines.", tables(Line), order = global, metadata, settings = Prefix)]
    fn lines<'a>(event: Event<'a, Anything<'a>>, rows: &mut Rows, settings: &Prefix) -> Result<(), Reject> {
        let said = match &event.payload {
            Anything::Named { first, last } => format!("{last}, {first}"),
            Anything::Said { text, loud } => format!("{} {text} {loud:?}", event.kind()),
            Anything::Raw(value) => value.to_string(),
            Anything::Post => format!("{} of {}", event.kind(), event.category()),
            Anything::Other => format!("{} by {}", event.kind(), event.metadata::<Actor>()?.actor),
        };
        rows.upsert(Line { position: event.position as i64, text: format!("{}{said}", settings.prefix) });
        Ok(())
    }

    fn texts(events: impl IntoIterator<Item = reel_sdk::testing::GivenEvent>) -> Vec<String> {
        let rows = given(events).when_set(lines, json!({"prefix": "> "})).rows::<Line>();
        rows.into_iter().map(|line| line.text).collect()
    }

    #[test]
    fn every_form_of_variant_reads_its_events() {
        let found = texts([
            event("a-1", "name-given", json!({"first": "Ada", "last": "Byron"})).schema(3),
            event("a-1", "name-given", json!({"name": "Ada Byron"})).schema(2),
            event("a-1", "said", json!({"text": "plain"})),
            event("a-1", "shouted", json!({"text": "line\nbreak", "loud": "very"})),
            event("a-1", "raw", json!([1, {"a": null}])),
            event("post-1", "post-liked", json!({})),
            event("a-1", "unheard-of", json!({})).metadata(json!({"actor": "eve", "more": 1})),
        ]);
        let expected = [
            "> Byron, Ada",
            "> Byron, Ada",
            "> said plain None",
            "> shouted line\nbreak Some(\"very\")",
            "> [1,{\"a\":null}]",
            "> post-liked of post",
            "> unheard-of by eve",
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn schemas_out_of_range_are_rejected() {
        let named = |schema| event("a-1", "name-given", json!({"name": "Ada Byron"})).schema(schema);
        let outcome = |schema| given([named(schema)]).when_set(lines, json!({"prefix": ""}));
        outcome(1).then_rejects("too-old");
        outcome(3).then_rejects("payload");
        let newer = outcome(4).then_rejects("schema-too-new");
        assert!(newer.rejection_message().contains("knows it up to 3"), "{}", newer.rejection_message());
    }

    #[test]
    fn metadata_that_is_not_there_is_rejected() {
        given([event("a-1", "unheard-of", json!({}))]).when_set(lines, json!({"prefix": ""})).then_rejects("metadata");
    }

    #[test]
    fn the_manifest_says_all_of_it() {
        let manifest = Manifest::parse(&<lines as Projection>::manifest()).unwrap();
        assert_eq!((manifest.name.as_str(), manifest.version.as_str()), ("lines", "0.1.0"));
        assert_eq!(manifest.description, "Lines.");
        assert_eq!((manifest.order, manifest.metadata), (Order::Global, true));
        assert_eq!(manifest.kinds.len(), 6);
        assert_eq!(manifest.kind_index("shouted"), Some(2));
        assert_eq!(manifest.settings.unwrap()["required"][0], "prefix");
    }
}

mod faults {
    //! What an author can get wrong at run time.
    use super::*;

    #[derive(Debug, Clone, PartialEq, Table)]
    #[table(name = "counts", owner = id)]
    struct Count {
        #[key(length = 36)]
        id: String,
        count: i64,
    }

    #[derive(Events)]
    enum Step {
        #[kind("step")]
        Step { number: i64 },
    }

    #[projection(name = "faults", version = "1.0.0", tables(Count))]
    fn faults(event: Event<Step>, rows: &mut Rows) -> Result<(), Reject> {
        let Step::Step { number } = event.payload;
        assert!(number != 13, "thirteen is not a number");
        rows.upsert(Count { id: event.stream_key().into(), count: 100 / number });
        Ok(())
    }

    static SEEN: AtomicU64 = AtomicU64::new(0);

    #[projection(name = "forgetful", version = "1.0.0", tables(Other))]
    fn forgetful(event: Event<Step>, rows: &mut Rows) -> Result<(), Reject> {
        let Step::Step { number } = event.payload;
        let seen = SEEN.fetch_add(1, Ordering::Relaxed);
        rows.upsert(Other { id: event.stream_key().into(), count: seen as i64 + number });
        Ok(())
    }

    #[derive(Debug, Clone, PartialEq, Table)]
    #[table(name = "others", owner = id)]
    struct Other {
        #[key(length = 36)]
        id: String,
        count: i64,
    }

    #[test]
    fn a_panic_is_a_trap_with_its_message() {
        let step = |number| event("a-1", "step", json!({ "number": number }));
        let outcome = given([step(1), step(13), step(2)]).when(faults).then_rejects("trapped");
        assert!(outcome.rejection_message().contains("thirteen is not a number"), "{}", outcome.rejection_message());
        given([step(0)]).when(faults).then_rejects("trapped");
    }

    #[test]
    #[should_panic(expected = "the rows depend on how events are cut into batches")]
    fn what_is_kept_between_events_is_found_out() {
        let step = |stream| event(stream, "step", json!({"number": 1}));
        let _ = given([step("a-1"), step("a-2")]).when(forgetful);
    }

    #[test]
    #[should_panic(expected = "expected and not there")]
    fn a_row_that_differs_fails_the_test() {
        given([event("a-1", "step", json!({"number": 50}))]).when(faults).then([Count { id: "1".into(), count: 3 }]);
    }
}
