//! Failures, classified once, by what to do next.

use std::ops::Range;

use reel_events::{EventBatch, Place, chain};

use crate::change::Refusal;
use crate::ports::{ApplyError, CommitError, ReadModelError, SinkError};

/// Why a projection stopped: for an operator to read, and to decide.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct Failure {
    /// The event at fault, where one is.
    pub position: Option<Place>,
    /// Its stream.
    pub stream: Option<String>,
    /// Its kind.
    pub kind: Option<String>,
    /// Stable, few distinct values.
    pub code: String,
    /// What was wrong, and what to do.
    pub message: String,
}

/// How a loop ended that was not asked to.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// One event cannot be applied, and the policy is to stop in front of it.
    #[error("halted in front of position {}", .0.position.unwrap_or_default())]
    Halted(#[source] Failure),
    /// Nothing can be applied: a wrong component, wrong settings, another log, a database that refuses.
    #[error("stopped")]
    Fatal(#[source] Failure),
    /// Another host owns the shard now.
    #[error("another host took over: {0}")]
    Superseded(String),
}

/// What went wrong with a range of events.
#[derive(Debug)]
pub(crate) enum Fault {
    /// An event is at fault: this one, or one of them.
    Poison { event: Option<usize>, code: String, message: String },
    /// A budget was used up: fewer events at a time.
    Exhausted { message: String },
    /// Back off and try the same again.
    Passing(ReadModelError),
    /// Stop.
    Fatal(Failure),
    /// Somebody else writes here.
    Superseded(String),
}

impl Failure {
    /// A failure that no event is the cause of.
    pub(crate) fn general(code: &str, message: impl Into<String>) -> Failure {
        Failure { position: None, stream: None, kind: None, code: code.into(), message: message.into() }
    }

    /// A failure of the event at `index`.
    pub(crate) fn of(batch: &EventBatch, index: usize, code: String, message: &str) -> Failure {
        let (event, place) = (batch.get(index), batch.place(index));
        let kind = if event.kind.is_empty() { "a message" } else { event.kind };
        Failure {
            position: Some(place),
            stream: Some(event.stream.into()),
            kind: Some(event.kind.into()),
            code,
            message: format!("{kind} at position {place} of stream {}: {message}", event.stream),
        }
    }
}

impl From<ApplyError> for Fault {
    fn from(error: ApplyError) -> Fault {
        match error {
            ApplyError::Rejected { event, code, message } => Fault::Poison { event: Some(event), code, message },
            ApplyError::Trapped(message) => Fault::Poison { event: None, code: "trapped".into(), message },
            ApplyError::Exhausted { limit, message } => Fault::Exhausted { message: format!("{limit}: {message}") },
            ApplyError::Sink(SinkError::Refused(refusal)) => refusal.into(),
            ApplyError::Sink(SinkError::Unavailable(error)) => error.into(),
            ApplyError::Fatal(message) => Fault::Fatal(Failure::general("fatal", message)),
        }
    }
}

impl From<Refusal> for Fault {
    fn from(refusal: Refusal) -> Fault {
        Fault::Poison { event: refusal.event, code: refusal.code.into(), message: refusal.message }
    }
}

impl From<ReadModelError> for Fault {
    fn from(error: ReadModelError) -> Fault {
        match error {
            ReadModelError::Unavailable { .. } => Fault::Passing(error),
            ReadModelError::Refused { .. } => Fault::Fatal(Failure::general("database-refused", chain(&error))),
        }
    }
}

impl From<CommitError> for Fault {
    fn from(error: CommitError) -> Fault {
        match error {
            CommitError::Superseded { .. } => Fault::Superseded(error.to_string()),
            CommitError::Refused(refusal) => refusal.into(),
            CommitError::ReadModel(error) => error.into(),
        }
    }
}

impl Fault {
    /// The failure that this is when nothing smaller can be tried.
    pub(crate) fn into_failure(self, batch: &EventBatch) -> Failure {
        match self {
            Fault::Poison { event: Some(event), code, message } => Failure::of(batch, event, code, &message),
            Fault::Poison { event: None, code, message } => Failure::general(&code, message),
            Fault::Exhausted { message } => Failure::general("budget", message),
            Fault::Passing(error) => Failure::general("unavailable", chain(&error)),
            Fault::Fatal(failure) => failure,
            Fault::Superseded(by) => Failure::general("superseded", by),
        }
    }

    /// The smaller ranges to try instead of `range`; nothing = the range is one event, and that is at fault.
    pub(crate) fn split(&self, range: &Range<usize>) -> Option<Vec<Range<usize>>> {
        let Range { start, end } = *range;
        if end - start <= 1 {
            return None;
        }
        let named = match self {
            Fault::Poison { event: Some(event), .. } if range.contains(event) => Some(*event),
            _ => None,
        };
        let cuts = match named {
            Some(event) => vec![start, event, event + 1, end],
            None => vec![start, start + (end - start) / 2, end],
        };
        Some(cuts.windows(2).map(|cut| cut[0]..cut[1]).filter(|piece| !piece.is_empty()).collect())
    }
}

/// That a component keeps something between events: what came of `range` whole and in pieces is not the same.
pub(crate) fn depends_on_batches(batch: &EventBatch, range: Range<usize>, difference: &str) -> Fault {
    let (from, to) = (batch.get(range.start).position, batch.get(range.end - 1).position);
    let message = format!(
        "the component's rows depend on how events are cut into batches (positions {from} to {to}, whole against in pieces): \
         {difference}. Keep nothing between events in variables: what must last belongs in a row"
    );
    Fault::Fatal(Failure::general("depends-on-batches", message))
}
