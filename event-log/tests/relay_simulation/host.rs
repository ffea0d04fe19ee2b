//! One host: the shards that it thinks are its own, each the pure machine with a batch on its way into the read model.

use std::collections::BTreeMap;

use reel_event_log::relay::state::Layout;
use reel_event_log::topic::shard::{Carries, Heard, Mark, ShardMachine};
use reel_events::{LogPoint, partition_of};

use crate::read_model::{Checkpoint, Commit, Committed, ReadModel};
use crate::topic::Topic;
use crate::world::{LOG, Log, Shared};

/// A shard that hears nothing for so long looks into history, in milliseconds.
const SILENCE: u64 = 2_000;
/// Messages that a shard hears in one turn.
const TURN: usize = 5;
/// Events of history that it reads in one turn.
const READ: u64 = 20;

#[derive(Default)]
pub(crate) struct Host {
    shards: BTreeMap<u32, Shard>,
    pub(crate) paused_until: u64,
}

struct Shard {
    machine: ShardMachine,
    checkpoint: Checkpoint,
    shards: u32,
    /// Which topic is read, and which message is next.
    made: u64,
    offset: usize,
    heard_at: u64,
    /// Applied, and not committed yet.
    batch: Vec<u64>,
}

impl Host {
    /// Takes a shard over.
    pub(crate) fn take(&mut self, number: u32, read_model: &mut ReadModel, now: u64) {
        let shards = read_model.checkpoints.len() as u32;
        let checkpoint = read_model.take(number);
        let machine = ShardMachine::new(LOG, checkpoint.layout, checkpoint.point);
        let shard = Shard { machine, checkpoint, shards, made: 0, offset: 0, heard_at: now, batch: Vec::new() };
        self.shards.insert(number, shard);
    }

    pub(crate) fn let_go(&mut self, number: u32) {
        self.shards.remove(&number);
    }

    pub(crate) fn let_go_of_all(&mut self) {
        self.shards.clear();
    }

    /// One turn of each shard: what was applied in the last one is committed, then more is heard. `ends` is where the layout ends,
    /// if it does.
    pub(crate) fn run(
        &mut self,
        shared: &Shared,
        log: &Log,
        read_model: &mut ReadModel,
        ends: Option<(u64, u64)>,
    ) -> Result<(), String> {
        let mut fenced = Vec::new();
        for (number, shard) in &mut self.shards {
            if shard.commit(*number, log, read_model)? == Committed::Fenced {
                fenced.push(*number);
                continue;
            }
            match ends {
                Some((layout, through)) if layout == shard.checkpoint.layout => {
                    if shard.machine.at().position < through {
                        shard.fill(*number, through, log);
                    }
                }
                _ => shard.listen(*number, shared, log)?,
            }
        }
        fenced.into_iter().for_each(|number| self.let_go(number));
        Ok(())
    }
}

impl Shard {
    fn commit(&mut self, number: u32, log: &Log, read_model: &mut ReadModel) -> Result<Committed, String> {
        let to = self.machine.at();
        if to == self.checkpoint.point {
            return Ok(Committed::Yes);
        }
        let batch = std::mem::take(&mut self.batch);
        let committed = read_model.commit(&Commit { shard: number, from: self.checkpoint, to, events: &batch }, log)?;
        self.checkpoint.point = to;
        Ok(committed)
    }

    fn listen(&mut self, number: u32, shared: &Shared, log: &Log) -> Result<(), String> {
        if let Some(topic) = &shared.topic {
            self.hear(number, topic, shared.now, log)?;
        }
        if let Some(claimed) = self.machine.claim(0) {
            self.settle(claimed, log)?;
        }
        let silent = shared.now >= self.heard_at + SILENCE;
        if let Some(through) = self.machine.silent(log.head().position).filter(|_| silent) {
            self.fill(number, through, log);
        }
        Ok(())
    }

    fn hear(&mut self, number: u32, topic: &Topic, now: u64, log: &Log) -> Result<(), String> {
        let Some(messages) = topic.partitions.get(number as usize) else { return Ok(()) };
        if self.made != topic.made || self.offset > messages.len() {
            (self.made, self.offset) = (topic.made, 0);
        }
        for _ in 0..TURN {
            let Some(message) = messages.get(self.offset) else { return Ok(()) };
            self.heard_at = now;
            match self.machine.hear(message) {
                Heard::Take => self.apply(message),
                Heard::Move | Heard::Pass(_) | Heard::End { .. } => {}
                Heard::Fill { through } => {
                    self.fill(number, through, log);
                    continue;
                }
                Heard::Doubt(doubted) => {
                    self.settle(doubted, log)?;
                    continue;
                }
            }
            self.offset += 1;
        }
        Ok(())
    }

    fn apply(&mut self, message: &Mark) {
        assert_eq!(message.carries, Carries::Event, "only events are taken");
        self.batch.push(message.point.position);
    }

    fn settle(&mut self, asked: LogPoint, log: &Log) -> Result<(), String> {
        let found = (asked.position <= log.head().position).then(|| log.point(asked.position));
        self.machine.settle(asked, found).map_err(|error| error.to_string())
    }

    /// Reads a piece of history.
    fn fill(&mut self, number: u32, through: u64, log: &Log) {
        let at = self.machine.at().position;
        let last = through.min(at + READ).min(log.head().position);
        let own = |position: &u64| partition_of(&log.at(*position).stream, self.shards) == number;
        let mine: Vec<u64> = (at + 1..=last).filter(own).collect();
        let newest = mine.last().map(|position| log.point(*position));
        self.batch.extend(mine);
        self.machine.filled(log.point(last), newest);
    }
}

/// Where the layout of the checkpoints ends, if there is a newer one: its start, or further where a shard went beyond it.
pub(crate) fn end_of_layout(checkpoints: &[Checkpoint], newest: Layout) -> Option<(u64, u64)> {
    let first = checkpoints.first().filter(|first| first.layout < newest.from)?;
    let furthest = checkpoints.iter().map(|checkpoint| checkpoint.point.position).max().unwrap_or(0);
    Some((first.layout, furthest.max(newest.from - 1)))
}
