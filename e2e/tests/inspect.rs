//! Looking into what is there: generations held against each other, digests of tables, rows that somebody changed by hand; on every
//! database, and across them.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "this is a test; clippy exempts only the functions marked as one"
)]

use std::path::{Path, PathBuf};

use reel_e2e::database::{MySql, Postgres, SqlServer};
use reel_e2e::reel::{Reel, Up};
use reel_e2e::{components, history};
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection, PgConnection};

/// Where somebody changes rows behind Reel's back.
enum ByHand {
    Sqlite(PathBuf),
    Postgres(String),
}

impl ByHand {
    /// Runs statements; `TABLE` in them stands for the table `posts` of the second generation.
    async fn run(&self, statements: &[String]) {
        for statement in statements {
            match self {
                ByHand::Sqlite(file) => {
                    let connection = rusqlite::Connection::open(file).unwrap();
                    connection.execute(&statement.replace("TABLE", "_g2_posts"), []).unwrap();
                }
                ByHand::Postgres(url) => {
                    let mut connection = PgConnection::connect(url).await.unwrap();
                    let statement = AssertSqlSafe(statement.replace("TABLE", "reel_data.g2_posts"));
                    sqlx::raw_sql(statement).execute(&mut connection).await.unwrap();
                    connection.close().await.unwrap();
                }
            }
        }
    }
}

/// Some posts, with their ids in order.
async fn posts(reel: &Reel) -> Vec<String> {
    let mut ids = Vec::new();
    for number in 0..9 {
        let post = json!({ "author": "ann", "message": format!("number {number}") });
        let made = reel.command(Method::POST, "/posts", &post).await;
        ids.push(made["id"].as_str().unwrap().to_owned());
        let liked = format!("/posts/{}/likes", ids[number]);
        reel.command(Method::POST, &liked, &json!({ "actor": "ben" })).await;
    }
    ids.sort();
    let comment = json!({ "author": "ben", "text": "so it is" });
    reel.command(Method::POST, &format!("/posts/{}/comments", ids[5]), &comment).await;
    ids
}

/// The lines of `reel diff --json`, and its exit code.
async fn diff(reel: &Reel, arguments: &[&str]) -> (Vec<Value>, i32) {
    let ran = reel.run(&[&["diff", "--json"], arguments].concat()).await;
    println!("{}{}", ran.stdout, ran.stderr);
    (ran.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect(), ran.code)
}

async fn changed_by_hand(data: &Path, target: Option<String>, by_hand: ByHand) {
    let reel = Up::on(data).target(target.as_deref()).start().await;
    let ids = posts(&reel).await;
    reel.deploy(&components::example("posts"), &[]).await;
    reel.ok(&["replay", "posts", "--wait", "--no-promote"]).await;
    let before = both_are_equal(&reel).await;
    let hand = Hand { changed: &ids[2], gone: &ids[5], new: "zzz" };
    by_hand
        .run(&[
            format!("UPDATE TABLE SET likes = 77, message = 'mine' WHERE id = '{}'", hand.changed),
            format!("UPDATE TABLE SET id = '{}' WHERE id = '{}'", hand.new, hand.gone),
        ])
        .await;
    diff_names_the_rows(&reel, &hand).await;
    verify_names_the_rows(&reel, &hand).await;
    assert_eq!(reel.run(&["verify", "posts@1"]).await.code, 0, "nobody touched the other one");
    let after = reel.json(&["fingerprint", "posts@2"]).await.remove(0);
    assert_eq!(after["tables"][0]["rows"], 9);
    assert_ne!(after["tables"][0]["digest"], before["tables"][0]["digest"]);
    assert_eq!(after["tables"][1], before["tables"][1], "the other table is as it was");
}

/// Which posts of `posts@2` somebody changed by hand.
struct Hand<'a> {
    changed: &'a str,
    /// Under another id, [`Hand::new`], since.
    gone: &'a str,
    new: &'a str,
}

/// `posts@1` and `posts@2` are equal whatever is asked; the fingerprint of both.
async fn both_are_equal(reel: &Reel) -> Value {
    let (same, code) = diff(reel, &["posts@1", "posts@2"]).await;
    assert_eq!((same.len(), code, &same[0]["equal"]), (1, 0, &json!(true)), "{same:?}");
    assert_eq!(same[0]["tables"][0]["equal"], 9);
    let verified = reel.json(&["verify", "posts@2"]).await;
    assert_eq!(
        (verified.len(), &verified[0]["sound"], &verified[0]["tables"][0]["rows"]),
        (1, &json!(true), &json!(9))
    );
    let (first, mut second) =
        (reel.json(&["fingerprint", "posts@1"]).await, reel.json(&["fingerprint", "posts@2"]).await);
    assert_eq!(first[0]["tables"], second[0]["tables"]);
    second.remove(0)
}

async fn diff_names_the_rows(reel: &Reel, Hand { changed, gone, new }: &Hand<'_>) {
    let (lines, code) = diff(reel, &["posts@1", "posts@2"]).await;
    assert_eq!(code, 1);
    let table = &lines[0]["tables"][0];
    let counts = ["equal", "differing", "onlyHere", "onlyThere"].map(|member| table[member].as_u64().unwrap());
    assert_eq!((counts, &lines[0]["equal"], lines.len()), ([7, 1, 1, 1], &json!(false), 4), "{lines:?}");
    let keys: Vec<&Value> = lines[1..].iter().map(|line| &line["key"]["id"]).collect();
    assert_eq!(keys, [&json!(changed), &json!(gone), &json!(new)]);
    assert_eq!(lines[1]["columns"], json!(["message", "likes"]));
    assert_eq!((&lines[1]["here"]["likes"], &lines[1]["there"]["likes"]), (&json!(1), &json!(77)));
    assert_eq!((&lines[2]["there"], &lines[3]["here"]), (&Value::Null, &Value::Null));
    let (sample, _) = diff(reel, &["posts@1", "posts@2", "--sample", "1"]).await;
    assert_eq!(sample.len(), 2, "{sample:?}");
    let shown = reel.run(&["diff", "posts@1", "posts@2"]).await;
    assert!(shown.stdout.contains(&format!("~ posts {{\"id\":\"{changed}\"}}  message \"number")), "{}", shown.stdout);
    assert!(shown.stderr.contains("posts@1 in default and posts@2 in default differ"), "{}", shown.stderr);
}

async fn verify_names_the_rows(reel: &Reel, Hand { changed, gone, new }: &Hand<'_>) {
    let found = reel.run(&["verify", "posts@2", "--json"]).await;
    let lines: Vec<Value> = found.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((found.code, lines.len()), (1, 5), "{}{}", found.stdout, found.stderr);
    let rows = lines[..3].iter().map(|line| (line["key"]["id"].as_str().unwrap(), &line["columns"]));
    let columns = json!(["message", "likes"]);
    assert_eq!(rows.collect::<Vec<_>>(), [(*changed, &columns), (*gone, &Value::Null), (*new, &Value::Null)]);
    assert_eq!((&lines[0]["stored"]["likes"], &lines[0]["folded"]["likes"]), (&json!(77), &json!(1)));
    assert_eq!(
        (&lines[3]["line"], &lines[3]["table"], &lines[3]["key"]["post"]),
        (&json!("broken"), &json!("comments"), &json!(gone))
    );
    assert_eq!(lines[3]["rule"], "reference of (post) to posts: there is no such row");
    let tables = &lines[4]["tables"];
    let counts = ["rows", "changed", "missing", "surplus"].map(|member| tables[0][member].as_u64().unwrap());
    assert_eq!((counts, &tables[1]["broken"], &lines[4]["sound"]), ([9, 1, 1, 1], &json!(1), &json!(false)));
    let shown = reel.run(&["verify", "posts@2"]).await;
    assert!(shown.stdout.contains("likes is 77, should be 1"), "{}", shown.stdout);
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_differ_are_named_on_sqlite() {
    let data = tempfile::tempdir().unwrap();
    changed_by_hand(data.path(), None, ByHand::Sqlite(data.path().join("read.sqlite"))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_differ_are_named_on_postgres() {
    let Some(database) = Postgres::new().await else { return println!("passed over: REEL_TEST_POSTGRES is not set") };
    let data = tempfile::tempdir().unwrap();
    changed_by_hand(data.path(), Some(database.url()), ByHand::Postgres(database.url())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn equal_rows_have_equal_fingerprints_on_every_database() {
    let (postgres, mysql, sql_server) = (Postgres::new().await, MySql::new().await, SqlServer::new().await);
    let data = tempfile::tempdir().unwrap();
    let file = format!("default=sqlite:{}", data.path().join("read.sqlite").display());
    let mut up = Up::on(data.path()).with(&["--target", &file]);
    let urls = [
        ("pg", postgres.as_ref().map(Postgres::url)),
        ("my", mysql.as_ref().map(MySql::url)),
        ("ms", sql_server.as_ref().map(SqlServer::url)),
    ];
    let others: Vec<(&str, String)> = urls.into_iter().filter_map(|(name, url)| Some((name, url?))).collect();
    for (name, url) in &others {
        up = up.with(&["--target", &format!("{name}={url}")]);
    }
    let reel = up.start().await;
    reel.ok(&["import", history::file().to_str().unwrap()]).await;
    let component = components::example("git-tree");
    reel.deploy(&component, &[]).await;
    let first = reel.json(&["fingerprint", "git-tree"]).await.remove(0);
    assert_eq!(first["tables"][0]["rows"], history::tree().len());
    assert_eq!(first["shards"][0]["position"], history::EVENTS);
    for (name, _) in &others {
        reel.deploy(&component, &["--target", name]).await;
        let other = reel.json(&["fingerprint", "git-tree", "--target", name]).await.remove(0);
        assert_eq!((&other["tables"], &other["shards"]), (&first["tables"], &first["shards"]), "{name}");
        let verified = reel.json(&["verify", "git-tree", "--target", name]).await.remove(0);
        assert_eq!((&verified["sound"], &verified["tables"][0]["rows"]), (&json!(true), &first["tables"][0]["rows"]));
        let (lines, code) = diff(&reel, &["git-tree", "--other-target", name]).await;
        assert_eq!((lines.len(), code), (1, 0), "{name}");
    }
    if others.is_empty() {
        println!("passed over: none of REEL_TEST_POSTGRES, REEL_TEST_MYSQL and REEL_TEST_SQLSERVER is set");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_shape_is_compared_as_far_as_it_goes() {
    let data = tempfile::tempdir().unwrap();
    let reel = Up::on(data.path()).start().await;
    posts(&reel).await;
    reel.deploy(&components::example("posts"), &[]).await;
    let component = components::example("posts-v2");
    reel.ok(&["replay", "posts", "--wait", "--with", component.to_str().unwrap()]).await;
    let (lines, code) = diff(&reel, &["posts@1", "posts@2"]).await;
    assert_eq!((code, lines.len()), (1, 1), "{lines:?}");
    let table = |name: &str| {
        let tables = lines[0]["tables"].as_array().unwrap();
        tables.iter().find(|table| table["table"] == name).unwrap().clone()
    };
    assert_eq!((&table("posts")["equal"], &table("posts")["differing"]), (&json!(9), &json!(0)));
    assert!(table("posts")["columnsOnlyThere"].as_array().unwrap().contains(&json!("score")));
    assert_eq!(table("authors")["notCompared"], "only posts@2 in default has it");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_says_what_a_replay_would_do_and_does_nothing() {
    let data = tempfile::tempdir().unwrap();
    let reel = Up::on(data.path()).start().await;
    posts(&reel).await;
    reel.command(Method::POST, "/todos", &json!({ "title": "Write", "owner": "ann" })).await;
    reel.deploy(&components::example("posts"), &[]).await;
    let component = components::example("posts-v2");
    let with = ["replay", "posts", "--dry-run", "--with", component.to_str().unwrap()];
    let planned = reel.json(&with).await.remove(0);
    assert_eq!((&planned["head"], &planned["events"], &planned["counted"]), (&json!(20), &json!(19), &json!("all")));
    let kind = |kind: &str, events: u64| json!({ "kind": kind, "events": events });
    assert_eq!(planned["kinds"], json!([kind("post-created", 9), kind("post-liked", 9), kind("comment-added", 1)]));
    let rows =
        planned["tables"].as_array().unwrap().iter().map(|table| (table["table"].clone(), table["rows"].clone()));
    let expected = [("posts", 9), ("comments", 1), ("authors", 2)].map(|(table, rows)| (json!(table), json!(rows)));
    assert_eq!(rows.collect::<Vec<_>>(), expected);
    assert!(planned["seconds"].as_f64().unwrap() > 0.0 && planned["problem"].is_null(), "{planned}");
    let shown = reel.ok(&with).await;
    assert!(shown.contains("reads 19 of 20 events"), "{shown}");
    assert_eq!(reel.json(&["list"]).await.len(), 1, "nothing was made");
    let nothing = reel.run(&["replay", "nothing", "--dry-run"]).await;
    assert_eq!(nothing.code, 3, "{}", nothing.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_generation_of_the_past_stands_still_there() {
    let data = tempfile::tempdir().unwrap();
    let reel = Up::on(data.path()).start().await;
    posts(&reel).await;
    reel.deploy(&components::example("posts"), &[]).await;
    let then = reel.query("posts", "posts", "order=id").await;
    let position = reel.get("/commands/v1/head").await.body["position"].as_u64().unwrap();
    let export = reel.ok(&["export", "--after", &(position - 1).to_string()]).await;
    let moment: Value = serde_json::from_str(export.lines().next().unwrap()).unwrap();
    posts(&reel).await;
    for (number, until) in [(2, position.to_string()), (3, moment["time"].as_str().unwrap().to_owned())] {
        let ready = reel.json(&["replay", "posts", "--until", &until, "--wait"]).await.remove(0);
        assert_eq!(
            (&ready["state"], &ready["position"], &ready["until"]),
            (&json!("ready"), &json!(position), &json!(position))
        );
        let name = format!("posts@{number}");
        assert_eq!(reel.query(&name, "posts", "order=id").await, then, "{until}");
        let refused = reel.run(&["promote", &name]).await;
        assert_eq!(refused.code, 4, "{}", refused.stderr);
        assert!(refused.stderr.contains("never goes live"), "{}", refused.stderr);
    }
    let refused = reel.run(&["promote", "posts"]).await;
    assert_eq!(refused.code, 4, "none of these is one to promote: {}", refused.stderr);
    posts(&reel).await;
    assert_eq!(reel.query("posts@2", "posts", "order=id").await, then);
    let status = reel.status("posts@2").await;
    assert_eq!((&status["lagEvents"], &status["state"]), (&json!(0), &json!("ready")));
    assert_eq!(reel.run(&["verify", "posts@2"]).await.code, 0);
    assert_eq!(diff(&reel, &["posts@2", "posts@3"]).await.1, 0);
    let unchanged = reel.json(&["deploy", components::example("posts").to_str().unwrap()]).await.remove(0);
    assert_eq!((&unchanged["outcome"], &unchanged["generation"]), (&json!("unchanged"), &json!("posts@1")));
    let head = reel.get("/commands/v1/head").await.body["position"].as_u64().unwrap();
    let future = format!("position {} is not in the log, whose last position is {head}", head + 1);
    for (until, code, said) in [
        ((head + 1).to_string(), 4, future.as_str()),
        ("0".to_owned(), 4, "position 0 is not in the log"),
        ("1999-01-01T00:00:00Z".to_owned(), 4, "there is nothing before"),
        ("yesterday".to_owned(), 1, "neither a position (4711) nor a time"),
    ] {
        let ran = reel.run(&["replay", "posts", "--until", &until]).await;
        assert_eq!(ran.code, code, "{}", ran.stderr);
        assert!(ran.stderr.contains(said), "{}", ran.stderr);
    }
    let ended = reel.stop().await;
    assert!(ended.success(), "{ended:?}");
    let reel = Up::on(data.path()).start().await;
    posts(&reel).await;
    assert_eq!(reel.query("posts@2", "posts", "order=id").await, then, "after a restart");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_looked_into_is_said() {
    let data = tempfile::tempdir().unwrap();
    let reel = Up::on(data.path()).start().await;
    reel.deploy(&components::example("posts"), &[]).await;
    for (arguments, code, said) in [
        (&["fingerprint", "nothing"][..], 3, "there is no projection nothing"),
        (&["fingerprint", "posts@7"], 3, "there is no generation posts@7; there are: posts@1"),
        (&["fingerprint", "posts", "--target", "x"], 3, "there is no target x; there are: default"),
        (&["verify", "posts@7"], 3, "there is no generation posts@7"),
        (&["diff", "posts@1", "posts@2"], 3, "there is no generation posts@2"),
        (&["diff", "posts", "--other-target", "x"], 3, "there is no target x"),
        (&["diff", "posts"], 2, "THERE"),
    ] {
        let ran = reel.run(arguments).await;
        assert_eq!(ran.code, code, "{arguments:?}: {}", ran.stderr);
        assert!(ran.stderr.contains(said), "{arguments:?}: {}", ran.stderr);
    }
    // What has come further than the other: waited for, then named.
    reel.ok(&["replay", "posts", "--wait", "--no-promote"]).await;
    reel.ok(&["pause", "posts@2"]).await;
    posts(&reel).await;
    let ran = reel.run(&["diff", "posts@1", "posts@2"]).await;
    assert_eq!(ran.code, 4, "{}", ran.stderr);
    assert!(ran.stderr.contains("posts@2 in default at position 0"), "{}", ran.stderr);
    let (lines, code) = diff(&reel, &["posts@1", "posts@2", "--any-position"]).await;
    assert_eq!((code, &lines[0]["tables"][0]["onlyHere"]), (1, &json!(9)));
}
