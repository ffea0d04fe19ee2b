//! What a segment begins with: whose it is, its range, and an index of its blocks. Byte for byte in docs/archive-format.md.

use reel_events::{LogId, LogPoint};
use uuid::Uuid;

use super::{ArchiveError, SEGMENT_POSITIONS, SegmentName};

/// What every segment begins with.
const MAGIC: [u8; 8] = *b"reel-seg";
/// The one format that there is.
const FORMAT: u16 = 1;
/// Magic, format, two bytes of zero, length of the whole header.
pub(super) const PREFIX: usize = 16;
/// Bytes of a digest.
const DIGEST: usize = 32;
/// More than any segment needs: the texts of a segment are bounded, and so is an event.
const MOST_CONTENT: u32 = 1 << 30;
/// Header of a segment in which every event has a kind of its own, with the longest name.
const MOST_HEADER: usize = SEGMENT_POSITIONS as usize * 256;

/// The beginning of a segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Header {
    /// Whose it is, and its range.
    pub(crate) name: SegmentName,
    /// The event at its last position.
    pub(crate) last_event: Uuid,
    /// Bytes of the whole segment.
    pub(crate) bytes: u64,
    /// One entry a kind, in the order of the kinds.
    pub(crate) index: Vec<IndexEntry>,
}

/// Where the events of one kind are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct IndexEntry {
    /// The kind.
    pub(crate) kind: String,
    /// How many events.
    pub(crate) count: u32,
    /// Place of the first one, counted from the segment's first position.
    pub(crate) first: u32,
    /// Place of the last one.
    pub(crate) last: u32,
    /// Where its block begins in the segment.
    pub(crate) offset: u64,
    /// Bytes of the block as it is stored.
    pub(crate) stored: u32,
    /// Bytes of its content.
    pub(crate) content: u32,
    /// BLAKE3 of its content.
    pub(crate) digest: [u8; DIGEST],
}

impl Header {
    /// Its last position and event.
    pub(crate) fn through(&self) -> LogPoint {
        LogPoint { position: self.name.last, event: self.last_event }
    }

    /// Bytes that it takes, given its kinds.
    pub(super) fn encoded_bytes<'a>(kinds: impl Iterator<Item = &'a str>) -> usize {
        let entries: usize = kinds.map(|kind| 2 + kind.len() + 4 + 4 + 4 + 8 + 4 + 4 + DIGEST).sum();
        PREFIX + 16 + 8 + 8 + 16 + 4 + 4 + 8 + entries + DIGEST
    }

    /// The bytes that a segment begins with.
    pub(super) fn encode(&self) -> Vec<u8> {
        let length = Header::encoded_bytes(self.index.iter().map(|entry| entry.kind.as_str()));
        let mut out = Vec::with_capacity(length);
        out.extend(MAGIC);
        out.extend(FORMAT.to_le_bytes());
        out.extend([0; 2]);
        out.extend(u32::try_from(length).expect("bounded by the number of kinds").to_le_bytes());
        out.extend(self.name.log.0.as_bytes());
        out.extend(self.name.first.to_le_bytes());
        out.extend(self.name.last.to_le_bytes());
        out.extend(self.last_event.as_bytes());
        out.extend(self.name.revision.to_le_bytes());
        out.extend((self.index.len() as u32).to_le_bytes());
        out.extend(self.bytes.to_le_bytes());
        for entry in &self.index {
            out.extend((entry.kind.len() as u16).to_le_bytes());
            out.extend(entry.kind.as_bytes());
            for number in [entry.count, entry.first, entry.last] {
                out.extend(number.to_le_bytes());
            }
            out.extend(entry.offset.to_le_bytes());
            out.extend(entry.stored.to_le_bytes());
            out.extend(entry.content.to_le_bytes());
            out.extend(entry.digest);
        }
        let digest = blake3::hash(&out);
        out.extend(digest.as_bytes());
        out
    }

    /// How long the header is that begins with these bytes.
    ///
    /// # Errors
    /// [`ArchiveError::Damaged`] where they do not begin a segment, [`ArchiveError::Unusable`] where a newer version wrote them.
    pub(super) fn length(name: SegmentName, bytes: &[u8]) -> Result<usize, ArchiveError> {
        let mut fields = Fields(bytes);
        if fields.array::<8>() != Some(MAGIC) {
            return Err(damaged(name, "it does not begin as a segment does"));
        }
        let format = fields.u16().ok_or_else(|| damaged(name, CUT))?;
        if format != FORMAT {
            let reason = format!("it is of format {format}, and this version of Reel reads format {FORMAT}");
            return Err(ArchiveError::Unusable { segment: name.to_string(), reason });
        }
        let length = fields.array::<2>().and_then(|_| fields.u32()).ok_or_else(|| damaged(name, CUT))? as usize;
        if length > MOST_HEADER || length < Header::encoded_bytes(std::iter::empty()) {
            return Err(damaged(name, "the length of its header makes no sense"));
        }
        Ok(length)
    }

    /// Reads the header of the segment that is called `name`.
    ///
    /// # Errors
    /// [`ArchiveError::Damaged`] where a bit of it is wrong, or it is the header of another segment.
    pub(crate) fn decode(name: SegmentName, bytes: &[u8]) -> Result<Header, ArchiveError> {
        let length = Header::length(name, bytes)?;
        let bytes = bytes.get(..length).ok_or_else(|| damaged(name, CUT))?;
        let (fields, digest) = bytes.split_at(length - DIGEST);
        if blake3::hash(fields).as_bytes() != digest {
            return Err(damaged(name, "its header does not have the digest that it should"));
        }
        let header = Header::fields(&fields[PREFIX..]).ok_or_else(|| damaged(name, "its header makes no sense"))?;
        if header.name != name {
            return Err(damaged(name, &format!("it says that it is {}", header.name)));
        }
        header.check()
    }

    fn fields(bytes: &[u8]) -> Option<Header> {
        let mut fields = Fields(bytes);
        let log = LogId(Uuid::from_bytes(fields.array()?));
        let (first, last) = (fields.u64()?, fields.u64()?);
        let last_event = Uuid::from_bytes(fields.array()?);
        let (revision, kinds, bytes) = (fields.u32()?, fields.u32()?, fields.u64()?);
        let index = (0..kinds).map(|_| IndexEntry::read(&mut fields)).collect::<Option<Vec<_>>>()?;
        let name = SegmentName { log, first, last, revision };
        fields.0.is_empty().then_some(Header { name, last_event, bytes, index })
    }

    /// Whether the numbers agree with each other: what they say is trusted when blocks are read.
    fn check(self) -> Result<Header, ArchiveError> {
        let positions = self.name.positions();
        let events: u64 = self.index.iter().map(|entry| u64::from(entry.count)).sum();
        let entry_holds = |entry: &IndexEntry| {
            entry.content <= MOST_CONTENT
                && entry.count > 0
                && entry.first <= entry.last
                && u64::from(entry.last) < positions
                && entry.offset.checked_add(u64::from(entry.stored)).is_some_and(|end| end <= self.bytes)
        };
        if events == positions && self.index.iter().all(entry_holds) {
            Ok(self)
        } else {
            Err(damaged(self.name, "its header contradicts itself"))
        }
    }
}

impl IndexEntry {
    fn read(fields: &mut Fields<'_>) -> Option<IndexEntry> {
        let length = fields.u16()?;
        let kind = std::str::from_utf8(fields.take(usize::from(length))?).ok()?.to_owned();
        let (count, first, last) = (fields.u32()?, fields.u32()?, fields.u32()?);
        let (offset, stored, content) = (fields.u64()?, fields.u32()?, fields.u32()?);
        Some(IndexEntry { kind, count, first, last, offset, stored, content, digest: fields.array()? })
    }
}

const CUT: &str = "it ends within its header";

pub(super) fn damaged(segment: SegmentName, reason: &str) -> ArchiveError {
    ArchiveError::Damaged { segment: segment.to_string(), reason: reason.to_owned() }
}

/// Bytes that are taken from the front.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (front, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(front)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }
}
