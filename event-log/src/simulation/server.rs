//! A modelled MongoDB: one collection on a replica set. What the primary has taken, and how much of that a majority holds. A
//! fail-over drops any part of what a majority does not hold. No time passes here; the run decides when what happens.

use reel_events::StreamId;
use uuid::Uuid;

use crate::store::{
    Appended, FoundCommit,
    mongodb::protocol::{End, EventIds, Header, Look, Seen, SeenTail, Tail},
};

/// A commit's document.
#[derive(Debug, Clone)]
pub(crate) struct Stored {
    pub(crate) id: Uuid,
    pub(crate) stream: StreamId,
    pub(crate) place: Appended,
    pub(crate) digest: [u8; 32],
    pub(crate) events: Vec<Uuid>,
}

impl Stored {
    fn header(&self) -> Header {
        Header { id: self.id, stream: self.stream.clone(), place: Appended { repeated: true, ..self.place } }
    }

    /// Whether a unique index keeps the other one out.
    fn excludes(&self, other: &Stored, event_ids: EventIds) -> bool {
        self.id == other.id
            || self.place.first_position == other.place.first_position
            || (self.stream == other.stream && self.place.first_version == other.place.first_version)
            || (event_ids == EventIds::Indexed && self.events.iter().any(|event| other.events.contains(event)))
    }
}

/// What a read sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ReadConcern {
    Majority,
    Local,
}

/// A part of a [`Look`]: each is a query of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    Tail,
    Commits,
    Streams,
    Events,
}

#[derive(Debug)]
pub(crate) struct Server {
    event_ids: EventIds,
    /// In the order in which the primary took them.
    taken: Vec<Stored>,
    /// How many of them a majority holds.
    majority: usize,
    /// Counts primaries.
    pub(crate) term: u64,
    /// What `$inc` counts: only a broken protocol uses it.
    pub(crate) counter: u64,
}

impl Server {
    /// An empty one, whose unique index on event ids looks into arrays, or does not.
    pub(crate) fn new(event_ids: EventIds) -> Server {
        Server { event_ids, taken: Vec::new(), majority: 0, term: 0, counter: 0 }
    }

    /// Takes a document, or refuses it: some unique index has its key.
    pub(crate) fn insert(&mut self, document: Stored) -> bool {
        let free = !self.taken.iter().any(|taken| taken.excludes(&document, self.event_ids));
        if free {
            self.taken.push(document);
        }
        free
    }

    /// How many documents the primary has taken.
    pub(crate) fn len(&self) -> usize {
        self.taken.len()
    }

    /// How many of them a majority holds.
    pub(crate) fn majority(&self) -> usize {
        self.majority
    }

    /// A majority has caught up with the primary's first `count`.
    pub(crate) fn replicate(&mut self, count: usize) {
        self.majority = self.majority.max(count.min(self.taken.len()));
    }

    /// Another primary, which holds `kept` of what a majority does not.
    pub(crate) fn fail_over(&mut self, kept: usize) {
        self.taken.truncate(self.majority + kept);
        self.term += 1;
    }

    pub(crate) fn visible(&self, concern: ReadConcern) -> &[Stored] {
        match concern {
            ReadConcern::Majority => &self.taken[..self.majority],
            ReadConcern::Local => &self.taken,
        }
    }

    /// Answers one part of a look.
    pub(crate) fn answer(&self, concern: ReadConcern, part: Part, look: &Look, seen: &mut Seen) {
        let log = self.visible(concern);
        match part {
            Part::Tail => seen.tail = tail(log, &look.tail),
            Part::Commits => {
                let found = |stored: &Stored| {
                    let found = FoundCommit { appended: stored.header().place, digest: stored.digest };
                    look.commits.contains(&stored.id).then_some((stored.id, found))
                };
                seen.commits = log.iter().filter_map(found).collect();
            }
            Part::Streams => {
                let version = |stream: &StreamId| {
                    let of_stream = log.iter().filter(|stored| stored.stream == *stream);
                    of_stream.map(|stored| stored.place.last_version()).max().unwrap_or(0)
                };
                seen.streams = look.streams.iter().map(|stream| (stream.clone(), version(stream))).collect();
            }
            Part::Events => {
                let held = |stored: &Stored| stored.events.iter().map(|event| (*event, stored.id)).collect::<Vec<_>>();
                seen.events = log.iter().flat_map(held).filter(|(event, _)| look.events.contains(event)).collect();
            }
        }
    }
}

fn tail(log: &[Stored], asked: &Tail) -> SeenTail {
    let mut headers: Vec<Header> = log.iter().map(Stored::header).collect();
    headers.sort_by_key(|header| header.place.first_position);
    match asked {
        Tail::Skip => SeenTail::Skipped,
        Tail::Behind(known) if *known == End::EMPTY => SeenTail::Behind(headers),
        Tail::Behind(known) if headers.iter().any(|header| header.end() == *known) => {
            headers.retain(|header| header.place.first_position > known.position);
            SeenTail::Behind(headers)
        }
        Tail::Behind(_) | Tail::End => SeenTail::End(headers.last().map_or(End::EMPTY, Header::end)),
    }
}
