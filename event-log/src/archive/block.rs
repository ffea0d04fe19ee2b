//! A block: the events of one kind within a segment, column by column, so that equal things lie beside each other. Only its content;
//! compression and digest are the header's matter (`seal`, `unseal`).

use reel_events::{EventRef, key_hash};
use uuid::Uuid;

/// Bytes of the fixed columns for one event.
const FIXED: usize = 4 + 8 + 8 + 2 + 16 + 4 + 2 + 4 + 4;

/// A block that is being filled.
#[derive(Debug, Default)]
pub(super) struct BlockBuilder {
    /// Events in it.
    pub(super) count: u32,
    /// Position of its first event, counted from the segment's first.
    pub(super) first: u32,
    /// Position of its last event, counted in the same way.
    pub(super) last: u32,
    last_time: i64,
    positions: Vec<u8>,
    versions: Vec<u8>,
    times: Vec<u8>,
    schemas: Vec<u8>,
    ids: Vec<u8>,
    hashes: Vec<u8>,
    stream_lengths: Vec<u8>,
    payload_lengths: Vec<u8>,
    metadata_lengths: Vec<u8>,
    streams: String,
    payloads: String,
    metadata: String,
}

impl BlockBuilder {
    /// Adds an event behind the last; `place` is its position, counted from the segment's first.
    pub(super) fn push(&mut self, place: u32, event: EventRef<'_>) {
        if self.count == 0 {
            self.first = place;
        }
        self.count += 1;
        self.last = place;
        self.positions.extend(place.to_le_bytes());
        self.versions.extend(event.version.to_le_bytes());
        self.times.extend(event.recorded_at.wrapping_sub(self.last_time).to_le_bytes());
        self.last_time = event.recorded_at;
        self.schemas.extend(event.schema.to_le_bytes());
        self.ids.extend(event.id.as_bytes());
        self.hashes.extend(key_hash(event.stream).to_le_bytes());
        let stream_length = u16::try_from(event.stream.len()).expect("a stream's id has at most 512 bytes");
        self.stream_lengths.extend(stream_length.to_le_bytes());
        self.payload_lengths.extend(length(event.payload));
        self.metadata_lengths.extend(length(event.metadata));
        self.streams.push_str(event.stream);
        self.payloads.push_str(event.payload);
        self.metadata.push_str(event.metadata);
    }

    /// The content, in one piece.
    pub(super) fn content(&self) -> Vec<u8> {
        let columns = [
            &self.positions,
            &self.versions,
            &self.times,
            &self.schemas,
            &self.ids,
            &self.hashes,
            &self.stream_lengths,
            &self.payload_lengths,
            &self.metadata_lengths,
        ];
        let texts = self.streams.len() + self.payloads.len() + self.metadata.len();
        let mut content = Vec::with_capacity(self.count as usize * FIXED + texts);
        columns.iter().for_each(|column| content.extend_from_slice(column));
        [&self.streams, &self.payloads, &self.metadata]
            .iter()
            .for_each(|text| content.extend_from_slice(text.as_bytes()));
        content
    }
}

fn length(text: &str) -> [u8; 4] {
    u32::try_from(text.len()).expect("a store takes no event near 4 GiB").to_le_bytes()
}

/// The content of a block, borrowed, and how far it was read.
#[derive(Debug)]
pub(super) struct BlockReader<'a> {
    kind: &'a str,
    count: usize,
    next: usize,
    recorded_at: i64,
    positions: &'a [u8],
    versions: &'a [u8],
    times: &'a [u8],
    schemas: &'a [u8],
    ids: &'a [u8],
    hashes: &'a [u8],
    stream_lengths: &'a [u8],
    payload_lengths: &'a [u8],
    metadata_lengths: &'a [u8],
    streams: &'a str,
    payloads: &'a str,
    metadata: &'a str,
}

/// How the content of a block falls into fixed columns and texts: the length of the former.
pub(super) fn columns_length(count: u32) -> usize {
    count as usize * FIXED
}

impl<'a> BlockReader<'a> {
    /// Before the first event, given the block's columns ([`columns_length`] bytes) and texts; nothing where the texts are not those of
    /// the columns.
    pub(super) fn new(kind: &'a str, count: u32, columns: &'a [u8], texts: &'a str) -> Option<BlockReader<'a>> {
        let count = count as usize;
        let mut rest = columns;
        let mut column = |width: usize| {
            let (column, behind) = rest.split_at_checked(count.checked_mul(width)?)?;
            rest = behind;
            Some(column)
        };
        let (positions, versions, times, schemas, ids) = (column(4)?, column(8)?, column(8)?, column(2)?, column(16)?);
        let (hashes, stream_lengths, payload_lengths, metadata_lengths) =
            (column(4)?, column(2)?, column(4)?, column(4)?);
        let streams_end = (0..count).map(|at| usize::from(u16_at(stream_lengths, at))).sum::<usize>();
        let payloads_end = streams_end + sum(payload_lengths, count);
        if payloads_end + sum(metadata_lengths, count) != texts.len() {
            return None;
        }
        Some(BlockReader {
            kind,
            count,
            next: 0,
            recorded_at: 0,
            positions,
            versions,
            times,
            schemas,
            ids,
            hashes,
            stream_lengths,
            payload_lengths,
            metadata_lengths,
            streams: texts.get(..streams_end)?,
            payloads: texts.get(streams_end..payloads_end)?,
            metadata: texts.get(payloads_end..)?,
        })
    }

    /// All places, counted from the segment's first position.
    pub(super) fn places(&self) -> impl Iterator<Item = u32> + 'a {
        let positions = self.positions;
        (0..self.count).map(move |at| u32_at(positions, at))
    }

    /// Hash of the next event's stream key. Only where there is a next event.
    pub(super) fn key_hash(&self) -> u32 {
        u32_at(self.hashes, self.next)
    }

    /// Takes the next event, without its position; nothing where the block ends, or its texts are cut within a character.
    pub(super) fn take(&mut self, position: u64) -> Option<EventRef<'a>> {
        let at = self.next;
        if at >= self.count {
            return None;
        }
        self.next = at + 1;
        self.recorded_at = self.recorded_at.wrapping_add(u64_at(self.times, at).cast_signed());
        let stream = cut(&mut self.streams, usize::from(u16_at(self.stream_lengths, at)))?;
        let payload = cut(&mut self.payloads, u32_at(self.payload_lengths, at) as usize)?;
        let metadata = cut(&mut self.metadata, u32_at(self.metadata_lengths, at) as usize)?;
        Some(EventRef {
            position,
            version: u64_at(self.versions, at),
            id: Uuid::from_bytes(array(self.ids, at)),
            stream,
            kind: self.kind,
            schema: u16_at(self.schemas, at),
            recorded_at: self.recorded_at,
            payload,
            metadata,
        })
    }
}

/// Cuts `length` bytes off the front of a text.
fn cut<'a>(text: &mut &'a str, length: usize) -> Option<&'a str> {
    let (front, rest) = text.split_at_checked(length)?;
    *text = rest;
    Some(front)
}

fn sum(lengths: &[u8], count: usize) -> usize {
    (0..count).map(|at| u32_at(lengths, at) as usize).sum()
}

fn array<const N: usize>(column: &[u8], at: usize) -> [u8; N] {
    column[at * N..][..N].try_into().expect("a slice of N bytes")
}

fn u16_at(column: &[u8], at: usize) -> u16 {
    u16::from_le_bytes(array(column, at))
}

fn u32_at(column: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(array(column, at))
}

fn u64_at(column: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(array(column, at))
}
