//! How commits get into a log that many processes write: the decisions, pure. What to ask the server, what to propose, what an
//! outcome means, who is answered what. No I/O and no clock; the questions and inserts are carried out by `writer` and `look`.
//!
//! A position is only proposed directly behind the end that is known to be committed by a majority. The unique index on the
//! position then puts all commits into one line: an insert that succeeds proves that nobody came in between, so that all that
//! was known of the log when it was proposed (versions of streams, ids that are taken) was still true. One that fails, or whose
//! outcome is not known, proves nothing, and it does not matter what the server said: everything is looked up again.
//!
//! ```text
//!            ┌───────────── a stream's version is not known ──────────┐
//!   group ──►│ plan ──► Insert ──► acknowledged ──► answers ──► Done  │
//!            │  ▲         └──► failed, or not known ──► Look ──► found: answers
//!            │  └──── propose anew ◄── (nothing moved: Pause) ◄──┘    │
//!            └────────────────────────────────────────────────────────┘
//! ```

mod knowledge;
mod plan;

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use reel_events::{StreamId, Timestamp};
use uuid::Uuid;

pub(crate) use self::knowledge::{End, Header, Knowledge, SeenTail, Tail};
use self::plan::Plan;
use crate::store::{AppendError, Appended, ExpectedVersion, FoundCommit, IdOrigin, StoreError};

/// What a commit asks for.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    pub(crate) id: Uuid,
    pub(crate) stream: StreamId,
    pub(crate) expected: ExpectedVersion,
    pub(crate) digest: [u8; 32],
    /// Of its events; at least one.
    pub(crate) event_ids: Vec<Uuid>,
    /// Where these come from.
    pub(crate) ids: IdOrigin,
}

/// A place for the commit `nth` of the group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Proposal {
    pub(crate) nth: usize,
    pub(crate) place: Appended,
}

/// What must be known before anything can be proposed: asked in this order, all of it at majority. So what a commit is refused
/// for was true before it was looked for and not found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Look {
    pub(crate) tail: Tail,
    /// Where do these streams stand?
    pub(crate) streams: Vec<StreamId>,
    /// Which of these commits are in the log?
    pub(crate) commits: Vec<Uuid>,
    /// Which commits hold these events?
    pub(crate) events: Vec<Uuid>,
}

/// What a [`Look`] found.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) tail: SeenTail,
    /// One entry a stream that was asked for; 0 where it does not exist.
    pub(crate) streams: Vec<(StreamId, u64)>,
    pub(crate) commits: Vec<(Uuid, FoundCommit)>,
    /// Event and commit, of those that are in the log.
    pub(crate) events: Vec<(Uuid, Uuid)>,
}

/// What became of an insert.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// A majority holds all of it, on disk.
    Acknowledged,
    /// Anything else: a duplicate key of whatever index, a part, a lost answer.
    Unknown,
}

/// What to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    /// Look, then [`Round::looked`], or [`Round::failed_to_look`].
    Look(Look),
    /// Insert these in this order, stopping at the first that fails; then [`Round::inserted`].
    Insert(Vec<Proposal>),
    /// Wait.
    Pause(Duration),
    /// Everybody has an answer.
    Done,
}

/// Whether the server's unique index keeps events out that are in another commit already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EventIds {
    /// It does.
    Indexed,
    /// It does not look into arrays: ids that were given are looked up before every insert, and the line of positions closes the race.
    LookedUp,
}

pub(crate) type Answer = Result<Appended, AppendError>;

const FIRST_PAUSE: Duration = Duration::from_millis(2);
const LONGEST_PAUSE: Duration = Duration::from_millis(200);

/// A group of commits on its way into the log.
pub(crate) struct Round {
    wanted: Vec<Wanted>,
    answers: Vec<Option<Answer>>,
    /// Places that were proposed in vain, or not: that is what must be found out.
    tried: HashMap<Uuid, Vec<Appended>>,
    /// Events that other commits hold.
    taken: HashMap<Uuid, Uuid>,
    due: Due,
    /// Events that are looked up whenever the log's end moves: who moved it may hold them.
    events: EventsDue,
    /// Commits that were looked up, together with the end of the log, and are not there: they may be refused.
    absent: HashSet<Uuid>,
    /// Looks and inserts that brought nothing, in a row.
    in_vain: u32,
    pausing: bool,
    /// What is being inserted.
    planned: Planned,
}

/// What a plan leads to.
#[derive(Debug, Default)]
struct Planned {
    proposals: Vec<Proposal>,
    /// What the others are answered once the proposals are in; at once where there is none.
    answers: Vec<(usize, Answer)>,
}

/// What must be looked up before the next insert.
#[derive(Debug, Default)]
struct Due {
    tail: bool,
    /// By their places in the group.
    commits: Vec<usize>,
    events: EventsDue,
}

/// Which events are looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum EventsDue {
    #[default]
    None,
    /// Those whose ids others may have.
    Given,
    /// All: something was in the way of an insert.
    All,
}

impl EventsDue {
    fn are_asked(self, ids: IdOrigin) -> bool {
        match self {
            EventsDue::None => false,
            EventsDue::Given => ids == IdOrigin::Given,
            EventsDue::All => true,
        }
    }
}

impl Round {
    /// Begins with a group; none of its commits is empty.
    pub(crate) fn new(wanted: Vec<Wanted>, event_ids: EventIds) -> Round {
        let events = if event_ids == EventIds::LookedUp { EventsDue::Given } else { EventsDue::None };
        Round {
            answers: vec![None; wanted.len()],
            wanted,
            tried: HashMap::new(),
            taken: HashMap::new(),
            due: Due { events, ..Due::default() },
            events,
            absent: HashSet::new(),
            in_vain: 0,
            pausing: false,
            planned: Planned::default(),
        }
    }

    /// What to do next. `now` is the writer's clock; a commit is never recorded before the one in front of it.
    pub(crate) fn step(&mut self, knowledge: &mut Knowledge, now: Timestamp) -> Step {
        if self.pausing {
            self.pausing = false;
            return Step::Pause(FIRST_PAUSE.saturating_mul(1 << self.in_vain.min(16)).min(LONGEST_PAUSE));
        }
        if let Some(look) = self.look(knowledge) {
            return Step::Look(look);
        }
        let Some(end) = knowledge.end() else { return Step::Done };
        let planned = self.plan(knowledge, end, now);
        // A conflict may come of a repeat, or of what was known before the group came.
        let conflicts =
            planned.answers.iter().filter(|(_, answer)| matches!(answer, Err(AppendError::Conflict { .. })));
        let conflicts: Vec<usize> = conflicts.map(|(nth, _)| *nth).collect();
        if conflicts.iter().any(|nth| !self.absent.contains(&self.wanted[*nth].id)) {
            self.due = Due { tail: true, commits: conflicts, events: self.events };
            return self.look(knowledge).map_or(Step::Done, Step::Look);
        }
        if planned.proposals.is_empty() {
            self.settle(planned.answers);
            return Step::Done;
        }
        self.planned = planned;
        Step::Insert(self.planned.proposals.clone())
    }

    /// What the commit `nth` of the group asks for.
    pub(crate) fn wanted(&self, nth: usize) -> &Wanted {
        &self.wanted[nth]
    }

    /// Takes in what a look found.
    pub(crate) fn looked(&mut self, knowledge: &mut Knowledge, seen: Seen) {
        let before = knowledge.end();
        knowledge.learn(seen.tail, |id| self.tried.contains_key(&id));
        knowledge.learn_streams(seen.streams);
        let found: HashMap<Uuid, FoundCommit> = seen.commits.into_iter().collect();
        for nth in self.pending() {
            if let Some(found) = found.get(&self.wanted[nth].id) {
                self.answers[nth] = Some(self.found(nth, found));
            }
        }
        let moved = before != knowledge.end() || !found.is_empty() || !seen.events.is_empty();
        self.taken.extend(seen.events);
        // Absent as of this look: by a later one, a commit of this round may have become visible, and be what it conflicts with.
        let looked_up = std::mem::take(&mut self.due).commits.into_iter().map(|nth| self.wanted[nth].id);
        self.absent = looked_up.filter(|id| !found.contains_key(id)).collect();
        if moved {
            self.in_vain = 0;
        }
        self.pausing = self.in_vain > 0 && !self.pending().is_empty();
    }

    /// The server could not be asked; the same look comes again, later.
    pub(crate) fn failed_to_look(&mut self) {
        self.in_vain += 1;
        self.pausing = true;
    }

    /// Takes in what became of the insert that the last step asked for.
    pub(crate) fn inserted(&mut self, knowledge: &mut Knowledge, outcome: Outcome) {
        let Planned { proposals, answers } = std::mem::take(&mut self.planned);
        match outcome {
            // It proves that all that was known is true, so what was concluded from it stands, too.
            Outcome::Acknowledged => {
                for Proposal { nth, place } in proposals {
                    let Wanted { id, stream, .. } = &self.wanted[nth];
                    knowledge.appended(*id, stream, place);
                    self.answers[nth] = Some(Ok(place));
                }
                self.settle(answers);
            }
            Outcome::Unknown => {
                for Proposal { nth, place } in proposals {
                    self.tried.entry(self.wanted[nth].id).or_default().push(place);
                }
                self.due = Due { tail: true, commits: self.pending(), events: EventsDue::All };
                self.absent.clear();
                self.in_vain += 1;
            }
        }
    }

    /// Gives up: whoever has no answer yet is told that the store does not answer.
    pub(crate) fn give_up(&mut self, knowledge: &mut Knowledge, error: &Arc<StoreError>) {
        knowledge.forget();
        for nth in self.pending() {
            self.answers[nth] = Some(Err(AppendError::Store(Arc::clone(error))));
        }
    }

    /// The answers, one a commit, in the group's order. Only after [`Step::Done`] or [`Round::give_up`].
    pub(crate) fn finish(self) -> Vec<Answer> {
        self.answers.into_iter().map(|answer| answer.expect("a round ends with everybody answered")).collect()
    }

    fn pending(&self) -> Vec<usize> {
        (0..self.wanted.len()).filter(|nth| self.answers[*nth].is_none()).collect()
    }

    fn look(&self, knowledge: &Knowledge) -> Option<Look> {
        let pending = self.pending();
        if pending.is_empty() {
            return None;
        }
        let wanted = || pending.iter().map(|nth| &self.wanted[*nth]);
        let tail = match knowledge.end() {
            None => Tail::End,
            Some(end) if self.due.tail => Tail::Behind(end),
            Some(_) => Tail::Skip,
        };
        let commits: Vec<Uuid> = self.due.commits.iter().map(|nth| self.wanted[*nth].id).collect();
        let events = wanted().filter(|wanted| self.due.events.are_asked(wanted.ids));
        let events: Vec<Uuid> = events.flat_map(|wanted| wanted.event_ids.iter().copied()).collect();
        let streams = knowledge.unknown(wanted().map(|wanted| &wanted.stream));
        let nothing = tail == Tail::Skip && commits.is_empty() && events.is_empty() && streams.is_empty();
        (!nothing).then_some(Look { tail, commits, streams, events })
    }

    fn plan(&mut self, knowledge: &Knowledge, end: End, now: Timestamp) -> Planned {
        let mut plan = Plan::new(knowledge, end, now.max(end.recorded_at));
        for nth in self.pending() {
            if let Some(id) = self.event_taken(nth) {
                self.answers[nth] = Some(Err(AppendError::EventExists { id }));
            } else {
                plan.consider(nth, &self.wanted[nth]);
            }
        }
        plan.finish()
    }

    /// An event of the commit that another one holds, or the commit twice.
    fn event_taken(&self, nth: usize) -> Option<Uuid> {
        let Wanted { id, event_ids, .. } = &self.wanted[nth];
        let elsewhere = event_ids.iter().find(|event| self.taken.get(event).is_some_and(|holder| holder != id));
        elsewhere.copied().or_else(|| plan::repeated(event_ids))
    }

    /// What a wrong protocol does after an insert that failed.
    #[cfg(test)]
    pub(crate) fn does_not_look(&mut self) {
        self.due = Due::default();
    }

    fn settle(&mut self, answers: Vec<(usize, Answer)>) {
        for (nth, answer) in answers {
            self.answers[nth] = Some(answer);
        }
    }

    /// The answer to a commit that the log holds.
    fn found(&self, nth: usize, found: &FoundCommit) -> Answer {
        let Wanted { id, digest, .. } = &self.wanted[nth];
        if found.digest != *digest {
            return Err(AppendError::CommitReused { id: *id });
        }
        let place = Appended { repeated: false, ..found.appended };
        let of_this_round = self.tried.get(id).is_some_and(|tried| tried.contains(&place));
        let first_of_its_id = self.wanted[..nth].iter().all(|other| other.id != *id);
        Ok(Appended { repeated: !(of_this_round && first_of_its_id), ..place })
    }
}
