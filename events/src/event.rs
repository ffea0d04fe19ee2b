//! One event, owned, with all that is known of it; and the same before the log gave it a place.
//! The packed form for the hot path is in `batch`.

use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{CanonicalJson, StreamId, Timestamp};

/// An event that the log holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Global, from 1, gapless in Reel's own log.
    pub position: u64,
    /// Of the stream, from 1; 0 where the source has none.
    pub version: u64,
    /// A UUID: v7 when Reel made it.
    pub id: Uuid,
    /// The stream it belongs to.
    pub stream: StreamId,
    /// What happened: `post-created`.
    pub kind: EventKind,
    /// Version of the payload's schema, from 1.
    pub schema: u16,
    /// When the store took it, or the event's own time where history was imported.
    pub recorded_at: Timestamp,
    /// Canonical JSON; empty where the event was redacted.
    pub payload: CanonicalJson,
    /// A canonical JSON object (causation, correlation, actor, traceparent…); empty where there is none.
    pub metadata: CanonicalJson,
}

/// An event on its way into the log: all but what the store gives it (position, version and, mostly, the time).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEvent {
    /// A UUID: v7 when Reel makes it.
    pub id: Uuid,
    /// What happened: `post-created`.
    pub kind: EventKind,
    /// Version of the payload's schema, from 1.
    pub schema: u16,
    /// The event's own time, where history is imported; else the store's clock at append.
    pub recorded_at: Option<Timestamp>,
    /// Canonical JSON.
    pub payload: CanonicalJson,
    /// A canonical JSON object, or empty.
    pub metadata: CanonicalJson,
}

/// Identity of one log, made with it; in every checkpoint, message and segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LogId(pub Uuid);

impl fmt::Display for LogId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A place in a log that can be recognised again: the position, and which event stands there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogPoint {
    /// 0 = before the first event.
    pub position: u64,
    /// Id of the event at `position`; nil at 0.
    pub event: Uuid,
}

impl LogPoint {
    /// Before the first event of any log.
    pub const START: LogPoint = LogPoint { position: 0, event: Uuid::nil() };
}

/// The kind of an event: 1 to 128 characters, letters, digits and `. _ - / :`, beginning with a letter or digit.
/// Narrow enough for a header, a metric's label and a manifest's pattern.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EventKind(Box<str>);

/// A text that is no event kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("event kind {0:?} must be 1 to 128 ASCII letters, digits or . _ - / :, and begin with a letter or digit")]
pub struct KindError(pub String);

impl EventKind {
    /// Checks `text`.
    ///
    /// # Errors
    /// Where it is not of the form that the type's documentation gives.
    pub fn new(text: &str) -> Result<EventKind, KindError> {
        if is_kind(text.as_bytes()) {
            Ok(EventKind(text.into()))
        } else {
            Err(KindError(text.chars().take(140).collect()))
        }
    }

    /// Whether this text is an event kind.
    #[must_use]
    pub fn is_valid(text: &str) -> bool {
        is_kind(text.as_bytes())
    }

    /// The kind as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether these bytes are an event kind.
pub(crate) fn is_kind(bytes: &[u8]) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"._-/:".contains(&b);
    (1..=128).contains(&bytes.len()) && bytes[0].is_ascii_alphanumeric() && bytes.iter().all(|b| allowed(*b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds() {
        for good in ["post-created", "a", "0", "com.example/v1:x_y", &"k".repeat(128)] {
            assert_eq!(EventKind::new(good).unwrap().as_str(), good);
        }
        for bad in ["", "-a", "a b", "é", "a\n", "*", &"k".repeat(129)] {
            assert!(EventKind::new(bad).is_err(), "{bad:?}");
        }
    }
}
