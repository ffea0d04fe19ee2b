//! The stored form of a commit's events: what an event store keeps of them in one value. Position, version and stream are
//! the commit's and stand beside it.
//!
//! Format 1, all numbers little-endian: one byte `1`; then for each event
//!
//! | bytes | what |
//! |---|---|
//! | 1 | flags: 1 = the event has a time of its own |
//! | 1 | length of the kind |
//! | 2 | schema |
//! | 4 | length of the payload |
//! | 4 | length of the metadata |
//! | 16 | id |
//! | 8 | its own time, microseconds since the epoch; only where the flag says so |
//! | … | kind, payload, metadata |
//!
//! A format that was released is read for ever; a new one gets the next first byte.

use uuid::Uuid;

use crate::{EventBatch, EventRef, NewEvent, Timestamp, event::is_kind, stream::is_stream_id};

const FORMAT: u8 = 1;
const OWN_TIME: u8 = 1;
/// Flags, lengths and id of one event.
const FIXED: usize = 28;

/// Stored bytes that are not what was written: damaged, or written by a newer version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoredError {
    /// Written by a newer version of Reel.
    #[error("stored events have format {found}; this version reads format {FORMAT}")]
    Format {
        /// The first byte.
        found: u8,
    },
    /// Cut off, or not what was written.
    #[error("stored events are damaged at byte {offset}: {problem}")]
    Damaged {
        /// From the beginning of the value.
        offset: usize,
        /// What does not fit.
        problem: &'static str,
    },
}

/// Writes the events of one commit.
///
/// # Panics
/// Where a payload or metadata has 4 GiB or more; the store's limits are far below.
#[must_use]
pub fn encode(events: &[NewEvent]) -> Vec<u8> {
    let texts =
        |event: &NewEvent| event.kind.as_str().len() + event.payload.as_str().len() + event.metadata.as_str().len();
    let size = events.iter().map(|event| FIXED + size_of::<i64>() + texts(event)).sum::<usize>() + 1;
    let mut out = Vec::with_capacity(size);
    out.push(FORMAT);
    for event in events {
        encode_event(event, &mut out);
    }
    out
}

fn encode_event(event: &NewEvent, out: &mut Vec<u8>) {
    let (kind, payload, metadata) = (event.kind.as_str(), event.payload.as_str(), event.metadata.as_str());
    let length = |text: &str| u32::try_from(text.len()).expect("limited far below 4 GiB").to_le_bytes();
    out.push(if event.recorded_at.is_some() { OWN_TIME } else { 0 });
    out.push(u8::try_from(kind.len()).expect("a kind has at most 128 bytes"));
    out.extend_from_slice(&event.schema.to_le_bytes());
    out.extend_from_slice(&length(payload));
    out.extend_from_slice(&length(metadata));
    out.extend_from_slice(event.id.as_bytes());
    if let Some(own) = event.recorded_at {
        out.extend_from_slice(&own.micros().to_le_bytes());
    }
    for text in [kind, payload, metadata] {
        out.extend_from_slice(text.as_bytes());
    }
}

/// Where a commit stands: what its events share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CommitPlace<'a> {
    /// The stream of all its events.
    pub stream: &'a str,
    /// Position of its first event.
    pub position: u64,
    /// Version of its first event.
    pub version: u64,
    /// Microseconds since the epoch; of every event that has no time of its own.
    pub recorded_at: i64,
}

/// Adds all events of a commit to `batch`. On an error the batch may hold some of them.
///
/// # Errors
/// Where the bytes are not what [`encode`] wrote.
pub fn decode_into(bytes: &[u8], place: CommitPlace<'_>, batch: &mut EventBatch) -> Result<(), StoredError> {
    for event in events(bytes, place)? {
        batch.push(event?);
    }
    Ok(())
}

/// The events of a commit, one after the other, borrowed from its bytes.
///
/// # Errors
/// Where the format is unknown or the stream is none; each event then has an error of its own, after which there is none.
pub fn events<'a>(bytes: &'a [u8], place: CommitPlace<'a>) -> Result<StoredEvents<'a>, StoredError> {
    match bytes.first() {
        Some(&FORMAT) if is_stream_id(place.stream) => Ok(StoredEvents { bytes, at: 1, place }),
        Some(&FORMAT) => Err(damaged(0, "the stream's id is not of the form that the log accepts")),
        Some(found) => Err(StoredError::Format { found: *found }),
        None => Err(damaged(0, "there are no bytes")),
    }
}

/// See [`events`].
#[derive(Debug, Clone)]
pub struct StoredEvents<'a> {
    bytes: &'a [u8],
    at: usize,
    place: CommitPlace<'a>,
}

impl<'a> Iterator for StoredEvents<'a> {
    type Item = Result<EventRef<'a>, StoredError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.at >= self.bytes.len() {
            return None;
        }
        let event = self.event();
        match event {
            Ok(_) => {
                self.place.position = self.place.position.saturating_add(1);
                self.place.version = self.place.version.saturating_add(1);
            }
            Err(_) => self.at = self.bytes.len(),
        }
        Some(event)
    }
}

impl<'a> StoredEvents<'a> {
    fn event(&mut self) -> Result<EventRef<'a>, StoredError> {
        let start = self.at;
        let [flags, kind_length] = self.array()?;
        if flags & !OWN_TIME != 0 {
            return Err(damaged(start, "unknown flags"));
        }
        let schema = u16::from_le_bytes(self.array()?);
        let payload_length = u32::from_le_bytes(self.array()?);
        let metadata_length = u32::from_le_bytes(self.array()?);
        let id = Uuid::from_bytes(self.array()?);
        let recorded_at = if flags & OWN_TIME == 0 { self.place.recorded_at } else { self.own_time()? };
        let kind_at = self.at;
        let kind = self.text(kind_length.into())?;
        if !is_kind(kind.as_bytes()) {
            return Err(damaged(kind_at, "not an event kind"));
        }
        let payload = self.text(payload_length)?;
        let metadata = self.text(metadata_length)?;
        let CommitPlace { stream, position, version, .. } = self.place;
        Ok(EventRef { position, version, id, stream, kind, schema, recorded_at, payload, metadata })
    }

    fn own_time(&mut self) -> Result<i64, StoredError> {
        let at = self.at;
        let micros = i64::from_le_bytes(self.array()?);
        let inside = Timestamp::from_micros(micros).micros() == micros;
        if inside { Ok(micros) } else { Err(damaged(at, "a time outside the years 1 to 9999")) }
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], StoredError> {
        let bytes = self.take(N)?;
        Ok(bytes.try_into().expect("as many as asked for"))
    }

    fn text(&mut self, length: u32) -> Result<&'a str, StoredError> {
        let at = self.at;
        let bytes = self.take(length as usize)?;
        std::str::from_utf8(bytes).map_err(|_| damaged(at, "text is not UTF-8"))
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], StoredError> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let taken = rest.get(..length).ok_or(damaged(self.at, "the bytes end within an event"))?;
        self.at += length;
        Ok(taken)
    }
}

fn damaged(offset: usize, problem: &'static str) -> StoredError {
    StoredError::Damaged { offset, problem }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{CanonicalJson, EventKind};

    const PLACE: CommitPlace<'static> = CommitPlace { stream: "post-1", position: 10, version: 3, recorded_at: 99 };

    fn any_event() -> impl Strategy<Value = NewEvent> {
        let times = prop::option::of(any::<i64>().prop_map(Timestamp::from_micros));
        (any::<u128>(), "[a-z0-9][a-z0-9._/:-]{0,20}", any::<u16>(), times, ".*", ".*").prop_map(
            |(id, kind, schema, recorded_at, payload, metadata)| NewEvent {
                id: Uuid::from_u128(id),
                kind: EventKind::new(&kind).unwrap(),
                schema,
                recorded_at,
                payload: CanonicalJson::trusted(&payload),
                metadata: CanonicalJson::trusted(&metadata),
            },
        )
    }

    fn expected<'a>(event: &'a NewEvent, nth: u64) -> EventRef<'a> {
        EventRef {
            position: PLACE.position + nth,
            version: PLACE.version + nth,
            id: event.id,
            stream: PLACE.stream,
            kind: event.kind.as_str(),
            schema: event.schema,
            recorded_at: event.recorded_at.map_or(PLACE.recorded_at, Timestamp::micros),
            payload: event.payload.as_str(),
            metadata: event.metadata.as_str(),
        }
    }

    proptest! {
        #[test]
        fn what_was_written_is_read(events in prop::collection::vec(any_event(), 1..5)) {
            let mut batch = EventBatch::new();
            decode_into(&encode(&events), PLACE, &mut batch).unwrap();
            let expected: Vec<EventRef<'_>> = (0..).zip(&events).map(|(nth, event)| expected(event, nth)).collect();
            prop_assert_eq!(batch.iter().collect::<Vec<_>>(), expected);
        }

        #[test]
        fn a_cut_is_seen(events in prop::collection::vec(any_event(), 1..4), at in any::<prop::sample::Index>()) {
            let whole = encode(&events);
            let cut = &whole[..at.index(whole.len())];
            let mut batch = EventBatch::new();
            match decode_into(cut, PLACE, &mut batch) {
                Ok(()) => prop_assert!(batch.len() < events.len()),
                Err(error) => {
                    let damaged = matches!(error, StoredError::Damaged { .. });
                    prop_assert!(damaged);
                }
            }
        }

        #[test]
        fn damaged_bytes_never_panic(
            events in prop::collection::vec(any_event(), 1..3),
            damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        ) {
            let mut bytes = encode(&events);
            for (at, byte) in damage {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            let mut batch = EventBatch::new();
            let _ = decode_into(&bytes, PLACE, &mut batch);
            batch.iter().for_each(|event| drop(event.to_event()));
        }
    }

    #[test]
    fn errors_are_named() {
        let mut batch = EventBatch::new();
        let newer = decode_into(&[2, 0, 0], PLACE, &mut batch).unwrap_err();
        assert_eq!(newer.to_string(), "stored events have format 2; this version reads format 1");
        assert!(decode_into(&[], PLACE, &mut batch).is_err());
        assert!(decode_into(&[1], CommitPlace { stream: "x", ..PLACE }, &mut batch).is_err());
        let huge = [&[1, 0, 1, 0, 0][..], &[255; 8], &[0; 16], b"k"].concat();
        let cut = decode_into(&huge, PLACE, &mut batch).unwrap_err();
        assert_eq!(cut.to_string(), "stored events are damaged at byte 30: the bytes end within an event");
        assert!(batch.is_empty());
    }
}
