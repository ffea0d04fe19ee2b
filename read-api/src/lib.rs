//! The read API: tables and named queries of every projection over HTTP, in PostgREST's query grammar.
//!
//! `GET` (and `HEAD`) only:
//! - `/read/v1/`: what there is to read; `/read/v1/{projection}`: one projection, its tables and named queries;
//! - `/read/v1/{projection}/{table}?…`: rows, see [`grammar`]; `/read/v1/{projection}/{query}?…`: a named query, see [`named`].
//!
//! A path names the live generation (`posts`) or one of them (`posts@2`). `target` (or the header `Reel-Target`) names another
//! read database than the default one. `Accept`: an array of objects (`application/json`), one object
//! (`application/vnd.pgrst.object+json`) or `text/csv`; how values are written: [`reel_projector::json`].
//!
//! `Range: 0-24` (unit `items`) works beside `limit` and `offset`: it counts within what these two leave. `Content-Range` is given
//! whenever the answer is short or counted; `Prefer: count=exact` counts, 206 says that there are more rows than these, 416 that
//! the offset is beyond the last. `Reel-Generation` names the generation that answered.
//!
//! `Reel-Wait-For: TOKEN` (or `wait-for`) waits until the events up to the token's are in the rows, at most for `Reel-Wait-Timeout`
//! (or `wait-timeout`: `5s`, `500ms`); then `Reel-Position` is the position that all shards had come to before the rows were read.
//!
//! Not here: SQL and how an answer stays of one generation (`host/read-model`), who may read (`cli` mounts this router).

mod catalog;
mod describe;
mod error;
#[cfg(test)]
mod fixture;
pub mod grammar;
mod http;
pub mod named;
mod query_error;
pub mod resolve;
pub mod values;
mod wait;

use tokio::sync::watch;

pub use catalog::Targets;
pub use error::ReadError;
pub use http::router;
pub use named::check_named_queries;
pub use query_error::QueryError;
pub use wait::{DEFAULT_TIMEOUT, MAX_TIMEOUT};

/// What the read API can be told.
#[derive(Debug, Clone, Default)]
pub struct ReadConfig {
    /// Changes after every commit of a projection in this process, so that reads that wait for one wake up at once. Without it, and
    /// for commits of other processes, they look every 1 to 20 ms.
    pub commits: Option<watch::Receiver<u64>>,
}
