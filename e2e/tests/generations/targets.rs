//! Two read databases of one Reel, of different kinds: the same component fills both, and each keeps itself current.

use reel_e2e::components::example;
use reel_e2e::database::Postgres;
use reel_e2e::fold::{Fold, assert_rows};
use reel_e2e::reel::{Reel, Up};
use reqwest::Method;
use serde_json::{Value, json};

async fn write(reel: &Reel) -> String {
    let made = reel.command(Method::POST, "/posts", &json!({ "author": "ann", "message": "m" })).await;
    let post = made["id"].as_str().unwrap();
    let liked = reel.command(Method::POST, &format!("/posts/{post}/likes"), &json!({})).await;
    liked["token"].as_str().unwrap().to_owned()
}

async fn assert_current(reel: &Reel, token: &str, target: &str) {
    let fold = Fold::of(&reel.ok(&["export"]).await);
    let path = format!("/read/v1/posts/posts?order=id&wait-timeout=60s&target={target}&wait-for={token}");
    let read = reel.get(&path).await;
    assert_eq!(read.status, 200, "{target}: {read:?}");
    assert_rows(target, read.rows(), &fold.posts());
}

async fn rebuilt_there(reporting: &str) {
    let data = tempfile::tempdir().unwrap();
    let config = data.path().join("reel.toml");
    let main = data.path().join("main.sqlite");
    let targets = format!("[targets]\ndefault = \"sqlite:{}\"\nreporting = \"{reporting}\"\n", main.display());
    std::fs::write(&config, targets).unwrap();
    let reel = Up::on(data.path()).with(&["--config", config.to_str().unwrap()]).start().await;
    for _ in 0..20 {
        write(&reel).await;
    }
    reel.deploy(&example("posts"), &["--on-failure", "skip"]).await;
    let unknown = reel.run(&["replay", "posts", "--target", "elsewhere"]).await;
    assert_eq!(unknown.code, 3, "{}", unknown.stderr);
    assert!(unknown.stderr.contains("default, reporting"), "{}", unknown.stderr);
    let unknown = reel.run(&["replay", "nothing", "--target", "reporting"]).await;
    assert_eq!(unknown.code, 3, "{}", unknown.stderr);

    // What only the default one has is built in the other; both take what comes.
    let there = reel.json(&["replay", "posts", "--target", "reporting", "--wait"]).await.remove(0);
    assert_eq!((&there["target"], &there["generation"]), (&json!("reporting"), &json!("posts@1")), "{there}");
    assert_eq!(there["state"], "live", "{there}");
    let token = write(&reel).await;
    for target in ["default", "reporting"] {
        assert_current(&reel, &token, target).await;
    }
    // Each has its own generations.
    reel.ok(&["replay", "posts", "--target", "reporting", "--wait"]).await;
    reel.ok(&["pause", "posts", "--target", "default"]).await;
    let token = write(&reel).await;
    assert_current(&reel, &token, "reporting").await;
    let all = reel.json(&["list"]).await;
    let all: Vec<_> =
        all.iter().map(|each| (text(each, "target"), text(each, "generation"), text(each, "state"))).collect();
    assert_eq!(
        all,
        [("default", "posts@1", "live"), ("reporting", "posts@1", "previous"), ("reporting", "posts@2", "live")]
    );
    reel.ok(&["resume", "posts"]).await;
    assert_current(&reel, &token, "default").await;
}

fn text<'a>(value: &'a Value, member: &str) -> &'a str {
    value[member].as_str().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_target_of_the_same_kind_is_filled_and_kept_current() {
    let other = tempfile::tempdir().unwrap();
    rebuilt_there(&format!("sqlite:{}", other.path().join("reporting.sqlite").display())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_target_of_another_kind_is_filled_and_kept_current() {
    let Some(database) = Postgres::new().await else { return println!("passed over: REEL_TEST_POSTGRES is not set") };
    rebuilt_there(&database.url()).await;
}
