//! CloudEvents in JSON and in Kafka's headers, beyond the golden files: what is refused and how it is said, and that whatever
//! the log can hold comes back from an export as it was.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use proptest::prelude::*;
use reel_events::{
    CanonicalJson, EventRef, LogId, Timestamp,
    cloud_events::{json, kafka},
};
use uuid::Uuid;

const LOG: LogId = LogId(Uuid::from_u128(7));

fn with(attribute: &str, value: &str) -> String {
    let defaults = [
        ("specversion", r#""1.0""#),
        ("id", r#""0660cb1f-a14a-5491-b879-0a9eb721fbfa""#),
        ("source", r#""x""#),
        ("type", r#""t""#),
        ("subject", r#""a-b""#),
        ("data", "{}"),
    ];
    let mut members: Vec<String> = defaults
        .iter()
        .filter(|(name, _)| *name != attribute)
        .map(|(name, value)| format!("\"{name}\":{value}"))
        .collect();
    if !value.is_empty() {
        members.push(format!("\"{attribute}\":{value}"));
    }
    format!("{{{}}}", members.join(","))
}

fn refusal(text: &str) -> String {
    json::read(text.as_bytes()).unwrap_err().to_string()
}

#[test]
fn each_missing_attribute_is_named() {
    for name in ["specversion", "id", "source", "type", "subject"] {
        for value in ["", "null"] {
            assert_eq!(refusal(&with(name, value)), format!("missing attribute \"{name}\""));
        }
    }
    assert!(json::read(with("data", "").as_bytes()).is_ok());
    assert!(json::read(with("time", "").as_bytes()).is_ok());
}

#[test]
fn each_wrong_attribute_is_named_with_what_was_expected() {
    let cases = [
        ("specversion", r#""0.3""#, r#"specversion must be "1.0", found "0.3""#),
        ("specversion", "1.0", r#"specversion must be "1.0", found 1.0"#),
        ("id", "17", "id must be a string, found 17"),
        ("id", r#""""#, r#"id must be a text that is not empty, without control characters, found """#),
        (
            "source",
            r#""a\u0000""#,
            r#"source must be a text that is not empty, without control characters, found "a\0""#,
        ),
        ("type", r#""no spaces""#, r#"type: event kind "no spaces" must be 1 to 128"#),
        ("subject", r#""post""#, r#"subject: stream id "post" must be CATEGORY-KEY"#),
        ("time", r#""yesterday""#, r#"time: "yesterday" is not an RFC 3339 time"#),
        ("time", "5", "time must be a string, found 5"),
        ("schema", "0", "schema must be an integer from 1 to 65535, found 0"),
        ("schema", "70000", "schema must be an integer from 1 to 65535, found 70000"),
        (
            "datacontenttype",
            r#""text/plain""#,
            "datacontenttype must be \"application/json\" or another JSON type, found text/plain",
        ),
        ("data_base64", r#""AAAA""#, r#"data_base64 must be absent (only JSON in "data" is taken), found "AAAA""#),
        ("metadata", "[1]", "metadata must be a JSON object, found [1]"),
        ("traceParent", "1", "an attribute's name must be lower-case letters and digits, found traceParent"),
        ("extra", r#""\ud800""#, "extra (line 1, column "),
        ("data", r#"{"author":[1,2,3,"\u0000"]}"#, "data.author[3] (line 1, column 131): text holds NUL"),
        (
            "data",
            "[123456789012345678901234567890]",
            "data[0] (line 1, column 114): the integer 123456789012345678901234567890 does",
        ),
        ("data", r#"{"a":1,"a":2}"#, r#"data (line 1, column 120): the key "a" stands here a second time"#),
    ];
    for (attribute, value, expected) in cases {
        let message = refusal(&with(attribute, value));
        assert!(message.starts_with(expected), "{attribute}: {message}");
    }
}

#[test]
fn what_is_no_cloud_event_at_all() {
    assert!(refusal("").starts_with("not a CloudEvent: EOF"));
    assert!(refusal("[]").contains("expected a JSON object"));
    assert!(refusal(r#"{"a":1"#).contains("line 1 column 6"));
    assert!(refusal(r#"{"a":1} x"#).contains("trailing characters"));
    assert_eq!(refusal(r#"{"id":"1","id":"2"}"#), "attribute \"id\" stands there twice");
    assert_eq!(refusal(r#"{"ext":1,"ext":1}"#), "attribute \"ext\" stands there twice");
    assert_eq!(json::read(b"{\"a\":\"\xff\"}").unwrap_err().to_string(), "not a CloudEvent: byte 6 is not UTF-8");
    assert!(
        refusal(&with("originalid", "\"y\"").replace("0660cb1f", "no-uuid")).starts_with("id must be a UUID where")
    );
}

#[test]
fn a_redacted_event_comes_back_empty() {
    for metadata in [r#"{"redacted":true}"#, r#"{"redacted":{"by":"x"}}"#] {
        let event = EventRef {
            position: 1,
            version: 1,
            id: Uuid::from_u128(1),
            stream: "a-b",
            kind: "t",
            schema: 1,
            recorded_at: 0,
            payload: "",
            metadata,
        };
        let mut line = String::new();
        json::write(event, LOG, &mut line);
        let read = json::read(line.as_bytes()).unwrap().event;
        assert_eq!((read.payload.as_str(), read.metadata.as_str()), ("", metadata));
    }
}

#[test]
fn the_same_foreign_id_of_two_sources_is_two_events() {
    let read = |source: &str| json::read(with("source", source).replace("0660cb1f", "x").as_bytes()).unwrap().event.id;
    assert_eq!(read("\"a\""), read("\"a\""));
    assert_ne!(read("\"a\""), read("\"b\""));
}

#[test]
fn kafka_messages_that_are_not_ours() {
    let event = EventRef {
        position: 9,
        version: 1,
        id: Uuid::from_u128(1),
        stream: "a-b",
        kind: "t",
        schema: 1,
        recorded_at: 0,
        payload: "{}",
        metadata: "",
    };
    let placement = kafka::Placement { log: LOG, previous: 8, layout: 1 };
    let mut headers = Vec::new();
    kafka::write(event, placement, |name, value| headers.push((name, value.to_owned())));
    let read = |key: &str, change: &dyn Fn(&str) -> Option<&'static str>| {
        let changed: Vec<(&str, String)> = headers
            .iter()
            .filter_map(|(name, value)| match change(name) {
                Some("") => None,
                Some(other) => Some((*name, other.to_owned())),
                None => Some((*name, value.clone())),
            })
            .collect();
        let borrowed = changed.iter().map(|(name, value)| (*name, value.as_bytes()));
        kafka::read(key.as_bytes(), b"{}", borrowed)
            .map(|message| message.point().position)
            .map_err(|error| error.to_string())
    };
    assert_eq!(read("a-b", &|_| None), Ok(9));
    assert_eq!(read("a-c", &|_| None).unwrap_err(), "subject must be the same as the message's key, found a-b");
    for name in
        ["specversion", "id", "type", "subject", "time", "schema", "position", "version", "previous", "layout", "log"]
    {
        let missing = read("a-b", &|header| (header.strip_prefix("ce_") == Some(name)).then_some(""));
        assert_eq!(missing.unwrap_err(), format!("missing attribute \"{name}\""));
        let wrong = read("a-b", &|header| (header.strip_prefix("ce_") == Some(name)).then_some("-x"));
        assert!(wrong.unwrap_err().starts_with(name), "{name}");
    }
}

fn any_metadata() -> impl Strategy<Value = String> {
    let names = prop_oneof![
        Just("source".to_owned()),
        Just("originalid".to_owned()),
        Just("position".to_owned()),
        Just("metadata".to_owned()),
        Just("dataschema".to_owned()),
        "[a-z0-9]{1,3}",
        "[^\0]{0,4}",
    ];
    let values = prop_oneof![
        Just("\"reel\"".to_owned()),
        any::<i64>().prop_map(|number| number.to_string()),
        any::<bool>().prop_map(|truth| truth.to_string()),
        "[^\0]{0,6}".prop_map(|text| serde_json::to_string(&text).unwrap()),
        Just("null".to_owned()),
        Just("1.5".to_owned()),
        Just("{\"a\":[]}".to_owned()),
    ];
    prop::collection::hash_map(names, values, 0..5).prop_map(|members| {
        let written: Vec<String> =
            members.iter().map(|(name, value)| format!("{}:{value}", serde_json::to_string(name).unwrap())).collect();
        if written.is_empty() { String::new() } else { format!("{{{}}}", written.join(",")) }
    })
}

proptest! {
    #[test]
    fn an_export_is_imported_as_it_was(
        id in 1..u128::MAX, stream in "[a-z]{1,3}[-:][^\\p{Cc}]{1,8}", kind in "[a-z0-9][a-z0-9._/:-]{0,9}", schema in 1..u16::MAX,
        at in Timestamp::MIN.micros()..=Timestamp::MAX.micros(), payload in "[^\0]*", metadata in any_metadata(),
    ) {
        let payload = serde_json::to_string(&payload).unwrap();
        let metadata = if metadata.is_empty() { CanonicalJson::default() } else { CanonicalJson::parse(&metadata).unwrap() };
        let payload = CanonicalJson::parse(&payload).unwrap();
        let event = EventRef {
            position: 5, version: 2, id: Uuid::from_u128(id), stream: &stream, kind: &kind, schema,
            recorded_at: at, payload: payload.as_str(), metadata: metadata.as_str(),
        };
        let mut line = String::new();
        json::write(event, LOG, &mut line);
        let read = json::read(line.as_bytes()).unwrap();
        prop_assert_eq!(read.stream.as_str(), &stream);
        prop_assert_eq!(read.event.recorded_at, Some(Timestamp::from_micros(at)));
        let back = EventRef {
            id: read.event.id, kind: read.event.kind.as_str(), schema: read.event.schema,
            payload: read.event.payload.as_str(), metadata: read.event.metadata.as_str(), ..event
        };
        prop_assert_eq!(back, event);
    }

    #[test]
    fn no_text_makes_it_panic(text in "[{}\\[\\]:,\"a-z0-9 .\\\\-]{0,40}") {
        let _ = json::read(text.as_bytes());
    }
}
