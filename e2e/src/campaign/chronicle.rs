//! What happened when: told at once, and kept for whoever has to understand a failure.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// The log of a campaign.
pub(super) struct Chronicle {
    began: Instant,
    lines: Mutex<Vec<String>>,
}

impl Chronicle {
    pub(super) fn new() -> Chronicle {
        Chronicle { began: Instant::now(), lines: Mutex::default() }
    }

    /// Tells that something happened just now.
    #[expect(clippy::print_stderr, reason = "whoever runs a campaign watches it")]
    pub(super) fn say(&self, what: &str) {
        let line = format!("{:7.1} s  {what}", self.began.elapsed().as_secs_f64());
        eprintln!("{line}");
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).push(line);
    }

    /// All that happened.
    pub(super) fn whole(&self) -> String {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).join("\n")
    }
}
