//! A shard's events: out of its partition, and out of history where the topic has a hole or is silent. The I/O around
//! [`ShardMachine`].

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use reel_events::{EventBatch, LogId, LogPoint, partition_of};
use tokio::sync::{Notify, OwnedMutexGuard, mpsc, watch};

use super::{Carries, Heard, Mark, Passed, ShardMachine};
use crate::store::{EventStore, ReadLimit, StoreError};
use crate::topic::TopicError;
use crate::topic::tail::verify;

/// A shard that hears nothing for so long looks into history. A relay that lives says something ten times a second.
const SILENCE: Duration = Duration::from_secs(2);
/// Bytes of events in one batch of each shard: all together, and at most and at least for each.
const BYTES: usize = 64 << 20;
const MOST_BYTES: usize = 16 << 20;
const FEWEST_BYTES: usize = 1 << 20;

/// Which shard, and where it stands.
#[derive(Debug, Clone, Copy)]
pub struct ShardPlace {
    /// The log.
    pub log: LogId,
    /// The layout that its checkpoint is of, by its first position.
    pub layout: u64,
    /// Its number: that of its partition.
    pub shard: u32,
    /// Out of how many.
    pub shards: u32,
    /// Its checkpoint.
    pub at: LogPoint,
}

/// Some messages of a partition, in order.
#[derive(Debug, Default)]
pub struct Piece {
    /// The events among them.
    pub events: EventBatch,
    /// All of them.
    pub marks: Vec<Mark>,
    /// The offset behind the last.
    pub end: i64,
}

/// What a shard shares with others of its generation: a layout that ends, and how to say that one seems to.
#[derive(Debug, Clone)]
pub struct Ends {
    /// Where all shards stop, once there is a newer layout.
    pub through: watch::Receiver<Option<u64>>,
    /// Told when a message of a newer layout was heard.
    pub suspected: Arc<Notify>,
}

/// Where a partition's messages come from.
pub struct Partition {
    /// The messages.
    pub pieces: mpsc::Receiver<Piece>,
    /// Hears up to which offset messages were handed over long enough ago to be committed by now: a hint for the next start.
    pub hint: Box<dyn Fn(i64) + Send>,
}

/// Events as they were fed.
#[derive(Debug, Clone)]
pub struct Fed {
    /// May be empty, where the shard moved on without one.
    pub events: EventBatch,
    /// Where the shard stands behind them.
    pub through: LogPoint,
    /// How far the log is known to reach; never below `through`.
    pub head: u64,
}

/// Feeds one shard.
pub struct ShardFeed {
    store: Arc<dyn EventStore>,
    place: ShardPlace,
    partition: OwnedMutexGuard<Partition>,
    ends: Ends,
    machine: ShardMachine,
    verified: bool,
    current: Piece,
    /// What of `current` was heard.
    heard: Cursor,
    /// Taken, and not handed over yet.
    taken: EventBatch,
    handed: LogPoint,
    /// The ends of what was handed over last.
    offsets: VecDeque<i64>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Cursor {
    mark: usize,
    event: usize,
}

impl ShardFeed {
    /// Goes on where `place` says, out of `partition`, which the next feed of the same shard gets when this one is dropped: what was
    /// heard and not handed over is a hole then. Nothing is read before [`ShardFeed::next`].
    #[must_use]
    pub fn new(
        store: Arc<dyn EventStore>,
        place: ShardPlace,
        partition: OwnedMutexGuard<Partition>,
        ends: Ends,
    ) -> ShardFeed {
        ShardFeed {
            machine: ShardMachine::new(place.log, place.layout, place.at),
            store,
            place,
            partition,
            ends,
            verified: false,
            current: Piece::default(),
            heard: Cursor::default(),
            taken: EventBatch::new(),
            handed: place.at,
            offsets: VecDeque::new(),
        }
    }

    /// The next events, at most `most`; waits until the shard moves. A call that is dropped before it returned has taken nothing.
    ///
    /// # Errors
    /// Where the store fails, then the next call goes on from the same place; or where topic, checkpoint and store are not of one
    /// log, then every call says so.
    pub async fn next(&mut self, most: usize) -> Result<Fed, TopicError> {
        if !self.verified {
            verify(&*self.store, self.place.log, self.machine.at()).await?;
            self.verified = true;
        }
        self.gather(most).await?;
        let head = *self.store.watch().borrow();
        if let Some(claimed) = self.machine.claim(head) {
            self.settle(claimed).await?;
        }
        self.hint();
        let through = self.machine.at();
        self.handed = through;
        Ok(Fed { events: std::mem::take(&mut self.taken), through, head: head.max(through.position) })
    }

    /// What was handed over two batches ago is committed by now: the loop writes one batch while it applies the next.
    fn hint(&mut self) {
        self.offsets.push_back(self.current.end);
        if self.offsets.len() > 3
            && let Some(end) = self.offsets.pop_front().filter(|end| *end > 0)
        {
            (self.partition.hint)(end);
        }
    }

    /// Hears messages until the batch is full, or there are no more right now and the shard has moved.
    async fn gather(&mut self, most: usize) -> Result<(), TopicError> {
        loop {
            if self.is_full(most) {
                return Ok(());
            }
            let ends = *self.ends.through.borrow_and_update();
            if let Some(through) = ends {
                if self.machine.at().position < through {
                    self.fill(through, most).await?;
                } else if self.has_moved() {
                    return Ok(());
                } else {
                    self.rest().await;
                }
            } else if self.heard.mark < self.current.marks.len() {
                self.hear(most).await?;
            } else if let Ok(piece) = self.partition.pieces.try_recv() {
                (self.current, self.heard) = (piece, Cursor::default());
            } else if self.has_moved() {
                return Ok(());
            } else {
                self.wait(most).await?;
            }
        }
    }

    /// The layout has ended, and so has this shard's part in it: waits to be dropped, or to hear that there is more to do. A newer layout
    /// still, or a shard that came further before it knew, moves the end.
    async fn rest(&mut self) {
        if self.ends.through.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Waits for messages, for the end of the layout, or for so long that history is looked into.
    async fn wait(&mut self, most: usize) -> Result<(), TopicError> {
        tokio::select! {
            // Where the partition was taken away there is nothing more: whoever did it stops this shard. Until then it has history.
            Some(piece) = self.partition.pieces.recv() => (self.current, self.heard) = (piece, Cursor::default()),
            Ok(()) = self.ends.through.changed() => {}
            () = tokio::time::sleep(SILENCE) => {
                let head = *self.store.watch().borrow();
                if let Some(through) = self.machine.silent(head) {
                    tracing::debug!(shard = self.place.shard, through, "the topic is silent: reading history");
                    self.fill(through, most).await?;
                }
            }
        }
        Ok(())
    }

    /// Hears what is left of the current piece.
    async fn hear(&mut self, most: usize) -> Result<(), TopicError> {
        let mut run = self.heard.event..self.heard.event;
        while let Some(mark) = self.current.marks.get(self.heard.mark).copied() {
            let heard = self.machine.hear(&mark);
            match heard {
                Heard::Take => run.end += 1,
                Heard::Move => {}
                Heard::Pass(why) => {
                    self.note(&mark, why);
                    self.pass(&mark, &mut run);
                }
                Heard::End { .. } => {
                    self.ends.suspected.notify_one();
                    self.pass(&mark, &mut run);
                }
                Heard::Fill { .. } | Heard::Doubt(_) => {
                    self.take(run);
                    return match heard {
                        Heard::Fill { through } => self.fill(through, most).await,
                        Heard::Doubt(doubted) => self.settle(doubted).await,
                        _ => unreachable!("one of the two"),
                    };
                }
            }
            self.heard.mark += 1;
            if self.taken.len() + run.len() >= most {
                break;
            }
        }
        self.take(run);
        Ok(())
    }

    fn pass(&mut self, mark: &Mark, run: &mut Range<usize>) {
        if mark.carries == Carries::Event {
            let next = run.end + 1;
            self.take(std::mem::replace(run, next..next));
            self.heard.event = next;
        }
    }

    fn take(&mut self, run: Range<usize>) {
        if run.is_empty() {
            return;
        }
        self.heard.event = run.end;
        if self.taken.is_empty() && run == (0..self.current.events.len()) {
            self.taken = std::mem::take(&mut self.current.events);
        } else {
            self.taken.append(&self.current.events, run);
        }
    }

    fn note(&self, mark: &Mark, why: Passed) {
        let (shard, position) = (self.place.shard, mark.point.position);
        match why {
            Passed::Seen | Passed::OlderLayout => {}
            Passed::OtherLog(log) => {
                tracing::warn!(shard, position, %log, ours = %self.place.log, "a message of another log in the topic was passed over");
            }
            Passed::Absurd => {
                tracing::warn!(shard, position, "a message whose previous is not below its position was passed over");
            }
        }
    }

    /// Reads a piece of history on the way to `through`, and takes this shard's events of it.
    async fn fill(&mut self, through: u64, most: usize) -> Result<(), TopicError> {
        let at = self.machine.at().position;
        let room = (most - self.taken.len()) as u64;
        let limit = ReadLimit { events: (through - at).min(room) as usize, bytes: self.most_bytes() };
        let read = self.store.read(at, limit).await;
        let events = read.map_err(|source| self.failed(source))?;
        let Some(last) = events.len().checked_sub(1) else {
            return self.missing(through).await;
        };
        let mut own = None;
        for event in events.iter() {
            if partition_of(event.stream, self.place.shards) == self.place.shard {
                own = Some(LogPoint { position: event.position, event: event.id });
                self.taken.push(event);
            }
        }
        let last = events.get(last);
        self.machine.filled(LogPoint { position: last.position, event: last.id }, own);
        Ok(())
    }

    /// The topic speaks of events that the store does not hold.
    async fn missing(&mut self, through: u64) -> Result<(), TopicError> {
        let at = self.machine.at();
        verify(&*self.store, self.place.log, at).await?;
        let head = self.store.head().await.map_err(|source| self.failed(source))?.position;
        if head > at.position {
            return Ok(());
        }
        let reason =
            format!("the topic holds messages that follow on position {through}, but the event store ends at {head}");
        Err(self.failed(StoreError::Unreadable { location: format!("log {}", self.place.log), reason }))
    }

    /// Holds something that the topic said against the store.
    async fn settle(&mut self, asked: LogPoint) -> Result<(), TopicError> {
        let found = self.store.point(asked.position).await.map_err(|source| self.failed(source))?;
        Ok(self.machine.settle(asked, found)?)
    }

    fn failed(&mut self, source: StoreError) -> TopicError {
        self.verified = false;
        TopicError::Store { position: self.machine.at().position, source }
    }

    fn has_moved(&self) -> bool {
        self.machine.at() != self.handed
    }

    fn most_bytes(&self) -> usize {
        (BYTES / self.place.shards.max(1) as usize).clamp(FEWEST_BYTES, MOST_BYTES)
    }

    fn is_full(&self, most: usize) -> bool {
        self.taken.len() >= most || self.taken.heap_bytes() >= self.most_bytes()
    }
}
