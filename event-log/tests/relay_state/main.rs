//! What every relay state must do, whatever it is kept in: one suite, run against each adapter.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::print_stdout, reason = "a case that is passed over says so")]

use std::sync::Arc;

use ::mongodb::{Client, Database, options::ClientOptions};
use async_trait::async_trait;
use reel_event_log::{
    StoreError,
    relay::state::{
        Layout, MongoRelayState, RelayRecord, RelayState, Replaced, SqliteRelayState, Stamp, open_relay_state,
    },
};
use tempfile::TempDir;
use uuid::Uuid;

/// Where a record is kept, none at first.
#[async_trait]
trait Place: Send + Sync + Sized {
    /// What the server lacks for [`of_many_that_replace_at_once_one_wins`], if anything. Then two relays may lead for a moment: what the
    /// topic gets twice or late, its consumers drop.
    const LACKS: Option<&str> = None;

    /// A new, empty place; nothing where the server for it is not given.
    async fn new() -> Option<Self>;

    /// Opens what is kept here, as another process would.
    async fn open(&self) -> Arc<dyn RelayState>;

    /// Removes it.
    async fn clear(self) {}
}

struct File(TempDir);

#[async_trait]
impl Place for File {
    async fn new() -> Option<File> {
        Some(File(tempfile::tempdir().unwrap()))
    }

    async fn open(&self) -> Arc<dyn RelayState> {
        Arc::new(SqliteRelayState::open(self.0.path().join("relay.db")).unwrap())
    }
}

/// A database of its own on the server that the variable `REEL_TEST_…` gives.
struct Mongo<const SERVER: usize>(Database);

/// Those that speak MongoDB's protocol.
const SERVERS: [&str; 2] = ["mongodb", "ferretdb"];

#[async_trait]
impl<const SERVER: usize> Place for Mongo<SERVER> {
    const LACKS: Option<&str> = match SERVER {
        1 => Some("FerretDB 1.x reads and replaces a document in two steps, so of many at once several may replace it"),
        _ => None,
    };

    async fn new() -> Option<Mongo<SERVER>> {
        let variable = format!("REEL_TEST_{}", SERVERS[SERVER].to_uppercase());
        let Ok(url) = std::env::var(&variable) else {
            let required = std::env::var("REEL_TEST_REQUIRE").unwrap_or_default();
            let asked = required.split(',').any(|name| name.trim() == SERVERS[SERVER]);
            assert!(!asked, "REEL_TEST_REQUIRE names {}, but {variable} is not set", SERVERS[SERVER]);
            println!("passed over: {variable} is not set");
            return None;
        };
        let mut options = ClientOptions::parse(&url).await.unwrap();
        options.retry_writes = Some(false);
        let name = format!("reel_test_{}", Uuid::now_v7().simple());
        Some(Mongo(Client::with_options(options).unwrap().database(&name)))
    }

    async fn open(&self) -> Arc<dyn RelayState> {
        Arc::new(MongoRelayState::new(&self.0, "a test's"))
    }

    async fn clear(self) {
        self.0.drop().await.unwrap();
    }
}

fn record(epoch: u64, beat: u64) -> RelayRecord {
    RelayRecord {
        stamp: Stamp { epoch, beat },
        holder: Some(format!("holder {epoch}")),
        layouts: vec![Layout { from: 1, partitions: 3 }],
        ..RelayRecord::default()
    }
}

async fn a_record_is_replaced_by_who_knows_its_stamp<P: Place>() {
    let Some(place) = P::new().await else { return };
    let state = place.open().await;
    assert_eq!(state.read().await.unwrap(), RelayRecord::default());
    assert_eq!(state.replace(Stamp { epoch: 1, beat: 0 }, &record(2, 0)).await.unwrap(), Replaced::Superseded);
    assert_eq!(state.replace(Stamp::default(), &record(1, 0)).await.unwrap(), Replaced::Done);
    assert_eq!(state.replace(Stamp::default(), &record(1, 0)).await.unwrap(), Replaced::Superseded);
    assert_eq!(state.replace(record(1, 0).stamp, &record(1, 1)).await.unwrap(), Replaced::Done);
    assert_eq!(state.replace(record(1, 0).stamp, &record(1, 1)).await.unwrap(), Replaced::Superseded);
    assert_eq!(state.read().await.unwrap(), record(1, 1));
    place.clear().await;
}

async fn another_process_sees_it_and_supersedes<P: Place>() {
    let Some(place) = P::new().await else { return };
    let (first, second) = (place.open().await, place.open().await);
    assert_eq!(first.replace(Stamp::default(), &record(1, 0)).await.unwrap(), Replaced::Done);
    assert_eq!(second.read().await.unwrap(), record(1, 0));
    assert_eq!(second.replace(record(1, 0).stamp, &record(2, 0)).await.unwrap(), Replaced::Done);
    assert_eq!(first.replace(record(1, 0).stamp, &record(1, 1)).await.unwrap(), Replaced::Superseded);
    drop((first, second));
    assert_eq!(place.open().await.read().await.unwrap(), record(2, 0));
    place.clear().await;
}

async fn of_many_that_replace_at_once_one_wins<P: Place>() {
    let Some(place) = P::new().await else { return };
    if let Some(lacks) = P::LACKS {
        println!("passed over: {lacks}");
        return place.clear().await;
    }
    let mut from = Stamp::default();
    for round in 1..=5 {
        let mut tasks = Vec::new();
        for nth in 0..4 {
            let state = place.open().await;
            let to = record(round, nth);
            tasks.push(tokio::spawn(async move { (state.replace(from, &to).await.unwrap(), to.stamp) }));
        }
        let mut winners = Vec::new();
        for task in tasks {
            if let (Replaced::Done, stamp) = task.await.unwrap() {
                winners.push(stamp);
            }
        }
        assert_eq!(winners.len(), 1);
        from = winners[0];
        assert_eq!(place.open().await.read().await.unwrap().stamp, from);
    }
    place.clear().await;
}

macro_rules! relay_state_conformance {
    ($($name:ident: $place:ty),* $(,)?) => {
        $(mod $name {
            #[tokio::test(flavor = "multi_thread")]
            async fn a_record_is_replaced_by_who_knows_its_stamp() {
                super::a_record_is_replaced_by_who_knows_its_stamp::<$place>().await;
            }

            #[tokio::test(flavor = "multi_thread")]
            async fn another_process_sees_it_and_supersedes() {
                super::another_process_sees_it_and_supersedes::<$place>().await;
            }

            #[tokio::test(flavor = "multi_thread")]
            async fn of_many_that_replace_at_once_one_wins() {
                super::of_many_that_replace_at_once_one_wins::<$place>().await;
            }
        })*
    };
}

relay_state_conformance!(sqlite: super::File, mongodb: super::Mongo<0>, ferretdb: super::Mongo<1>);

#[tokio::test]
async fn it_is_opened_by_the_store_s_url() {
    let place = File::new().await.unwrap();
    let url = format!("sqlite:{}", place.0.path().join("store.sqlite").display());
    let state = open_relay_state(&url).await.unwrap();
    assert_eq!(state.replace(Stamp::default(), &record(1, 0)).await.unwrap(), Replaced::Done);
    assert!(place.0.path().join("store.sqlite.relay").exists());
    let wrong = open_relay_state("redis://bob:secret@host").await.err().unwrap();
    assert!(matches!(wrong, StoreError::Refused { .. }) && !wrong.to_string().contains("secret"), "{wrong}");
    let Some(place) = Mongo::<0>::new().await else { return };
    let server = std::env::var("REEL_TEST_MONGODB").unwrap();
    let url = format!("{}/{}?reel-standalone=true", server.trim_end_matches('/'), place.0.name());
    let state = open_relay_state(&url).await.unwrap();
    assert_eq!(state.replace(Stamp::default(), &record(1, 0)).await.unwrap(), Replaced::Done);
    assert_eq!(place.open().await.read().await.unwrap(), record(1, 0));
    place.clear().await;
}

#[tokio::test]
async fn a_foreign_file_is_refused() {
    let place = File::new().await.unwrap();
    std::fs::write(place.0.path().join("relay.db"), "no database, but long enough to be looked at".repeat(9)).unwrap();
    let refused = SqliteRelayState::open(place.0.path().join("relay.db")).err().unwrap();
    assert!(matches!(refused, StoreError::Unreadable { .. }), "{refused:?}");
}
