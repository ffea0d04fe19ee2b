//! Bad input, each answered with an error that names the place and the remedy: nothing is lost, and nothing else stops.

#![expect(clippy::unwrap_used, reason = "this is a test; clippy exempts only the functions marked as one")]

mod components;
mod events;
mod queries;
mod start;
