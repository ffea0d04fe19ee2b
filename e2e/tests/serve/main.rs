//! The processes of `reel serve`: each for itself on one configuration, what they say of themselves, and what they do where something
//! that they need is not there.

#![expect(clippy::unwrap_used, reason = "this is a test; clippy exempts only the functions marked as one")]

mod apart;
mod doctor;
mod foreign;
mod observed;
mod readiness;
mod tls;
