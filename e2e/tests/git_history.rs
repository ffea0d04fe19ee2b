//! Real events: a git repository's history imported, projected and held against what git itself says the tree is; on every database, in
//! batches of every size, and through a process that is killed again and again.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "this is a test; clippy exempts only the functions marked as one"
)]

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use reel_e2e::database::{MySql, Postgres, SqlServer};
use reel_e2e::dice::Dice;
use reel_e2e::fold::assert_rows;
use reel_e2e::reel::{Reel, Up};
use reel_e2e::{components, history};
use serde_json::Value;

/// How many of the events are projected one by one: each is a transaction of its own, made durable.
const ONE_BY_ONE: usize = 3_000;
/// How often a process is killed while it imports, and as often while it projects.
const KILLS: u32 = 10;

async fn files(reel: &Reel) -> Vec<Value> {
    let mut rows = reel.query("git-tree", "files", "select=path,blob,mode").await;
    rows.sort_by(|a, b| a["path"].as_str().cmp(&b["path"].as_str()));
    rows
}

/// Events imported, then projected in batches of `batch`, which must end with `expected`.
async fn projected(target: Option<&str>, batch: &str, file: &Path, expected: &[Value]) {
    let data = tempfile::tempdir().unwrap();
    let reel = Up::on(data.path()).target(target).with(&["--batch", batch]).start().await;
    reel.ok(&["import", file.to_str().unwrap()]).await;
    let status = reel.deploy(&components::example("git-tree"), &[]).await;
    assert_eq!(status["state"], "live");
    assert_rows(&format!("batches of {batch}"), &files(&reel).await, expected);
}

fn with_url<D>(database: Option<D>, url: fn(&D) -> String) -> Option<(D, Option<String>)> {
    database.map(|database| {
        let url = url(&database);
        (database, Some(url))
    })
}

/// `database` gives a new one each time, with its URL (nothing = a file in the data directory); without a server, nothing.
async fn projected_in_all_batches<D>(database: impl AsyncFn() -> Option<(D, Option<String>)>) {
    let lines = history::lines();
    assert_eq!(lines.len() as u64, history::EVENTS);
    assert_rows("the fold of the tests", &history::tree_after(&lines), &history::tree());
    let folder = tempfile::tempdir().unwrap();
    let prefix = folder.path().join("prefix.jsonl");
    std::fs::write(&prefix, lines[..ONE_BY_ONE].join("\n")).unwrap();
    for batch in ["1", "7", "5000"] {
        let Some((_database, url)) = database().await else { return println!("passed over: no server is given") };
        if batch == "1" {
            projected(url.as_deref(), batch, &prefix, &history::tree_after(&lines[..ONE_BY_ONE])).await;
        } else {
            projected(url.as_deref(), batch, &history::file(), &history::tree()).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tree_is_gits_own_on_sqlite() {
    projected_in_all_batches(async || Some(((), None))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tree_is_gits_own_on_postgres() {
    projected_in_all_batches(async || with_url(Postgres::new().await, Postgres::url)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tree_is_gits_own_on_mysql() {
    projected_in_all_batches(async || with_url(MySql::new().await, MySql::url)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tree_is_gits_own_on_sql_server() {
    projected_in_all_batches(async || with_url(SqlServer::new().await, SqlServer::url)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_goes_on_where_it_ended_and_says_what_was_there() {
    let data = tempfile::tempdir().unwrap();
    let reel = Up::on(data.path()).start().await;
    let lines = history::lines();
    let half = format!("{}\n", lines[..lines.len() / 2].join("\n"));
    let first = reel.run_with(&["import", "-", "--json"], half.as_bytes()).await;
    assert_eq!(first.code, 0, "{}", first.stderr);
    let file = history::file();
    let arguments = ["import", file.to_str().unwrap()];
    let summary = reel.json(&arguments).await.remove(0);
    let counted = |member: &str| summary[member].as_u64().unwrap();
    assert_eq!(counted("lines"), history::EVENTS);
    assert_eq!(counted("imported") + counted("already"), history::EVENTS);
    assert_eq!(counted("already"), lines.len() as u64 / 2);
    assert_eq!(counted("lastPosition"), history::EVENTS);

    let said = reel.ok(&arguments).await;
    assert!(said.starts_with("nothing to do: all 31760 events are in the log already"), "{said}");
    let export = reel.ok(&["export"]).await;
    let imported: Vec<Value> = lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    let exported: Vec<Value> = export.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(exported.len(), imported.len());
    for (number, (was, is)) in imported.iter().zip(&exported).enumerate() {
        for member in ["id", "type", "subject", "data"] {
            assert_eq!(is[member], was[member], "line {}, {member}", number + 1);
        }
        assert_eq!(is["position"], (number + 1).to_string());
    }
}

/// A Reel that is killed, and each time starts again on the same data.
struct Mortal<'a> {
    data: &'a Path,
    target: Option<String>,
    dice: Dice,
}

impl Mortal<'_> {
    async fn born(&self) -> Reel {
        Up::on(self.data).target(self.target.as_deref()).with(&["--batch", "50"]).start().await
    }

    /// Kills it after a while of chance, of at most so many milliseconds.
    async fn dies(&mut self, reel: Reel, most: u64, busy: &str) {
        let moment = Duration::from_millis(self.dice.below(most));
        // A moment of chance is the point here; nothing is waited for.
        tokio::time::sleep(moment).await;
        println!("killed after {} ms of {busy}", moment.as_millis());
        reel.kill().await;
    }

    async fn lives_through_all(mut self) {
        println!("REEL_TEST_SEED={}", self.dice.seed);
        let component = components::example("git-tree");
        let file = history::file();
        let reel = self.born().await;
        reel.deploy(&component, &[]).await;
        reel.kill().await;
        for _ in 0..KILLS {
            let reel = self.born().await;
            let mut import = reel.verb(&["import", file.to_str().unwrap()]);
            let mut import = import.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
            self.dies(reel, 700, "importing and projecting").await;
            // It would go on by itself, but the next Reel listens elsewhere.
            import.kill().await.unwrap();
        }
        let reel = self.born().await;
        reel.ok(&["import", file.to_str().unwrap()]).await;
        reel.until_status("git-tree", |status| status["position"] == history::EVENTS).await;
        assert_rows("after kills in the import", &files(&reel).await, &history::tree());
        // Anew, so that a build from history is killed too.
        let replayed = reel.run(&["replay", "git-tree"]).await;
        assert_eq!(replayed.code, 0, "{}", replayed.stderr);
        reel.kill().await;
        for _ in 0..KILLS {
            let reel = self.born().await;
            self.dies(reel, 400, "building anew").await;
        }
        let reel = self.born().await;
        reel.until_status("git-tree@2", |status| status["state"] == "live").await;
        assert_rows("after kills in a build", &files(&reel).await, &history::tree());
        let said = reel.ok(&["import", file.to_str().unwrap()]).await;
        assert!(said.starts_with("nothing to do"), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn kills_lose_and_double_nothing_on_sqlite() {
    let data = tempfile::tempdir().unwrap();
    Mortal { data: data.path(), target: None, dice: Dice::new() }.lives_through_all().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kills_lose_and_double_nothing_on_postgres() {
    let Some(database) = Postgres::new().await else { return println!("passed over: REEL_TEST_POSTGRES is not set") };
    let data = tempfile::tempdir().unwrap();
    Mortal { data: data.path(), target: Some(database.url()), dice: Dice::new() }.lives_through_all().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kills_lose_and_double_nothing_on_mysql() {
    let Some(database) = MySql::new().await else { return println!("passed over: REEL_TEST_MYSQL is not set") };
    let data = tempfile::tempdir().unwrap();
    Mortal { data: data.path(), target: Some(database.url()), dice: Dice::new() }.lives_through_all().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kills_lose_and_double_nothing_on_sql_server() {
    let Some(database) = SqlServer::new().await else {
        return println!("passed over: REEL_TEST_SQLSERVER is not set");
    };
    let data = tempfile::tempdir().unwrap();
    Mortal { data: data.path(), target: Some(database.url()), dice: Dice::new() }.lives_through_all().await;
}
