//! Topics of other producers on the real broker: what a shard is fed of them, from where on, and what it says where the topic is not
//! what it was.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::print_stdout, reason = "a case that is passed over says so")]

mod bed;

use std::time::Duration;

use bed::{Bed, fed, refusal};
use rdkafka::producer::Producer;
use reel_event_log::topic::foreign::PartitionEnds;
use reel_events::LogPoint;

const CLOUD_EVENTS: &str = "foreign=cloudevents";
const JSON: &str = "foreign=json&kind-field=type";

fn made(number: usize) -> Vec<u8> {
    format!("{{\"type\":\"made\",\"number\":{number}}}").into_bytes()
}

#[tokio::test]
async fn messages_of_each_sort_in_their_order() {
    let Some(bed) = Bed::new(2, CLOUD_EVENTS).await else { return };
    let binary = [("ce_specversion", "1.0"), ("ce_id", "1"), ("ce_source", "shop"), ("ce_type", "placed")];
    let structured = br#"{"specversion":"1.0","id":"2","source":"shop","type":"paid","data":{"n":2}}"#;
    bed.publish(1, Some("a"), Some(br#"{"n":1}"#), &binary);
    bed.publish(1, Some("a"), Some(structured), &[("content-type", "application/cloudevents+json")]);
    bed.publish(1, Some("b"), Some(b"\x00\xff"), &binary);
    bed.publish(1, None, None, &[]);
    bed.publish(0, Some("c"), Some(br#"{"n":5}"#), &binary);

    let mut feed = bed.feed(1, LogPoint::START);
    let (events, through) = fed(&mut feed, 4, 3).await;
    let seen: Vec<_> =
        events.iter().map(|event| (event.position, event.stream_key(), event.kind, event.payload)).collect();
    assert_eq!(
        seen,
        [
            (1, "a", "placed", r#"{"n":1}"#),
            (2, "a", "paid", r#"{"n":2}"#),
            (3, "b", "placed", ""),
            (4, "partition-1", "tombstone", "null"),
        ]
    );
    let broken = events.unreadable(2).unwrap();
    assert_eq!(broken.code, "not-json");
    assert!(broken.original.contains(r#""valueBase64":"AP8=""#) && broken.original.contains(r#""value":"placed""#));
    assert_eq!(through, LogPoint { position: 4, event: events.get(3).id });
    assert!(events.iter().all(|event| event.recorded_at > 1_700_000_000_000_000), "the broker's clock");

    // What comes later comes; and a shard that begins anew goes on where it was.
    bed.publish(1, Some("a"), Some(b"{}"), &binary);
    assert_eq!(fed(&mut feed, 5, 10).await.0.len(), 1);
    let (rest, _) = fed(&mut bed.feed(1, LogPoint { position: 2, event: events.get(1).id }), 5, 10).await;
    assert_eq!(rest.iter().map(|event| event.position).collect::<Vec<_>>(), [3, 4, 5]);
    assert_eq!(rest.get(0).id, events.get(2).id);
    assert_eq!(fed(&mut bed.feed(0, LogPoint::START), 1, 10).await.0.get(0).stream_key(), "c");
}

#[tokio::test]
async fn however_a_producer_compresses() {
    let Some(bed) = Bed::new(1, JSON).await else { return };
    let codecs = ["none", "gzip", "snappy", "lz4", "zstd"];
    for (number, codec) in codecs.into_iter().enumerate() {
        let producer = bed.producer(&[("compression.type", codec), ("linger.ms", "50")]);
        // Alike, and many in one batch: what does not become smaller is not compressed.
        (0..50).for_each(|_| bed.send(&producer, 0, (Some("k"), Some(&made(number))), &[]));
        producer.flush(Duration::from_secs(20)).unwrap();
    }
    let (events, _) = fed(&mut bed.feed(0, LogPoint::START), 50 * codecs.len() as u64, 100).await;
    for (index, event) in events.iter().enumerate() {
        assert_eq!(event.payload.as_bytes(), made(index / 50), "{}", codecs[index / 50]);
    }
}

#[tokio::test]
async fn a_shard_reaches_the_end_behind_transactions() {
    let Some(bed) = Bed::new(1, JSON).await else { return };
    let producer = bed.producer(&[("transactional.id", bed.topic.url().topic())]);
    let patience = Duration::from_secs(20);
    producer.init_transactions(patience).unwrap();
    for (numbers, is_kept) in [(0..3, true), (3..5, false), (5..6, true), (6..7, false)] {
        producer.begin_transaction().unwrap();
        numbers.for_each(|number| bed.send(&producer, 0, (Some("k"), Some(&made(number))), &[]));
        producer.flush(patience).unwrap();
        let ended = if is_kept { producer.commit_transaction(patience) } else { producer.abort_transaction(patience) };
        ended.unwrap();
    }
    let end = bed.topic.ends().await.unwrap()[0].end;
    assert_eq!(end, 7 + 4, "each transaction's end takes an offset");
    let mut feed = bed.feed(0, LogPoint::START);
    let (events, through) = fed(&mut feed, end, 10).await;
    let payloads: Vec<_> = events.iter().map(|event| event.payload.to_owned()).collect();
    assert_eq!(payloads, [0, 1, 2, 5].map(|number| String::from_utf8(made(number)).unwrap()));
    assert_eq!((through.position, through.event.is_nil()), (end, true));

    // A checkpoint behind the last transaction is one to go on from.
    bed.publish(0, Some("k"), Some(&made(9)), &[]);
    for mut feed in [feed, bed.feed(0, through)] {
        let (events, _) = fed(&mut feed, end + 1, 10).await;
        assert_eq!(events.iter().map(|event| event.position).collect::<Vec<_>>(), [end + 1]);
    }
}

#[tokio::test]
async fn what_was_deleted_unread_is_named_and_a_new_shard_begins_behind_it() {
    let Some(bed) = Bed::new(1, JSON).await else { return };
    (0..6).for_each(|number| bed.publish(0, Some("k"), Some(&made(number)), &[]));
    let (events, _) = fed(&mut bed.feed(0, LogPoint::START), 6, 10).await;
    bed.forget(0, 4).await;
    assert_eq!(bed.topic.ends().await.unwrap()[0], PartitionEnds { start: 4, end: 6 });
    let at = |position: u64| LogPoint { position, event: events.get(position as usize - 1).id };
    let why = refusal(&mut bed.feed(0, at(3))).await;
    assert!(why.contains("begins with offset 4 now, and the projection has read it up to offset 2 only"), "{why}");
    for from in [LogPoint::START, at(4), at(5)] {
        let (events, _) = fed(&mut bed.feed(0, from), 6, 10).await;
        assert_eq!(events.get(0).position, from.position.max(4) + 1);
    }
}

#[tokio::test]
async fn a_topic_that_was_made_anew_is_named() {
    let Some(bed) = Bed::new(1, JSON).await else { return };
    bed.publish(0, Some("k"), Some(&made(1)), &[]);
    bed.publish(0, Some("k"), Some(br#"{"specversion":"1.0","type":"made","id":"1","source":"s"}"#), &[]);
    let (_, through) = fed(&mut bed.feed(0, LogPoint::START), 2, 10).await;
    bed.delete().await;
    bed.make(1).await;
    let why = refusal(&mut bed.feed(0, through)).await;
    assert!(why.contains("ends before offset 0, and the projection has read it up to offset 1"), "{why}");

    // Plain JSON has no ids but its places; a CloudEvent says which one it is.
    let url = format!("{}?{CLOUD_EVENTS}", bed.topic.url());
    let cloud_events = reel_event_log::topic::foreign::ForeignTopic::new(&url.parse().unwrap()).unwrap();
    let event = |id: &str| format!(r#"{{"specversion":"1.0","type":"made","id":"{id}","source":"s"}}"#).into_bytes();
    bed.publish(0, Some("k"), Some(&event("1")), &[]);
    let feed = |at| reel_event_log::topic::foreign::ForeignFeed::new(cloud_events.clone(), 0, at);
    let (_, through) = fed(&mut feed(LogPoint::START), 1, 10).await;
    bed.delete().await;
    bed.make(1).await;
    bed.publish(0, Some("k"), Some(&event("2")), &[]);
    let why = refusal(&mut feed(through)).await;
    assert!(why.contains("at offset 0 of partition 0") && why.contains("stands another message"), "{why}");
}

#[tokio::test]
async fn the_cluster_and_the_topic_say_which_log_it_is() {
    let Some(bed) = Bed::new(1, JSON).await else { return };
    let Some(other) = Bed::new(1, JSON).await else { return };
    assert_eq!(bed.topic.log_id().await.unwrap(), bed.topic.log_id().await.unwrap());
    assert_ne!(bed.topic.log_id().await.unwrap(), other.topic.log_id().await.unwrap());
    other.delete().await;
    let why = other.topic.log_id().await.unwrap_err().to_string();
    assert!(why.contains("is not there"), "{why}");
}
