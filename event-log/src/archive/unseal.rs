//! Reading a segment: its blocks become events again, in order of position, and only those that are wanted. Pure work: whoever calls it
//! has fetched the bytes, and runs it on a thread that may block.

use std::{ops::Range, sync::Arc};

use bytes::Bytes;
use reel_events::{LogPoint, Texts};

use super::{
    ArchiveError,
    block::{BlockReader, columns_length},
    buffers::{Buffers, Contents},
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
    /// Memory of other segments of the same reader.
    pub(crate) buffers: Buffers,
}

/// A block as it is stored, and what the index says of it.
#[derive(Debug, Clone)]
pub(crate) struct StoredBlock {
    pub(crate) entry: IndexEntry,
    pub(crate) bytes: Bytes,
}

/// Where the parts of a block are.
struct Part {
    /// Within the columns.
    columns: Range<usize>,
    /// Within the texts, as the next.
    kind: Range<usize>,
    texts: Range<usize>,
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
        let mut contents = self.buffers.take();
        let portions = self.read_into(&mut contents, header, blocks);
        self.buffers.give_back(contents);
        portions
    }

    fn read_into(
        &self,
        contents: &mut Contents,
        header: &Header,
        blocks: &[StoredBlock],
    ) -> Result<Vec<Portion>, ArchiveError> {
        let mut decompressor = zstd::bulk::Decompressor::new().expect("a decompressor needs memory only");
        let columns =
            blocks.iter().map(|StoredBlock { entry, .. }| columns_length(entry.count).min(entry.content as usize));
        let columns = columns.sum::<usize>();
        contents.columns.reserve_exact(columns);
        let whole = blocks.iter().map(|block| block.entry.content as usize + block.entry.kind.len());
        let mut texts = self.buffers.texts.take(whole.sum::<usize>().saturating_sub(columns));
        let mut parts = Vec::with_capacity(blocks.len());
        for block in blocks {
            decompress(header, block, &mut decompressor, &mut contents.block)?;
            parts.push(part(header, &block.entry, contents, &mut texts)?);
        }
        let texts = self.buffers.texts.share(texts);
        let readers = parts.into_iter().zip(blocks).map(|(part, StoredBlock { entry, .. })| {
            let text = |range| &texts.as_str()[range];
            let (kind, columns) = (text(part.kind), &contents.columns[part.columns]);
            let reader = BlockReader::new(kind, entry.count, columns, text(part.texts));
            reader.ok_or_else(|| of_block(header, entry, "its columns and texts do not fit together"))
        });
        let mut readers = readers.collect::<Result<Vec<_>, _>>()?;
        let order = order(header, blocks, &readers)?;
        self.merge(header, &order, &mut readers, &texts)
    }

    /// Takes events from the blocks in the order of their places.
    fn merge(
        &self,
        header: &Header,
        order: &[u32],
        readers: &mut [BlockReader<'_>],
        texts: &Arc<Texts>,
    ) -> Result<Vec<Portion>, ArchiveError> {
        let mut portions = Portions::new(&self.wanted, self.limit, Some(Arc::clone(texts)));
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
fn decompress(
    header: &Header,
    block: &StoredBlock,
    decompressor: &mut zstd::bulk::Decompressor<'_>,
    content: &mut Vec<u8>,
) -> Result<(), ArchiveError> {
    let StoredBlock { entry, bytes } = block;
    content.clear();
    content.reserve(entry.content as usize);
    decompressor
        .decompress_to_buffer(bytes, content)
        .map_err(|error| of_block(header, entry, &format!("zstd says: {error}")))?;
    if content.len() != entry.content as usize || blake3::hash(content).as_bytes() != &entry.digest {
        return Err(of_block(header, entry, "it does not have the digest that it should"));
    }
    Ok(())
}

/// Puts what a decompressed block holds to that of the others.
fn part(
    header: &Header,
    entry: &IndexEntry,
    contents: &mut Contents,
    texts: &mut String,
) -> Result<Part, ArchiveError> {
    let parts = contents.block.split_at_checked(columns_length(entry.count));
    let parts = parts.and_then(|(columns, texts)| Some((columns, simdutf8::basic::from_utf8(texts).ok()?)));
    let (columns, block_texts) =
        parts.ok_or_else(|| of_block(header, entry, "its columns and texts do not fit together"))?;
    let columns_start = contents.columns.len();
    contents.columns.extend_from_slice(columns);
    let kind_start = texts.len();
    texts.push_str(&entry.kind);
    let texts_start = texts.len();
    texts.push_str(block_texts);
    let columns = columns_start..contents.columns.len();
    Ok(Part { columns, kind: kind_start..texts_start, texts: texts_start..texts.len() })
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
