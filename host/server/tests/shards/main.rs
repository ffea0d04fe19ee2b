//! Several hosts, each a whole [`reel_host::Host`], share the shards of generations: one log, its relay, one topic in Kafka, one read
//! database. Runs where `REEL_TEST_KAFKA` and `REEL_TEST_POSTGRES` give servers, and must where `REEL_TEST_REQUIRE` names them.

#![expect(clippy::unwrap_used, reason = "a test that meets the unexpected ends")]
#![expect(clippy::print_stdout, reason = "a case that is passed over says so")]

mod alike;
mod bed;
mod foreign;
mod hosts;
mod operations;
mod posts;
mod rederive;
mod topics;
mod zombies;
