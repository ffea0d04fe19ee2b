//! A plan: places for the commits of a group, one behind the other, as if all of them succeed; and the answers to those that
//! then need none. It holds only if its insert succeeds.

use std::collections::{HashMap, HashSet};

use reel_events::{StreamId, Timestamp};
use uuid::Uuid;

use super::{Answer, End, Knowledge, Planned, Proposal, Wanted};
use crate::store::{AppendError, Appended, ExpectedVersion};

pub(super) struct Plan<'k> {
    knowledge: &'k Knowledge,
    recorded_at: Timestamp,
    position: u64,
    versions: HashMap<StreamId, u64>,
    commits: HashMap<Uuid, ([u8; 32], Appended)>,
    events: HashSet<Uuid>,
    planned: Planned,
}

impl<'k> Plan<'k> {
    pub(super) fn new(knowledge: &'k Knowledge, end: End, recorded_at: Timestamp) -> Plan<'k> {
        Plan {
            knowledge,
            recorded_at,
            position: end.position,
            versions: HashMap::new(),
            commits: HashMap::new(),
            events: HashSet::new(),
            planned: Planned::default(),
        }
    }

    pub(super) fn finish(self) -> Planned {
        self.planned
    }

    /// Finds a place for the commit `nth`, or its answer.
    pub(super) fn consider(&mut self, nth: usize, wanted: &Wanted) {
        let answer = if let Some((digest, place)) = self.commits.get(&wanted.id) {
            let same = *digest == wanted.digest;
            if same {
                Ok(Appended { repeated: true, ..*place })
            } else {
                Err(AppendError::CommitReused { id: wanted.id })
            }
        } else if let Some(id) = wanted.event_ids.iter().find(|id| self.events.contains(*id)) {
            Err(AppendError::EventExists { id: *id })
        } else {
            match self.place(wanted) {
                Ok(place) => return self.propose(nth, wanted, place),
                Err(refusal) => Err(refusal),
            }
        };
        self.planned.answers.push((nth, answer));
    }

    fn place(&self, wanted: &Wanted) -> Answer {
        let stream = &wanted.stream;
        let actual = self.versions.get(stream).copied().unwrap_or_else(|| self.knowledge.version(stream));
        match wanted.expected {
            ExpectedVersion::Exactly(expected) if expected != actual => {
                Err(AppendError::Conflict { stream: stream.clone(), expected, actual })
            }
            _ => Ok(Appended {
                first_position: self.position + 1,
                first_version: actual + 1,
                count: u32::try_from(wanted.event_ids.len()).expect("a commit of 12 MiB has fewer events"),
                recorded_at: self.recorded_at,
                repeated: false,
            }),
        }
    }

    fn propose(&mut self, nth: usize, wanted: &Wanted, place: Appended) {
        self.position = place.last_position();
        self.versions.insert(wanted.stream.clone(), place.last_version());
        self.commits.insert(wanted.id, (wanted.digest, place));
        self.events.extend(&wanted.event_ids);
        self.planned.proposals.push(Proposal { nth, place });
    }
}

/// An id that is there twice.
pub(super) fn repeated(ids: &[Uuid]) -> Option<Uuid> {
    if ids.len() < 2 {
        return None;
    }
    let mut seen = HashSet::with_capacity(ids.len());
    ids.iter().find(|id| !seen.insert(**id)).copied()
}
