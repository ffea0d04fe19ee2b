//! The whole journey: commands over HTTP become rows through a plugin, and other rows through another plugin, while commands keep arriving
//! and readers keep reading.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "this is a test; clippy exempts only the functions marked as one"
)]

mod begin;
mod reader;

use std::sync::Arc;

use reel_e2e::author::Author;
use reel_e2e::database::{MySql, Postgres, SqlServer};
use reel_e2e::fold::{Fold, assert_rows};
use reel_e2e::reel::{Reel, Up, finish, reel};
use reel_e2e::{components, deadline};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::sync::watch;

use reader::Reader;

/// Rows of a table of posts, in the order of its key, at least as new as the token.
async fn rows(reel: &Reel, projection: &str, table: &str, token: &str) -> Vec<Value> {
    let order = match table {
        "comments" => "post,id",
        "authors" => "name",
        _ => "id",
    };
    let path = format!("/read/v1/{projection}/{table}?order={order}&wait-timeout=60s&wait-for={token}");
    let answer = reel.get(&path).await;
    assert_eq!(answer.status, 200, "{path}: {answer:?}");
    answer.rows().to_vec()
}

async fn assert_old_shape(reel: &Reel, projection: &str, token: &str) {
    let fold = Fold::of(&reel.ok(&["export"]).await);
    assert_rows("posts", &rows(reel, projection, "posts", token).await, &fold.posts());
    assert_rows("comments", &rows(reel, projection, "comments", token).await, &fold.comments());
}

async fn assert_new_shape(reel: &Reel, projection: &str, token: &str) {
    let fold = Fold::of(&reel.ok(&["export"]).await);
    assert_rows("posts of v2", &rows(reel, projection, "posts", token).await, &fold.scored_posts());
    assert_rows("comments of v2", &rows(reel, projection, "comments", token).await, &fold.all_comments());
    assert_rows("authors of v2", &rows(reel, projection, "authors", token).await, &fold.authors());
}

async fn replayed_under_load(target: Option<String>) {
    let data = tempfile::tempdir().unwrap();
    let reel = Arc::new(Up::on(data.path()).target(target.as_deref()).start().await);
    reel.deploy(&components::example("posts"), &[]).await;
    let mut first = Author::new(Arc::clone(&reel), "ann");
    for _ in 0..60 {
        first.adds_something().await;
    }
    assert_old_shape(&reel, "posts", &first.token).await;

    let (stop, stopped) = watch::channel(false);
    let authors =
        ["ben", "cleo"].map(|name| tokio::spawn(Author::new(Arc::clone(&reel), name).goes_on_until(stopped.clone())));
    let readers = ["posts", "comments"]
        .map(|table| tokio::spawn(Reader::new(Arc::clone(&reel), table).reads_until(stopped.clone())));
    let component = components::example("posts-v2");
    let status = reel.json(&["replay", "posts", "--wait", "--with", component.to_str().unwrap()]).await.remove(0);
    assert_eq!((&status["generation"], &status["state"]), (&json!("posts@2"), &json!("live")));
    // Both shapes are read under load: the new one after the flip, the old one again after the flip back.
    deadline::until("commands after the flip", async || grown(&reel, &status, 100).await).await;
    let back = reel.json(&["rollback", "posts"]).await.remove(0);
    assert_eq!((&back["generation"], &back["state"]), (&json!("posts@1"), &json!("live")));
    deadline::until("commands after the flip back", async || grown(&reel, &back, 100).await).await;
    stop.send_replace(true);
    for reader in readers {
        let seen = reader.await.unwrap();
        println!("{seen}");
        assert!(seen.flips >= 2 && seen.reads > 20, "the reader saw both shapes: {seen}");
    }
    for author in authors {
        author.await.unwrap();
    }

    // What cannot be checked while counts must rise: removals. Both shapes are current, whichever is live.
    for _ in 0..40 {
        first.removes_something().await;
        first.adds_something().await;
    }
    assert_old_shape(&reel, "posts", &first.token).await;
    assert_new_shape(&reel, "posts@2", &first.token).await;
    reel.ok(&["promote", "posts@2"]).await;
    assert_new_shape(&reel, "posts", &first.token).await;
    assert_old_shape(&reel, "posts@1", &first.token).await;
}

/// Whether the log has grown by so many events since a status.
async fn grown(reel: &Reel, since: &Value, by: u64) -> Option<()> {
    let head = reel.get("/commands/v1/head").await.body["position"].as_u64().unwrap();
    (head >= since["head"].as_u64().unwrap() + by).then_some(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_shows_no_reader_anything_half_done_on_sqlite() {
    replayed_under_load(None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_shows_no_reader_anything_half_done_on_postgres() {
    let Some(database) = Postgres::new().await else { return println!("passed over: REEL_TEST_POSTGRES is not set") };
    replayed_under_load(Some(database.url())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_shows_no_reader_anything_half_done_on_mysql() {
    let Some(database) = MySql::new().await else { return println!("passed over: REEL_TEST_MYSQL is not set") };
    replayed_under_load(Some(database.url())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_shows_no_reader_anything_half_done_on_sql_server() {
    let Some(database) = SqlServer::new().await else {
        return println!("passed over: REEL_TEST_SQLSERVER is not set");
    };
    replayed_under_load(Some(database.url())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_goes_on_with_what_is_deployed() {
    let data = tempfile::tempdir().unwrap();
    let reel = Arc::new(Up::on(data.path()).start().await);
    reel.deploy(&components::example("posts"), &[]).await;
    let mut author = Author::new(Arc::clone(&reel), "ann");
    author.adds_something().await;
    drop(author);
    let ended = Arc::into_inner(reel).unwrap().stop().await;
    assert!(ended.success(), "{ended:?}");
    let reel = Arc::new(Up::on(data.path()).start().await);
    let mut author = Author::new(Arc::clone(&reel), "ben");
    author.adds_something().await;
    assert_old_shape(&reel, "posts", &author.token).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn todos_are_rows_and_named_queries() {
    let data = tempfile::tempdir().unwrap();
    let reel = Up::on(data.path()).start().await;
    reel.deploy(&components::example("todos"), &[]).await;
    let made = reel.command(Method::POST, "/todos", &json!({ "title": "Write", "owner": "ann" })).await;
    reel.command(Method::POST, "/todos", &json!({ "title": "Read", "owner": "ann" })).await;
    let path = format!("/todos/{}/complete", made["id"].as_str().unwrap());
    let last = reel.command(Method::POST, &path, &json!({})).await;
    let token = last["token"].as_str().unwrap();
    let answer = reel.get(&format!("/read/v1/todos/todos?select=title,completed&order=title&wait-for={token}")).await;
    assert_eq!(answer.body, json!([{ "title": "Read", "completed": false }, { "title": "Write", "completed": true }]));
    let open = reel.query("todos", "open", "who=ann").await;
    assert_eq!(open.len(), 1, "{open:?}");
    assert_eq!(open[0]["title"], "Read");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_generation_goes_through_its_life_by_verbs() {
    let data = tempfile::tempdir().unwrap();
    let reel = Up::on(data.path()).start().await;
    let (posts, posts_v2) = (components::example("posts"), components::example("posts-v2"));
    let made = reel.deploy(&posts, &[]).await;
    let again = reel.json(&["deploy", posts.to_str().unwrap()]).await.remove(0);
    assert_eq!((&again["outcome"], &again["generation"]), (&json!("unchanged"), &made["generation"]));

    let with = ["replay", "posts", "--with", posts_v2.to_str().unwrap(), "--wait", "--no-promote"];
    let ready = reel.json(&with).await.remove(0);
    assert_eq!((&ready["state"], &ready["condition"]), (&json!("ready"), &json!("running")));
    let states = reel.json(&["list"]).await.into_iter().map(|each| (each["generation"].clone(), each["state"].clone()));
    assert_eq!(states.collect::<Vec<_>>(), [(json!("posts@1"), json!("live")), (json!("posts@2"), json!("ready"))]);
    let promoted = reel.json(&["promote", "posts@2"]).await.remove(0);
    assert_eq!(promoted["state"], "live");
    assert_eq!(reel.status("posts@1").await["state"], "previous");

    // Paused, it takes nothing, and a read that waits says so; resumed, it catches up.
    let paused = reel.json(&["pause", "posts@2"]).await.remove(0);
    assert_eq!(paused["condition"], "paused");
    let written = reel.command(Method::POST, "/posts", &json!({ "author": "ann", "message": "m" })).await;
    let token = written["token"].as_str().unwrap();
    let waiting = reel.get(&format!("/read/v1/posts/posts?wait-timeout=200ms&wait-for={token}")).await;
    assert_eq!(waiting.status, 504, "{waiting:?}");
    reel.ok(&["resume", "posts@2"]).await;
    assert_eq!(rows(&reel, "posts", "posts", token).await.len(), 1);

    let refused = reel.run(&["drop", "posts@2"]).await;
    assert_eq!(refused.code, 4, "{}", refused.stderr);
    assert!(refused.stderr.contains("posts@2 is live"), "{}", refused.stderr);
    let refused = reel.run(&["cancel", "posts"]).await;
    assert_eq!(refused.code, 4, "{}", refused.stderr);
    reel.ok(&["drop", "posts@1"]).await;
    let refused = reel.run(&["rollback", "posts"]).await;
    assert_eq!(refused.code, 4, "nothing to go back to: {}", refused.stderr);
    reel.ok(&["drop", "posts"]).await;
    assert_eq!(reel.json(&["list"]).await, Vec::<Value>::new());
    assert_eq!(reel.get("/read/v1/posts/posts").await.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_status_says_where_a_generation_stands() {
    let data = tempfile::tempdir().unwrap();
    let reel = Up::on(data.path()).start().await;
    reel.command(Method::POST, "/posts", &json!({ "author": "ann", "message": "m" })).await;
    reel.deploy(&components::example("posts"), &[]).await;
    let status = reel.status("posts").await;
    let expected = [
        ("generation", json!("posts@1")),
        ("projection", json!("posts")),
        ("number", json!(1)),
        ("target", json!("default")),
        ("state", json!("live")),
        ("condition", json!("running")),
        ("position", json!(1)),
        ("head", json!(1)),
        ("lagEvents", json!(0)),
        ("problem", Value::Null),
        ("version", json!("1.0.0")),
        ("tables", json!(["posts", "comments"])),
    ];
    for (member, value) in expected {
        assert_eq!(status[member], value, "{member}: {status}");
    }
    assert_eq!(status["digest"].as_str().unwrap().len(), 64);
    let text = reel.ok(&["status"]).await;
    assert!(text.starts_with("GENERATION") && text.contains("posts@1"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn exit_codes_say_what_kind_of_failure_it_is() {
    let data = tempfile::tempdir().unwrap();
    let reel_up = Up::on(data.path()).start().await;
    for (arguments, code) in [
        (&["list"][..], 0),
        (&["nonsense"][..], 2),
        (&["deploy"][..], 2),
        (&["status", "nothing"][..], 3),
        (&["import", "no-such-file"][..], 3),
        (&["query", "nothing", "rows"][..], 3),
        (&["status", "not a name"][..], 1),
    ] {
        let ran = reel_up.run(arguments).await;
        assert_eq!(ran.code, code, "{arguments:?}: {}", ran.stderr);
    }
    let url = reel_up.url.clone();
    reel_up.kill().await;
    let ran = finish(reel().arg("list").args(["--url", &url]), b"").await;
    assert_eq!(ran.code, 5, "{}", ran.stderr);
    assert!(ran.stderr.contains("reel up"), "it says what to do: {}", ran.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_shows_rows_of_both_plugins() {
    let data = tempfile::tempdir().unwrap();
    let data = data.path().join("new");
    for time in ["first", "second"] {
        let mut demo = reel();
        demo.args(["demo", "--exit", "--listen", "127.0.0.1:0", "--data"]).arg(&data);
        let ran = finish(&mut demo, b"").await;
        assert_eq!(ran.code, 0, "{time}: {}", ran.stderr);
        for part in
            ["AUTHOR", "likes", "score", "latest_comments", "Does it replay?", "Write a projection", "posts@2 is live"]
        {
            assert!(ran.stdout.to_lowercase().contains(&part.to_lowercase()), "{time}: no {part} in {}", ran.stdout);
        }
    }
}
