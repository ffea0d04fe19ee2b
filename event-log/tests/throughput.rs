//! How fast the SQLite store is, held against what is asked of it. Only in a release build do the numbers mean anything:
//! `cargo test --release -p reel-event-log --test throughput -- --ignored --nocapture --test-threads=1`

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{sync::Arc, time::Instant};

use reel_event_log::{
    EventStore, ExpectedVersion, IdOrigin, Limits, NewCommit, ReadLimit, store::sqlite::SqliteStore, topic::Tail,
};
use reel_events::{CanonicalJson, EventKind, NewEvent, StreamId};
use uuid::Uuid;

const EVENTS: usize = 500_000;
const CALL: usize = 1000;

/// Commits of one event on 50,000 streams, with a payload of 176 bytes and random ids.
fn commits(from: usize) -> Vec<NewCommit> {
    let commit = |nth: usize| {
        let event = NewEvent {
            id: Uuid::new_v4(),
            kind: EventKind::new("post-liked").unwrap(),
            schema: 1,
            recorded_at: None,
            payload: CanonicalJson::parse(format!("{{\"n\":\"{nth:07}\",\"text\":\"{}\"}}", "x".repeat(151))).unwrap(),
            metadata: CanonicalJson::default(),
        };
        NewCommit {
            id: Uuid::new_v4(),
            stream: StreamId::new(&format!("post-{}", nth.wrapping_mul(2_654_435_761) % 50_000)).unwrap(),
            expected: ExpectedVersion::Any,
            digest: [0; 32],
            ids: IdOrigin::Given,
            events: vec![event],
        }
    };
    (from..from + CALL).map(commit).collect()
}

fn rate(events: usize, started: Instant) -> f64 {
    events as f64 / started.elapsed().as_secs_f64()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "measures: needs a release build"]
async fn appending_reading_and_tailing() {
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let path = directory.path().join("events.db");
    let store: Arc<dyn EventStore> = Arc::new(SqliteStore::open(&path, Limits::default()).unwrap());
    let mut spent = std::time::Duration::ZERO;
    for from in (0..EVENTS).step_by(CALL) {
        let commits = commits(from);
        let started = Instant::now();
        assert!(store.append_all(commits).await.iter().all(Result::is_ok));
        spent += started.elapsed();
    }
    let appended = EVENTS as f64 / spent.as_secs_f64();
    println!("append_all of {CALL}: {appended:.0} events/s");

    let (started, mut read) = (Instant::now(), 0);
    while read < EVENTS {
        read += store.read(read as u64, ReadLimit::events(5000)).await.unwrap().len();
    }
    let reading = rate(EVENTS, started);
    println!("read of 5000: {reading:.0} events/s");

    let (started, mut tail) = (Instant::now(), Tail::from_start(Arc::clone(&store)));
    while tail.at().position < EVENTS as u64 {
        tail.next(ReadLimit::events(5000)).await.unwrap();
    }
    println!("tail of 5000: {:.0} events/s", rate(EVENTS, started));

    let (started, mut latencies) = (Instant::now(), Vec::new());
    for commit in commits(0) {
        let sent = Instant::now();
        store.append(commit).await.unwrap();
        latencies.push(sent.elapsed());
    }
    println!("append, one by one: {:.0} events/s", rate(CALL, started));
    latencies.sort_unstable();
    println!("append: median {:?}, 99 % {:?}", latencies[CALL / 2], latencies[CALL * 99 / 100]);
    println!("file: {} bytes an event", std::fs::metadata(&path).unwrap().len() / EVENTS as u64);
    // Bound by the disk: 80,000 and more where it takes 500 MB/s of flushed writes, less on a slow or shared one.
    assert!(appended >= 15_000.0, "{appended}");
    assert!(reading >= 700_000.0, "{reading}");
}
