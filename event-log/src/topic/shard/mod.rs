//! One shard of a projection as it hears its partition: what to do with each message, given the checkpoint. Pure: no I/O, no clock.
//!
//! ```text
//!  message ──► hear ──► Take    apply the event
//!                  ├──► Move    no event of this shard up to there: only the checkpoint moves
//!                  ├──► Pass    seen already, of an older layout, of another log
//!                  ├──► Fill    a hole in front of it: read history, then hear the same message again
//!                  ├──► End     a newer layout: read history to its start, and no further
//!                  └──► Doubt   the topic contradicts itself or the checkpoint: ask the store which event it holds
//! ```
//!
//! `previous` is a fact of the log, so that whatever the topic lost shows as a hole. What the machine believes of the topic is held
//! against the store now and then ([`ShardMachine::claim`]): an event that the store does not hold is never invented.
//!
//! Not here: how messages arrive (`kafka`), how history is read (`feed`), how rows are made of events (the host).

mod feed;
#[cfg(test)]
mod tests;

use reel_events::{LogId, LogPoint, cloud_events::kafka::Placement};

pub use feed::{Ends, Fed, Partition, Piece, ShardFeed, ShardPlace};

/// A message, without the event that it may carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// Its event's position and id; of a watermark, how far the log reached.
    pub point: LogPoint,
    /// What it says of its place.
    pub placement: Placement,
    /// What it carries.
    pub carries: Carries,
}

/// What a message carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Carries {
    /// An event.
    Event,
    /// Nothing: it is a watermark.
    Nothing,
}

/// What to do with a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heard {
    /// Apply its event; the shard stands there now.
    Take,
    /// Apply nothing; the shard stands there now.
    Move,
    /// Drop it.
    Pass(Passed),
    /// Read history up to this position ([`ShardMachine::filled`]), then hear the same message again.
    Fill {
        /// The last position to read.
        through: u64,
    },
    /// It is of a newer layout. If the store confirms that there is one, the shard's own ends: history up to this position, then the
    /// new checkpoints. Until then the message is dropped; it will show as a hole.
    End {
        /// The last position of the layout.
        through: u64,
    },
    /// Ask the store for the event at this position, say what it holds ([`ShardMachine::settle`]), and hear the message again.
    Doubt(LogPoint),
}

/// Why a message is dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Passed {
    /// At or below the checkpoint: published twice, or late, or read again.
    Seen,
    /// Of a layout that has ended.
    OlderLayout,
    /// Of another log: the topic is, or was, somebody else's.
    OtherLog(LogId),
    /// It cannot be true: its `previous` is not below its position.
    Absurd,
}

/// What the topic and the store say of one position.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the topic holds event {} at position {}, but the event store holds {} there: it was written by somebody else, or the store is \
     an older copy. Nothing of it was applied; remove the topic and let the relay make it anew, or bring the store back as it was",
    claimed.event, claimed.position, found.map_or("nothing".to_owned(), |found| format!("event {}", found.event))
)]
pub struct Invented {
    /// What the topic says.
    pub claimed: LogPoint,
    /// What the store says.
    pub found: Option<LogPoint>,
}

/// How many messages may be believed before one is held against the store.
const BELIEVED: u32 = 10_000;

/// One shard. See the module's documentation.
#[derive(Debug, Clone)]
pub struct ShardMachine {
    log: LogId,
    layout: u64,
    at: LogPoint,
    /// The last event of this shard that is known; nothing before the first.
    last: Option<LogPoint>,
    /// The store is known to reach this far.
    stored: u64,
    /// Messages that were believed since one was held against the store.
    believed: u32,
    doubt: Option<Doubt>,
}

/// What two statements of the topic, or of topic and checkpoint, leave open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Doubt {
    /// Two events for one position: one of them is none.
    Same { known: LogPoint, heard: LogPoint },
    /// A message does not follow on the last event. Is that one there?
    Last { last: LogPoint, heard: LogPoint },
    /// It is; then is the message's?
    Next { heard: LogPoint },
}

impl Doubt {
    /// Which position to ask the store for, and what it should hold.
    fn asked(self) -> LogPoint {
        match self {
            Doubt::Last { last, .. } => last,
            Doubt::Same { heard, .. } | Doubt::Next { heard } => heard,
        }
    }
}

impl ShardMachine {
    /// A shard that stands at `at` in this layout.
    #[must_use]
    pub fn new(log: LogId, layout: u64, at: LogPoint) -> ShardMachine {
        ShardMachine { log, layout, at, last: None, stored: at.position, believed: 0, doubt: None }
    }

    /// Where the shard stands.
    #[must_use]
    pub fn at(&self) -> LogPoint {
        self.at
    }

    /// Decides about a message, and moves on where it is taken.
    pub fn hear(&mut self, mark: &Mark) -> Heard {
        let Mark { point, placement, carries } = *mark;
        if let Some(doubt) = self.doubt {
            return Heard::Doubt(doubt.asked());
        }
        if placement.log != self.log {
            return Heard::Pass(Passed::OtherLog(placement.log));
        }
        if placement.layout < self.layout {
            return Heard::Pass(Passed::OlderLayout);
        }
        if placement.layout > self.layout {
            return Heard::End { through: placement.layout - 1 };
        }
        if point.position <= self.at.position {
            return self.hear_again(point, carries);
        }
        let previous = placement.previous;
        if previous > point.position || (previous == point.position && carries == Carries::Event) {
            return Heard::Pass(Passed::Absurd);
        }
        // `previous` counts from the layout's start: what lies before it can only come from history.
        let whole = previous.max(self.layout.saturating_sub(1));
        if self.at.position < whole {
            return Heard::Fill { through: whole };
        }
        match self.last {
            // The chain leaves out an event that was taken, or names one that was not there: one of the two is not of the log.
            Some(last) if previous != last.position && last.position >= self.layout => {
                self.doubt(Doubt::Last { last, heard: point })
            }
            _ => self.believe(point, carries),
        }
    }

    fn hear_again(&mut self, point: LogPoint, carries: Carries) -> Heard {
        let contradicted = [Some(self.at), self.last]
            .into_iter()
            .flatten()
            .find(|known| known.position == point.position && known.event != point.event && known.position > 0);
        match contradicted {
            Some(known) if carries == Carries::Event => self.doubt(Doubt::Same { known, heard: point }),
            _ => Heard::Pass(Passed::Seen),
        }
    }

    fn believe(&mut self, point: LogPoint, carries: Carries) -> Heard {
        self.at = point;
        self.believed += 1;
        match carries {
            Carries::Event => {
                self.last = Some(point);
                Heard::Take
            }
            Carries::Nothing => Heard::Move,
        }
    }

    fn doubt(&mut self, doubt: Doubt) -> Heard {
        self.doubt = Some(doubt);
        Heard::Doubt(doubt.asked())
    }

    /// History was read up to `through`; `last` is the last event of this shard in it, if there was one.
    pub fn filled(&mut self, through: LogPoint, last: Option<LogPoint>) {
        self.at = through;
        self.last = last.or(self.last);
        self.stored = self.stored.max(through.position);
    }

    /// What has to be held against the store before what was taken may be applied: the point where the shard stands, if it stands
    /// beyond what the store is known to hold (`head`), or much was believed.
    pub fn claim(&mut self, head: u64) -> Option<LogPoint> {
        self.stored = self.stored.max(head);
        let due = self.at.position > self.stored || self.believed >= BELIEVED;
        (due && self.believed > 0).then_some(self.at)
    }

    /// The store was asked for a claimed or doubted point, and holds `found` there.
    ///
    /// # Errors
    /// [`Invented`] where it holds another event there, or none.
    pub fn settle(&mut self, asked: LogPoint, found: Option<LogPoint>) -> Result<(), Invented> {
        if found != Some(asked) {
            return Err(Invented { claimed: asked, found });
        }
        self.stored = self.stored.max(asked.position);
        match self.doubt {
            // The store agrees with the message, so it is the checkpoint that is not of this log.
            Some(Doubt::Same { known, .. }) => return Err(Invented { claimed: known, found }),
            Some(Doubt::Last { heard, .. }) => self.doubt = Some(Doubt::Next { heard }),
            // Both events are there, and only the chain between them is wrong: it begins anew.
            Some(Doubt::Next { .. }) => (self.doubt, self.last) = (None, None),
            None => self.believed = 0,
        }
        Ok(())
    }

    /// Nothing was heard for a while, and the store's head is known to be `head`: how far to read history, if at all.
    #[must_use]
    pub fn silent(&self, head: u64) -> Option<u64> {
        (head > self.at.position).then_some(head)
    }
}
