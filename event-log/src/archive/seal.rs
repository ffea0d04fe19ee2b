//! Making a segment: events go in one after the other, the bytes of the segment come out. The same events give the same content,
//! whoever seals them.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use reel_events::{EventRef, LogId};
use uuid::Uuid;

use super::{
    SEGMENT_BYTES, SegmentName,
    block::BlockBuilder,
    header::{Header, IndexEntry},
    range_end,
};

/// Denser levels cost the sealer much and save little on JSON; reading is as fast.
const LEVEL: i32 = 3;

/// Events of one range that are to become a segment.
#[derive(Debug)]
pub struct SegmentBuilder {
    log: LogId,
    first: u64,
    next: u64,
    last_event: Uuid,
    texts: usize,
    blocks: BTreeMap<Box<str>, BlockBuilder>,
}

/// A segment as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    /// What it is called.
    pub name: SegmentName,
    /// What is stored under that name.
    pub bytes: Vec<u8>,
}

impl SegmentBuilder {
    /// An empty range of `log` that begins at position `first`.
    #[must_use]
    pub fn new(log: LogId, first: u64) -> SegmentBuilder {
        SegmentBuilder { log, first, next: first, last_event: Uuid::nil(), texts: 0, blocks: BTreeMap::new() }
    }

    /// The position that comes next.
    #[must_use]
    pub fn next(&self) -> u64 {
        self.next
    }

    /// Whether nothing was pushed yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.next == self.first
    }

    /// Whether the segment ends here: where the range of positions does, or enough bytes are in it.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.next > range_end(self.first) || self.texts >= SEGMENT_BYTES
    }

    /// Adds the event at the next position.
    ///
    /// # Panics
    /// Where the event has another position, or the segment is full.
    pub fn push(&mut self, event: EventRef<'_>) {
        assert_eq!(event.position, self.next, "a log has no gaps");
        assert!(!self.is_full(), "a full segment takes no event");
        let place = u32::try_from(self.next - self.first).expect("fewer positions than 65,536");
        if !self.blocks.contains_key(event.kind) {
            self.blocks.insert(event.kind.into(), BlockBuilder::default());
        }
        self.blocks.get_mut(event.kind).expect("it was put there").push(place, event);
        self.texts += event.stream.len() + event.kind.len() + event.payload.len() + event.metadata.len();
        self.last_event = event.id;
        self.next += 1;
    }

    /// The segment of what was pushed, at least one event. Revisions count from 1: a reader takes no other.
    ///
    /// # Panics
    /// Where nothing was pushed.
    #[must_use]
    pub fn seal(self, revision: NonZeroU32) -> Segment {
        assert!(!self.is_empty(), "a segment has at least one event");
        let name = SegmentName { log: self.log, first: self.first, last: self.next - 1, revision: revision.get() };
        let mut compressor = zstd::bulk::Compressor::new(LEVEL).expect("level 3 is a level of zstd");
        let mut offset = Header::encoded_bytes(self.blocks.keys().map(|kind| &**kind)) as u64;
        let mut index = Vec::with_capacity(self.blocks.len());
        let mut stored = Vec::with_capacity(self.blocks.len());
        for (kind, block) in self.blocks {
            let content = block.content();
            let bytes = compressor.compress(&content).expect("zstd compresses whatever fits in memory");
            index.push(IndexEntry {
                kind: kind.into(),
                count: block.count,
                first: block.first,
                last: block.last,
                offset,
                stored: u32::try_from(bytes.len()).expect("bounded by the bytes of a segment"),
                content: u32::try_from(content.len()).expect("bounded by the bytes of a segment"),
                digest: *blake3::hash(&content).as_bytes(),
            });
            offset += bytes.len() as u64;
            stored.push(bytes);
        }
        let header = Header { name, last_event: self.last_event, bytes: offset, index };
        let mut bytes = header.encode();
        bytes.reserve_exact(stored.iter().map(Vec::len).sum());
        stored.iter().for_each(|block| bytes.extend_from_slice(block));
        Segment { name, bytes }
    }
}
