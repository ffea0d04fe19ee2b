//! Builds whatever their memory: the same rows as the plainest loop makes, and the same dead letters, under every policy, with a budget
//! that is never reached, reached now and then, and reached by every portion; on SQLite, and on PostgreSQL where one is given. And builds that are
//! killed.

#![expect(clippy::unwrap_used, reason = "a test that meets the unexpected ends")]
#![expect(clippy::print_stdout, reason = "a case that is passed over says so")]

mod bed;
mod budgets;
mod killed;
mod ledger;
