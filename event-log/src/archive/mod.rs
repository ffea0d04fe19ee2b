//! The archive: sealed history. Ranges of positions are kept as segments, one object each, in a directory or in object storage; every
//! replay reads them instead of asking the event store. What a segment looks like is in docs/archive-format.md; here it is written by
//! `seal`, read by `unseal`, and kept by `place`. `sealer` makes segments of what the event store holds.
//!
//! The archive is a copy: deleting it loses nothing. Whoever reads it checks it against the store first (`history`).

mod block;
mod buffers;
mod error;
mod header;
mod location;
mod name;
mod place;
mod seal;
mod sealer;
mod unseal;
mod verify;
mod writer;

pub use error::ArchiveError;
pub use name::SegmentName;
pub use place::{Archive, Pruned, Stored};
pub use seal::{Segment, SegmentBuilder};
pub use sealer::{Sealer, SealerConfig, SealerStatus};
pub use verify::{Verified, VerifiedSegment, gaps};
pub use writer::Writer;

pub(crate) use buffers::Buffers;
pub(crate) use unseal::Unsealing;

/// Positions in one segment at most, and what their ends are aligned to: a segment never reaches over a multiple of it. So a range that
/// is missing has the same bounds whoever seals it again, and the events of one segment can be put in order by their place alone.
pub const SEGMENT_POSITIONS: u64 = 65_536;

/// A segment ends early behind the event with which its texts reach so many bytes: what bounds the memory of whoever writes or reads
/// one. Events of usual size (some 200 bytes) fill a segment by their number first.
pub const SEGMENT_BYTES: usize = 16 << 20;

/// The last position of the range of [`SEGMENT_POSITIONS`] that `position` lies in.
#[must_use]
pub fn range_end(position: u64) -> u64 {
    position.div_ceil(SEGMENT_POSITIONS).max(1).saturating_mul(SEGMENT_POSITIONS)
}
