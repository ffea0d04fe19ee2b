//! The API over HTTP against real databases: SQLite always, PostgreSQL where `REEL_TEST_POSTGRES` gives one (and it must where
//! `REEL_TEST_REQUIRE` names it).

mod bed;
mod errors;
mod generations;
mod rows;
mod waits;
