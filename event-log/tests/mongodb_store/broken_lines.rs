//! Lost answers, cut connections, a server that is away; and databases that are not ours.

use std::time::Duration;

use mongodb::bson::{Document, doc};
use reel_event_log::{AppendError, Limits, ReadLimit, StoreError, open_store};
use tokio::time::timeout;

use crate::{
    place::{MongoDb, OnServer},
    proxy::Proxy,
    store_conformance::{Place, commit, commit_at},
};

const PATIENCE: Duration = Duration::from_secs(60);

async fn place() -> Option<OnServer<MongoDb>> {
    if OnServer::<MongoDb>::is_given() { Some(OnServer::new().await) } else { None }
}

/// The store's URL through the proxy: without `directConnection`, the driver would go on to the address that the server names.
fn proxied(place: &OnServer<MongoDb>, proxy: &Proxy) -> String {
    format!("{}&directConnection=true", place.url_at(&proxy.url()))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_whose_answer_was_lost_is_found_and_not_written_twice() {
    let Some(place) = place().await else { return };
    let proxy = Proxy::to(&place.url()).await;
    let store = open_store(&proxied(&place, &proxy), Limits::default()).await.unwrap();
    for version in 0..10 {
        proxy.lose_the_answer_to_the_next_insert();
        let sent = commit_at("a-1", 2 * version, 2);
        let appended = timeout(PATIENCE, store.append(sent.clone())).await.unwrap().unwrap();
        assert!(proxy.has_lost_it(), "the insert was seen");
        assert_eq!((appended.first_position, appended.repeated), (2 * version + 1, false), "it is this call's own");
        let again = store.append(sent).await.unwrap();
        assert_eq!((again.first_position, again.repeated), (appended.first_position, true));
    }
    assert_eq!(store.read(0, ReadLimit::events(100)).await.unwrap().len(), 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn cut_connections_are_made_again_and_a_server_that_is_away_is_unavailable() {
    let Some(place) = place().await else { return };
    let proxy = Proxy::to(&place.url()).await;
    let url = format!("{}&serverSelectionTimeoutMS=500", proxied(&place, &proxy));
    let store = open_store(&url, Limits::default()).await.unwrap();
    for version in 0..5 {
        proxy.cut();
        let appended = timeout(PATIENCE, store.append(commit_at("a-1", version, 1))).await.unwrap().unwrap();
        assert_eq!(appended.first_position, version + 1);
    }
    proxy.refuse();
    let sent = commit_at("a-1", 5, 1);
    let refused = timeout(PATIENCE, store.append(sent.clone())).await.unwrap().unwrap_err();
    assert!(
        matches!(&refused, AppendError::Store(error) if matches!(**error, StoreError::Unavailable { .. })),
        "{refused:?}"
    );
    assert!(matches!(store.head().await, Err(StoreError::Unavailable { .. })));
    proxy.connect_again();
    let appended = loop {
        match timeout(PATIENCE, store.append(sent.clone())).await.unwrap() {
            Ok(appended) => break appended,
            Err(AppendError::Store(_)) => {}
            Err(other) => panic!("{other:?}"),
        }
    };
    assert_eq!(appended.first_position, 6);
    assert_eq!(store.head().await.unwrap().position, 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_stands_alone_is_refused_unless_the_url_accepts_it() {
    let Some(place) = place().await else { return };
    let hello = place.database.run_command(doc! { "hello": 1 }).await.unwrap();
    let url = place.url().replace("?reel-standalone=true", "");
    match open_store(&url, Limits::default()).await.map(|store| store.log_id()) {
        Ok(_) => assert!(hello.contains_key("setName")),
        Err(StoreError::Refused { reason, .. }) => assert!(reason.contains("reel-standalone=true"), "{reason}"),
        Err(other) => panic!("{other:?}"),
    }
}

async fn refusal(place: &OnServer<MongoDb>) -> String {
    match open_store(&place.url(), Limits::default()).await.err() {
        Some(StoreError::Unreadable { reason, .. }) => reason,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_of_another_shape_are_refused_by_name() {
    let Some(place) = place().await else { return };
    let commits = place.database.collection::<Document>("commits");
    commits.insert_one(doc! { "_id": "of somebody", "text": "x" }).await.unwrap();
    let reason = refusal(&place).await;
    assert!(reason.contains("\"of somebody\"") && reason.contains("\"position\""), "{reason}");
    commits.delete_many(doc! {}).await.unwrap();

    let store = place.open(Limits::default()).await;
    store.append(commit("a-1", 1)).await.unwrap();
    drop(store);
    let log = place.database.collection::<Document>("log");
    log.update_one(doc! {}, doc! { "$set": { "format": 2 } }).await.unwrap();
    let reason = refusal(&place).await;
    assert!(reason.contains("format 2") && reason.contains("newer version"), "{reason}");
    log.delete_many(doc! {}).await.unwrap();
    let reason = refusal(&place).await;
    assert!(reason.contains("does not say of which log"), "{reason}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_who_may_not_make_the_indexes_is_refused_with_what_to_do_until_somebody_made_them() {
    let Some(place) = place().await else { return };
    let proxy = Proxy::to(&place.url()).await;
    proxy.forbid("createIndexes");
    let url = proxied(&place, &proxy);
    match open_store(&url, Limits::default()).await.err() {
        Some(StoreError::Refused { location, reason }) => {
            assert!(location.ends_with(place.database.name()), "{location}");
            assert!(reason.contains("readWrite") && reason.contains("db.commits.createIndex("), "{reason}");
            for name in ["position", "stream_version", "event_id"] {
                assert!(reason.contains(&format!("name: \"{name}\", unique: true")), "{reason}");
            }
        }
        other => panic!("{other:?}"),
    }
    drop(place.open(Limits::default()).await);
    let store = open_store(&url, Limits::default()).await.unwrap();
    assert_eq!(store.append(commit("a-1", 1)).await.unwrap().first_position, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_who_may_not_write_is_refused_by_name() {
    let Some(place) = place().await else { return };
    let proxy = Proxy::to(&place.url()).await;
    drop(place.open(Limits::default()).await);
    proxy.forbid("insert");
    let store = open_store(&proxied(&place, &proxy), Limits::default()).await.unwrap();
    let refused = timeout(PATIENCE, store.append(commit("a-1", 1))).await.unwrap().unwrap_err();
    let AppendError::Store(error) = refused else { panic!("{refused:?}") };
    let StoreError::Refused { reason, .. } = &*error else { panic!("{error:?}") };
    assert!(reason.contains("not authorized to execute command insert"), "{reason}");
}

#[tokio::test]
async fn nobody_at_the_address_is_unavailable_and_shows_no_password() {
    let url = "mongodb://user:secret@127.0.0.1:1/d?serverSelectionTimeoutMS=200";
    let error = open_store(url, Limits::default()).await.err().unwrap();
    assert!(matches!(error, StoreError::Unavailable { .. }), "{error:?}");
    let shown = format!("{error} {error:?}");
    assert!(shown.contains("127.0.0.1:1/d") && !shown.contains("secret"), "{shown}");
    let error = open_store("mysql://u:secret@h/d", Limits::default()).await.err().unwrap();
    let shown = format!("{error} {error:?}");
    assert!(shown.contains("sqlite:PATH") && !shown.contains("secret"), "{shown}");
}
