//! How fast an import is, held against what is asked of it. Only in a release build do the numbers mean anything:
//! `cargo test --release -p reel-command-service --test throughput -- --ignored --nocapture`

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{sync::Arc, time::Instant};

use axum::{
    Router,
    body::{Body, Bytes, to_bytes},
    http::Request,
};
use futures::stream;
use reel_command_service::{Config, router};
use reel_event_log::{EventStore, Limits, store::sqlite::SqliteStore};
use tower::ServiceExt;
use uuid::Uuid;

const EVENTS: u32 = 100_000;
/// What is asked of a release build, in events a second.
const ASKED: f64 = 50_000.0;

/// Lines of about 500 bytes on 4,000 streams, in the pieces that a connection delivers.
fn pieces() -> Vec<Result<Bytes, std::io::Error>> {
    let mut text = String::new();
    for nth in 0..EVENTS {
        let id = Uuid::new_v5(&Uuid::NAMESPACE_URL, &nth.to_le_bytes());
        let (path, filler) = (nth.wrapping_mul(2_654_435_761) % 4_000, "x".repeat(120));
        text.push_str(&format!(
            r#"{{"specversion":"1.0","id":"{id}","source":"git/restate","type":"file-modified","subject":"file:crates/some/where/{path}.rs","time":"2023-01-04T16:03:33+01:00","datacontenttype":"application/json","data":{{"commit":"019f1e079cc2","author":"00bb58b385","path":"crates/some/where/{path}.rs","mode":"100644","blob":"088ba6ba7d345b76aa2b8dc021dd25e1323189b3","n":{nth},"filler":"{filler}"}}}}"#
        ));
        text.push('\n');
    }
    text.as_bytes().chunks(16 << 10).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect()
}

async fn import(router: &Router) -> (f64, String) {
    let request = Request::post("/commands/v1/import").body(Body::from_stream(stream::iter(pieces()))).unwrap();
    let begun = Instant::now();
    let response = router.clone().oneshot(request).await.unwrap();
    let rate = f64::from(EVENTS) / begun.elapsed().as_secs_f64();
    let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
    (rate, String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "measures"]
async fn an_import_is_as_fast_as_is_asked() {
    let directory = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(directory.path().join("events.db"), Limits::default()).unwrap();
    let store: Arc<dyn EventStore> = Arc::new(store);
    let router = router(store, Config::default());
    let (first, summary) = import(&router).await;
    println!("import: {first:.0} events/s {summary}");
    let (again, summary) = import(&router).await;
    println!("again:  {again:.0} events/s {summary}");
    assert!(first >= ASKED && again >= ASKED);
}
