//! Waiting for one's own write.

use std::time::{Duration, Instant};

use reel_events::{StreamId, token::Token};
use tokio::sync::watch;

use super::bed::{Bed, SHARDS, beds, row, sqlite};
use crate::ReadConfig;

/// A stream that falls into `shard`.
fn stream_in(shard: u32) -> StreamId {
    let streams = (0..).map(|n| StreamId::new(&format!("post-{n}")).unwrap());
    streams.into_iter().find(|stream| stream.partition(SHARDS) == shard).unwrap()
}

fn token(position: u64, shard: u32) -> String {
    Token::new(position, &stream_in(shard)).to_string()
}

async fn read(bed: &Bed, token: &str, timeout: &str) -> super::bed::Got {
    bed.ask("GET", "/posts?select=id", &[("reel-wait-for", token), ("reel-wait-timeout", timeout)]).await
}

#[tokio::test]
async fn what_is_there_is_not_waited_for() {
    for bed in beds().await {
        let got = read(&bed, &token(10, 0), "0s").await;
        assert_eq!((got.ids().as_str(), got.header("reel-position")), ("a b c d", "0"));
        let by_parameter = bed.get(&format!("/posts?select=id&wait-for={}", token(10, 0))).await;
        assert_eq!(by_parameter.ids(), "a b c d");
    }
}

#[tokio::test]
async fn a_read_waits_for_its_own_shard() {
    for bed in beds().await {
        let generation = bed.target.live(&bed.projection).await.unwrap().unwrap();
        let token = token(20, 1);
        let write = async {
            // Another shard's progress must not end the wait.
            bed.commit(&generation, 0, 30, Vec::new()).await;
            bed.commit(&generation, 1, 20, vec![row("e", None, None)]).await;
        };
        let (got, ()) = tokio::join!(read(&bed, &token, "30s"), write);
        assert_eq!((got.ids().as_str(), got.header("reel-position")), ("a b c d e", "20"));
    }
}

#[tokio::test]
async fn a_wait_in_vain_says_where_things_stand() {
    for bed in beds().await {
        let got = read(&bed, &token(11, 0), "30ms").await;
        assert_eq!((got.status, got.header("content-type")), (504, "application/problem+json"));
        let expected =
            format!("{}@1 did not come to position 11 within 30ms: its shard 0 stands at 10", bed.projection);
        assert!(got.text.contains(&expected), "{}", got.text);
    }
}

#[tokio::test]
async fn a_wait_goes_on_with_the_generation_that_went_live() {
    for bed in beds().await {
        assert_eq!(bed.get("/posts?limit=1").await.status, 200);
        let second = bed.deploy(&crate::fixture::document()).await;
        bed.commit(&second, 0, 50, vec![row("z", None, None)]).await;
        let token = token(50, 0);
        let (got, ()) = tokio::join!(read(&bed, &token, "30s"), bed.promote(&second));
        assert_eq!(
            (got.ids().as_str(), got.header("reel-generation")),
            ("z", format!("{}@2", bed.projection).as_str())
        );
    }
}

#[tokio::test]
async fn commits_of_this_process_wake_up() {
    let (sender, receiver) = watch::channel(0);
    let bed = sqlite(ReadConfig { commits: Some(receiver) }).await;
    let generation = bed.deploy(&crate::fixture::document()).await;
    bed.promote(&generation).await;
    let token = token(5, 1);
    let write = async {
        bed.commit(&generation, 1, 5, vec![row("e", None, None)]).await;
        sender.send_modify(|commits| *commits += 1);
    };
    let (got, ()) = tokio::join!(read(&bed, &token, "30s"), write);
    assert_eq!(got.ids(), "e");
    drop(sender);
    let begun = Instant::now();
    assert_eq!(read(&bed, &self::token(6, 1), "50ms").await.status, 504);
    assert!(begun.elapsed() >= Duration::from_millis(50));
}
