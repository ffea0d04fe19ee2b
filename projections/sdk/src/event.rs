//! Events as a projection sees them, and how a payload becomes one of the author's variants.

use serde::{Deserialize, de::DeserializeOwned};

use crate::{Reject, Timestamp, Uuid};

/// One event, with its payload as one of the projection's own variants.
#[derive(Debug, Clone)]
pub struct Event<'a, P> {
    /// What happened.
    pub payload: P,
    /// When the log took it: the only clock a projection has.
    pub recorded_at: Timestamp,
    /// Place in the log, from 1.
    pub position: u64,
    /// Place in its stream, from 1; 0 where the source has none.
    pub version: u64,
    /// Version of the payload's schema as it was written, from 1.
    pub schema: u16,
    /// Identity of the event.
    pub id: Uuid,
    stream: &'a str,
    kind: &'a str,
    metadata: &'a str,
}

impl<'a, P> Event<'a, P> {
    /// The stream it belongs to: `post-4711`, `file:src/lib.rs`.
    #[inline]
    #[must_use]
    pub fn stream_id(&self) -> &'a str {
        self.stream
    }

    /// What stands behind the first `-` or `:` of the stream's id: `4711`, `src/lib.rs`. An id without them is all key.
    #[inline]
    #[must_use]
    pub fn stream_key(&self) -> &'a str {
        separator(self.stream).map_or(self.stream, |at| &self.stream[at + 1..])
    }

    /// What stands before the first `-` or `:` of the stream's id: `post`, `file`; empty where there is none.
    #[inline]
    #[must_use]
    pub fn category(&self) -> &'a str {
        separator(self.stream).map_or("", |at| &self.stream[..at])
    }

    /// Its kind: `post-created`. Tells apart what a variant for several kinds takes.
    #[inline]
    #[must_use]
    pub fn kind(&self) -> &'a str {
        self.kind
    }

    /// Its metadata (causation, correlation, actor…), read into a type of yours. Delivered only to projections that ask for it:
    /// `#[projection(…, metadata)]`.
    ///
    /// # Errors
    /// Where there is none, or it does not have that shape.
    pub fn metadata<M: Deserialize<'a>>(&self) -> Result<M, Reject> {
        serde_json::from_str(self.metadata).map_err(|error| Reject::new("metadata", format!("metadata: {error}")))
    }
}

fn separator(stream: &str) -> Option<usize> {
    stream.bytes().position(|b| b == b'-' || b == b':')
}

/// The events that a projection handles. Derive it: `#[derive(Events)]`.
pub trait Events<'a>: Sized {
    /// The kinds, in the order of the manifest.
    const KINDS: &'static [&'static str];

    /// Reads the payload as the kind says.
    ///
    /// # Errors
    /// Where it does not have the shape that the variant declares.
    fn decode(event: &RawEvent<'a>) -> Result<Self, Reject>;
}

/// An event as the host hands it over. Derived code reads it; authors see [`Event`].
#[derive(Debug, Clone, Copy)]
pub struct RawEvent<'a> {
    /// See [`Event::position`].
    pub position: u64,
    /// See [`Event::version`].
    pub version: u64,
    /// Microseconds since the epoch, UTC.
    pub recorded_at: i64,
    /// Index in the manifest's kinds.
    pub kind: u16,
    /// See [`Event::schema`].
    pub schema: u16,
    /// The kind as text.
    pub kind_name: &'a str,
    /// See [`Event::id`].
    pub id: [u8; 16],
    /// See [`Event::stream_id`].
    pub stream: &'a str,
    /// Canonical JSON; empty where the event was redacted.
    pub payload: &'a str,
    /// A JSON object, or empty.
    pub metadata: &'a str,
}

impl<'a> RawEvent<'a> {
    /// The event with its payload read.
    ///
    /// # Errors
    /// Where the payload does not have the shape that its variant declares.
    #[inline]
    pub fn decode<P: Events<'a>>(&self) -> Result<Event<'a, P>, Reject> {
        Ok(Event {
            payload: P::decode(self)?,
            recorded_at: Timestamp::from_micros(self.recorded_at),
            position: self.position,
            version: self.version,
            schema: self.schema,
            id: Uuid::from_bytes(self.id),
            stream: self.stream,
            kind: self.kind_name,
            metadata: self.metadata,
        })
    }

    /// The payload as a `T`. Members that `T` does not know are passed over.
    ///
    /// # Errors
    /// Where it is no `T`: says which member, and where.
    #[inline]
    pub fn parse_payload<T: Deserialize<'a>>(&self) -> Result<T, Reject> {
        serde_json::from_str(self.payload).map_err(|error| self.payload_error(&error))
    }

    /// The payload as a `T` of schema version `schema`; an older one is lifted by `upcast` first.
    ///
    /// # Errors
    /// Where it is no `T` even then, where `upcast` refuses it, or where its schema is newer than the projection knows.
    pub fn parse_upcast<T, F>(&self, schema: u16, upcast: F) -> Result<T, Reject>
    where
        T: DeserializeOwned,
        F: FnOnce(u16, serde_json::Value) -> Result<serde_json::Value, Reject>,
    {
        if self.schema == schema {
            return serde_json::from_str(self.payload).map_err(|error| self.payload_error(&error));
        }
        if self.schema > schema {
            let (kind, own) = (self.kind_name, self.schema);
            let said = format!("{kind} has schema version {own}; this projection knows it up to {schema}");
            return Err(Reject::new("schema-too-new", said));
        }
        let old = serde_json::from_str(self.payload).map_err(|error| self.payload_error(&error))?;
        serde_json::from_value(upcast(self.schema, old)?).map_err(|error| self.payload_error(&error))
    }

    #[cold]
    fn payload_error(&self, error: &serde_json::Error) -> Reject {
        if self.payload.is_empty() {
            return Reject::new("redacted", format!("the payload of this {} was redacted", self.kind_name));
        }
        Reject::new("payload", format!("payload of {}: {error}", self.kind_name))
    }

    /// The host named a kind that the manifest does not have.
    #[cold]
    #[must_use]
    pub fn unknown_kind(&self) -> Reject {
        Reject::fatal(
            "unknown-kind",
            format!("the host delivered kind number {}, which the manifest does not have", self.kind),
        )
    }
}
