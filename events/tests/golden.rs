//! Bytes that were written once and must be read for ever, in every format that an event is written in. A released golden
//! file never changes; a new format gets a new file beside it.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::PathBuf;

use reel_events::{
    CanonicalJson, EventBatch, EventKind, EventRef, LogId, LogPoint, NewEvent, StreamId, Timestamp,
    cloud_events::{json, kafka},
    stored::{self, CommitPlace},
};
use uuid::Uuid;

const LOG: LogId = LogId(Uuid::from_u128(0x0192_0000_0000_7000_8000_0000_0000_00aa));
const RECORDED_AT: i64 = 1_700_000_000_123_456;
const STREAM: &str = "post-straße/1";

fn event(nth: u128, payload: &str, metadata: &str) -> NewEvent {
    NewEvent {
        id: Uuid::from_u128(0x0192_0000_0000_7000_8000_0000_0000_0000 + nth),
        kind: EventKind::new(["post-created", "com.example/Post:v1_x"][nth as usize % 2]).unwrap(),
        schema: nth as u16 * 300 + 1,
        recorded_at: (nth == 2).then(|| Timestamp::parse("1999-12-31T23:59:59Z").unwrap()),
        payload: CanonicalJson::trusted(payload),
        metadata: CanonicalJson::trusted(metadata),
    }
}

/// One event of each sort: plain, with metadata of every type, imported with a time of its own, redacted.
fn events() -> Vec<NewEvent> {
    let mixed = r#"{"source":"git/restate","actor":"bob \"b\" é\n","attempt":3,"dry":true}"#;
    let nested = r#"{"actor":{"id":7},"source":"x","Trace":"1-2"}"#;
    vec![
        event(0, r#"{"message":"héllo \"you\"\n","n":[1,1.5,-9223372036854775808,1e300,null,true]}"#, ""),
        event(1, r#""text""#, mixed),
        event(2, "null", nested),
        event(3, "", r#"{"redacted":"2024-01-01T00:00:00Z"}"#),
    ]
}

fn batch(events: &[NewEvent]) -> EventBatch {
    let mut batch = EventBatch::new();
    stored::decode_into(&stored::encode(events), place(), &mut batch).unwrap();
    batch
}

fn place() -> CommitPlace<'static> {
    CommitPlace { stream: STREAM, position: 41, version: 5, recorded_at: RECORDED_AT }
}

fn placement() -> kafka::Placement {
    kafka::Placement { log: LOG, previous: 17, layout: 1 }
}

fn golden(name: &str) -> String {
    std::fs::read_to_string(path(name)).unwrap()
}

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    let digits = text.trim();
    (0..digits.len() / 2).map(|at| u8::from_str_radix(&digits[2 * at..2 * at + 2], 16).unwrap()).collect()
}

fn json_lines(events: &EventBatch) -> String {
    let mut out = String::new();
    for event in events.iter() {
        json::write(event, LOG, &mut out);
        out.push('\n');
    }
    out
}

/// Key, value and headers of each message: one JSON array a line.
fn kafka_lines(events: &EventBatch) -> String {
    let line = |event: EventRef<'_>| {
        let mut headers = Vec::new();
        kafka::write(event, placement(), |name, value| headers.push((name, value.to_owned())));
        serde_json::to_string(&(event.stream, event.payload, headers)).unwrap() + "\n"
    };
    events.iter().map(line).collect()
}

fn watermark() -> LogPoint {
    LogPoint { position: 44, event: events()[3].id }
}

/// The headers of a watermark of partition 5: one JSON array.
fn watermark_line() -> String {
    let mut headers = Vec::new();
    kafka::write_watermark(watermark(), 5, placement(), |name, value| headers.push((name, value.to_owned())));
    serde_json::to_string(&headers).unwrap() + "\n"
}

#[test]
#[ignore = "writes the golden files of a new format; those of a released one never change"]
fn write_golden_files() {
    let events = events();
    std::fs::write(path("stored-1.hex"), hex(&stored::encode(&events)) + "\n").unwrap();
    std::fs::write(path("cloud-events-1.jsonl"), json_lines(&batch(&events))).unwrap();
    std::fs::write(path("kafka-1.jsonl"), kafka_lines(&batch(&events))).unwrap();
    std::fs::write(path("watermark-1.jsonl"), watermark_line()).unwrap();
}

#[test]
fn stored_form() {
    let bytes = unhex(&golden("stored-1.hex"));
    let mut read = EventBatch::new();
    stored::decode_into(&bytes, place(), &mut read).unwrap();
    assert!(read.iter().eq(batch(&events()).iter()));
    assert_eq!(read.get(3).position, 44);
    assert_eq!(hex(&stored::encode(&events())), hex(&bytes));
}

#[test]
fn cloud_events_json() {
    let text = golden("cloud-events-1.jsonl");
    assert_eq!(json_lines(&batch(&events())), text);
    for (line, event) in text.lines().zip(batch(&events()).iter()) {
        let read = json::read(line.as_bytes()).unwrap();
        let expected = NewEvent {
            id: event.id,
            kind: EventKind::new(event.kind).unwrap(),
            schema: event.schema,
            recorded_at: Some(Timestamp::from_micros(event.recorded_at)),
            payload: CanonicalJson::trusted(event.payload),
            metadata: CanonicalJson::trusted(event.metadata),
        };
        assert_eq!(read, json::ReceivedEvent { stream: StreamId::new(STREAM).unwrap(), event: expected });
    }
}

#[test]
fn kafka_headers() {
    let text = golden("kafka-1.jsonl");
    assert_eq!(kafka_lines(&batch(&events())), text);
    for (line, expected) in text.lines().zip(batch(&events()).iter()) {
        let (key, value, headers): (String, String, Vec<(String, String)>) = serde_json::from_str(line).unwrap();
        let headers = headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
        let read = kafka::read(key.as_bytes(), value.as_bytes(), headers).unwrap();
        assert_eq!(read, kafka::Message::Event(expected, placement()));
    }
}

#[test]
fn kafka_watermark() {
    let text = golden("watermark-1.jsonl");
    assert_eq!(watermark_line(), text);
    let headers: Vec<(String, String)> = serde_json::from_str(&text).unwrap();
    assert!(headers.iter().map(|(name, _)| name.as_str()).eq(kafka::WATERMARK_HEADERS));
    let headers = headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
    assert_eq!(kafka::read(b"", b"", headers).unwrap(), kafka::Message::Watermark(watermark(), placement()));
    assert!(EventKind::new(kafka::WATERMARK_TYPE).is_err());
}

/// Foreign events as they were imported once: importing them again must give the same ids and metadata.
#[test]
fn foreign_events() {
    let text = golden("foreign-1.jsonl");
    let read: Vec<_> = text.lines().map(|line| json::read(line.as_bytes()).unwrap()).collect();
    let ids: Vec<String> = read.iter().map(|read| read.event.id.to_string()).collect();
    assert_eq!(
        ids,
        [
            "0660cb1f-a14a-5491-b879-0a9eb721fbfa",
            "11b2d264-84e4-5e39-9029-9c9e86e9e6ba",
            "5b0c5d5e-5d1c-4b69-9a55-0d1a7b0c9f11"
        ]
    );
    let metadata: Vec<&str> = read.iter().map(|read| read.event.metadata.as_str()).collect();
    assert_eq!(
        metadata,
        [
            r#"{"source":"git/restate"}"#,
            r#"{"source":"/shop","originalid":"order-17","traceparent":"00-ab-cd-01","dataschema":"https://example.com/order.json"}"#,
            r#"{"source":"urn:x","attempt":2,"ratio":0.5}"#,
        ]
    );
    assert_eq!(read[0].event.recorded_at, Some(Timestamp::parse("2023-01-04T15:03:33Z").unwrap()));
    assert_eq!(read[1].event.payload.as_str(), r#"{"a":1,"b":10.0}"#);
    assert_eq!((read[2].event.payload.as_str(), read[2].event.recorded_at, read[2].event.schema), ("null", None, 7));
}
