//! The processes apart on real servers: commands → MongoDB → Kafka → two hosts → PostgreSQL → two read APIs.

#![expect(clippy::unwrap_used, reason = "this is a test; clippy exempts only the functions marked as one")]

mod builds;
mod chain;
mod git_history;
mod partitions;
mod place;
mod posts;
