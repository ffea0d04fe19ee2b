//! Messages of every sort: what events they are, and what is said of those that are none.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use proptest::prelude::*;

use super::*;

type Header<'a> = (&'a str, Option<&'a [u8]>);

fn message<'a>(key: &'a str, value: &'a str, headers: &[(&'a str, &'a str)]) -> Message<'a> {
    let headers = headers.iter().map(|(name, value)| (*name, Some(value.as_bytes()))).collect();
    let (key, value) = (Some(key.as_bytes()), Some(value.as_bytes()));
    Message { topic: "shop-orders", partition: 3, offset: 41, timestamp: Some(1_000), key, value, headers }
}

fn cloud_events() -> Format {
    Format::CloudEvents { stream: None }
}

fn plain() -> Format {
    Format::Json { kind: "type".into(), stream: None }
}

fn read(format: &Format, message: &Message<'_>) -> EventBatch {
    let mut batch = EventBatch::of_partition(message.partition);
    format.read(message, &mut batch);
    assert_eq!((batch.len(), batch.place(0).to_string()), (1, "3:42".to_owned()));
    batch
}

fn refusal(format: &Format, message: &Message<'_>) -> (&'static str, String) {
    let batch = read(format, message);
    let why = batch.unreadable(0).unwrap_or_else(|| panic!("it is an event: {:?}", batch.get(0)));
    assert_eq!((batch.get(0).payload, batch.get(0).metadata), ("", ""));
    (why.code, why.reason.clone())
}

const BINARY: [(&str, &str); 5] = [
    ("ce_specversion", "1.0"),
    ("ce_id", "A-1"),
    ("ce_source", "/shop"),
    ("ce_type", "com.example.order placed"),
    ("content-type", "application/json; charset=utf-8"),
];

#[test]
fn a_cloud_event_in_binary_mode() {
    let mut headers = BINARY.to_vec();
    headers.extend([
        ("ce_time", "2026-01-01T00:00:00.5Z"),
        ("ce_subject", "o 7"),
        ("ce_schema", "2"),
        ("traceparent", "00-a"),
    ]);
    let batch = read(&cloud_events(), &message("7", r#"{ "total": 1e2 }"#, &headers));
    let event = batch.get(0);
    assert_eq!((event.position, event.version, event.schema), (42, 0, 2));
    assert_eq!((event.stream, event.kind), ("shop_orders-7", "com.example.order_placed"));
    assert_eq!((event.stream_key(), event.payload), ("7", r#"{"total":100.0}"#));
    assert_eq!(event.recorded_at, Timestamp::parse("2026-01-01T00:00:00.5Z").unwrap().micros());
    assert_eq!(event.id, crate::cloud_events::derived_id("/shop", "A-1"));
    assert_eq!(
        event.metadata,
        r#"{"specversion":"1.0","id":"A-1","source":"/shop","type":"com.example.order placed","datacontenttype":"application/json; charset=utf-8","time":"2026-01-01T00:00:00.5Z","subject":"o 7","schema":"2","traceparent":"00-a"}"#
    );
}

#[test]
fn a_cloud_event_in_structured_mode() {
    let id = "0660cb1f-a14a-5491-b879-0a9eb721fbfa";
    let text = format!(
        r#"{{"specversion":"1.0","id":"{id}","source":"s","type":"placed","subject":"o-7","prio": 3,"x":null,"data":{{"a":[1]}}}}"#
    );
    for headers in [&[("content-type", "application/cloudevents+json; charset=UTF-8")][..], &[]] {
        let by_subject = Format::CloudEvents { stream: Some("subject".into()) };
        let batch = read(&by_subject, &message("7", &text, headers));
        let event = batch.get(0);
        assert_eq!((event.stream, event.kind, event.payload), ("shop_orders-o-7", "placed", r#"{"a":[1]}"#));
        assert_eq!((event.id.to_string().as_str(), event.recorded_at, event.schema), (id, 1_000_000, 1));
        assert!(event.metadata.ends_with(r#""subject":"o-7","prio":3}"#), "{}", event.metadata);
    }
}

#[test]
fn plain_json_with_a_member_that_says_what_happened() {
    let format = Format::Json { kind: "type".into(), stream: Some("order".into()) };
    let headers = [("tenant", "a"), ("tenant", "b"), ("n", "ü")];
    let batch = read(&format, &message("k", r#"{"order": 7, "type": "placed"}"#, &headers));
    let event = batch.get(0);
    assert_eq!((event.stream, event.kind), ("shop_orders-7", "placed"));
    assert_eq!((event.payload, event.metadata), (r#"{"order":7,"type":"placed"}"#, r#"{"tenant":"a","n":"ü"}"#));
    let other = read(
        &format,
        &Message { offset: 41, partition: 3, topic: "other", ..message("k", r#"{"order":7,"type":"placed"}"#, &[]) },
    );
    assert_ne!(event.id, other.get(0).id);
}

#[test]
fn a_message_without_a_value_is_a_tombstone() {
    for format in [cloud_events(), plain()] {
        let batch = read(&format, &Message { value: None, ..message("7", "", &[]) });
        assert_eq!(
            (batch.get(0).kind, batch.get(0).payload, batch.get(0).stream),
            (TOMBSTONE, "null", "shop_orders-7")
        );
    }
    let batch = read(&cloud_events(), &Message { value: None, ..message("7", "", &BINARY) });
    assert_eq!((batch.get(0).kind, batch.get(0).payload), ("com.example.order_placed", "null"));
}

#[test]
fn what_is_no_cloud_event_is_named() {
    let without = |left_out: &str| BINARY.iter().copied().filter(|(name, _)| *name != left_out).collect::<Vec<_>>();
    let with = |name, value| [without(name), vec![(name, value)]].concat();
    let cases = [
        (without("ce_type"), "not-a-cloudevent", "missing attribute \"type\""),
        (without("ce_specversion"), "not-a-cloudevent", "missing attribute \"specversion\""),
        (with("ce_specversion", "0.3"), "not-a-cloudevent", "specversion must be \"1.0\", found \"0.3\""),
        (with("ce_id", ""), "not-a-cloudevent", "missing attribute \"id\""),
        (with("ce_time", "yesterday"), "not-a-cloudevent", "time: \"yesterday\" is not an RFC 3339 time"),
        (with("ce_source", "a\0b"), "not-a-cloudevent", "source must not hold NUL"),
        (with("ce_type", "--"), "no-kind", "\"--\" cannot name a kind of events"),
        (with("content-type", "application/avro"), "not-json", "datacontenttype must be \"application/json\""),
        ([&BINARY[..], &[("ce_id", "2")]].concat(), "not-a-cloudevent", "attribute \"id\" stands there twice"),
        (
            vec![("content-type", "application/cloudevents-batch+json")],
            "not-a-cloudevent",
            "only single CloudEvents in JSON",
        ),
        (vec![], "not-a-cloudevent", "missing attribute \"specversion\""),
    ];
    for (headers, code, expected) in cases {
        let (found, reason) = refusal(&cloud_events(), &message("7", "{}", &headers));
        assert!(found == code && reason.contains(expected), "{headers:?}: {found}: {reason}");
    }
    let not_json = refusal(&cloud_events(), &message("7", "{\"a\":", &BINARY));
    assert!(
        not_json.0 == "not-json" && not_json.1.starts_with("its data are not read as JSON: a (line 1"),
        "{not_json:?}"
    );
    let neither = refusal(&cloud_events(), &message("7", "[]", &[]));
    assert_eq!(neither.1, "it has neither ce_ headers nor a value that is a JSON object");
    let bytes = r#"{"specversion":"1.0","id":"1","source":"s","type":"t","data_base64":"AA=="}"#;
    assert!(refusal(&cloud_events(), &message("7", bytes, &[])).1.contains("data_base64"));
}

#[test]
fn what_is_no_json_with_a_kind_is_named() {
    let format = Format::Json { kind: "type".into(), stream: Some("order".into()) };
    let cases = [
        ("{", "not-json", "its value is not read as JSON: line 1"),
        ("[1]", "not-json", "expected an object"),
        ("", "not-json", "its value is not read as JSON: "),
        ("{}", "no-kind", "the member \"type\" must be a text, found none"),
        (r#"{"type":{"a":1}}"#, "no-kind", "the member \"type\" must be a text, found {\"a\":1}"),
        (r#"{"type":"!"}"#, "no-kind", "cannot name a kind"),
        (r#"{"type":"t"}"#, "no-stream", "the member \"order\" must be a text, found none"),
    ];
    for (value, code, expected) in cases {
        let (found, reason) = refusal(&format, &message("7", value, &[]));
        assert!(found == code && reason.contains(expected), "{value}: {found}: {reason}");
    }
    let large = format!("{{\"type\":\"{}\"}}", "x".repeat(LARGEST));
    assert_eq!(refusal(&format, &message("7", &large, &[])).0, "too-large");
}

#[test]
fn a_kind_that_is_known_is_kept_though_the_rest_is_broken() {
    let batch = read(&cloud_events(), &message("7", "{", &BINARY));
    assert_eq!((batch.get(0).kind, batch.get(0).stream), ("com.example.order_placed", "shop_orders-7"));
    assert_eq!(read(&plain(), &message("7", "{", &[])).get(0).kind, "");
}

#[test]
fn a_broken_message_is_kept_as_it_came() {
    let headers: Vec<Header<'_>> = vec![("a", Some(b"b\0")), ("n", None), ("bin", Some(&[0xff]))];
    let broken = Message { value: Some(&[b'{', 0xfe]), headers, ..message("k", "", &[]) };
    let batch = read(&plain(), &broken);
    assert_eq!(
        batch.unreadable(0).unwrap().original,
        r#"{"topic":"shop-orders","partition":3,"offset":41,"timestamp":1000,"key":"k","headers":[{"name":"a","value":"b\u0000"},{"name":"n","value":null},{"name":"bin","valueBase64":"/w=="}],"valueBase64":"e/4="}"#
            .parse::<serde_json::Value>()
            .map(|value| value.to_string())
            .unwrap()
    );
    let large = vec![0xff; LARGEST + 5];
    let batch = read(&plain(), &Message { value: Some(&large), ..message("k", "", &[]) });
    let kept: serde_json::Value = serde_json::from_str(&batch.unreadable(0).unwrap().original).unwrap();
    assert_eq!(kept["valueBytes"], LARGEST + 5);
    assert_eq!(STANDARD.decode(kept["valueBase64"].as_str().unwrap()).unwrap(), large[..LARGEST]);
}

#[test]
fn the_stream_is_topic_and_key() {
    let stream = |key: Option<&[u8]>| stream_of("a-b.c", 5, key);
    assert_eq!(stream(Some(b"order-1")), "a_b.c-order-1");
    assert_eq!(stream(None), "a_b.c:partition-5");
    assert_eq!(stream(Some(b"")), "a_b.c:partition-5");
    assert_eq!(stream(Some(&[1, 0xff])), "a_b.c:0x01ff");
    assert_eq!(stream(Some(b"a\nb")), "a_b.c:0x610a62");
    let long = stream(Some(&[b'k'; 600]));
    assert!(long.starts_with("a_b.c:") && long.len() == 6 + 36, "{long}");
}

#[test]
fn another_topic_is_another_log() {
    let own = log_id("c1", "t1");
    assert_eq!(own, log_id("c1", "t1"));
    assert!([log_id("c2", "t1"), log_id("c1", "t2")].iter().all(|other| *other != own));
}

proptest! {
    /// Whatever comes is an event that the host can hold, or named.
    #[test]
    fn any_bytes_are_read(
        key in proptest::option::of(proptest::collection::vec(any::<u8>(), 0..300)),
        value in proptest::collection::vec(any::<u8>(), 0..40),
        kind in ".{0,5}",
        header in proptest::collection::vec(any::<u8>(), 0..9),
        is_object in any::<bool>(),
    ) {
        let object = serde_json::json!({ "type": kind, "v": String::from_utf8_lossy(&value) }).to_string();
        let value = if is_object { object.as_bytes() } else { &value };
        for name in ["x", "ce_type", "ce_id"] {
            let headers = vec![("ce_specversion", Some(&b"1.0"[..])), ("ce_source", Some(b"s")), ("ce_id", Some(b"i")), (name, Some(&header))];
            let message = Message { key: key.as_deref(), value: Some(value), headers, ..message("", "", &[]) };
            for format in [cloud_events(), plain()] {
                let batch = read(&format, &message);
                let event = batch.get(0);
                prop_assert!(crate::StreamId::new(event.stream).is_ok(), "{}", event.stream);
                match batch.unreadable(0) {
                    Some(why) => prop_assert!(!why.original.contains('\0') && !why.reason.contains('\0')),
                    None => {
                        let again = event.to_event();
                        prop_assert_eq!(&CanonicalJson::parse(event.payload).unwrap(), &again.payload);
                        prop_assert!(event.metadata.is_empty() || CanonicalJson::parse_object(event.metadata).is_ok());
                    }
                }
            }
        }
    }
}
