//! Fifty promotes and rollbacks under sixteen readers, a writer and SQL clients: nobody sees an error, anything half done, or a count that
//! goes back.

use std::sync::Arc;
use std::time::{Duration, Instant};

use reel_e2e::components::example;
use reel_e2e::fold::{Fold, assert_rows};
use reel_e2e::reel::{Reel, answer};
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::{Connection, PgConnection, Row, query, raw_sql};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use reel_e2e::place::Place;

const FLIPS: u32 = 50;
const READERS: usize = 16;

/// `posts` live, `posts-v2` ready beside it, some posts in both.
async fn side_by_side(place: &Place) -> Arc<Reel> {
    let reel = Arc::new(place.start().await);
    for _ in 0..20 {
        write(&reel).await;
    }
    reel.deploy(&example("posts"), &[]).await;
    let with = example("posts-v2");
    let ready = reel.json(&["replay", "posts", "--with", with.to_str().unwrap(), "--no-promote", "--wait"]).await;
    assert_eq!((&ready[0]["generation"], &ready[0]["state"]), (&json!("posts@2"), &json!("ready")));
    reel
}

async fn write(reel: &Reel) -> String {
    let made = reel.command(Method::POST, "/posts", &json!({ "author": "ann", "message": "m" })).await;
    made["token"].as_str().unwrap().to_owned()
}

/// Writes until it is told to stop; the longest that one command took, and the last token.
fn writer(reel: &Arc<Reel>, stopped: &watch::Receiver<bool>) -> JoinHandle<String> {
    let (reel, stopped) = (Arc::clone(reel), stopped.clone());
    tokio::spawn(async move {
        loop {
            let token = write(&reel).await;
            if *stopped.borrow() {
                return token;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
}

/// Reads until it is told to stop: how often, and how often another generation answered than before.
fn reader(reel: &Arc<Reel>, stopped: &watch::Receiver<bool>) -> JoinHandle<(u32, u32)> {
    let (reel, stopped) = (Arc::clone(reel), stopped.clone());
    tokio::spawn(async move {
        let (mut reads, mut flips, mut last, mut before) = (0, 0, 0, String::new());
        while !*stopped.borrow() {
            let request = reel.request(Method::GET, "/read/v1/posts/posts?order=posted_at.desc&limit=7");
            let answer = answer(request.header("prefer", "count=exact")).await;
            assert!(answer.status.is_success(), "{answer:?}");
            let generation = answer.header("reel-generation").to_owned();
            let member = if generation == "posts@1" { "likes" } else { "score" };
            assert_eq!(answer.rows().len(), 7, "half an answer: {answer:?}");
            assert!(answer.rows().iter().all(|row| row.get(member).is_some()), "of two generations: {answer:?}");
            let total: u64 = answer.header("content-range").rsplit_once('/').unwrap().1.parse().unwrap();
            assert!(total >= last, "{generation} went back from {last} to {total}");
            (reads, flips) = (reads + 1, flips + u32::from(generation != before));
            (last, before) = (total, generation);
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        (reads, flips)
    })
}

/// Promotes what is not live, again and again.
async fn flip_often(reel: &Reel, flips: u32) {
    for number in 0..flips {
        let path = match number % 4 {
            0 => "posts@2/promote",
            2 => "posts@2/promote",
            _ => "posts/rollback",
        };
        let done = answer(reel.request(Method::POST, &format!("/admin/v1/projections/{path}"))).await;
        assert!(done.status.is_success(), "flip {number}: {done:?}\n{}", reel.log());
        assert_eq!(done.body["state"], "live", "{done:?}");
    }
}

async fn assert_oracle(reel: &Reel, token: &str) {
    let fold = Fold::of(&reel.ok(&["export"]).await);
    for (generation, expected) in [("posts@1", fold.posts()), ("posts@2", fold.scored_posts())] {
        let path = format!("/read/v1/{generation}/posts?order=id&wait-timeout=60s&wait-for={token}");
        let read = reel.get(&path).await;
        assert_eq!(read.status, 200, "{read:?}");
        assert_rows(generation, read.rows(), &expected);
    }
}

async fn flipped_under_load(place: Place) {
    let reel = side_by_side(&place).await;
    let (stop, stopped) = watch::channel(false);
    let client = match place.session().await {
        Some(session) => Some(tokio::spawn(sql_client(grant(session).await, stopped.clone()))),
        None => None,
    };
    let readers: Vec<_> = (0..READERS).map(|_| reader(&reel, &stopped)).collect();
    let writer = writer(&reel, &stopped);
    let began = Instant::now();
    flip_often(&reel, FLIPS).await;
    println!("{FLIPS} flips in {:?}", began.elapsed());
    stop.send_replace(true);
    let mut seen = 0;
    for reader in readers {
        let (reads, flips) = reader.await.unwrap();
        assert!(reads > 5, "it read {reads} times");
        seen = seen.max(flips);
    }
    assert!(seen > 5, "the readers saw flips: {seen}");
    let token = writer.await.unwrap();
    if let Some(client) = client {
        println!("{} reads of the view", client.await.unwrap());
    }
    assert_oracle(&reel, &token).await;
}

/// Somebody who may read the view only; everything is granted once, before the first flip.
async fn grant(mut session: PgConnection) -> PgConnection {
    let role = format!("reel_reader_{}", uuid::Uuid::new_v4().simple());
    let granted = format!(
        "CREATE ROLE {role}; GRANT USAGE ON SCHEMA posts TO {role}; GRANT SELECT ON posts.posts TO {role}; SET ROLE {role}"
    );
    raw_sql(sqlx::AssertSqlSafe(granted)).execute(&mut session).await.unwrap();
    session
}

/// A client of SQL with a prepared statement, that reads the view by its rights; how often. It cleans up its role.
async fn sql_client(mut session: PgConnection, stopped: watch::Receiver<bool>) -> u32 {
    let (mut reads, mut last) = (0, 0);
    while !*stopped.borrow() {
        let row = query("SELECT count(*), current_user::text FROM posts.posts").fetch_one(&mut session).await;
        let count: i64 = row.expect("its grants survive every flip").get(0);
        assert!(count >= last, "the view went back from {last} to {count}");
        (reads, last) = (reads + 1, count);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let role: String = query("SELECT current_user::text").fetch_one(&mut session).await.unwrap().get(0);
    let gone = format!("RESET ROLE; DROP OWNED BY {role}; DROP ROLE {role}");
    raw_sql(sqlx::AssertSqlSafe(gone)).execute(&mut session).await.unwrap();
    session.close().await.unwrap();
    reads
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_flips_show_no_reader_anything_half_done_on_sqlite() {
    flipped_under_load(Place::sqlite()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_flips_show_no_reader_anything_half_done_on_postgres() {
    let Some(place) = Place::postgres().await else { return println!("passed over: REEL_TEST_POSTGRES is not set") };
    flipped_under_load(place).await;
}

/// A session that holds the view keeps the flip waiting, and nobody else: rows go on arriving, other sessions go on reading.
#[tokio::test(flavor = "multi_thread")]
async fn an_open_transaction_on_the_view_keeps_only_the_flip_waiting() {
    let Some(place) = Place::postgres().await else { return println!("passed over: REEL_TEST_POSTGRES is not set") };
    let reel = side_by_side(&place).await;
    let mut holder = place.session().await.unwrap();
    raw_sql("BEGIN; SELECT count(*) FROM posts.posts").execute(&mut holder).await.unwrap();
    let flip = {
        let reel = Arc::clone(&reel);
        tokio::spawn(async move { answer(reel.request(Method::POST, "/admin/v1/projections/posts@2/promote")).await })
    };
    // Nor does anything else that an operator does.
    let asked = Instant::now();
    reel.deploy(&example("todos"), &[]).await;
    println!("another projection is deployed within {:?} meanwhile", asked.elapsed());
    assert!(asked.elapsed() < Duration::from_secs(15), "a deployment waited for {:?}", asked.elapsed());
    assert!(!flip.is_finished(), "the view is held: {:?}", flip.await);
    let mut other = place.session().await.unwrap();
    let (began, mut slowest) = (Instant::now(), Duration::ZERO);
    while began.elapsed() < Duration::from_secs(3) {
        let asked = Instant::now();
        let token = write(&reel).await;
        let read = reel.get(&format!("/read/v1/posts/posts?limit=1&wait-timeout=30s&wait-for={token}")).await;
        assert_eq!(read.status, 200, "{read:?}");
        query("SELECT count(*) FROM posts.posts").fetch_one(&mut other).await.unwrap();
        slowest = slowest.max(asked.elapsed());
    }
    assert!(!flip.is_finished(), "the view is held: {:?}", flip.await);
    println!("slowest from command to row and view while the flip waits: {slowest:?}");
    assert!(slowest < Duration::from_secs(2), "somebody waited for {slowest:?}");
    raw_sql("COMMIT").execute(&mut holder).await.unwrap();
    let flipped = flip.await.unwrap();
    assert_eq!((flipped.status.as_u16(), &flipped.body["state"]), (200, &Value::from("live")), "{flipped:?}");
}
