//! What an operator may tell generations to do, and what not: every refusal says why, and changes nothing.

use reel_e2e::components::{example, mended, unruly};
use reel_e2e::deadline::until;
use reel_e2e::reel::{Ran, Reel};
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::raw_sql;

use reel_e2e::place::{Access, Place};

const PANIC_AT_107: &str = r#"{"mode":"panic","at":107}"#;
const BEHAVE: &str = r#"{"mode":"none"}"#;

async fn thing(reel: &Reel, id: u64, n: u64) -> String {
    let body = json!({ "events": [{ "type": "thing-made", "data": { "n": n } }] });
    let made = reel.command(Method::POST, &format!("/streams/thing-{id}"), &body).await;
    made["token"].as_str().unwrap().to_owned()
}

async fn states(reel: &Reel) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    reel.json(&["list"]).await.iter().map(|each| (text(&each["generation"]), text(&each["state"]))).collect()
}

async fn assert_states(reel: &Reel, expected: &[(&str, &str)]) {
    let states = states(reel).await;
    let states: Vec<_> = states.iter().map(|(name, state)| (name.as_str(), state.as_str())).collect();
    assert_eq!(states, expected);
}

fn assert_refused(ran: &Ran, parts: &[&str]) {
    assert_eq!(ran.code, 4, "{}", ran.stderr);
    for part in parts {
        assert!(ran.stderr.contains(part), "no {part:?} in {}", ran.stderr);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_halted_generation_is_gone_back_to_by_force_only() {
    let place = Place::sqlite();
    let reel = place.start().await;
    thing(&reel, 1, 1).await;
    reel.deploy(&unruly(), &["--settings", PANIC_AT_107]).await;
    reel.deploy(&unruly(), &["--settings", BEHAVE]).await;
    let token = thing(&reel, 2, 107).await;
    reel.until_status("unruly@1", |status| status["condition"] == "halted").await;
    let both = format!("/read/v1/unruly/things?wait-for={token}");
    assert_eq!(reel.get(&both).await.rows().len(), 2, "what is live never noticed");

    assert_refused(&reel.run(&["rollback", "unruly"]).await, &["unruly@1 does not run", "--force"]);
    assert_refused(&reel.run(&["promote", "unruly@1"]).await, &["unruly@1 does not run", "resume"]);
    assert_states(&reel, &[("unruly@1", "previous"), ("unruly@2", "live")]).await;
    let back = reel.json(&["rollback", "unruly", "--force"]).await.remove(0);
    assert_eq!((&back["generation"], &back["condition"]), (&json!("unruly@1"), &json!("halted")));
    assert_eq!(reel.query("unruly", "things", "").await.len(), 1);
    // And forth again: that one is current.
    reel.ok(&["rollback", "unruly"]).await;
    assert_eq!(reel.get(&both).await.rows().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_build_keeps_its_evidence_until_it_is_dropped() {
    let place = Place::sqlite();
    let reel = place.start().await;
    for id in 1..=40 {
        thing(&reel, id, id).await;
    }
    let ran = reel.deploy_only(&unruly(), &["--wait", "--settings", r#"{"mode":"count"}"#]).await;
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    let failed = reel.status("unruly").await;
    assert_eq!(failed["state"], "failed", "{failed}");
    // Resuming what cannot run says so, and takes nothing away.
    assert_refused(
        &reel.run(&["resume", "unruly@1"]).await,
        &["unruly@1 is failed", "replay unruly --with", "drop unruly@1"],
    );
    reel.ok(&["resume", "unruly"]).await;
    assert_eq!(reel.status("unruly").await["problem"], failed["problem"]);
    assert!(place.contents().await.tables.contains("g1_things"));
    let again = reel.json(&["replay", "unruly", "--settings", BEHAVE, "--wait"]).await.remove(0);
    assert_eq!((&again["generation"], &again["state"]), (&json!("unruly@2"), &json!("live")));
    assert_states(&reel, &[("unruly@1", "failed"), ("unruly@2", "live")]).await;
    reel.ok(&["drop", "unruly@1"]).await;
    assert_eq!(place.contents().await.tables, ["g2_things".to_owned()].into());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_that_halts_late_disturbs_nobody_and_leaves_nothing_behind() {
    let place = Place::sqlite();
    let reel = place.start().await;
    let line = |id: u64| {
        json!({
            "specversion": "1.0", "id": uuid::Uuid::from_u128(u128::from(id)), "source": "test", "type": "thing-made",
            "subject": format!("thing-{id}"), "time": "2026-01-01T00:00:00Z", "data": { "n": id },
        })
    };
    let lines: Vec<String> = (1..=10_000).map(|id| line(id).to_string()).collect();
    assert_eq!(reel.run_with(&["import", "-"], lines.join("\n").as_bytes()).await.code, 0);
    reel.deploy(&unruly(), &["--settings", BEHAVE]).await;
    let before = place.contents().await;
    let ran = reel.deploy_only(&unruly(), &["--wait", "--settings", r#"{"mode":"panic","at":9000}"#]).await;
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    assert!(ran.stderr.contains("thing number 9000 is one too many"), "{}", ran.stderr);
    let status = reel.status("unruly@2").await;
    assert_eq!((&status["state"], &status["condition"]), (&json!("build"), &json!("halted")), "{status}");
    assert_eq!((&status["problem"]["position"], &status["problem"]["stream"]), (&json!(9000), &json!("thing-9000")));
    let token = thing(&reel, 10_001, 1).await;
    let read = reel.get(&format!("/read/v1/unruly/things?limit=1&wait-for={token}")).await;
    assert_eq!((read.status.as_u16(), read.header("reel-generation")), (200, "unruly@1"));
    assert_refused(&reel.run(&["promote", "unruly@2"]).await, &["unruly@2 is in state build, not ready"]);

    let resumed = reel.run(&["resume", "unruly@2"]).await;
    assert_eq!(resumed.code, 0, "{}", resumed.stderr);
    assert!(resumed.stderr.contains("begins again from the log's start"), "{}", resumed.stderr);
    reel.until_status("unruly@2", |status| status["condition"] == "halted").await;
    // The mended component is another generation, whose rows are those of all events; the settings stay.
    let with = mended();
    let replayed =
        reel.json(&["replay", "unruly", "--with", with.to_str().unwrap(), "--no-promote", "--wait"]).await.remove(0);
    assert_eq!((&replayed["generation"], &replayed["state"]), (&json!("unruly@3"), &json!("ready")), "{replayed}");
    let same = reel.run(&["diff", "unruly@1", "unruly@3"]).await;
    assert_eq!(same.code, 0, "{}{}", same.stdout, same.stderr);
    reel.ok(&["cancel", "unruly"]).await;
    assert_states(&reel, &[("unruly@1", "live")]).await;
    assert_eq!(place.contents().await, before, "cancelled builds leave nothing");
    assert_refused(&reel.run(&["rollback", "unruly"]).await, &["no previous generation to go back to"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn as_many_previous_generations_stay_as_are_wanted() {
    let place = Place::sqlite();
    let reel = place.start().await;
    reel.deploy(&example("posts"), &[]).await;
    for number in ["posts@2", "posts@3", "posts@4"] {
        reel.ok(&["replay", "posts", "--no-promote", "--wait"]).await;
        reel.ok(&["promote", number, "--keep", "2"]).await;
    }
    let kept = [("posts@2", "previous"), ("posts@3", "previous"), ("posts@4", "live")];
    assert_states(&reel, &kept).await;
    assert_refused(&reel.run(&["drop", "posts@4"]).await, &["posts@4 is live: promote another one first"]);
    assert_refused(&reel.run(&["cancel", "posts@4"]).await, &["posts@4"]);
    assert_states(&reel, &kept).await;
    // The latest of them is what a rollback goes to.
    assert_eq!(reel.json(&["rollback", "posts"]).await[0]["generation"], "posts@3");
    reel.ok(&["promote", "posts@4", "--keep", "0"]).await;
    assert_states(&reel, &[("posts@4", "live")]).await;
    let tables = place.contents().await.tables;
    assert_eq!(tables, ["g4_comments".to_owned(), "g4_posts".to_owned()].into(), "tables of dropped ones are gone");
    let again = reel.deploy_only(&example("posts"), &["--wait"]).await;
    assert_eq!(again.code, 0, "{}", again.stderr);
    assert!(
        again.stderr.contains("posts@4 is the same component") && again.stderr.contains("is live"),
        "{}",
        again.stderr
    );
    assert_states(&reel, &[("posts@4", "live")]).await;
}

/// A view of somebody's own over ours: it stays, the flip that would break it says which one it is, and goes on once it is gone.
#[tokio::test(flavor = "multi_thread")]
async fn a_view_that_depends_on_ours_is_named_and_never_dropped() {
    let Some(place) = Place::postgres().await else { return println!("passed over: REEL_TEST_POSTGRES is not set") };
    let reel = place.start().await;
    reel.command(Method::POST, "/posts", &json!({ "author": "ann", "message": "m" })).await;
    reel.deploy(&example("posts"), &[]).await;
    let mut session = place.session().await.unwrap();
    let mine = "CREATE SCHEMA mine; CREATE VIEW mine.liked AS SELECT id, likes FROM posts.posts";
    raw_sql(mine).execute(&mut session).await.unwrap();
    // The same columns in another table: nothing changes for it.
    assert_eq!(reel.json(&["replay", "posts", "--wait"]).await[0]["state"], "live");
    let with = example("posts-v2");
    reel.ok(&["replay", "posts", "--no-promote", "--wait", "--with", with.to_str().unwrap()]).await;
    let parts = ["view mine.liked depends on", "drop what depends on it first"];
    assert_refused(&reel.run(&["promote", "posts@3"]).await, &parts);
    assert_refused(&reel.run(&["drop", "posts"]).await, &parts);
    raw_sql("SELECT count(likes) FROM mine.liked").execute(&mut session).await.unwrap();

    // One that goes live by itself says the same, waits, and goes on.
    reel.ok(&["replay", "posts", "--with", with.to_str().unwrap()]).await;
    let waits = |status: &Value| status["problem"]["message"].as_str().is_some_and(|why| why.contains("mine.liked"));
    let status = reel.until_status("posts@4", waits).await;
    assert_eq!((&status["state"], &status["condition"]), (&json!("ready"), &json!("running")), "{status}");
    raw_sql("DROP VIEW mine.liked").execute(&mut session).await.unwrap();
    // It says that it waits for nothing any more as soon as its flip has returned.
    reel.until_status("posts@4", |status| status["state"] == "live" && status["problem"].is_null()).await;
}

/// A replica says what it is, at the start and when something is deployed, and is used once it takes writes.
#[tokio::test(flavor = "multi_thread")]
async fn a_read_only_database_says_so_and_is_waited_for() {
    let Some(place) = Place::postgres().await else { return println!("passed over: REEL_TEST_POSTGRES is not set") };
    place.set(Access::ReadOnly).await;
    let reel = place.up().start_to_listen().await;
    let says = "it is a replica, or set to be read only; give the URL of the primary";
    until("the log says what is wrong", async || reel.log().contains(says).then_some(())).await;
    place.set(Access::Writable).await;
    until("it serves", async || reel.log().contains("serving ").then_some(())).await;
    reel.deploy(&example("posts"), &[]).await;
    reel.stop().await;
    place.set(Access::ReadOnly).await;
    let reel = place.start().await;
    let refused = reel.deploy_only(&example("todos"), &[]).await;
    assert_ne!(refused.code, 0);
    assert!(refused.stderr.contains(says), "{}", refused.stderr);
    assert_eq!(reel.get("/read/v1/posts/posts").await.status, 200, "what is there can be read");
}
