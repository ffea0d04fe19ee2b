//! Which generation answers: the live one, also right after a flip, or the one that was named.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use reel_read_model::target::DropScope;
use serde_json::json;

use super::bed::{Bed, beds, row};
use crate::fixture::document;

#[tokio::test]
async fn reads_follow_the_flip() {
    for bed in beds().await {
        let name = bed.projection.clone();
        assert_eq!(bed.get("/posts?limit=1").await.header("reel-generation"), format!("{name}@1"));
        let mut changed = document();
        changed["version"] = json!("2.0.0");
        changed["tables"][0]["columns"][2]["name"] = json!("hearts");
        changed["queries"] = json!([{ "name": "loved", "table": "posts", "query": "hearts=gt.5" }]);
        let second = bed.deploy(&changed).await;
        bed.commit(&second, 0, 10, vec![row("z", Some("zoe"), Some(9))]).await;
        assert_eq!(bed.get("/posts?select=id").await.ids(), "a b c d");
        bed.promote(&second).await;
        // Kept in memory is still the first one: a plain read, a column and a query that only the second one has.
        let got = bed.get("/posts?select=id").await;
        assert_eq!((got.ids().as_str(), got.header("reel-generation")), ("z", format!("{name}@2").as_str()));
        assert_eq!(bed.get("/loved").await.ids(), "z");
        assert_eq!(bed.get("/posts?likes=gt.1").await.status, 400);
        let pinned = bed.get("@1/posts?likes=gt.5").await;
        assert_eq!((pinned.ids().as_str(), pinned.header("reel-generation")), ("a d", format!("{name}@1").as_str()));
    }
}

#[tokio::test]
async fn what_only_the_new_generation_has_is_found_at_once() {
    for bed in beds().await {
        assert_eq!(bed.get("/posts?limit=1").await.status, 200);
        let mut changed = document();
        changed["queries"] = json!([{ "name": "loved", "table": "posts", "query": "likes=gt.5" }]);
        let second = bed.deploy(&changed).await;
        bed.promote(&second).await;
        assert_eq!(bed.get("/loved").await.text, "[]");
    }
}

#[tokio::test]
async fn what_was_dropped_is_not_found_any_more() {
    for bed in beds().await {
        let first = bed.target.live(&bed.projection).await.unwrap().unwrap();
        assert_eq!(bed.get("@1/posts?limit=1").await.status, 200);
        let second = bed.deploy(&crate::fixture::document()).await;
        bed.promote(&second).await;
        bed.target.drop_generation(first.id, DropScope::Generation).await.unwrap();
        let got = bed.get("@1/posts").await;
        assert_eq!(got.status, 404, "{}", got.text);
        assert_eq!(bed.get("/posts").await.text, "[]");
    }
}

#[tokio::test]
async fn what_there_is_to_read_is_listed() {
    for bed in beds().await {
        let own = bed.get("").await.json();
        assert_eq!((&own["name"], &own["state"]), (&json!(bed.projection), &json!("live")));
        assert_eq!(own["tables"][0]["key"], json!(["id"]));
        let price = json!({ "name": "price", "type": "decimal(18,2)", "nullable": true });
        assert_eq!(own["tables"][0]["columns"][5], price);
        assert_eq!(own["queries"][0]["parameters"][1]["default"], "0");
        for path in ["/read/v1", "/read/v1/"] {
            let all = bed.send("GET", path, &[]).await.json();
            let listed = all["projections"].as_array().unwrap().iter().find(|one| one["name"] == own["name"]);
            assert_eq!(listed, Some(&own));
        }
    }
}

/// Reads until `done`; each answer must be wholly of the generation that it names.
async fn keep_reading(bed: Arc<Bed>, done: Arc<AtomicBool>, seen: Arc<[AtomicBool; 2]>) {
    while !done.load(Ordering::Relaxed) {
        let got = bed.ask("GET", "/posts?select=id", &[("prefer", "count=exact")]).await;
        let answer = (got.header("content-range").to_owned(), got.ids());
        let (index, expected) = match got.header("reel-generation").rsplit_once('@').unwrap().1 {
            "1" => (0, ("0-3/4", "a b c d")),
            _ => (1, ("0-0/1", "z")),
        };
        assert_eq!((answer.0.as_str(), answer.1.as_str()), expected);
        seen[index].store(true, Ordering::Relaxed);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_see_no_gap_while_generations_flip_to_and_fro() {
    for bed in beds().await.into_iter().map(Arc::new) {
        let first = bed.target.live(&bed.projection).await.unwrap().unwrap();
        let mut changed = document();
        changed["tables"][0]["columns"][2]["name"] = json!("hearts");
        let second = bed.deploy(&changed).await;
        bed.commit(&second, 0, 10, vec![row("z", Some("zoe"), Some(9))]).await;
        let (done, seen) =
            (Arc::new(AtomicBool::new(false)), Arc::new([AtomicBool::new(false), AtomicBool::new(false)]));
        let readers = [(); 2].map(|()| tokio::spawn(keep_reading(bed.clone(), done.clone(), seen.clone())));
        let deadline = Instant::now() + Duration::from_secs(20);
        let mut flips = 0;
        while flips < 40 || !seen.iter().all(|seen| seen.load(Ordering::Relaxed)) {
            assert!(Instant::now() < deadline, "only one generation ever answered");
            bed.promote(if flips % 2 == 0 { &second } else { &first }).await;
            flips += 1;
        }
        done.store(true, Ordering::Relaxed);
        for reader in readers {
            reader.await.unwrap();
        }
    }
}
