//! What a writer knows of the log between its inserts: the end, as a majority has it, and versions of streams.

use std::collections::HashMap;

use reel_events::{StreamId, Timestamp};
use uuid::Uuid;

use crate::store::Appended;

/// Streams whose version is remembered; beyond that, all are forgotten and looked up again.
const REMEMBERED_STREAMS: usize = 1 << 16;
/// Wins after another writer was seen for which this one makes way.
const MANNERS: u32 = 8;

/// The last commit of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct End {
    /// The commit; nil in an empty log.
    pub(crate) commit: Uuid,
    /// Position of its first event; 0 in an empty log.
    pub(crate) first_position: u64,
    /// Position of its last event; 0 in an empty log.
    pub(crate) position: u64,
    /// When it was taken.
    pub(crate) recorded_at: Timestamp,
}

impl End {
    /// Of a log without events.
    pub(crate) const EMPTY: End =
        End { commit: Uuid::nil(), first_position: 0, position: 0, recorded_at: Timestamp::MIN };

    fn of(commit: Uuid, place: &Appended) -> End {
        let Appended { first_position, recorded_at, .. } = *place;
        End { commit, first_position, position: place.last_position(), recorded_at }
    }
}

/// A commit in the log, without its events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) id: Uuid,
    pub(crate) stream: StreamId,
    pub(crate) place: Appended,
}

impl Header {
    /// As the end of the log.
    pub(crate) fn end(&self) -> End {
        End::of(self.id, &self.place)
    }
}

/// How much of the log's end is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Tail {
    /// Nothing.
    Skip,
    /// The commits behind this one.
    Behind(End),
    /// Where it is.
    End,
}

/// The answer to that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SeenTail {
    /// Nothing was asked.
    Skipped,
    /// All commits behind the known end, in order, while that still stands where it stood.
    Behind(Vec<Header>),
    /// The end: asked for; or the commits behind the known one are too many; or that is not there any more.
    End(End),
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Knowledge {
    end: Option<End>,
    streams: HashMap<StreamId, u64>,
    manners: u32,
}

impl Knowledge {
    /// Of a log that ends there.
    pub(crate) fn of(end: End) -> Knowledge {
        Knowledge { end: Some(end), ..Knowledge::default() }
    }

    /// Where the log ended when it was last seen; nothing where that is not known.
    pub(crate) fn end(&self) -> Option<End> {
        self.end
    }

    /// Whether to let others go first, after an insert that succeeded: they wrote lately, and whoever has just won would always
    /// be the first again.
    pub(crate) fn makes_way(&self) -> bool {
        self.manners > 0
    }

    pub(super) fn forget(&mut self) {
        self.end = None;
        self.streams.clear();
    }

    /// `is_own` tells the commits of this writer from those of others.
    pub(super) fn learn(&mut self, tail: SeenTail, is_own: impl Fn(Uuid) -> bool) {
        match tail {
            SeenTail::Skipped => {}
            SeenTail::Behind(commits) => {
                for Header { id, stream, place } in commits {
                    if !is_own(id) {
                        self.manners = MANNERS;
                    }
                    self.extend(id, &stream, place);
                }
            }
            SeenTail::End(end) => {
                self.streams.clear();
                self.end = Some(end);
            }
        }
    }

    pub(super) fn learn_streams(&mut self, streams: Vec<(StreamId, u64)>) {
        for (stream, version) in streams {
            self.remember(&stream, version);
        }
    }

    /// A commit of this writer was acknowledged.
    pub(super) fn appended(&mut self, id: Uuid, stream: &StreamId, place: Appended) {
        self.manners = self.manners.saturating_sub(1);
        self.extend(id, stream, place);
    }

    /// Which of these streams' versions are not known; each once.
    pub(super) fn unknown<'a>(&self, streams: impl Iterator<Item = &'a StreamId>) -> Vec<StreamId> {
        let mut unknown: Vec<StreamId> =
            streams.filter(|stream| !self.streams.contains_key(*stream)).cloned().collect();
        unknown.sort_unstable();
        unknown.dedup();
        unknown
    }

    pub(super) fn version(&self, stream: &StreamId) -> u64 {
        self.streams.get(stream).copied().unwrap_or(0)
    }

    fn extend(&mut self, id: Uuid, stream: &StreamId, place: Appended) {
        self.end = Some(End::of(id, &place));
        self.remember(stream, place.last_version());
    }

    fn remember(&mut self, stream: &StreamId, version: u64) {
        if let Some(known) = self.streams.get_mut(stream) {
            *known = version;
            return;
        }
        if self.streams.len() >= REMEMBERED_STREAMS {
            self.streams.clear();
        }
        self.streams.insert(stream.clone(), version);
    }
}

#[cfg(test)]
impl Knowledge {
    /// What a wrong protocol does: takes the next position for given.
    pub(crate) fn skip_ahead(&mut self) {
        if let Some(end) = &mut self.end {
            end.position += 1;
        }
    }
}
