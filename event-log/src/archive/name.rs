//! What a segment is called: its log, its range of positions and its revision, in a form that sorts by position.

use std::fmt;

use object_store::path::Path;
use reel_events::LogId;

use super::SEGMENT_POSITIONS;

const ENDING: &str = "reelseg";

/// The name of a segment within its archive: `LOG/FIRST-LAST.REVISION.reelseg`, positions with 20 digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SegmentName {
    /// Which log.
    pub log: LogId,
    /// Its first position.
    pub first: u64,
    /// Its last position.
    pub last: u64,
    /// From 1. Of two segments with the same range, the higher one counts: it was sealed after an event in it was redacted.
    pub revision: u32,
}

impl SegmentName {
    /// Whether the range is one that a segment may have.
    pub(crate) fn is_possible(&self) -> bool {
        let SegmentName { first, last, revision, .. } = *self;
        first >= 1
            && last >= first
            && (first - 1) / SEGMENT_POSITIONS == (last - 1) / SEGMENT_POSITIONS
            && revision >= 1
    }

    /// How many positions it covers.
    #[must_use]
    pub fn positions(&self) -> u64 {
        self.last - self.first + 1
    }

    /// The name without the log's folder.
    pub(super) fn file(&self) -> String {
        let SegmentName { first, last, revision, .. } = self;
        format!("{first:020}-{last:020}.{revision}.{ENDING}")
    }

    /// The object's path below `prefix`.
    pub(super) fn path(&self, prefix: &Path) -> Path {
        prefix.clone().join(self.log.to_string()).join(self.file())
    }

    /// The name that a file in the folder of `log` has; nothing where it is no segment's.
    pub(super) fn parse(log: LogId, file: &str) -> Option<SegmentName> {
        let (range, rest) = file.split_once('.')?;
        let (revision, ending) = rest.split_once('.')?;
        let (first, last) = range.split_once('-')?;
        let name =
            SegmentName { log, first: first.parse().ok()?, last: last.parse().ok()?, revision: revision.parse().ok()? };
        // One form only: else two names would mean one segment.
        (ending == ENDING && name.is_possible() && name.file() == file).then_some(name)
    }
}

impl fmt::Display for SegmentName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.log, self.file())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    const LOG: LogId = LogId(Uuid::from_u128(7));

    #[test]
    fn a_name_is_read_as_it_is_written() {
        for (first, last, revision) in [(1, 65_536, 1), (65_537, 65_537, 3), (131_071, 131_072, u32::MAX)] {
            let name = SegmentName { log: LOG, first, last, revision };
            assert_eq!(SegmentName::parse(LOG, &name.file()), Some(name));
        }
        let name = SegmentName { log: LOG, first: 1, last: 65_536, revision: 1 };
        assert_eq!(
            name.to_string(),
            "00000000-0000-0000-0000-000000000007/00000000000000000001-00000000000000065536.1.reelseg"
        );
        assert_eq!(name.path(&Path::from("a/b")).to_string(), format!("a/b/{name}"));
    }

    #[test]
    fn what_no_segment_is_called() {
        let good = SegmentName { log: LOG, first: 1, last: 65_536, revision: 1 }.file();
        for bad in [
            good.replacen("0000000000000000000", "", 1),
            good.replace(".1.", ".0."),
            good.replace(".1.", ".01."),
            good.replace("65536", "65537"),
            good.replace("reelseg", "tmp"),
            format!("{good}#1"),
            String::new(),
        ] {
            assert_eq!(SegmentName::parse(LOG, &bad), None, "{bad}");
        }
    }
}
