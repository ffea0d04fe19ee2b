//! The relay's record in a document, beside the store's collections.

use async_trait::async_trait;
use bson::{Document, doc};
use mongodb::{
    Collection, Database,
    error::{Error, ErrorKind, WriteFailure},
    options::{Acknowledgment, CollectionOptions, ReadConcern, ReadPreference, SelectionCriteria, WriteConcern},
};

use super::{RelayRecord, RelayState, Replaced, Stamp};
use crate::store::StoreError;

const COLLECTION: &str = "relay";
/// The one document.
const DOCUMENT: &str = "relay";
/// The server's number for a key that is there already.
const DUPLICATE_KEY: i32 = 11000;

/// The relay's record in a MongoDB database: `{_id, epoch, beat, record}`, read and written at majority.
pub struct MongoRelayState {
    location: String,
    records: Collection<Document>,
}

impl MongoRelayState {
    /// The record in this database. `location` names it in errors. The client must not send a write twice by itself
    /// (`retryWrites=false`): an answer would be wrong.
    #[must_use]
    pub fn new(database: &Database, location: &str) -> MongoRelayState {
        let majority = WriteConcern::builder().w(Acknowledgment::Majority).journal(true).build();
        let options = CollectionOptions::builder()
            .read_concern(ReadConcern::majority())
            .write_concern(majority)
            .selection_criteria(SelectionCriteria::ReadPreference(ReadPreference::Primary))
            .build();
        let records = database.collection_with_options(COLLECTION, options);
        MongoRelayState { location: location.to_owned(), records }
    }

    fn unavailable(&self, error: Error) -> StoreError {
        StoreError::Unavailable { location: self.location.clone(), source: error.into() }
    }

    fn unreadable(&self, reason: String) -> StoreError {
        StoreError::Unreadable { location: self.location.clone(), reason }
    }
}

#[async_trait]
impl RelayState for MongoRelayState {
    async fn read(&self) -> Result<RelayRecord, StoreError> {
        let found = self.records.find_one(doc! { "_id": DOCUMENT }).await.map_err(|error| self.unavailable(error))?;
        let Some(document) = found else { return Ok(RelayRecord::default()) };
        let record = document.get_str("record").map_err(|error| format!("the relay's record is damaged: {error}"));
        record.and_then(RelayRecord::from_json).map_err(|reason| self.unreadable(reason))
    }

    async fn replace(&self, from: Stamp, to: &RelayRecord) -> Result<Replaced, StoreError> {
        let document = doc! {
            "_id": DOCUMENT,
            "epoch": number(to.stamp.epoch),
            "beat": number(to.stamp.beat),
            "record": to.to_json(),
        };
        if from == Stamp::default() {
            return match self.records.insert_one(document).await {
                Ok(_) => Ok(Replaced::Done),
                Err(error) if is_duplicate(&error) => Ok(Replaced::Superseded),
                Err(error) => Err(self.unavailable(error)),
            };
        }
        let stands = doc! { "_id": DOCUMENT, "epoch": number(from.epoch), "beat": number(from.beat) };
        let replaced = self.records.replace_one(stands, document).await.map_err(|error| self.unavailable(error))?;
        Ok(if replaced.matched_count == 1 { Replaced::Done } else { Replaced::Superseded })
    }
}

fn number(number: u64) -> i64 {
    i64::try_from(number).expect("counted up one by one")
}

fn is_duplicate(error: &Error) -> bool {
    match &*error.kind {
        ErrorKind::Write(WriteFailure::WriteError(write)) => write.code == DUPLICATE_KEY,
        ErrorKind::Command(command) => command.code == DUPLICATE_KEY,
        _ => false,
    }
}
