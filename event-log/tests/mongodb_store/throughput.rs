//! How many commands a second the store takes, held against what the same server takes in bare ordered batches of the same
//! documents. Only in a release build, on a quiet machine, do the numbers mean anything:
//! `cargo test --release -p reel-event-log --test mongodb_store -- --ignored --nocapture --test-threads=1`

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bson::{RawDocumentBuf, doc};
use futures::TryStreamExt;
use mongodb::{
    Collection, IndexModel,
    options::{Acknowledgment, CollectionOptions, IndexOptions, WriteConcern},
};
use reel_event_log::Limits;
use tokio::task::JoinSet;

use crate::{
    place::{MongoDb, OnServer},
    store_conformance::{Place, commit},
};

const CLIENTS: usize = 64;
const COMMANDS: usize = 100;

/// Commands a second, one after the other from each client.
async fn commands(place: &OnServer<MongoDb>) -> f64 {
    let store = place.open(Limits::default()).await;
    let mut clients = JoinSet::new();
    let began = Instant::now();
    for client in 0..CLIENTS {
        let store = Arc::clone(&store);
        clients.spawn(async move {
            for nth in 0..COMMANDS {
                store.append(commit(&format!("post-{client}-{}", nth % 8), 1)).await.unwrap();
            }
        });
    }
    clients.join_all().await;
    rate(began.elapsed())
}

fn rate(spent: Duration) -> f64 {
    (CLIENTS * COMMANDS) as f64 / spent.as_secs_f64()
}

/// The same documents in batches of as many as there are clients, under the same indexes.
async fn bare(place: &OnServer<MongoDb>) -> f64 {
    let written: Collection<RawDocumentBuf> = place.database.collection("commits");
    let documents: Vec<RawDocumentBuf> =
        written.find(doc! {}).sort(doc! { "position": 1 }).await.unwrap().try_collect().await.unwrap();
    assert_eq!(documents.len(), CLIENTS * COMMANDS);
    let concern = WriteConcern::builder().w(Acknowledgment::Majority).journal(true).build();
    let options = CollectionOptions::builder().write_concern(concern).build();
    let bare: Collection<RawDocumentBuf> = place.database.collection_with_options("bare", options);
    let unique = IndexOptions::builder().unique(true).build();
    let keys = [doc! { "position": 1 }, doc! { "stream": 1, "version": 1 }, doc! { "events.id": 1 }];
    let index = |keys| IndexModel::builder().keys(keys).options(unique.clone()).build();
    bare.create_indexes(keys.map(index)).await.unwrap();
    let began = Instant::now();
    for batch in documents.chunks(CLIENTS) {
        bare.insert_many(batch).ordered(true).await.unwrap();
    }
    rate(began.elapsed())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "measures: needs a release build and a quiet machine"]
async fn commands_against_bare_batches() {
    if !OnServer::<MongoDb>::is_given() {
        return;
    }
    let place = OnServer::<MongoDb>::new().await;
    let (commands, bare) = (commands(&place).await, bare(&place).await);
    let ratio = commands / bare;
    println!("{CLIENTS} clients: {commands:.0} commands/s, bare batches {bare:.0}/s, ratio {ratio:.2}");
    assert!(ratio >= 0.7, "{ratio}");
}
