//! The processes apart do together what `reel up` does.

use reel_e2e::components::example;
use reel_e2e::fold::assert_rows;
use reel_e2e::history;
use reel_e2e::reel::{Up, reel};
use reqwest::Method;
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn commands_then_projections_then_reads() {
    let data = tempfile::tempdir().unwrap();
    // A SQLite store belongs to one process at a time: the command service first, then the host.
    let commands = Up::serve("command-service", data.path()).start().await;
    commands.ok(&["import", history::file().to_str().unwrap()]).await;
    assert_eq!(commands.get("/read/v1").await.status, 404, "it answers no reads");
    assert_eq!(commands.get("/admin/v1/projections").await.status, 404, "it has no projections");
    assert_eq!(commands.get("/health/ready").await.status, 200);
    assert!(commands.stop().await.success());

    let host = Up::serve("host", data.path()).start().await;
    host.deploy(&example("git-tree"), &[]).await;
    assert_eq!(host.get("/commands/v1/head").await.status, 404, "it takes no commands");

    let reads = Up::serve("read-api", data.path()).start().await;
    let mut rows = reads.query("git-tree", "files", "select=path,blob,mode").await;
    rows.sort_by(|a, b| a["path"].as_str().cmp(&b["path"].as_str()));
    assert_rows("through three processes", &rows, &history::tree());
    assert!(host.stop().await.success());
    assert!(reads.stop().await.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_api_of_its_own_sees_ones_own_write() {
    let data = tempfile::tempdir().unwrap();
    let reel = Up::on(data.path()).start().await;
    reel.deploy(&example("posts"), &[]).await;
    let reads = Up::serve("read-api", data.path()).start().await;
    for count in 1..=20_usize {
        let made = reel.command(Method::POST, "/posts", &json!({ "author": "ann", "message": "m" })).await;
        let token = made["token"].as_str().unwrap();
        let read = reads.get(&format!("/read/v1/posts/posts?wait-for={token}&wait-timeout=30s")).await;
        assert_eq!(read.rows().len(), count, "{read:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn verbs_find_each_process_by_its_variable() {
    let data = tempfile::tempdir().unwrap();
    let all = Up::on(data.path()).start().await;
    all.deploy(&example("todos"), &[]).await;
    let reads = Up::serve("read-api", data.path()).start().await;
    let mut query = reel();
    query.args(["query", "todos", "todos", "--json"]);
    query.env("REEL_HOST_URL", &all.url).env("REEL_COMMAND_URL", "http://127.0.0.1:1").env("REEL_READ_URL", &reads.url);
    let ran = reel_e2e::reel::finish(&mut query, b"").await;
    assert_eq!((ran.code, ran.stdout.trim()), (0, "[]"), "{}", ran.stderr);
}
