//! The archive: the format of its segments, the places it is kept in, the sealer, and history read through it.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod damage;
mod format;
mod history;
mod places;
mod samples;
mod sealing;
