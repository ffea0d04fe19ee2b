//! What to do with events before and after they are applied: which are withheld, which are compared, and what becomes of those that
//! cannot be applied. The same for a live shard and for a build.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;

use reel_events::Place;

use crate::failure::{Failure, Fault, RunError};
use crate::manifest::Manifest;
use crate::ports::{DeadLetterReason, FailurePolicy};
use crate::work::{Scrutiny, Work, dead_letter};

/// How many of a loop's first batches are applied whole and event by event; later, one in [`SAMPLE`].
const COMPARED_AT_FIRST: u64 = 3;
/// How many events of such a batch.
const COMPARED_EVENTS: usize = 500;
/// One batch in this many is applied whole and event by event, for good.
const SAMPLE: u64 = 512;

/// What decides how a loop goes on when an event cannot be applied, and how much it takes at once.
#[derive(Debug, Clone)]
pub struct RunSettings {
    /// What to do with an event that cannot be applied.
    pub on_failure: FailurePolicy,
    /// Positions that an operator let go.
    pub let_go: HashSet<Place>,
    /// Streams that are parked.
    pub parked: HashSet<String>,
    /// Most events in one batch.
    pub most_events: usize,
}

/// The policy at work in one shard.
pub(crate) struct Policy {
    pub(crate) settings: RunSettings,
    manifest: Arc<Manifest>,
    batches: u64,
    compared: u64,
}

impl Policy {
    pub(crate) fn new(settings: RunSettings, manifest: Arc<Manifest>) -> Policy {
        Policy { settings, manifest, batches: 0, compared: 0 }
    }

    /// Takes out the events that are not to be applied: of parked streams, those that an operator let go, and what is no event at all
    /// where the policy skips that.
    pub(crate) fn withhold(&self, work: Work) -> Work {
        let skips = self.settings.on_failure == FailurePolicy::Skip;
        let reason = |index: usize| {
            let event = work.batch.get(index);
            let unreadable = work.batch.unreadable(index).filter(|_| skips);
            let reason = if self.settings.let_go.contains(&work.batch.place(index)) {
                (DeadLetterReason::Skipped, ("let-go", "an operator let it go"))
            } else if self.settings.parked.contains(event.stream) {
                (DeadLetterReason::Held, ("", ""))
            } else if let Some(why) = unreadable {
                (DeadLetterReason::Skipped, (why.code, why.reason.as_str()))
            } else {
                return None;
            };
            // What the projection would not see is no dead letter of it.
            self.concerns(event.kind).then_some(reason)
        };
        let idle = self.settings.let_go.is_empty() && self.settings.parked.is_empty() && !skips;
        if idle || !work.settled.is_empty() || !work.range.clone().any(|index| reason(index).is_some()) {
            return work;
        }
        let (mut batch, mut aside) = (work.batch.like(), work.aside.clone());
        for index in work.range.clone() {
            match reason(index) {
                Some((reason, words)) => aside.push(dead_letter(&work.batch, index, reason, words)),
                None => batch.append(&work.batch, index..index + 1),
            }
        }
        aside.sort_by_key(|letter| letter.position);
        Work { range: 0..batch.len(), batch: Arc::new(batch), aside, ..work }
    }

    /// Whether the projection would see an event of this kind. Of a message that is no event the kind may not be known: that concerns
    /// everybody.
    fn concerns(&self, kind: &str) -> bool {
        kind.is_empty() || self.manifest.kind_index(kind).is_some()
    }

    /// What is wrong with a piece of work before it is applied: the first message of it that is no event, and that the projection would
    /// see.
    pub(crate) fn unreadable(&self, work: &Work) -> Option<Fault> {
        let mut messages = work.batch.all_unreadable(work.range.clone());
        let (index, why) = messages.find(|(index, _)| self.concerns(work.batch.get(*index).kind))?;
        Some(Fault::Poison { event: Some(index), code: why.code.into(), message: why.reason.clone() })
    }

    /// Decides whether a piece of work is compared with itself event by event; of a long one, only the beginning is, and the rest comes
    /// behind it. Where fewer than two of its events are delivered, there is nothing to compare.
    pub(crate) fn scrutinise(&mut self, work: Work) -> (Work, Scrutiny, Option<Work>) {
        self.batches += 1;
        if self.compared >= COMPARED_AT_FIRST && !self.batches.is_multiple_of(SAMPLE) {
            return (work, Scrutiny::Trust, None);
        }
        let delivered = |index: &usize| self.manifest.kind_index(work.batch.get(*index).kind).is_some();
        let compared: Vec<usize> = work.range.clone().filter(delivered).take(COMPARED_EVENTS).collect();
        if compared.len() < 2 {
            return (work, Scrutiny::Trust, None);
        }
        self.compared += 1;
        let (Range { start, end }, cut) = (work.range.clone(), compared[compared.len() - 1] + 1);
        if cut == end || compared.len() < COMPARED_EVENTS {
            return (work, Scrutiny::Compare, None);
        }
        let mut pieces = work.cut(&[start..cut, cut..end]);
        let rest = pieces.pop();
        (pieces.pop().expect("two pieces"), Scrutiny::Compare, rest)
    }

    /// What to try instead of a piece of work that failed: smaller pieces, or, of one event, nothing but to put it aside.
    ///
    /// # Errors
    /// Where the shard must stop.
    pub(crate) fn instead(&mut self, work: Work, fault: Fault) -> Result<Vec<Work>, RunError> {
        match fault {
            Fault::Fatal(failure) => return Err(RunError::Fatal(failure)),
            Fault::Superseded(by) => return Err(RunError::Superseded(by)),
            Fault::Passing(_) => return Ok(vec![work]),
            Fault::Poison { .. } | Fault::Exhausted { .. } => {}
        }
        match fault.split(&work.range) {
            Some(pieces) => Ok(work.cut(&pieces)),
            None => Ok(vec![self.at_fault(work, fault)?]),
        }
    }

    /// One event cannot be applied: the policy decides.
    fn at_fault(&mut self, mut work: Work, fault: Fault) -> Result<Work, RunError> {
        let (code, message, policy) = match fault {
            Fault::Poison { code, message, .. } => (code, message, self.settings.on_failure),
            // Budgets differ between versions and machines, so they never decide what is skipped.
            Fault::Exhausted { message } => ("budget".into(), message, FailurePolicy::Halt),
            other => unreachable!("decided before: {other:?}"),
        };
        let index = work.range.start;
        let failure = Failure::of(&work.batch, index, code, &message);
        let reason = match policy {
            FailurePolicy::Halt => return Err(RunError::Halted(failure)),
            FailurePolicy::Skip => DeadLetterReason::Skipped,
            FailurePolicy::Park => {
                self.settings.parked.insert(work.batch.get(index).stream.into());
                DeadLetterReason::Parked
            }
        };
        tracing::warn!(
            position = failure.position.map(tracing::field::display),
            stream = failure.stream,
            code = failure.code,
            "event put aside"
        );
        work.aside.push(dead_letter(&work.batch, index, reason, (&failure.code, &message)));
        work.range = index..index;
        Ok(work)
    }
}
