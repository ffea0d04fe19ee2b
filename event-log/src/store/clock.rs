//! The clock that commits are recorded by.

use std::time::{SystemTime, UNIX_EPOCH};

use reel_events::Timestamp;

/// Now, in whole microseconds.
pub(super) fn now() -> Timestamp {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_micros(i64::try_from(since_epoch.as_micros()).unwrap_or(i64::MAX))
}
