//! Some events and what is to be done with them, whole or in pieces.

use std::ops::Range;
use std::sync::Arc;

use reel_events::{EventBatch, LogPoint, Place};

use crate::ports::{DeadLetter, DeadLetterReason};

/// Some events, and what to do once they are applied.
#[derive(Debug, Clone)]
pub(crate) struct Work {
    pub(crate) batch: Arc<EventBatch>,
    pub(crate) range: Range<usize>,
    /// Where the shard stands behind them.
    pub(crate) through: LogPoint,
    /// Events up to `through` that are put aside.
    pub(crate) aside: Vec<DeadLetter>,
    /// Positions whose dead letters end with this.
    pub(crate) settled: Vec<Place>,
}

/// How a range is applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scrutiny {
    /// Once.
    Trust,
    /// Whole and event by event: both must come to the same.
    Compare,
}

impl Work {
    /// All events of a batch.
    pub(crate) fn all(batch: EventBatch, through: LogPoint) -> Work {
        Work { range: 0..batch.len(), batch: Arc::new(batch), through, aside: vec![], settled: vec![] }
    }

    /// The same in pieces; each puts aside what lies up to its own end.
    pub(crate) fn cut(self, pieces: &[Range<usize>]) -> Vec<Work> {
        let (mut aside, last) = (self.aside, pieces.len() - 1);
        let mut works = Vec::with_capacity(pieces.len());
        for (number, piece) in pieces.iter().enumerate() {
            let through = if number == last { self.through } else { end_of(&self.batch, piece.end) };
            let later = aside.split_off(aside.partition_point(|letter| letter.position.position() <= through.position));
            works.push(Work { batch: Arc::clone(&self.batch), range: piece.clone(), through, aside, settled: vec![] });
            aside = later;
        }
        works
    }
}

/// The point of the event before index `end`.
pub(crate) fn end_of(batch: &EventBatch, end: usize) -> LogPoint {
    let last = batch.get(end - 1);
    LogPoint { position: last.position, event: last.id }
}

pub(crate) fn dead_letter(
    batch: &EventBatch,
    index: usize,
    reason: DeadLetterReason,
    (code, message): (&str, &str),
) -> DeadLetter {
    let event = batch.get(index);
    DeadLetter {
        position: batch.place(index),
        event: event.id,
        stream: event.stream.into(),
        kind: event.kind.into(),
        reason,
        code: code.into(),
        message: message.into(),
        original: batch.unreadable(index).map(|why| why.original.clone()),
    }
}
