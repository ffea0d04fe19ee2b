//! Read databases: the catalog of what is deployed, the tables of every generation, and the queries over them, on SQLite,
//! PostgreSQL, MySQL, MariaDB and SQL Server. The dialect modules are the only place where SQL text exists.
//!
//! Not here: what rows an event makes (`host/projector`), when to deploy, build, flip or drop (`host/server`), the grammar of
//! HTTP queries (`read-api`).

mod adapted;
mod adapter;
mod answer;
mod catalog;
mod definitions;
mod examine;
mod fault;
mod filling;
pub mod load;
mod model;
mod moment;
mod mysql;
mod open;
mod pieces;
mod postgres;
pub mod query;
mod query_session;
pub mod snapshot;
mod sql;
mod sql_server;
mod sqlite;
#[cfg(test)]
mod statements;
pub mod target;

pub use examine::{Examined, Finding, examine};
pub use load::{BulkLoad, Loaded};
pub use open::open;
pub use query::{Answer, Case, Comparison, Count, Direction, Filter, Nulls, OrderBy, Query};
pub use snapshot::Snapshot;
pub use target::{
    CatalogError, Component, Condition, Decision, DropScope, FlipOutcome, Generation, GenerationId, GenerationState,
    Hold, IfBehind, NewGeneration, Pointer, Promotion, Target, TargetKind,
};
