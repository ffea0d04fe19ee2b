//! Read databases: the catalog of what is deployed, the tables of every generation, and the queries over them, on SQLite and
//! PostgreSQL. The dialect modules are the only place where SQL text exists.
//!
//! Not here: what rows an event makes (`host/projector`), when to deploy, build, flip or drop (`host/server`), the grammar of
//! HTTP queries (`read-api`).

pub mod query;
pub mod target;

pub use query::{Answer, Comparison, Filter, Nulls, OrderBy, Query};
pub use target::{
    CatalogError, Component, Condition, Decision, FlipOutcome, Generation, GenerationId, GenerationState, NewGeneration,
    Target, TargetKind,
};
