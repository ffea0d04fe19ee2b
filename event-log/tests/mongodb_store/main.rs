//! The MongoDB store: the conformance suite on every server that is given, and what only a server can do.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod place;
#[path = "../store_conformance/mod.rs"]
mod store_conformance;

use place::{FerretDb, MongoDb, OnServer};

store_conformance::store_conformance!(mongodb: OnServer<MongoDb>);
store_conformance::store_conformance_of_many!(mongodb_many: OnServer<MongoDb>);
store_conformance::store_conformance!(ferretdb: OnServer<FerretDb>);
store_conformance::store_conformance_of_many!(ferretdb_many: OnServer<FerretDb>);
