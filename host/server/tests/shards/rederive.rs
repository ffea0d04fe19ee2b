//! Rows of some streams made anew while two hosts share the shards: whoever is asked has each shard's rows written, his or not.

use reel_host::inspect::{Line, Which};
use reel_host::{Host, Rederived};
use reel_read_model::{GenerationState, Promotion};

use crate::bed::{Bed, deployment, in_state, named, reached, rows};
use crate::posts::expected;

async fn rederive(host: &Host, prefixes: &[&str]) -> Rederived {
    let which = Which { wanted: named("posts"), target: None };
    let prefixes = prefixes.iter().map(|prefix| (*prefix).to_owned()).collect();
    let mut report = host.rederive(&which, prefixes).await.unwrap();
    while let Some(line) = report.next().await {
        if let Line::Rederived(rederived) = line.unwrap() {
            return rederived;
        }
    }
    panic!("the report has no end");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_host_makes_rows_of_all_shards_anew() {
    let Some(bed) = Bed::new(4).await else { return };
    bed.happen(60, 0..7).await;
    let (first, target) = bed.host().await;
    let (second, _) = bed.host().await;
    first.deploy(deployment(Promotion::Automatic)).await.unwrap();
    let live = in_state(&target, 1, GenerationState::Live).await;
    reached(&bed.store, &target, &live).await;
    bed.spoil("UPDATE reel_data.g1_posts SET likes = 1000").await;
    let ((), rederived) = tokio::join!(bed.happen(60, 7..9), rederive(&second, &["post-"]));
    assert_eq!(rederived.streams, 60);
    bed.happen(60, 9..10).await;
    reached(&bed.store, &target, &live).await;
    assert_eq!(rows(&target, &live).await, expected(60, 10));

    // Those that begin with 1: 1 and 10 to 19.
    bed.spoil("UPDATE reel_data.g1_posts SET likes = 1000").await;
    let rederived = rederive(&first, &["post-1"]).await;
    assert_eq!((rederived.streams, rederived.events), (11, 110));
    let stored = rows(&target, &live).await;
    let right = expected(60, 10);
    for (id, row) in &stored {
        assert_eq!(row.1 == 1000, !id.starts_with('1'), "{id}");
        assert!(row.1 == 1000 || Some(row) == right.get(id), "{id}: {row:?}");
    }
    bed.end(&[&first, &second]).await;
}
