//! The log: where events are kept (`store`), sealed history (`archive`), how events get into the topic (`relay`), and how its readers
//! are fed (`history` up to the head, `topic` from there on). Writer and reader of each format live side by side here.
//!
//! Not here: what an event is (`events`), which events a command makes (`command-service`), what is made of them (`host`).

pub mod archive;
pub mod history;
pub mod relay;
#[cfg(test)]
mod simulation;
pub mod store;
pub mod topic;

pub use store::{
    AppendError, Appended, EventStore, ExpectedVersion, IdOrigin, Limits, NewCommit, ReadLimit, StoreError, open_store,
};
pub use store::{mongodb::MongoStore, sqlite::SqliteStore};
