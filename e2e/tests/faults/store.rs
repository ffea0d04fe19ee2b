//! A read database that stayed while the event store was deleted, or restored from an older copy: that is named, and nothing is dropped
//! before somebody says so.

use std::path::Path;

use reel_e2e::components::example;
use reel_e2e::database::Postgres;
use reel_e2e::reel::{Reel, Up};
use reqwest::Method;
use serde_json::{Value, json};

struct Place<'a> {
    data: &'a Path,
    target: Option<String>,
}

impl Place<'_> {
    fn up(&self) -> Up {
        Up::on(self.data).target(self.target.as_deref())
    }

    /// The store's files: the database and what SQLite keeps beside it.
    fn store_files(&self) -> Vec<std::path::PathBuf> {
        let files = std::fs::read_dir(self.data).unwrap().map(|entry| entry.unwrap().path());
        files.filter(|path| path.file_name().unwrap().to_string_lossy().starts_with("store.sqlite")).collect()
    }
}

async fn post(reel: &Reel, message: &str) -> String {
    let made = reel.command(Method::POST, "/posts", &json!({ "author": "ann", "message": message })).await;
    made["token"].as_str().unwrap().to_owned()
}

/// The posts' messages, in order; as new as the token, where there is one.
async fn messages(reel: &Reel, token: Option<&str>) -> Vec<String> {
    let wait = token.map_or_else(String::new, |token| format!("&wait-for={token}"));
    let read = reel.get(&format!("/read/v1/posts/posts?select=message&order=message{wait}")).await;
    assert_eq!(read.status, 200, "{read:?}");
    read.rows().iter().map(|row| row["message"].as_str().unwrap().to_owned()).collect()
}

async fn halted(reel: &Reel) -> Value {
    let status = reel.until_status("posts", |status| status["condition"] == "halted").await;
    assert_eq!(status["problem"]["code"], "log-changed", "{status}");
    assert!(status["problem"]["message"].as_str().unwrap().contains("--accept-new-log"), "{status}");
    status
}

async fn deleted(place: Place<'_>) {
    let reel = place.up().start().await;
    reel.deploy(&example("posts"), &[]).await;
    let token = post(&reel, "old").await;
    assert_eq!(messages(&reel, Some(&token)).await, ["old"]);
    reel.kill().await;
    let files = place.store_files();
    assert!(!files.is_empty());
    files.iter().for_each(|file| std::fs::remove_file(file).unwrap());

    let reel = place.up().start().await;
    halted(&reel).await;
    assert_eq!(messages(&reel, None).await, ["old"], "what was built stays readable");
    // Commands are taken, and other projections work on the new log.
    post(&reel, "new").await;
    assert_eq!(reel.deploy(&example("todos"), &[]).await["state"], "live");
    assert_eq!(messages(&reel, None).await, ["old"]);
    reel.stop().await;
    // Neither a restart nor a resume takes it for accepted.
    let reel = place.up().start().await;
    reel.ok(&["resume", "posts"]).await;
    halted(&reel).await;
    assert_eq!(messages(&reel, None).await, ["old"]);
    reel.stop().await;
    rebuilt(&place, &["new"]).await;
}

/// Accepting the log that is there builds from it, and needs to be said once only.
async fn rebuilt(place: &Place<'_>, expected: &[&str]) {
    let reel = place.up().with(&["--accept-new-log"]).start().await;
    reel.until_status("posts", |status| status["state"] == "live" && status["generation"] == "posts@2").await;
    assert_eq!(messages(&reel, None).await, expected);
    reel.stop().await;
    let reel = place.up().with(&["--accept-new-log"]).start().await;
    let token = post(&reel, "zebra").await;
    let all: Vec<&str> = expected.iter().copied().chain(["zebra"]).collect();
    assert_eq!(messages(&reel, Some(&token)).await, all);
    assert_eq!(reel.status("posts").await["generation"], "posts@2", "what is of this log is not built again");
}

async fn restored(place: Place<'_>) {
    let reel = place.up().start().await;
    reel.deploy(&example("posts"), &[]).await;
    post(&reel, "a").await;
    reel.stop().await;
    let copy = tempfile::tempdir().unwrap();
    for file in place.store_files() {
        std::fs::copy(&file, copy.path().join(file.file_name().unwrap())).unwrap();
    }
    let reel = place.up().start().await;
    post(&reel, "b").await;
    let token = post(&reel, "c").await;
    assert_eq!(messages(&reel, Some(&token)).await, ["a", "b", "c"]);
    reel.stop().await;
    place.store_files().iter().for_each(|file| std::fs::remove_file(file).unwrap());
    for file in std::fs::read_dir(copy.path()).unwrap() {
        let file = file.unwrap().path();
        std::fs::copy(&file, place.data.join(file.file_name().unwrap())).unwrap();
    }

    let reel = place.up().start().await;
    let status = halted(&reel).await;
    assert!(status["problem"]["message"].as_str().unwrap().contains("position 3"), "{status}");
    assert_eq!(messages(&reel, None).await, ["a", "b", "c"], "what was built stays readable");
    // Written on, so that other events stand where the lost ones stood: that is seen, too.
    for message in ["d", "e", "f"] {
        post(&reel, message).await;
    }
    reel.stop().await;
    let reel = place.up().start().await;
    reel.ok(&["resume", "posts"]).await;
    halted(&reel).await;
    assert_eq!(messages(&reel, None).await, ["a", "b", "c"]);
    reel.stop().await;
    rebuilt(&place, &["a", "d", "e", "f"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_store_is_named_on_sqlite() {
    let data = tempfile::tempdir().unwrap();
    deleted(Place { data: data.path(), target: None }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_store_is_named_on_postgres() {
    let Some(database) = Postgres::new().await else { return println!("passed over: REEL_TEST_POSTGRES is not set") };
    let data = tempfile::tempdir().unwrap();
    deleted(Place { data: data.path(), target: Some(database.url()) }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_copy_of_the_store_is_named_on_sqlite() {
    let data = tempfile::tempdir().unwrap();
    restored(Place { data: data.path(), target: None }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_copy_of_the_store_is_named_on_postgres() {
    let Some(database) = Postgres::new().await else { return println!("passed over: REEL_TEST_POSTGRES is not set") };
    let data = tempfile::tempdir().unwrap();
    restored(Place { data: data.path(), target: Some(database.url()) }).await;
}
