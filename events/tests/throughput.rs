//! How fast JSON is made canonical and CloudEvents are read, held against what is asked. Only a release build tells:
//! `cargo test --release -p reel-events --test throughput -- --ignored --nocapture --test-threads=1`

use std::time::{Duration, Instant};

use reel_events::{CanonicalJson, cloud_events::json};

const LINE: &str = r#"{"specversion":"1.0","id":"0660cb1f-a14a-5491-b879-0a9eb721fbfa","source":"git/restate","type":"file-added","subject":"file:.gitignore","time":"2023-01-04T16:03:33+01:00","datacontenttype":"application/json","data":{"commit":"019f1e079cc2","author":"00bb58b385","path":".gitignore","mode":"100644","blob":"088ba6ba7d345b76aa2b8dc021dd25e1323189b3"}}"#;

/// How often a second `work` can be done.
fn rate(mut work: impl FnMut()) -> f64 {
    let (started, mut times) = (Instant::now(), 0);
    while started.elapsed() < Duration::from_secs(1) {
        (0..100).for_each(|_| work());
        times += 100;
    }
    f64::from(times) / started.elapsed().as_secs_f64()
}

#[test]
#[ignore = "measures: needs a release build"]
fn canonical_json() {
    let rate = rate(|| assert!(!CanonicalJson::parse(std::hint::black_box(LINE)).unwrap().is_empty()));
    let bytes = rate * LINE.len() as f64 / 1e6;
    println!("canonical: {bytes:.0} MB/s");
    assert!(bytes >= 200.0, "{bytes}");
}

#[test]
#[ignore = "measures: needs a release build"]
fn cloud_events() {
    let rate = rate(|| assert!(json::read(std::hint::black_box(LINE.as_bytes())).is_ok()));
    println!("CloudEvents: {rate:.0} events/s");
    assert!(rate >= 200_000.0, "{rate}");
}
