//! `reel replay --stream`: rows that somebody changed by hand are made anew for some streams, in the live generation, while commands
//! arrive; the others stay as they are.

#![expect(clippy::unwrap_used, reason = "this is a test; clippy exempts only the functions marked as one")]

use std::path::{Path, PathBuf};

use reel_e2e::components;
use reel_e2e::database::{MySql, Postgres};
use reel_e2e::reel::{Reel, Up};
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection, MySqlConnection, PgConnection};

/// Where somebody changes rows behind Reel's back.
enum ByHand {
    Sqlite(PathBuf),
    Postgres(String),
    MySql(String),
}

impl ByHand {
    /// Runs statements; `{posts}` and `{comments}` in them stand for the tables of the first generation.
    async fn run(&self, statements: &[String]) {
        let prefix = match self {
            ByHand::Sqlite(_) | ByHand::MySql(_) => "_g1_",
            ByHand::Postgres(_) => "reel_data.g1_",
        };
        for statement in statements {
            let statement = ["posts", "comments"].iter().fold(statement.clone(), |statement, table| {
                statement.replace(&format!("{{{table}}}"), &format!("{prefix}{table}"))
            });
            match self {
                ByHand::Sqlite(file) => {
                    rusqlite::Connection::open(file).unwrap().execute(&statement, []).unwrap();
                }
                ByHand::Postgres(url) => {
                    let mut connection = PgConnection::connect(url).await.unwrap();
                    sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut connection).await.unwrap();
                }
                ByHand::MySql(url) => {
                    let mut connection = MySqlConnection::connect(url).await.unwrap();
                    sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut connection).await.unwrap();
                }
            }
        }
    }
}

/// Some posts with a like and a comment each; their ids.
async fn posts(reel: &Reel) -> Vec<String> {
    let mut ids = Vec::new();
    for number in 0..6 {
        let post = json!({ "author": "ann", "message": format!("number {number}") });
        let made = reel.command(Method::POST, "/posts", &post).await;
        let id = made["id"].as_str().unwrap().to_owned();
        reel.command(Method::POST, &format!("/posts/{id}/likes"), &json!({ "actor": "ben" })).await;
        let comment = json!({ "author": "ben", "text": "so it is" });
        reel.command(Method::POST, &format!("/posts/{id}/comments"), &comment).await;
        ids.push(id);
    }
    ids
}

/// What `verify` finds wrong: rows changed, missing and surplus in each table.
async fn wrong(reel: &Reel) -> Vec<[u64; 3]> {
    let ran = reel.run(&["verify", "posts", "--json"]).await;
    let last: Value = serde_json::from_str(ran.stdout.lines().last().unwrap()).unwrap();
    let counts = |table: &Value| ["changed", "missing", "surplus"].map(|count| table[count].as_u64().unwrap());
    last["tables"].as_array().unwrap().iter().map(counts).collect()
}

async fn made_anew(data: &Path, target: Option<String>, by_hand: ByHand) {
    let reel = Up::on(data).target(target.as_deref()).start().await;
    let ids = posts(&reel).await;
    reel.deploy(&components::example("posts"), &[]).await;
    let right = reel.query("posts", "posts", "order=id").await;
    let (changed, gone, other) = (&ids[1], &ids[2], &ids[4]);
    by_hand
        .run(&[
            format!("UPDATE {{posts}} SET likes = 77 WHERE id IN ('{changed}', '{other}')"),
            format!("UPDATE {{comments}} SET id = 'invented' WHERE post = '{changed}'"),
            format!("DELETE FROM {{posts}} WHERE id = '{gone}'"),
            format!("DELETE FROM {{comments}} WHERE post = '{gone}'"),
        ])
        .await;
    assert_eq!(wrong(&reel).await, [[2, 1, 0], [0, 2, 1]]);
    let commands = async {
        for _ in 0..10 {
            reel.command(Method::POST, "/posts", &json!({ "author": "cy", "message": "meanwhile" })).await;
        }
    };
    let (streams, id) = ([format!("post-{changed}"), format!("post-{gone}")], &ids[1][..]);
    let ran = async { reel.json(&["replay", "posts", "--stream", &streams[0], &streams[1]]).await.remove(0) };
    let (anew, ()) = tokio::join!(ran, commands);
    let counts = ["streams", "events", "rows"].map(|count| anew[count].as_u64().unwrap());
    // Each has a post, a like and a comment; each table is emptied of two owners, and gets two rows.
    assert_eq!((counts, &anew["generation"]), ([2, 6, 8], &json!("posts@1")), "{anew}");
    assert_eq!(wrong(&reel).await, [[1, 0, 0], [0, 0, 0]], "what was not named stays as it was");

    // Rows of streams that no event made: only those that are meant go.
    let invented = |id: &str| {
        let columns = "author, message, likes, comments, posted_at, edited_at";
        format!("INSERT INTO {{posts}} (id, {columns}) SELECT '{id}', {columns} FROM {{posts}} WHERE id = '{}'", ids[0])
    };
    by_hand.run(&[invented("ghost-1"), invented("ghost-2"), invented("other")]).await;
    assert_eq!(wrong(&reel).await, [[1, 0, 3], [0, 0, 0]]);
    let anew = reel.json(&["replay", "posts", "--stream", "post-ghost"]).await.remove(0);
    let counts = ["streams", "events", "surplus"].map(|count| anew[count].as_u64().unwrap());
    assert_eq!(counts, [0, 0, 2], "{anew}");
    assert_eq!(wrong(&reel).await, [[1, 0, 1], [0, 0, 0]], "what was not named stays as it was");

    // The loop goes on from the rows that were made anew, and a prefix names many streams.
    reel.command(Method::POST, &format!("/posts/{id}/likes"), &json!({ "actor": "cy" })).await;
    let said = reel.ok(&["replay", "posts", "--stream", "post-"]).await;
    assert!(said.contains("of 16 streams; rows of 1 stream without events are gone"), "{said}");
    assert_eq!(wrong(&reel).await, [[0; 3]; 2]);
    let now = reel.query("posts", "posts", "author=eq.ann&order=id").await;
    let likes = |rows: &[Value]| rows.iter().map(|row| row["likes"].as_u64().unwrap()).sum::<u64>();
    assert_eq!((now.len(), likes(&now)), (right.len(), likes(&right) + 1));
    let list = reel.json(&["list"]).await;
    assert_eq!((list.len(), &list[0]["generation"]), (1, &json!("posts@1")), "no generation was made");
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_are_made_anew_on_sqlite() {
    let data = tempfile::tempdir().unwrap();
    made_anew(data.path(), None, ByHand::Sqlite(data.path().join("read.sqlite"))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_are_made_anew_on_postgres() {
    let Some(database) = Postgres::new().await else { return println!("passed over: REEL_TEST_POSTGRES is not set") };
    let data = tempfile::tempdir().unwrap();
    made_anew(data.path(), Some(database.url()), ByHand::Postgres(database.url())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_are_made_anew_on_mysql() {
    let Some(database) = MySql::new().await else { return println!("passed over: REEL_TEST_MYSQL is not set") };
    let data = tempfile::tempdir().unwrap();
    made_anew(data.path(), Some(database.url()), ByHand::MySql(database.url())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_made_anew_is_said() {
    let data = tempfile::tempdir().unwrap();
    let reel = Up::on(data.path()).start().await;
    posts(&reel).await;
    reel.deploy(&components::example("posts"), &[]).await;
    let with = components::example("posts-v2");
    reel.ok(&["replay", "posts", "--wait", "--no-promote"]).await;
    for (arguments, code, said) in [
        (&["posts", "--stream", "todo-zz"][..], 3, "no stream with events for posts@1 begins with todo-zz"),
        (&["posts@2", "--stream", "post-"], 4, "posts@2 is in state ready: only what is live"),
        (&["nothing", "--stream", "post-"], 3, "there is no projection nothing"),
        (&["posts", "--stream", ""], 1, "name the streams"),
        (&["posts", "--stream", "post-", "--until", "3"], 2, "cannot be used with"),
    ] {
        let ran = reel.run(&[&["replay"], arguments].concat()).await;
        assert_eq!(ran.code, code, "{arguments:?}: {}", ran.stderr);
        assert!(ran.stderr.contains(said), "{arguments:?}: {}", ran.stderr);
    }
    reel.ok(&["replay", "posts", "--wait", "--with", with.to_str().unwrap()]).await;
    let shared = reel.run(&["replay", "posts", "--stream", "post-"]).await;
    assert_eq!(shared.code, 4, "{}", shared.stderr);
    assert!(shared.stderr.contains("rows of authors in posts@3 are not one stream's alone"), "{}", shared.stderr);
    reel.ok(&["rollback", "posts"]).await;
    reel.ok(&["pause", "posts@1"]).await;
    let paused = reel.run(&["replay", "posts", "--stream", "post-"]).await;
    assert!(paused.code == 4 && paused.stderr.contains("posts@1 does not run: resume it first"), "{}", paused.stderr);
}
