//! A read database that goes away and comes back: commands are taken meanwhile, reads say what is wrong, and nothing is to be done by
//! hand afterwards.

use reel_e2e::components::example;
use reel_e2e::database::Postgres;
use reel_e2e::deadline::until;
use reel_e2e::fold::assert_rows;
use reel_e2e::gate::Gate;
use reel_e2e::history;
use reel_e2e::reel::Up;
use reqwest::Method;
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_comes_back_is_caught_up_with() {
    let Some(database) = Postgres::new().await else { return println!("passed over: REEL_TEST_POSTGRES is not set") };
    let mut gate = Gate::to(database.address()).await;
    let data = tempfile::tempdir().unwrap();
    let target = database.url_through(&gate.address.to_string());
    let reel = Up::on(data.path()).target(Some(&target)).start().await;
    reel.deploy(&example("posts"), &[]).await;
    for outage in 1..=2_usize {
        let waited = reel.log().matches("waiting").count();
        gate.shut().await;
        let mut token = String::new();
        for _ in 0..5 {
            let made = reel.command(Method::POST, "/posts", &json!({ "author": "ann", "message": "m" })).await;
            token = made["token"].as_str().unwrap().to_owned();
        }
        let read = reel.get("/read/v1/posts/posts").await;
        assert_eq!(read.status, 503, "{read:?}");
        assert!(!read.header("retry-after").is_empty(), "{read:?}");
        let refused = reel.deploy_only(&example("todos"), &[]).await;
        assert_eq!(refused.code, 5, "{}", refused.stderr);
        until("it says that it waits", async || (reel.log().matches("waiting").count() > waited).then_some(())).await;
        gate.open().await;
        let rows = until("the rows", async || {
            let read = reel.get(&format!("/read/v1/posts/posts?wait-for={token}&wait-timeout=10s")).await;
            (read.status == 200).then(|| read.rows().len())
        })
        .await;
        assert_eq!(rows, outage * 5);
        let status = reel.status("posts").await;
        assert_eq!((&status["condition"], &status["lagEvents"]), (&json!("running"), &json!(0)), "{status}");
    }
    assert_eq!(reel.deploy(&example("todos"), &[]).await["state"], "live");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_outlives_a_database_that_goes_away() {
    let Some(database) = Postgres::new().await else { return println!("passed over: REEL_TEST_POSTGRES is not set") };
    let mut gate = Gate::to(database.address()).await;
    let data = tempfile::tempdir().unwrap();
    let target = database.url_through(&gate.address.to_string());
    let reel = Up::on(data.path()).target(Some(&target)).with(&["--batch", "100", "--throttle", "3000"]).start().await;
    reel.ok(&["import", history::file().to_str().unwrap()]).await;
    let ran = reel.deploy_only(&example("git-tree"), &[]).await;
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    for part in 1..=3 {
        let before = reel.until_status("git-tree", |status| status["position"].as_u64() >= Some(part * 6_000)).await;
        gate.shut().await;
        assert_eq!(reel.get("/read/v1/git-tree/files").await.status, 503);
        gate.open().await;
        assert_ne!(before["position"], history::EVENTS, "the outage was to fall into the build");
    }
    // And once more where the rows are to be loaded: then it is built again.
    reel.until_status("git-tree", |status| status["position"].as_u64() >= Some(22_000)).await;
    gate.shut().await;
    until("it says that it tries again", async || reel.log().contains("trying again").then_some(())).await;
    gate.open().await;
    reel.until_status("git-tree", |status| status["state"] == "live").await;
    let mut rows = reel.query("git-tree", "files", "select=path,blob,mode").await;
    rows.sort_by(|a, b| a["path"].as_str().cmp(&b["path"].as_str()));
    assert_rows("after outages in a build", &rows, &history::tree());
}
