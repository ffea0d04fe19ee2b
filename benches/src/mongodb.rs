//! A MongoDB database of a log of its own; and what its server takes at most: the documents of the log once more, in bare ordered
//! batches under the same indexes and with the same promise.

use std::time::Instant;

use bson::{Document, RawDocumentBuf, doc};
use futures::TryStreamExt;
use mongodb::options::{Acknowledgment, CollectionOptions, WriteConcern};
use mongodb::{Client, Collection, Database, IndexModel};
use uuid::Uuid;

use crate::error::BenchError;
use crate::reel::milliseconds;

/// A database of its own on a server; dropped by [`Server::clean`].
pub(crate) struct Server {
    address: String,
    database: Database,
}

impl Server {
    /// The server at `address`: a URL without a database.
    pub(crate) async fn at(address: &str) -> Result<Server, BenchError> {
        let client = Client::with_uri_str(address).await.map_err(BenchError::doing("connecting to MongoDB"))?;
        let database = client.database(&format!("reel_bench_{}", Uuid::new_v4().simple()));
        Ok(Server { address: address.trim_end_matches('/').to_owned(), database })
    }

    /// As a service's `--store` takes it. A server that stands alone is good enough to be measured.
    pub(crate) fn store(&self) -> String {
        format!("{}/{}?reel-standalone=true", self.address, self.database.name())
    }

    /// Writes the last documents of the log again, as many as `most`, `batch` at once. How long each batch took, in milliseconds.
    pub(crate) async fn write_again(&self, most: u64, batch: usize) -> Result<Vec<f64>, BenchError> {
        let doing = "writing bare batches into MongoDB";
        let documents = self.last(most).await?;
        let bare = self.bare().await.map_err(BenchError::doing(doing))?;
        let mut took = Vec::with_capacity(documents.len().div_ceil(batch));
        for batch in documents.chunks(batch) {
            let began = Instant::now();
            bare.insert_many(batch).ordered(true).await.map_err(BenchError::doing(doing))?;
            took.push(milliseconds(began));
        }
        bare.drop().await.map_err(BenchError::doing(doing))?;
        Ok(took)
    }

    async fn last(&self, most: u64) -> Result<Vec<RawDocumentBuf>, BenchError> {
        let commits: Collection<RawDocumentBuf> = self.database.collection("commits");
        let last = async {
            let most = i64::try_from(most).unwrap_or(i64::MAX);
            commits.find(doc! {}).sort(doc! { "position": -1 }).limit(most).await?.try_collect::<Vec<_>>().await
        };
        let mut documents = last.await.map_err(BenchError::doing("reading the log from MongoDB"))?;
        documents.reverse();
        Ok(documents)
    }

    /// An empty collection that asks of the server what the store's own does.
    async fn bare(&self) -> Result<Collection<RawDocumentBuf>, mongodb::error::Error> {
        let concern = WriteConcern::builder().w(Acknowledgment::Majority).journal(true).build();
        let options = CollectionOptions::builder().write_concern(concern).build();
        let bare = self.database.collection_with_options("bare", options);
        let listed = self.database.collection::<Document>("commits").list_indexes().await?;
        let indexes: Vec<IndexModel> = listed.try_collect().await?;
        // The one on `_id` is there by itself.
        bare.create_indexes(indexes.into_iter().filter(|index| !index.keys.contains_key("_id"))).await?;
        Ok(bare)
    }

    /// Deletes the database.
    pub(crate) async fn clean(self) -> Result<(), BenchError> {
        self.database.drop().await.map_err(BenchError::doing("dropping a database of MongoDB"))
    }
}
