//! The archive as an operator sees it: history is sealed in the background, damage is found and mended, nothing is lost.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fmt::Write;
use std::path::PathBuf;

use reel_e2e::deadline::until;
use reel_e2e::reel::{Reel, Up};
use serde_json::Value;
use uuid::Uuid;

/// One full range of positions, and some more.
const EVENTS: u64 = 66_000;
const RANGE: u64 = 65_536;

fn lines() -> String {
    let mut lines = String::new();
    for number in 1..=EVENTS {
        let id = Uuid::from_u128(u128::from(number));
        let stream = number % 1_000;
        writeln!(
            lines,
            r#"{{"specversion":"1.0","id":"{id}","source":"/test","type":"noted","subject":"note-{stream}","datacontenttype":"application/json","data":{{"n":{number}}}}}"#
        )
        .unwrap();
    }
    lines
}

async fn status(reel: &Reel) -> Value {
    reel.json(&["archive", "status"]).await.remove(0)
}

async fn until_sealed(reel: &Reel) -> Value {
    until("the first range is sealed", async || {
        let status = status(reel).await;
        (status["sealedThrough"] == RANGE).then_some(status)
    })
    .await
}

/// The one segment.
fn segment(data: &std::path::Path, log: &str) -> PathBuf {
    let files = std::fs::read_dir(data.join("archive").join(log)).unwrap().map(|entry| entry.unwrap().path());
    files.filter(|path| path.extension().is_some_and(|ending| ending == "reelseg")).max().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn history_is_sealed_verified_and_mended() {
    let data = tempfile::tempdir().unwrap();
    let reel = Up::on(data.path()).start().await;
    assert_eq!(reel.run_with(&["import", "-"], lines().as_bytes()).await.code, 0);
    let sealed = until_sealed(&reel).await;
    assert_eq!((&sealed["segments"], &sealed["sealed"], &sealed["head"]), (&1.into(), &RANGE.into(), &EVENTS.into()));
    let verified = reel.json(&["archive", "verify"]).await.remove(0);
    assert_eq!((&verified["sound"], &verified["events"]), (&1.into(), &RANGE.into()));

    let path = segment(data.path(), sealed["log"].as_str().unwrap());
    let whole = std::fs::read(&path).unwrap();
    let mut broken = whole.clone();
    *broken.last_mut().unwrap() ^= 1;
    std::fs::write(&path, broken).unwrap();
    let found = reel.run(&["archive", "verify"]).await;
    assert_eq!(found.code, 1, "{found:?}");
    assert!(found.stdout.contains(path.file_name().unwrap().to_str().unwrap()), "{found:?}");
    let mended = reel.json(&["archive", "verify", "--mend"]).await.remove(0);
    assert_eq!(mended["damaged"][0]["putAside"], true);
    until_sealed(&reel).await;
    assert_eq!(std::fs::read(&path).unwrap(), whole);

    assert_eq!(status(&reel).await["aside"], 1);
    assert_eq!(reel.json(&["archive", "prune"]).await[0]["removed"].as_array().unwrap().len(), 1);
    assert_eq!(status(&reel).await["aside"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_archive_it_is_said() {
    let data = tempfile::tempdir().unwrap();
    let reel = Up::on(data.path()).variable("REEL_ARCHIVE_URL", "none").start().await;
    let said = reel.run(&["archive", "status"]).await;
    assert_eq!(said.code, 3, "{said:?}");
    assert!(said.stderr.contains("archive.url"), "{said:?}");
    assert!(!data.path().join("archive").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_place_that_is_none_ends_the_start() {
    let data = tempfile::tempdir().unwrap();
    let ended = Up::on(data.path()).variable("REEL_ARCHIVE_URL", "ftp://host/x").ends().await;
    assert_eq!(ended.code, 2, "{ended:?}");
    assert!(ended.stderr.contains("archive.url") && ended.stderr.contains("s3://"), "{ended:?}");
}
