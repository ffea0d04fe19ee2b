//! Real components on a real engine: the one under `tests/fixtures/naughty`, told by its settings how to misbehave, and files
//! that are no plugin at all.

mod delivery;
mod files;
mod fixture;
mod hostile;
mod speed;
