//! The MongoDB store: the conformance suite on every server that is given, and what only a server can do.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::print_stdout, reason = "who runs the tests is told what was passed over")]

mod broken_lines;
mod place;
mod proxy;
#[path = "../store_conformance/mod.rs"]
mod store_conformance;
#[path = "../store_conformance/many.rs"]
mod store_conformance_of_many;

use place::{FerretDb, MongoDb, OnServer};

store_conformance::store_conformance!(mongodb: OnServer<MongoDb>);
store_conformance_of_many::store_conformance_of_many!(mongodb_many: OnServer<MongoDb>);
store_conformance::store_conformance!(ferretdb: OnServer<FerretDb>);
store_conformance_of_many::store_conformance_of_many!(ferretdb_many: OnServer<FerretDb>);
