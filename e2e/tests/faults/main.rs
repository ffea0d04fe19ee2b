//! Faults: plugins that misbehave, stores that are not what they were, databases that go away. What is at fault is named and stops;
//! everything else goes on; nothing is lost.

#![expect(clippy::unwrap_used, reason = "this is a test; clippy exempts only the functions marked as one")]

mod away;
mod disk;
mod import;
mod store;
mod unruly;
