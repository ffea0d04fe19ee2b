//! Many stores on one log, as in many processes. Only for places that can be opened more than once, so a module of its own
//! beside the suite.

use std::{collections::HashMap, sync::Arc};

use futures::future::join_all;
use reel_event_log::{AppendError, Appended, EventStore, Limits, NewCommit, ReadLimit};
use reel_events::EventBatch;
use tokio::{task::JoinSet, time::timeout};

use crate::store_conformance::{
    Place, commit, commit_at,
    concurrency::{PATIENCE, follow, write},
    stream,
};

/// Every case, as a test of the given place.
macro_rules! store_conformance_of_many {
    ($name:ident: $place:ty) => {
        mod $name {
            use super::*;
            $crate::store_conformance::store_conformance!($place;
                store_conformance_of_many::stores_that_write_at_once_leave_no_gap_and_readers_see_no_hole,
                store_conformance_of_many::of_stores_that_expect_the_same_version_one_wins,
                store_conformance_of_many::a_commit_that_many_stores_send_is_one_commit,
                store_conformance_of_many::a_store_learns_what_another_appended,
                store_conformance_of_many::a_log_is_founded_once,
            );
        }
    };
}
pub(crate) use store_conformance_of_many;

const STORES: usize = 3;
/// Callers of each store.
const CALLERS: usize = 3;
const COMMITS: usize = 12;

async fn stores<P: Place>(place: &P) -> Vec<Arc<dyn EventStore>> {
    join_all((0..STORES).map(|_| place.open(Limits::default()))).await
}

pub(crate) async fn stores_that_write_at_once_leave_no_gap_and_readers_see_no_hole<P: Place>() {
    let place = P::new().await;
    let stores = stores(&place).await;
    let events: usize = STORES * CALLERS * (0..COMMITS).map(|nth| 1 + nth % 3).sum::<usize>();
    let mut readers = JoinSet::new();
    for (store, limit) in stores.iter().zip([1, 7, 1000]) {
        readers.spawn(follow(Arc::clone(store), events, limit));
    }
    let mut writers = JoinSet::new();
    for writer in 0..STORES * CALLERS {
        writers.spawn(write(Arc::clone(&stores[writer % STORES]), writer, COMMITS));
    }
    let answers = timeout(PATIENCE, writers.join_all()).await.unwrap().concat();
    let logs = timeout(PATIENCE, readers.join_all()).await.unwrap();
    assert!(logs.windows(2).all(|pair| pair[0] == pair[1]), "all readers saw the same log");
    let mut versions: HashMap<&str, u64> = HashMap::new();
    for (_, version, stream) in &logs[0] {
        let last = versions.entry(stream).or_default();
        assert_eq!(*version, *last + 1, "{stream}");
        *last = *version;
    }
    let mut taken: Vec<u64> = answers.iter().flat_map(|a| a.first_position..=a.last_position()).collect();
    taken.sort_unstable();
    assert_eq!(taken, (1..=events as u64).collect::<Vec<_>>(), "every position was given once");
    let times: EventBatch = stores[0].read(0, ReadLimit::events(events)).await.unwrap();
    let times: Vec<i64> = times.iter().map(|event| event.recorded_at).collect();
    assert!(times.is_sorted(), "time never goes back");
}

pub(crate) async fn of_stores_that_expect_the_same_version_one_wins<P: Place>() {
    let place = P::new().await;
    let stores = stores(&place).await;
    for version in 0..5 {
        let answers = join_all(stores.iter().map(|store| store.append(commit_at("a-1", version, 1)))).await;
        assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1);
        for answer in answers.into_iter().filter_map(Result::err) {
            assert!(matches!(answer, AppendError::Conflict { actual, .. } if actual == version + 1), "{answer:?}");
        }
    }
    // What one store knows of a stream is out of date when another has written it; a refusal must not come of that.
    let first = stores[0].append(commit_at("a-1", 5, 2)).await.unwrap();
    assert_eq!(first.last_version(), 7);
    stores[1].append(commit_at("a-1", 7, 1)).await.unwrap();
    assert_eq!(stores[0].append(commit_at("a-1", 8, 1)).await.unwrap().first_version, 9);
    assert_eq!(stores[2].read_stream(&stream("a-1"), 0, ReadLimit::events(100)).await.unwrap().len(), 9);
}

pub(crate) async fn a_commit_that_many_stores_send_is_one_commit<P: Place>() {
    let place = P::new().await;
    let stores = stores(&place).await;
    for version in 0..5 {
        let once = commit_at("a-1", 2 * version, 2);
        let send = |store: &Arc<dyn EventStore>| {
            let (store, once) = (Arc::clone(store), once.clone());
            async move { store.append(once).await.unwrap() }
        };
        let answers: Vec<Appended> = join_all(stores.iter().chain(&stores).map(send)).await;
        assert_eq!(answers.iter().filter(|appended| !appended.repeated).count(), 1, "{answers:?}");
        let place = |appended: &Appended| Appended { repeated: true, ..*appended };
        assert!(answers.iter().all(|appended| place(appended) == place(&answers[0])), "{answers:?}");
        let other = NewCommit { digest: [9; 32], ..once };
        assert!(matches!(stores[0].append(other).await, Err(AppendError::CommitReused { .. })));
    }
    // An event goes into the log once, whichever store takes it.
    let held = commit("b-1", 2);
    stores[0].append(held.clone()).await.unwrap();
    let mut second = commit("c-1", 3);
    second.events[2].id = held.events[1].id;
    assert!(matches!(stores[1].append(second).await, Err(AppendError::EventExists { id }) if id == held.events[1].id));
    assert_eq!(stores[2].head().await.unwrap().position, 12);
}

pub(crate) async fn a_store_learns_what_another_appended<P: Place>() {
    let place = P::new().await;
    let stores = stores(&place).await;
    let mut watch = stores[1].watch();
    let watcher = tokio::spawn(async move {
        while *watch.borrow_and_update() < 20 {
            watch.changed().await.unwrap();
        }
    });
    for _ in 0..20 {
        stores[0].append(commit("a-1", 1)).await.unwrap();
    }
    timeout(PATIENCE, watcher).await.unwrap().unwrap();
}

pub(crate) async fn a_log_is_founded_once<P: Place>() {
    let place = P::new().await;
    let stores = stores(&place).await;
    assert!(stores.iter().all(|store| store.log_id() == stores[0].log_id()));
}
