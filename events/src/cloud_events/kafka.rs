//! CloudEvents 1.0 in Kafka's binary content mode: `ce_` headers, key = stream, value = payload. Writer and reader of Reel's
//! own topic; both borrow, so that nothing is allocated per message.
//!
//! Metadata travel whole in `ce_metadata`, as canonical JSON: header values are plain text, so attributes of their own would
//! lose whether `1` was a number.
//!
//! A *watermark* is a message without event: no key, an empty value, a type that is no event kind. It says how far the log
//! reached while its partition was silent.

use std::fmt::{self, Write};

use uuid::Uuid;

use crate::{
    EventRef, KindError, LogId, LogPoint, StreamIdError, Timestamp,
    cloud_events::{CloudEventError, OUR_SOURCE, invalid},
    event::is_kind,
    stream::is_stream_id,
};

/// Where a message stands among those of its partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placement {
    /// The log that the event's position is in.
    pub log: LogId,
    /// The greatest lower position of the same partition under the same layout; 0 where there is none.
    pub previous: u64,
    /// The position from which on the message's layout holds.
    pub layout: u64,
}

/// Names of the headers, in the order in which they are written.
pub const HEADERS: [&str; 13] = [
    "ce_specversion",
    "ce_id",
    "ce_source",
    "ce_type",
    "ce_subject",
    "ce_time",
    "ce_schema",
    "ce_position",
    "ce_version",
    "ce_previous",
    "ce_layout",
    "ce_log",
    "content-type",
];

/// The header that is there only where the event has metadata.
pub const METADATA_HEADER: &str = "ce_metadata";

/// The `ce_type` of a watermark. No event kind begins with `_`.
pub const WATERMARK_TYPE: &str = "_reel.watermark";

/// The `ce_source` of a watermark: its `ce_id` is the position and the partition, unique under this source in one log.
const WATERMARK_SOURCE: &str = "reel/relay";

/// Names of a watermark's headers, in the order in which they are written.
pub const WATERMARK_HEADERS: [&str; 9] = [
    "ce_specversion",
    "ce_id",
    "ce_source",
    "ce_type",
    "ce_position",
    "ce_event",
    "ce_previous",
    "ce_layout",
    "ce_log",
];

/// A message of Reel's own topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Message<'a> {
    /// An event of the partition.
    Event(EventRef<'a>, Placement),
    /// No event of the partition stands behind `placement.previous`, up to this point: the last event of the log, whatever its
    /// partition, when the message was written.
    Watermark(LogPoint, Placement),
}

impl Message<'_> {
    /// How far the partition is known with this message.
    #[must_use]
    pub fn point(&self) -> LogPoint {
        match self {
            Message::Event(event, _) => LogPoint { position: event.position, event: event.id },
            Message::Watermark(point, _) => *point,
        }
    }

    /// Where the message stands.
    #[must_use]
    pub fn placement(&self) -> Placement {
        match self {
            Message::Event(_, placement) | Message::Watermark(_, placement) => *placement,
        }
    }
}

/// Hands every header of a watermark to `sink`, in order. The message has no key and an empty value.
pub fn write_watermark(
    through: LogPoint,
    partition: u32,
    placement: Placement,
    mut sink: impl FnMut(&'static str, &str),
) {
    let mut text = Line::default();
    sink("ce_specversion", "1.0");
    sink("ce_id", text.of(format_args!("{}/{}/{partition}", placement.layout, through.position)));
    sink("ce_source", WATERMARK_SOURCE);
    sink("ce_type", WATERMARK_TYPE);
    sink("ce_position", text.of(through.position));
    sink("ce_event", text.of(through.event));
    sink("ce_previous", text.of(placement.previous));
    sink("ce_layout", text.of(placement.layout));
    sink("ce_log", text.of(placement.log));
}

/// Hands every header of the event's message to `sink`, in order. The message's key is [`EventRef::stream`], its value
/// [`EventRef::payload`].
pub fn write(event: EventRef<'_>, placement: Placement, mut sink: impl FnMut(&'static str, &str)) {
    let mut text = Line::default();
    sink("ce_specversion", "1.0");
    sink("ce_id", text.of(event.id));
    sink("ce_source", OUR_SOURCE);
    sink("ce_type", event.kind);
    sink("ce_subject", event.stream);
    sink("ce_time", text.of(Timestamp::from_micros(event.recorded_at)));
    sink("ce_schema", text.of(event.schema));
    sink("ce_position", text.of(event.position));
    sink("ce_version", text.of(event.version));
    sink("ce_previous", text.of(placement.previous));
    sink("ce_layout", text.of(placement.layout));
    sink("ce_log", text.of(placement.log));
    sink("content-type", "application/json");
    if !event.metadata.is_empty() {
        sink(METADATA_HEADER, event.metadata);
    }
}

/// Reads a message of Reel's own topic. Key (empty where there is none) and value are the message's; headers that are not known
/// here are passed over.
///
/// # Errors
/// Where the message is not one that [`write`] or [`write_watermark`] describes; the header is named, and what was expected.
pub fn read<'a>(
    key: &'a [u8],
    value: &'a [u8],
    headers: impl IntoIterator<Item = (&'a str, &'a [u8])>,
) -> Result<Message<'a>, CloudEventError> {
    let found = Found::collect(headers)?;
    if found.require(Name::SpecVersion)? != "1.0" {
        return Err(invalid("specversion", "\"1.0\"", found.require(Name::SpecVersion)?));
    }
    let kind = found.require(Name::Type)?;
    let placement = Placement {
        log: LogId(found.uuid(Name::Log)?),
        previous: found.number(Name::Previous)?,
        layout: found.number(Name::Layout)?,
    };
    if kind == WATERMARK_TYPE {
        let point = LogPoint { position: found.number(Name::Position)?, event: found.uuid(Name::Event)? };
        return Ok(Message::Watermark(point, placement));
    }
    if !is_kind(kind.as_bytes()) {
        return Err(CloudEventError::Kind(KindError(kind.to_owned())));
    }
    let time = Timestamp::parse(found.require(Name::Time)?).map_err(CloudEventError::Time)?;
    let event = EventRef {
        position: found.number(Name::Position)?,
        version: found.number(Name::Version)?,
        id: found.uuid(Name::Id)?,
        stream: stream(key, &found)?,
        kind,
        schema: found.number(Name::Schema)?,
        recorded_at: time.micros(),
        payload: text("data", value)?,
        metadata: found.get(Name::Metadata).unwrap_or_default(),
    };
    Ok(Message::Event(event, placement))
}

fn stream<'a>(key: &'a [u8], found: &Found<'a>) -> Result<&'a str, CloudEventError> {
    let stream = text("the message's key", key)?;
    if found.require(Name::Subject)? != stream {
        return Err(invalid("subject", "the same as the message's key", found.require(Name::Subject)?));
    }
    if is_stream_id(stream) { Ok(stream) } else { Err(CloudEventError::Stream(StreamIdError(stream.to_owned()))) }
}

fn text<'a>(attribute: &str, bytes: &'a [u8]) -> Result<&'a str, CloudEventError> {
    std::str::from_utf8(bytes).map_err(|_| invalid(attribute, "UTF-8", &String::from_utf8_lossy(bytes)))
}

/// The attributes that are read here, in the order in which they are written.
#[derive(Debug, Clone, Copy)]
enum Name {
    SpecVersion,
    Id,
    Type,
    Subject,
    Time,
    Schema,
    Position,
    Version,
    Previous,
    Layout,
    Log,
    Metadata,
    Event,
}

/// As they are called, without `ce_`.
const NAMES: [&str; 13] = [
    "specversion",
    "id",
    "type",
    "subject",
    "time",
    "schema",
    "position",
    "version",
    "previous",
    "layout",
    "log",
    "metadata",
    "event",
];

/// What the attributes say.
struct Found<'a>([Option<&'a str>; NAMES.len()]);

impl<'a> Found<'a> {
    fn collect(headers: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Result<Found<'a>, CloudEventError> {
        let mut found = Found([None; NAMES.len()]);
        // Who writes them in order is read without a search.
        let mut next = 0;
        for (header, value) in headers {
            let Some(name) = header.strip_prefix("ce_") else {
                continue;
            };
            let in_order = NAMES.get(next).is_some_and(|known| *known == name).then_some(next);
            let Some(index) = in_order.or_else(|| NAMES.iter().position(|known| *known == name)) else {
                continue;
            };
            next = index + 1;
            if found.0[index].replace(text(name, value)?).is_some() {
                return Err(CloudEventError::Repeated(name.to_owned()));
            }
        }
        Ok(found)
    }

    fn get(&self, name: Name) -> Option<&'a str> {
        self.0[name as usize]
    }

    fn require(&self, name: Name) -> Result<&'a str, CloudEventError> {
        self.get(name).ok_or(CloudEventError::Missing(NAMES[name as usize]))
    }

    fn number<N: std::str::FromStr>(&self, name: Name) -> Result<N, CloudEventError> {
        let text = self.require(name)?;
        text.parse().map_err(|_| invalid(NAMES[name as usize], "a whole number from 0", text))
    }

    fn uuid(&self, name: Name) -> Result<Uuid, CloudEventError> {
        let text = self.require(name)?;
        Uuid::try_parse(text).map_err(|_| invalid(NAMES[name as usize], "a UUID", text))
    }
}

/// Room for one short text, used again and again.
#[derive(Default)]
struct Line(String);

impl Line {
    fn of(&mut self, value: impl fmt::Display) -> &str {
        self.0.clear();
        // Writing into a string cannot fail.
        let _ = write!(self.0, "{value}");
        &self.0
    }
}
