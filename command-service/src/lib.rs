//! The command service: takes commands over HTTP, decides on them by pure rules, and appends what happened to the event store.
//! Also the doors for events that were decided on elsewhere: append, import, export.
//!
//! Not here: where events are kept (`event-log`), what an event is (`events`), reads (`read-api`).

pub mod domain;
mod http;
mod import;
pub mod mediator;
mod turns;

use std::time::Duration;

pub use http::router;
pub use mediator::Mediator;

/// What the command service takes, and how long it waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Config {
    /// The largest body of a command or an append, in bytes.
    pub body_bytes: usize,
    /// The longest line of an import, in bytes as sent (the event in it is measured by the store's own limits).
    pub line_bytes: usize,
    /// How long one command may take; then its sender is told that the outcome is not known.
    pub time_limit: Duration,
    /// How long an import may send nothing before it is given up.
    pub silence: Duration,
}

impl Default for Config {
    /// 16 MiB a body, 4 MiB a line, 30 seconds for each.
    fn default() -> Config {
        let (time_limit, silence) = (Duration::from_secs(30), Duration::from_secs(30));
        Config { body_bytes: 16 << 20, line_bytes: 4 << 20, time_limit, silence }
    }
}
