//! Generations under fire: flipped again and again while others read and write, killed at any moment, told to do what cannot be done,
//! in one read database and in several.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "this is a test; clippy exempts only the functions marked as one"
)]

mod compared;
mod flips;
mod kills;
mod longest;
mod progress;
mod standby;
mod targets;
mod verbs;
