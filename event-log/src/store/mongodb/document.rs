//! The document of a commit: how it is written, how it is read. The format is held by a golden file; `collections` keeps its
//! version.
//!
//! ```text
//! { _id: commit's id, position, count, stream, version, recorded_at: microseconds since the epoch, digest,
//!   events: [{ id, kind, schema, time?: microseconds, payload: canonical JSON, metadata?: canonical JSON }] }
//! ```
//! Position and version are those of the first event.

use bson::{Binary, RawArray, RawArrayBuf, RawBsonRef, RawDocument, RawDocumentBuf, cstr, spec::BinarySubtype};
use reel_events::{EventKind, EventRef, NewEvent, StreamId, Timestamp};
use uuid::Uuid;

use super::protocol::Header;
use crate::store::{Appended, FoundCommit, filler::Place};

/// What a document holds beside its events, at most: a stream has 512 bytes.
const FRAME: usize = 1 << 10;
/// What a server takes as one document.
pub(super) const MOST_BYTES: usize = 16 << 20;

/// An id as BSON has it.
pub(super) fn binary(id: Uuid) -> Binary {
    Binary { subtype: BinarySubtype::Uuid, bytes: id.as_bytes().to_vec() }
}

/// The events of a commit, as they stand in its document.
pub(super) fn events(events: &[NewEvent]) -> RawArrayBuf {
    let mut array = RawArrayBuf::new();
    for event in events {
        let mut document = RawDocumentBuf::new();
        document.append(cstr!("id"), binary(event.id));
        document.append(cstr!("kind"), event.kind.as_str());
        document.append(cstr!("schema"), i32::from(event.schema));
        if let Some(own) = event.recorded_at {
            document.append(cstr!("time"), own.micros());
        }
        document.append(cstr!("payload"), event.payload.as_str());
        if !event.metadata.as_str().is_empty() {
            document.append(cstr!("metadata"), event.metadata.as_str());
        }
        array.push(document);
    }
    array
}

/// What the document of a commit with these events has at most, in bytes.
pub(super) fn size(events: &RawArray) -> usize {
    events.as_bytes().len() + FRAME
}

/// The document of a commit at its place.
pub(super) fn commit(
    id: Uuid,
    digest: &[u8; 32],
    (stream, place): (&StreamId, &Appended),
    events: &RawArray,
) -> RawDocumentBuf {
    let mut document = RawDocumentBuf::new();
    document.append(cstr!("_id"), binary(id));
    document.append(cstr!("position"), signed(place.first_position));
    document.append(cstr!("count"), i32::try_from(place.count).unwrap_or(i32::MAX));
    document.append(cstr!("stream"), stream.as_str());
    document.append(cstr!("version"), signed(place.first_version));
    document.append(cstr!("recorded_at"), place.recorded_at.micros());
    document.append(cstr!("digest"), Binary { subtype: BinarySubtype::Generic, bytes: digest.to_vec() });
    document.append(cstr!("events"), events);
    document
}

/// A position or version as BSON has it; beyond that range nothing is stored.
pub(super) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// The document of a commit that was read, borrowed.
#[derive(Clone, Copy)]
pub(super) struct StoredCommit<'a> {
    document: &'a RawDocument,
    pub(super) position: u64,
    pub(super) count: u64,
}

impl<'a> StoredCommit<'a> {
    pub(super) fn of(document: &'a RawDocument) -> Result<StoredCommit<'a>, String> {
        let commit = StoredCommit { document, position: 0, count: 0 };
        let (position, count) = (commit.unsigned("position")?, commit.unsigned("count")?);
        if position == 0 || count == 0 {
            return Err(commit.damaged(&format!("it has {count} events at position {position}")));
        }
        Ok(StoredCommit { position, count, ..commit })
    }

    pub(super) fn id(&self) -> Result<Uuid, String> {
        id_in(self.document, "_id").ok_or_else(|| self.lacks("_id", "a UUID"))
    }

    pub(super) fn version(&self) -> Result<u64, String> {
        self.unsigned("version")
    }

    pub(super) fn last_position(&self) -> u64 {
        self.position.saturating_add(self.count - 1)
    }

    pub(super) fn header(&self) -> Result<Header, String> {
        Ok(Header { id: self.id()?, stream: self.stream()?, place: self.appended()? })
    }

    pub(super) fn found(&self) -> Result<FoundCommit, String> {
        let digest = match self.document.get("digest") {
            Ok(Some(RawBsonRef::Binary(binary))) => binary.bytes.try_into().ok(),
            _ => None,
        };
        let digest = digest.ok_or_else(|| self.lacks("digest", "32 bytes"))?;
        Ok(FoundCommit { appended: self.appended()?, digest })
    }

    fn appended(&self) -> Result<Appended, String> {
        let count = u32::try_from(self.count).map_err(|_| self.lacks("count", "a number below 2^32"))?;
        Ok(Appended {
            first_position: self.position,
            first_version: self.version()?,
            count,
            recorded_at: Timestamp::from_micros(self.recorded_at()?),
            repeated: true,
        })
    }

    /// As the filler needs it; `start` is its position or version.
    pub(super) fn at(&self, start: u64) -> Place {
        Place { position: self.position, start, count: self.count }
    }

    /// The id of the event at `position`.
    pub(super) fn event_id(&self, position: u64) -> Result<Uuid, String> {
        let nth = usize::try_from(position - self.position).unwrap_or(usize::MAX);
        let event = self.event_documents()?.nth(nth).ok_or_else(|| self.at(self.position).short())?;
        id_in(event?, "id").ok_or_else(|| self.damaged("an event's id is not a UUID"))
    }

    /// The ids of its events that `wanted` says yes to.
    pub(super) fn event_ids(&self, wanted: impl Fn(Uuid) -> bool) -> Result<Vec<Uuid>, String> {
        let mut ids = Vec::new();
        for event in self.event_documents()? {
            let id = id_in(event?, "id").ok_or_else(|| self.damaged("an event's id is not a UUID"))?;
            if wanted(id) {
                ids.push(id);
            }
        }
        Ok(ids)
    }

    /// Its events, one after the other.
    pub(super) fn events(&self) -> Result<impl Iterator<Item = Result<EventRef<'a>, String>>, String> {
        self.stream()?;
        let stream = self.text("stream")?;
        let (version, recorded_at) = (self.version()?, self.recorded_at()?);
        let (commit, documents) = (*self, self.event_documents()?);
        Ok(documents.zip(0..).map(move |(document, nth): (_, u64)| {
            let event = event(document?).map_err(|problem| commit.damaged(&format!("event {}: {problem}", nth + 1)))?;
            Ok(EventRef {
                position: commit.position.saturating_add(nth),
                version: version.saturating_add(nth),
                stream,
                recorded_at: event.time.unwrap_or(recorded_at),
                id: event.id,
                kind: event.kind,
                schema: event.schema,
                payload: event.payload,
                metadata: event.metadata,
            })
        }))
    }

    fn event_documents(&self) -> Result<impl Iterator<Item = Result<&'a RawDocument, String>> + use<'a>, String> {
        let commit = *self;
        let array = self.document.get_array("events").map_err(|_| self.lacks("events", "an array"))?;
        Ok(array.into_iter().map(move |element| match element {
            Ok(RawBsonRef::Document(event)) => Ok(event),
            _ => Err(commit.damaged("an event is not a document")),
        }))
    }

    fn recorded_at(&self) -> Result<i64, String> {
        whole(self.document, "recorded_at").ok_or_else(|| self.lacks("recorded_at", "a number"))
    }

    fn stream(&self) -> Result<StreamId, String> {
        StreamId::new(self.text("stream")?).map_err(|error| self.damaged(&error.to_string()))
    }

    fn text(&self, key: &str) -> Result<&'a str, String> {
        self.document.get_str(key).map_err(|_| self.lacks(key, "a text"))
    }

    fn unsigned(&self, key: &str) -> Result<u64, String> {
        let number = whole(self.document, key).and_then(|number| u64::try_from(number).ok());
        number.ok_or_else(|| self.lacks(key, "a number that is not negative"))
    }

    fn lacks(&self, key: &str, form: &str) -> String {
        self.damaged(&format!("its member \"{key}\" is not {form}"))
    }

    fn damaged(&self, problem: &str) -> String {
        let id = match self.document.get("_id") {
            Ok(Some(RawBsonRef::Binary(binary))) => {
                Uuid::from_slice(binary.bytes).map_or_else(|_| "of bytes".to_owned(), |id| id.to_string())
            }
            Ok(Some(other)) => format!("{other:?}"),
            _ => "without _id".to_owned(),
        };
        format!(
            "the document {id} in the collection \"{}\" is no commit of Reel's: {problem}",
            super::collections::COMMITS
        )
    }
}

/// An event's members, borrowed.
struct StoredEvent<'a> {
    id: Uuid,
    kind: &'a str,
    schema: u16,
    time: Option<i64>,
    payload: &'a str,
    metadata: &'a str,
}

/// One pass over the document: its members may be in any order.
fn event(document: &RawDocument) -> Result<StoredEvent<'_>, String> {
    let (mut id, mut kind, mut schema, mut time, mut payload, mut metadata) = (None, None, None, None, None, "");
    for element in document {
        let (key, value) = element.map_err(|error| error.to_string())?;
        match (key.as_str(), value) {
            ("id", RawBsonRef::Binary(binary)) => id = Uuid::from_slice(binary.bytes).ok(),
            ("kind", RawBsonRef::String(text)) => kind = Some(text).filter(|kind| EventKind::is_valid(kind)),
            ("schema", RawBsonRef::Int32(number)) => schema = u16::try_from(number).ok(),
            ("schema", RawBsonRef::Int64(number)) => schema = u16::try_from(number).ok(),
            ("time", RawBsonRef::Int64(micros)) if Timestamp::from_micros(micros).micros() == micros => {
                time = Some(micros);
            }
            ("payload", RawBsonRef::String(text)) => payload = Some(text),
            ("metadata", RawBsonRef::String(text)) => metadata = text,
            (key, _) => return Err(format!("its member \"{key}\" is not of the form that Reel writes")),
        }
    }
    let lacks = |key: &str| format!("its member \"{key}\" is missing or not of the form that Reel writes");
    Ok(StoredEvent {
        id: id.ok_or_else(|| lacks("id"))?,
        kind: kind.ok_or_else(|| lacks("kind"))?,
        schema: schema.ok_or_else(|| lacks("schema"))?,
        time,
        payload: payload.ok_or_else(|| lacks("payload"))?,
        metadata,
    })
}

fn id_in(document: &RawDocument, key: &str) -> Option<Uuid> {
    match document.get(key) {
        Ok(Some(RawBsonRef::Binary(binary))) => Uuid::from_slice(binary.bytes).ok(),
        _ => None,
    }
}

/// A whole number: servers may hand out a small one as 32 bits.
pub(super) fn whole(document: &RawDocument, key: &str) -> Option<i64> {
    match document.get(key) {
        Ok(Some(RawBsonRef::Int64(number))) => Some(number),
        Ok(Some(RawBsonRef::Int32(number))) => Some(number.into()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use reel_events::CanonicalJson;

    use super::*;

    fn written() -> RawDocumentBuf {
        let event = |id: u128, own: Option<i64>, metadata: &str| NewEvent {
            id: Uuid::from_u128(id),
            kind: EventKind::new("post-liked").unwrap(),
            schema: 2,
            recorded_at: own.map(Timestamp::from_micros),
            payload: CanonicalJson::trusted(r#"{"by":"é"}"#),
            metadata: CanonicalJson::trusted(metadata),
        };
        let place = Appended {
            first_position: 41,
            first_version: 7,
            count: 2,
            recorded_at: Timestamp::from_micros(1_000_001),
            repeated: false,
        };
        let events = events(&[event(1, None, ""), event(2, Some(-5), r#"{"actor":"b"}"#)]);
        commit(Uuid::from_u128(9), &[3; 32], (&StreamId::new("post-1").unwrap(), &place), &events)
    }

    /// What was released is read for ever: a change of these bytes is a new format.
    #[test]
    fn the_golden_document() {
        let hex: String = written().as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, include_str!("../../../tests/golden/mongodb-commit-1.hex").trim());
    }

    #[test]
    fn what_was_written_is_read() {
        let document = written();
        let commit = StoredCommit::of(&document).unwrap();
        assert_eq!((commit.position, commit.count, commit.last_position()), (41, 2, 42));
        let found = commit.found().unwrap();
        assert_eq!((found.digest, found.appended.first_version, found.appended.repeated), ([3; 32], 7, true));
        let events: Vec<EventRef<'_>> = commit.events().unwrap().map(Result::unwrap).collect();
        assert_eq!((events[1].position, events[1].version, events[1].recorded_at), (42, 8, -5));
        assert_eq!((events[0].recorded_at, events[0].metadata, events[0].schema), (1_000_001, "", 2));
        assert_eq!(commit.event_id(42).unwrap(), Uuid::from_u128(2));
        assert!(commit.event_id(43).is_err());
    }
}
