//! Messages of somebody else's topic, made events of: CloudEvents 1.0 in binary or structured mode, or plain JSON with a field that
//! says what happened. What cannot be made an event of is named, and kept as it came.
//!
//! | of the event | where it comes from |
//! |---|---|
//! | position | offset + 1: it rises within the partition only, with gaps |
//! | version | 0: there is none |
//! | stream | the topic's name and the message's key ([`stream_of`]), or the field that the format names |
//! | id | the CloudEvent's id where it is a UUID, else UUIDv5 of source and id; else UUIDv5 of topic, partition and offset |
//! | kind | the CloudEvent's type, or the field that the format names; `tombstone` where the message has no value |
//! | recorded_at | the CloudEvent's time, else the message's timestamp |
//! | metadata | all attributes of the CloudEvent; of plain JSON, all headers that are text |
//!
//! Not here: how messages arrive (`event-log`), what becomes of those that are no events (the host).

mod cloud_event;
mod json;
mod members;
mod original;
mod stream;

use uuid::Uuid;

use crate::{CanonicalJson, EventBatch, EventRef, LogId, Timestamp, event::is_kind};

pub use self::stream::stream_of;

/// The largest value of a message that is read, in bytes: what Kafka takes by default.
pub const LARGEST: usize = 1 << 20;

/// The kind of a message without a value: in a compacted topic it says that its key is gone.
pub const TOMBSTONE: &str = "tombstone";

/// How the messages of a topic are read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Format {
    /// CloudEvents, in binary or structured mode.
    CloudEvents {
        /// The attribute that names the stream (`subject`); nothing = the message's key.
        stream: Option<String>,
    },
    /// JSON objects.
    Json {
        /// The member whose text says what happened.
        kind: String,
        /// The member that names the stream; nothing = the message's key.
        stream: Option<String>,
    },
}

/// A message as it came.
#[derive(Debug, Clone)]
pub struct Message<'a> {
    /// The topic's name.
    pub topic: &'a str,
    /// The partition.
    pub partition: u32,
    /// From 0.
    pub offset: u64,
    /// Milliseconds since the epoch, where the message has a time.
    pub timestamp: Option<i64>,
    /// The key.
    pub key: Option<&'a [u8]>,
    /// The value.
    pub value: Option<&'a [u8]>,
    /// All headers, in order.
    pub headers: Vec<(&'a str, Option<&'a [u8]>)>,
}

/// What is wrong with a message that is no event, and the message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    /// Stable, few distinct values.
    pub code: &'static str,
    /// What was expected, and what stands there.
    pub reason: String,
    /// The whole message as JSON: `topic`, `partition`, `offset`, `timestamp`, `headers`, `key` and `value`, each as text where it
    /// is UTF-8 and else in base64, under a name that says so.
    pub original: String,
}

/// The id of the log that a topic is: UUIDv5 of the cluster's id and the topic's, so that another topic of the same name is another log.
#[must_use]
pub fn log_id(cluster: &str, topic: &str) -> LogId {
    LogId(Uuid::new_v5(&NAMESPACE, format!("log\0{cluster}\0{topic}").as_bytes()))
}

/// Made once for what is derived from topics; never to be changed.
const NAMESPACE: Uuid = Uuid::from_u128(0x2f5c_91a7_6d04_4c1e_8a3b_57e0_c4d9_1b26);

impl Format {
    /// Adds the event that `message` is to `batch`, or the message itself with what is wrong with it.
    pub fn read(&self, message: &Message<'_>, batch: &mut EventBatch) {
        let mut draft = Draft::of(message);
        let read = match self {
            _ if message.value.is_some_and(|value| value.len() > LARGEST) => Err(Wrong::too_large(message)),
            Format::CloudEvents { stream } => cloud_event::read(message, stream.as_deref(), &mut draft),
            Format::Json { kind, stream } => json::read(message, (kind, stream.as_deref()), &mut draft),
        };
        match read {
            Ok(()) => batch.push(draft.as_ref(message)),
            Err(Wrong { code, reason }) => {
                (draft.payload, draft.metadata) = (CanonicalJson::default(), CanonicalJson::default());
                let original = original::write(message);
                batch.push_unreadable(draft.as_ref(message), Unreadable { code, reason, original });
            }
        }
    }
}

/// What is known of a message so far.
struct Draft {
    id: Uuid,
    stream: String,
    /// Empty while it is not known.
    kind: String,
    schema: u16,
    recorded_at: Timestamp,
    payload: CanonicalJson,
    metadata: CanonicalJson,
}

impl Draft {
    fn of(message: &Message<'_>) -> Draft {
        let Message { topic, partition, offset, timestamp, key, .. } = message;
        let place = format!("message\0{topic}\0{partition}\0{offset}");
        Draft {
            id: Uuid::new_v5(&NAMESPACE, place.as_bytes()),
            stream: stream_of(topic, *partition, *key),
            kind: String::new(),
            schema: 1,
            recorded_at: Timestamp::from_micros(timestamp.unwrap_or(0).saturating_mul(1000)),
            payload: CanonicalJson::default(),
            metadata: CanonicalJson::default(),
        }
    }

    fn as_ref(&self, message: &Message<'_>) -> EventRef<'_> {
        EventRef {
            position: message.offset + 1,
            version: 0,
            id: self.id,
            stream: &self.stream,
            kind: &self.kind,
            schema: self.schema,
            recorded_at: self.recorded_at.micros(),
            payload: self.payload.as_str(),
            metadata: self.metadata.as_str(),
        }
    }

    /// Takes what somebody else calls his kinds: what no kind may hold becomes `_`, and what none may begin with is left out.
    fn set_kind(&mut self, name: &str) -> Result<(), Wrong> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || "._-/:".contains(c);
        let kind: String =
            name.chars().map(|c| if allowed(c) { c } else { '_' }).skip_while(|c| !c.is_ascii_alphanumeric()).collect();
        if !is_kind(kind.as_bytes()) {
            let shown: String = name.chars().take(60).collect();
            return Err(Wrong::new(
                "no-kind",
                format!(
                    "{shown:?} cannot name a kind of events: it must be 1 to 128 characters, a letter or digit among them"
                ),
            ));
        }
        self.kind = kind;
        Ok(())
    }
}

/// Why a message is no event.
struct Wrong {
    code: &'static str,
    reason: String,
}

impl Wrong {
    fn new(code: &'static str, reason: impl Into<String>) -> Wrong {
        Wrong { code, reason: reason.into() }
    }

    fn too_large(message: &Message<'_>) -> Wrong {
        let bytes = message.value.map_or(0, <[u8]>::len);
        Wrong::new("too-large", format!("its value has {bytes} bytes, and at most {LARGEST} are read"))
    }
}

#[cfg(test)]
mod tests;
