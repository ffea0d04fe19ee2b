//! Two generations held against each other while both follow a log that does not rest: they are compared at one position.

use std::sync::Arc;
use std::time::{Duration, Instant};

use reel_e2e::components::example;
use reel_e2e::place::Place;
use reel_e2e::reel::{Reel, answer};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinHandle;

const WRITERS: u64 = 4;
const DIFFS: u64 = 10;

/// Appends to a stream of its own until it is told to stop; how many events.
fn writer(reel: &Arc<Reel>, number: u64, stopped: &watch::Receiver<bool>) -> JoinHandle<u64> {
    let (reel, stopped) = (Arc::clone(reel), stopped.clone());
    tokio::spawn(async move {
        let (mut appended, liked) = (0, json!({ "type": "post-liked", "data": {} }));
        while !*stopped.borrow() {
            let created = json!({ "type": "post-created", "data": { "author": "ann", "message": "m" } });
            let events: Vec<Value> = std::iter::once(created).chain(std::iter::repeat_n(liked.clone(), 9)).collect();
            let path = format!("/commands/v1/streams/post-{number}x{appended}");
            let given = answer(reel.request(Method::POST, &path).json(&json!({ "events": events }))).await;
            assert!(given.status.is_success(), "{given:?}");
            appended += 10;
        }
        appended
    })
}

async fn compared_under_writers(place: Place) {
    let reel = Arc::new(place.start().await);
    reel.deploy(&example("posts"), &[]).await;
    reel.ok(&["replay", "posts", "--no-promote", "--wait"]).await;
    let (stop, stopped) = watch::channel(false);
    let writers: Vec<_> = (0..WRITERS).map(|number| writer(&reel, number, &stopped)).collect();
    let (mut positions, mut slowest) = (Vec::new(), Duration::ZERO);
    for _ in 0..DIFFS {
        let began = Instant::now();
        let same = reel.json(&["diff", "posts@1", "posts@2"]).await.remove(0);
        slowest = slowest.max(began.elapsed());
        assert_eq!(same["equal"], true, "{same}");
        assert_eq!(same["here"]["shards"], same["there"]["shards"], "{same}");
        positions.push(same["here"]["shards"][0]["position"].as_u64().unwrap());
    }
    assert!(positions.windows(2).all(|two| two[0] < two[1]), "the log moved on meanwhile: {positions:?}");
    stop.send_replace(true);
    let mut appended = 0;
    for writer in writers {
        appended += writer.await.unwrap();
    }
    println!(
        "{DIFFS} comparisons while {appended} events were appended, at {positions:?}; the slowest took {slowest:?}"
    );
    // Nobody is held any more.
    for generation in ["posts@1", "posts@2"] {
        reel.until_status(generation, |status| status["position"] == appended).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_generations_are_compared_at_one_position_of_a_busy_log_on_sqlite() {
    compared_under_writers(Place::sqlite()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_generations_are_compared_at_one_position_of_a_busy_log_on_postgres() {
    let Some(place) = Place::postgres().await else { return println!("passed over: REEL_TEST_POSTGRES is not set") };
    compared_under_writers(place).await;
}
