//! Reading a segment: its blocks become events again, in order of position, and only those that are wanted. Pure work: whoever calls it
//! has fetched the bytes, and runs it on a thread that may block.

use bytes::Bytes;
use reel_events::LogPoint;

use super::{
    ArchiveError,
    block::BlockReader,
    header::{Header, IndexEntry, damaged},
};
use crate::{
    history::{Portion, Portions, Wanted},
    store::ReadLimit,
};

/// No block holds the event at this place.
const NONE: u32 = u32::MAX;

/// What is read of a segment.
#[derive(Debug, Clone)]
pub(crate) struct Unsealing {
    /// Which events.
    pub(crate) wanted: Wanted,
    /// Only behind this position.
    pub(crate) after: u64,
    /// Only up to this event, where the segment goes beyond it.
    pub(crate) until: LogPoint,
    /// Where a portion ends.
    pub(crate) limit: ReadLimit,
}

/// A block as it is stored, and what the index says of it.
#[derive(Debug, Clone)]
pub(crate) struct StoredBlock {
    pub(crate) entry: IndexEntry,
    pub(crate) bytes: Bytes,
}

impl Unsealing {
    /// Whether the block of this index entry is needed.
    pub(crate) fn needs(&self, header: &Header, entry: &IndexEntry) -> bool {
        let (first, last) = (header.name.first + u64::from(entry.first), header.name.first + u64::from(entry.last));
        first <= self.until.position && last > self.after && self.wanted.kinds.wants(&entry.kind)
    }

    /// The wanted events of a segment, given the blocks that [`Unsealing::needs`] names. The last portion goes through the segment's
    /// last event, or through `until` where that comes before it.
    ///
    /// # Errors
    /// [`ArchiveError::Damaged`] where a bit of the blocks is wrong.
    pub(crate) fn read(&self, header: &Header, blocks: &[StoredBlock]) -> Result<Vec<Portion>, ArchiveError> {
        let mut decompressor = zstd::bulk::Decompressor::new().expect("a decompressor needs memory only");
        let contents = blocks.iter().map(|block| content(header, block, &mut decompressor));
        let contents = contents.collect::<Result<Vec<_>, _>>()?;
        let readers = contents.iter().zip(blocks).map(|(content, StoredBlock { entry, .. })| {
            let reader = BlockReader::new(&entry.kind, entry.count, content);
            reader.ok_or_else(|| of_block(header, entry, "its columns and texts do not fit together"))
        });
        let mut readers = readers.collect::<Result<Vec<_>, _>>()?;
        let order = order(header, blocks, &readers)?;
        self.merge(header, &order, &mut readers)
    }

    /// Takes events from the blocks in the order of their places.
    fn merge(
        &self,
        header: &Header,
        order: &[u32],
        readers: &mut [BlockReader<'_>],
    ) -> Result<Vec<Portion>, ArchiveError> {
        let mut portions = Portions::new(&self.wanted, self.limit);
        for (position, &block) in (header.name.first..=header.name.last).zip(order) {
            if position > self.until.position {
                break;
            }
            if block == NONE {
                continue;
            }
            let reader = &mut readers[block as usize];
            let batch = self.wanted.sharing.batch_of(|| reader.key_hash());
            let event =
                reader.take(position).ok_or_else(|| damaged(header.name, "a text is cut within a character"))?;
            if let Some(batch) = batch.filter(|_| position > self.after) {
                portions.push(batch, event);
            }
        }
        Ok(portions.finish(self.through(header)))
    }

    fn through(&self, header: &Header) -> LogPoint {
        if self.until.position < header.name.last { self.until } else { header.through() }
    }
}

/// Decompresses a block, and holds it against its digest.
fn content(
    header: &Header,
    block: &StoredBlock,
    decompressor: &mut zstd::bulk::Decompressor<'_>,
) -> Result<Vec<u8>, ArchiveError> {
    let StoredBlock { entry, bytes } = block;
    let content = decompressor
        .decompress(bytes, entry.content as usize)
        .map_err(|error| of_block(header, entry, &format!("zstd says: {error}")))?;
    if content.len() != entry.content as usize || blake3::hash(&content).as_bytes() != &entry.digest {
        return Err(of_block(header, entry, "it does not have the digest that it should"));
    }
    Ok(content)
}

/// Which block holds the event at each place of the segment.
fn order(header: &Header, blocks: &[StoredBlock], readers: &[BlockReader<'_>]) -> Result<Vec<u32>, ArchiveError> {
    let positions = usize::try_from(header.name.positions()).expect("at most 65,536");
    let mut order = vec![NONE; positions];
    for (number, (reader, block)) in (0..).zip(readers.iter().zip(blocks)) {
        let mut least = 0;
        for place in reader.places() {
            let slot = order.get_mut(place as usize).filter(|slot| **slot == NONE && place >= least);
            *slot.ok_or_else(|| of_block(header, &block.entry, "its positions are not in order"))? = number;
            least = place + 1;
        }
    }
    Ok(order)
}

fn of_block(header: &Header, entry: &IndexEntry, reason: &str) -> ArchiveError {
    damaged(header.name, &format!("block {}: {reason}", entry.kind))
}
