//! Memory for reading segments one behind the other, used again: a segment has tens of megabytes once it is decompressed, and pages that
//! come from the system for each of them cost more than the reading. Whoever reads a log has one of these, and it ends with them.

use std::sync::{Arc, Mutex, PoisonError};

use reel_events::TextPool;

/// Memory of the segments that are being read. Clones are the same memory.
#[derive(Debug, Clone, Default)]
pub(crate) struct Buffers {
    /// For the texts, which go on to whoever wanted the events.
    pub(super) texts: Arc<TextPool>,
    contents: Arc<Mutex<Vec<Contents>>>,
}

/// What is needed only while a segment is read.
#[derive(Debug, Default)]
pub(super) struct Contents {
    /// One block.
    pub(super) block: Vec<u8>,
    /// The columns of all blocks, but for their texts.
    pub(super) columns: Vec<u8>,
}

impl Buffers {
    /// Empty contents, with memory of earlier ones.
    pub(super) fn take(&self) -> Contents {
        let taken = self.contents.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut contents = taken.unwrap_or_default();
        contents.columns.clear();
        contents
    }

    /// Gives contents back.
    pub(super) fn give_back(&self, contents: Contents) {
        self.contents.lock().unwrap_or_else(PoisonError::into_inner).push(contents);
    }
}
