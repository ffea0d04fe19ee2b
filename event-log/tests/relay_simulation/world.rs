//! Everything that a run consists of, and what each action does to it.

use std::collections::BTreeMap;

use reel_event_log::relay::state::{RelayRecord, Replaced, Stamp};
use reel_events::{EventRef, LogId, LogPoint};
use uuid::Uuid;

use crate::{
    host::{Host, end_of_layout},
    read_model::ReadModel,
    relay::{Queues, Relay},
    schedule::{Action, Dice},
    topic::Topic,
};

pub(crate) const LOG: LogId = LogId(Uuid::from_u128(7));
pub(crate) const RELAYS: usize = 3;
pub(crate) const HOSTS: usize = 2;
/// A topic is not made larger than this.
const MOST_PARTITIONS: usize = 16;
/// Virtual milliseconds between two rounds once the faults have stopped.
const ROUND: u64 = 10;
/// Until then all must be well again: leases and pauses pass, and silent shards look into history.
const RECOVERY: u64 = 60_000;
/// Within so long an append must be in every shard: longer than a watermark takes, shorter than a shard's patience.
const PROMPT: u64 = 1_000;

/// The protocol as it is, or broken in one way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    Sound,
    PreviousIsWhatWasPublished,
    NoWatermarks,
    CheckpointIsPositionOnly,
    RecordIsNotFenced,
}

pub(crate) struct Event {
    pub(crate) stream: String,
    pub(crate) version: u64,
}

/// The event store, which is sound.
#[derive(Default)]
pub(crate) struct Log(Vec<Event>);

impl Log {
    fn append(&mut self, stream: u8) {
        let stream = format!("s-{stream}");
        let version = self.0.iter().filter(|event| event.stream == stream).count() as u64 + 1;
        self.0.push(Event { stream, version });
    }

    pub(crate) fn at(&self, position: u64) -> &Event {
        &self.0[position as usize - 1]
    }

    pub(crate) fn point(&self, position: u64) -> LogPoint {
        LogPoint { position, event: Uuid::from_u128(u128::from(position)) }
    }

    pub(crate) fn head(&self) -> LogPoint {
        self.point(self.0.len() as u64)
    }

    pub(crate) fn event(&self, position: u64) -> EventRef<'_> {
        let (id, Event { stream, version }) = (self.point(position).event, self.at(position));
        let (kind, payload) = ("noted", "1");
        EventRef { position, version: *version, id, stream, kind, schema: 1, recorded_at: 0, payload, metadata: "" }
    }

    /// The last version of each stream.
    pub(crate) fn heads(&self) -> BTreeMap<String, u64> {
        self.0.iter().map(|event| (event.stream.clone(), event.version)).collect()
    }
}

/// What all processes see.
pub(crate) struct Shared {
    /// Virtual milliseconds.
    pub(crate) now: u64,
    pub(crate) record: RelayRecord,
    pub(crate) topic: Option<Topic>,
    made: u64,
}

impl Shared {
    pub(crate) fn replace(&mut self, from: Stamp, to: RelayRecord, protocol: Protocol) -> Replaced {
        if self.record.stamp != from && protocol != Protocol::RecordIsNotFenced {
            return Replaced::Superseded;
        }
        self.record = to;
        Replaced::Done
    }

    pub(crate) fn topic_or_make(&mut self, partitions: usize) -> &Topic {
        self.made += u64::from(self.topic.is_none());
        let made = self.made;
        self.topic.get_or_insert_with(|| Topic::new(made, partitions))
    }
}

pub(crate) struct World {
    protocol: Protocol,
    log: Log,
    shared: Shared,
    relays: Vec<Relay>,
    /// What dead producers had sent: it may still arrive.
    ghosts: Vec<Queues>,
    hosts: Vec<Host>,
    read_model: ReadModel,
    started: u64,
}

impl World {
    pub(crate) fn new(protocol: Protocol) -> World {
        let shared = Shared { now: 0, record: RelayRecord::default(), topic: None, made: 0 };
        let relays = (0..RELAYS).map(|nth| Relay::new(format!("relay {nth}"), 0)).collect();
        let hosts = (0..HOSTS).map(|_| Host::default()).collect();
        World {
            protocol,
            log: Log::default(),
            shared,
            relays,
            ghosts: Vec::new(),
            hosts,
            read_model: ReadModel::new(protocol),
            started: RELAYS as u64,
        }
    }

    pub(crate) fn act(&mut self, action: &Action) -> Result<(), String> {
        match *action {
            Action::Append(stream) => self.log.append(stream),
            Action::Pass(time) => self.shared.now += u64::from(time),
            Action::Relay(nth) => self.run_relay(nth),
            Action::Deliver { relay, partition, count } => {
                self.relays[relay].deliver(partition, count, &mut self.shared);
            }
            Action::Haunt { partition, count } => self.haunt(partition, count),
            Action::Host(nth) => self.run_host(nth)?,
            Action::KillRelay(nth) => self.kill_relay(nth),
            Action::PauseRelay(nth, time) => self.relays[nth].paused_until = self.shared.now + u64::from(time),
            Action::FailRelay(nth) => self.relays[nth].fail(self.shared.now),
            Action::Reorder { relay, partition } => self.relays[relay].reorder(partition),
            Action::KillHost(nth) => self.hosts[nth] = Host::default(),
            Action::PauseHost(nth, time) => self.hosts[nth].paused_until = self.shared.now + u64::from(time),
            Action::Rebalance(seed) => self.rebalance(seed),
            Action::Lose { partition, count } => {
                if let Some(messages) = self.shared.topic.as_mut().and_then(|topic| topic.partitions.get_mut(partition))
                {
                    messages.truncate(messages.len().saturating_sub(count));
                }
            }
            Action::Delete => self.shared.topic = None,
            Action::Double => self.double(),
        }
        Ok(())
    }

    fn run_relay(&mut self, nth: usize) {
        let relay = &mut self.relays[nth];
        if relay.paused_until <= self.shared.now {
            relay.watch(&self.shared);
            self.ghosts.extend(relay.run(&mut self.shared, &self.log, self.protocol));
        }
    }

    fn kill_relay(&mut self, nth: usize) {
        self.started += 1;
        let next = Relay::new(format!("relay {}", self.started), self.shared.now);
        self.ghosts.push(std::mem::replace(&mut self.relays[nth], next).queues);
    }

    /// Messages of a dead producer arrive.
    fn haunt(&mut self, partition: usize, count: usize) {
        let ghost = self.ghosts.iter_mut().find(|queues| queues.get(partition).is_some_and(|queue| !queue.is_empty()));
        let messages = self.shared.topic.as_mut().and_then(|topic| topic.partitions.get_mut(partition));
        if let (Some(queues), Some(messages)) = (ghost, messages) {
            let queue = &mut queues[partition];
            messages.extend(queue.drain(..count.min(queue.len())));
        }
    }

    fn run_host(&mut self, nth: usize) -> Result<(), String> {
        if self.hosts[nth].paused_until > self.shared.now {
            return Ok(());
        }
        let Some(newest) = self.shared.record.layouts.last().copied() else { return Ok(()) };
        if self.read_model.checkpoints.is_empty() {
            self.read_model.relayout(newest);
            self.rebalance(0);
        }
        let ends = end_of_layout(&self.read_model.checkpoints, newest);
        if let Some((_, through)) = ends
            && self.read_model.checkpoints.iter().all(|checkpoint| checkpoint.point.position == through)
        {
            self.read_model.relayout(newest);
            self.rebalance(through);
            return Ok(());
        }
        self.hosts[nth].run(&self.shared, &self.log, &mut self.read_model, ends)
    }

    /// Every shard goes to some host. One that sleeps does not notice.
    fn rebalance(&mut self, seed: u64) {
        let mut dice = Dice::new(seed);
        let (now, awake): (u64, Vec<usize>) =
            (self.shared.now, (0..HOSTS).filter(|nth| self.hosts[*nth].paused_until <= self.shared.now).collect());
        for nth in &awake {
            self.hosts[*nth].let_go_of_all();
        }
        for number in 0..self.read_model.checkpoints.len() as u32 {
            if let Some(nth) = awake.get(dice.below(awake.len().max(1))) {
                self.hosts[*nth].take(number, &mut self.read_model, now);
            }
        }
    }

    fn double(&mut self) {
        if let Some(topic) = &mut self.shared.topic {
            let doubled = (topic.partitions.len() * 2).min(MOST_PARTITIONS);
            topic.partitions.resize(doubled, Vec::new());
        }
    }

    /// The faults stop. All must be well after a while, and every append be everywhere soon.
    pub(crate) fn settle(mut self) -> Result<(), String> {
        self.relays.iter_mut().for_each(|relay| relay.paused_until = 0);
        self.hosts.iter_mut().for_each(|host| host.paused_until = 0);
        self.rebalance(1);
        self.log.append(0);
        self.follow(RECOVERY)?;
        for stream in 0..3 {
            self.log.append(stream);
            self.follow(PROMPT)?;
        }
        self.read_model.compare(&self.log)
    }

    /// Runs everybody until every shard stands at the head, for so long at most.
    fn follow(&mut self, within: u64) -> Result<(), String> {
        let deadline = self.shared.now + within;
        let head = self.log.head();
        while !self.stands_at(head) {
            if self.shared.now > deadline {
                let stand: Vec<u64> = self.read_model.checkpoints.iter().map(|one| one.point.position).collect();
                return Err(format!("a shard does not follow to {} within {within} ms: {stand:?}", head.position));
            }
            self.shared.now += ROUND;
            for nth in 0..RELAYS {
                self.run_relay(nth);
                for partition in 0..MOST_PARTITIONS {
                    self.relays[nth].deliver(partition, usize::MAX, &mut self.shared);
                }
            }
            for nth in 0..HOSTS {
                self.run_host(nth)?;
            }
        }
        Ok(())
    }

    fn stands_at(&self, head: LogPoint) -> bool {
        let checkpoints = &self.read_model.checkpoints;
        !checkpoints.is_empty() && checkpoints.iter().all(|checkpoint| checkpoint.point == head)
    }
}
