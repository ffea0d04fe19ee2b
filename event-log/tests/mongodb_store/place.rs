//! Where a case runs: a database of its own on a server that the environment gives, dropped in the end.

use std::{marker::PhantomData, sync::Arc};

use async_trait::async_trait;
use mongodb::{Client, Database};
use reel_event_log::{EventStore, Limits, open_store};
use tokio::{runtime::Handle, task::block_in_place};
use uuid::Uuid;

use crate::store_conformance::Place;

/// A server, by the name that `REEL_TEST_REQUIRE` has for it.
pub(crate) trait Server: Send + Sync + 'static {
    const NAME: &'static str;

    /// Its address, `mongodb://…` without a database; nothing where none is given.
    fn given() -> Option<String> {
        let variable = format!("REEL_TEST_{}", Self::NAME.to_uppercase());
        let given = std::env::var(&variable).ok();
        if given.is_none() {
            let required = std::env::var("REEL_TEST_REQUIRE").unwrap_or_default();
            let required = required.split(',').any(|name| name.trim() == Self::NAME);
            assert!(!required, "REEL_TEST_REQUIRE names {}, but {variable} is not set", Self::NAME);
            println!("passed over: {variable} is not set");
        }
        given
    }
}

/// What `scripts/servers start mongodb` starts, or a real one: change streams, unique indexes into arrays.
pub(crate) struct MongoDb;

impl Server for MongoDb {
    const NAME: &'static str = "mongodb";
}

/// Neither of them.
pub(crate) struct FerretDb;

impl Server for FerretDb {
    const NAME: &'static str = "ferretdb";
}

/// A database on a server.
pub(crate) struct OnServer<S> {
    pub(crate) database: Database,
    address: String,
    server: PhantomData<S>,
}

impl<S: Server> OnServer<S> {
    /// The store's URL, through `address` instead of the server's own.
    pub(crate) fn url_at(&self, address: &str) -> String {
        format!("{}/{}?reel-standalone=true", address.trim_end_matches('/'), self.database.name())
    }

    /// The store's URL.
    pub(crate) fn url(&self) -> String {
        self.url_at(&self.address)
    }
}

#[async_trait]
impl<S: Server> Place for OnServer<S> {
    fn is_given() -> bool {
        S::given().is_some()
    }

    async fn new() -> OnServer<S> {
        let address = S::given().unwrap();
        let name = format!("reel_test_{}", Uuid::new_v4().simple());
        let database = Client::with_uri_str(&address).await.unwrap().database(&name);
        OnServer { database, address, server: PhantomData }
    }

    async fn open(&self, limits: Limits) -> Arc<dyn EventStore> {
        open_store(&self.url(), limits).await.unwrap()
    }
}

impl<S> Drop for OnServer<S> {
    fn drop(&mut self) {
        block_in_place(|| Handle::current().block_on(async { self.database.drop().await })).unwrap();
    }
}
