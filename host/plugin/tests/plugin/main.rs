//! Real components on a real engine: the one under `tests/fixtures/naughty`, told by its settings how to misbehave, and files
//! that are no plugin at all.
#![expect(clippy::unwrap_used, reason = "a test's own set-up that fails should fail the test")]

mod delivery;
mod files;
mod fixture;
mod hostile;
mod oracle;
mod speed;
