//! The one task of a process that writes: it takes all that is waiting into a round of the protocol, carries out its steps, and
//! answers everybody.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bson::{RawArrayBuf, RawDocumentBuf};
use tokio::{
    sync::{mpsc, oneshot},
    time::timeout_at,
};

use super::{
    Shared, document,
    fault::{Fault, within},
    look::{self, PATIENCE},
    protocol::{Answer, Knowledge, Outcome, Proposal, Round, Step, Wanted},
};
use crate::store::{
    AppendError, NewCommit, StoreError,
    clock::now,
    portion::{Most, Ready},
};

/// What one insert takes at most, but for a single commit that is larger.
pub(super) const MOST: Most = Most { commits: 1000, bytes: 16 << 20 };
/// How long a group is tried again while the server does not answer, or nothing moves.
const PERSISTENCE: Duration = Duration::from_secs(10);
/// How long to wait at most for callers who were answered a moment ago.
const LONGEST_LINGER: Duration = Duration::from_millis(10);
/// The longest that others are let go first.
const LONGEST_WAY: Duration = Duration::from_millis(50);

/// A commit that keeps the limits, its events as they stand in its document.
pub(super) struct Prepared {
    wanted: Wanted,
    events: RawArrayBuf,
}

impl Ready for Prepared {
    fn new(commit: NewCommit) -> Result<Prepared, AppendError> {
        let events = document::events(&commit.events);
        let bytes = document::size(&events);
        if bytes > document::MOST_BYTES {
            let what = format!("the document of a commit with {} events", commit.events.len());
            return Err(AppendError::TooLarge { what, bytes, limit: document::MOST_BYTES });
        }
        let event_ids = commit.events.iter().map(|event| event.id).collect();
        let NewCommit { id, stream, expected, digest, ids, .. } = commit;
        Ok(Prepared { wanted: Wanted { id, stream, expected, digest, ids, event_ids }, events })
    }

    fn size(&self) -> usize {
        self.events.as_bytes().len()
    }
}

/// Commits of one caller, and where their answers go.
pub(super) struct Request {
    pub(super) commits: Vec<Prepared>,
    pub(super) answer: oneshot::Sender<Vec<Answer>>,
}

/// Commits of one round, and who sent them.
#[derive(Default)]
struct Group {
    wanted: Vec<Wanted>,
    events: Vec<RawArrayBuf>,
    /// Number of commits, and where their answers go.
    callers: Vec<(usize, oneshot::Sender<Vec<Answer>>)>,
    bytes: usize,
}

impl Group {
    fn add(&mut self, request: Request) {
        self.callers.push((request.commits.len(), request.answer));
        for Prepared { wanted, events } in request.commits {
            self.bytes += events.as_bytes().len();
            self.wanted.push(wanted);
            self.events.push(events);
        }
    }

    fn is_full(&self) -> bool {
        self.wanted.len() >= MOST.commits || self.bytes >= MOST.bytes
    }
}

pub(super) struct Writer {
    shared: Arc<Shared>,
    knowledge: Knowledge,
    /// How long the last insert took.
    insert_time: Duration,
    /// How many callers there seem to be: those of the last group, and those who came while it was inserted.
    callers: usize,
}

impl Writer {
    pub(super) fn new(shared: Arc<Shared>, knowledge: Knowledge) -> Writer {
        Writer { shared, knowledge, insert_time: Duration::ZERO, callers: 1 }
    }

    /// Works until the store is dropped.
    pub(super) async fn run(mut self, mut queue: mpsc::UnboundedReceiver<Request>) {
        while let Some(first) = queue.recv().await {
            let group = self.gather(first, &mut queue).await;
            let callers = group.callers;
            let mut answers = self.append(group.wanted, &group.events).await.into_iter();
            self.callers = callers.len() + queue.len();
            for (count, caller) in callers {
                // A caller that went away does not want to know.
                let _ = caller.send(answers.by_ref().take(count).collect());
            }
            if self.knowledge.makes_way() {
                tokio::time::sleep(self.insert_time.min(LONGEST_WAY)).await;
            }
        }
    }

    /// All that is waiting. Who was answered a moment ago is about to send the next, so that a short wait makes one insert of two; else
    /// many callers fall apart into halves that wait for each other.
    async fn gather(&self, first: Request, queue: &mut mpsc::UnboundedReceiver<Request>) -> Group {
        let until = tokio::time::Instant::now() + (self.insert_time / 4).min(LONGEST_LINGER);
        let mut group = Group::default();
        group.add(first);
        while !group.is_full() {
            if let Ok(next) = queue.try_recv() {
                group.add(next);
            } else if group.callers.len() < self.callers
                && let Ok(Some(next)) = timeout_at(until, queue.recv()).await
            {
                group.add(next);
            } else {
                break;
            }
        }
        group
    }

    async fn append(&mut self, wanted: Vec<Wanted>, events: &[RawArrayBuf]) -> Vec<Answer> {
        let began = Instant::now();
        let mut last_fault = None;
        let mut round = Round::new(wanted, self.shared.event_ids);
        loop {
            match round.step(&mut self.knowledge, now()) {
                Step::Look(look) => match look::look(&self.shared.commits, look).await {
                    Ok(seen) => round.looked(&mut self.knowledge, seen),
                    Err(fault @ (Fault::Unreadable(_) | Fault::Refused(_))) => {
                        self.give_up(&mut round, Some(fault));
                        break;
                    }
                    Err(fault) => {
                        tracing::debug!(store = %self.shared.location, ?fault, "the log's end could not be read");
                        last_fault = Some(fault);
                        round.failed_to_look();
                    }
                },
                Step::Insert(proposals) => {
                    let inserted = self.insert(&round, events, &proposals).await;
                    let outcome = if inserted.is_ok() { Outcome::Acknowledged } else { Outcome::Unknown };
                    if let Err(fault) = inserted {
                        tracing::debug!(store = %self.shared.location, ?fault, "looking up what became of an insert");
                        last_fault = Some(fault);
                    }
                    round.inserted(&mut self.knowledge, outcome);
                }
                // Trying again gives nobody a permission.
                Step::Pause(_)
                    if began.elapsed() > PERSISTENCE || last_fault.as_ref().is_some_and(Fault::is_refusal) =>
                {
                    self.give_up(&mut round, last_fault);
                    break;
                }
                Step::Pause(pause) => tokio::time::sleep(pause).await,
                Step::Done => break,
            }
        }
        if let Some(end) = self.knowledge.end() {
            self.shared.reached(end.position);
        }
        round.finish()
    }

    async fn insert(&mut self, round: &Round, events: &[RawArrayBuf], proposals: &[Proposal]) -> Result<(), Fault> {
        let document = |Proposal { nth, place }: &Proposal| {
            let Wanted { id, stream, digest, .. } = round.wanted(*nth);
            document::commit(*id, digest, (stream, place), &events[*nth])
        };
        let documents: Vec<RawDocumentBuf> = proposals.iter().map(document).collect();
        let began = Instant::now();
        let inserted = within(PATIENCE, async { self.shared.commits.insert_many(documents).ordered(true).await }).await;
        self.insert_time = began.elapsed();
        inserted.map(drop)
    }

    fn give_up(&mut self, round: &mut Round, fault: Option<Fault>) {
        let fault = fault.unwrap_or(Fault::Slow(PERSISTENCE));
        let error: Arc<StoreError> = Arc::new(fault.into_error(&self.shared.location));
        tracing::warn!(store = %self.shared.location, error = ?error, "commits were not written");
        round.give_up(&mut self.knowledge, &error);
    }
}
