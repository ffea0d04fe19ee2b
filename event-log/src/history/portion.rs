//! Portions of history: wanted events as they are handed over, cut where a limit is reached.

use std::sync::Arc;

use reel_events::{EventBatch, EventRef, LogPoint, Texts, key_hash};

use super::Wanted;
use crate::store::ReadLimit;

/// A part of history.
#[derive(Debug, Clone)]
pub struct Portion {
    /// The wanted events, in order of position; as many batches as [`super::Sharing::batches`] says. All may be empty.
    pub batches: Vec<EventBatch>,
    /// How far history was read: there is no wanted event between the last portion's and this one's but those in the batches.
    pub through: LogPoint,
}

impl Portion {
    /// Events in all batches.
    #[must_use]
    pub fn events(&self) -> usize {
        self.batches.iter().map(EventBatch::len).sum()
    }
}

/// Cuts events into portions.
#[derive(Debug)]
pub(crate) struct Portions<'a> {
    wanted: &'a Wanted,
    limit: ReadLimit,
    texts: Option<Arc<Texts>>,
    done: Vec<Portion>,
    batches: Vec<EventBatch>,
    events: usize,
    bytes: usize,
    /// The last event that went into `batches`.
    last: Option<LogPoint>,
}

impl<'a> Portions<'a> {
    /// For events whose texts are parts of `texts`, if there are such: those are shared, not copied.
    pub(crate) fn new(wanted: &'a Wanted, limit: ReadLimit, texts: Option<Arc<Texts>>) -> Portions<'a> {
        let mut portions =
            Portions { wanted, limit, texts, done: Vec::new(), batches: Vec::new(), events: 0, bytes: 0, last: None };
        portions.batches = portions.empty();
        portions
    }

    /// Adds an event to batch `batch`.
    pub(crate) fn push(&mut self, batch: usize, event: EventRef<'_>) {
        let texts = event.stream.len() + event.kind.len() + event.payload.len() + event.metadata.len();
        let full = self.events >= self.limit.events || self.bytes + texts > self.limit.bytes;
        if let Some(through) = self.last.filter(|_| full) {
            self.cut(through);
        }
        self.batches[batch].push(event);
        self.events += 1;
        self.bytes += texts;
        self.last = Some(LogPoint { position: event.position, event: event.id });
    }

    /// Adds an event that was not looked at yet, if it is wanted.
    pub(crate) fn offer(&mut self, event: EventRef<'_>) {
        if self.wanted.kinds.wants(event.kind)
            && let Some(batch) = self.wanted.sharing.batch_of(|| key_hash(event.stream))
        {
            self.push(batch, event);
        }
    }

    /// All portions; history was read through `through`.
    pub(crate) fn finish(mut self, through: LogPoint) -> Vec<Portion> {
        self.done.push(Portion { batches: self.batches, through });
        self.done
    }

    fn cut(&mut self, through: LogPoint) {
        let mut next = self.empty();
        // The next portion will be about like this one.
        next.iter_mut().zip(&self.batches).for_each(|(next, this)| next.reserve(this.len() + this.len() / 16));
        let batches = std::mem::replace(&mut self.batches, next);
        self.done.push(Portion { batches, through });
        (self.events, self.bytes, self.last) = (0, 0, None);
    }
    fn empty(&self) -> Vec<EventBatch> {
        let batch = self.texts.clone().map_or_else(EventBatch::new, EventBatch::over);
        vec![batch; self.wanted.sharing.batches()]
    }
}
