//! The relay, and who reads what it wrote, against a broker: librdkafka's own mock always, a real one where `REEL_TEST_KAFKA` is given.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::print_stdout, reason = "a case that is passed over says so")]

mod bed;
mod cases;
mod faults;
mod logins;
mod members;
mod permissions;
mod tls;
mod topics;
