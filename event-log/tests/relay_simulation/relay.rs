//! One relay: the machine, and a producer whose messages arrive later, or never.

use std::collections::VecDeque;
use std::time::Duration;

use reel_event_log::relay::{Do, Machine, Pace, Place, Standing, Survey, Tail, state::Known};
use reel_event_log::topic::shard::Carries;
use reel_events::LogPoint;

use crate::topic::{Message, Topic, message};
use crate::world::{LOG, Log, Protocol, Shared};

/// Partitions of a topic that a relay makes.
const PARTITIONS: usize = 2;
/// What a relay does in one turn, at most.
const TURN: usize = 6;
/// Events that it reads at once.
const READ: u64 = 3;

/// Messages on their way, by partition.
pub(crate) type Queues = Vec<VecDeque<Message>>;

pub(crate) struct Relay {
    machine: Machine,
    /// When it was started, by its own clock: hours apart from others'.
    began: u64,
    pub(crate) paused_until: u64,
    surveyed: Option<(Survey, Vec<u64>)>,
    pub(crate) queues: Queues,
    /// What the broken protocol takes for `previous`.
    published: Vec<u64>,
}

impl Relay {
    pub(crate) fn new(name: String, now: u64) -> Relay {
        Relay {
            machine: Machine::new(LOG, name, Pace::default()),
            began: now,
            paused_until: 0,
            surveyed: None,
            queues: Vec::new(),
            published: Vec::new(),
        }
    }

    /// One turn; returns messages of an earlier term that are still on their way.
    pub(crate) fn run(&mut self, shared: &mut Shared, log: &Log, protocol: Protocol) -> Option<Queues> {
        let now = Duration::from_millis(shared.now - self.began);
        if let Some((survey, published)) = self.surveyed.take() {
            self.published = published;
            self.machine.surveyed(&survey);
        }
        let mut left = None;
        for _ in 0..TURN {
            match self.machine.next(now) {
                Do::Look => self.machine.looked(shared.record.clone(), now),
                Do::Write { from, record } => {
                    let replaced = shared.replace(from, *record, protocol);
                    self.machine.wrote(replaced, now);
                }
                Do::Survey { passed } => {
                    let topic = shared.topic_or_make(PARTITIONS);
                    left = Some(std::mem::replace(&mut self.queues, vec![VecDeque::new(); topic.partitions.len()]));
                    self.surveyed = Some(survey(topic, log, passed));
                    break;
                }
                Do::Watermarks(due) if protocol == Protocol::NoWatermarks => {
                    due.iter().for_each(|one| self.machine.delivered(one.place.partition, one.through.position));
                }
                Do::Watermarks(due) => {
                    for one in due {
                        self.send(one.through, one.place, Carries::Nothing, protocol);
                    }
                }
                Do::Read { after, most, .. } => {
                    if self.read(after, most, log, protocol) == 0 {
                        break;
                    }
                }
                Do::Wait(_) | Do::End => break,
            }
        }
        left
    }

    fn read(&mut self, after: u64, most: u64, log: &Log, protocol: Protocol) -> u64 {
        let mut read = 0;
        while read < most.min(READ) && after + read < log.head().position {
            read += 1;
            let event = log.event(after + read);
            if let Some(place) = self.machine.place(&event) {
                self.send(log.point(after + read), place, Carries::Event, protocol);
            }
        }
        read
    }

    fn send(&mut self, point: LogPoint, place: Place, carries: Carries, protocol: Protocol) {
        let (partition, mut placement) = (place.partition as usize, place.placement);
        if protocol == Protocol::PreviousIsWhatWasPublished {
            placement.previous = self.published[partition];
            if carries == Carries::Event {
                self.published[partition] = point.position;
            }
        }
        self.queues[partition].push_back(message(point, placement, carries));
    }

    /// Messages of a partition arrive. Where the topic or the partition is gone, they fail, and so does the term.
    pub(crate) fn deliver(&mut self, partition: usize, count: usize, shared: &mut Shared) {
        for _ in 0..count {
            let Some(message) = self.queues.get_mut(partition).and_then(VecDeque::pop_front) else { return };
            match shared.topic.as_mut().and_then(|topic| topic.partitions.get_mut(partition)) {
                Some(messages) => {
                    messages.push(message);
                    self.machine.delivered(partition as u32, message.point.position);
                }
                None => return self.fail(shared.now),
            }
        }
    }

    /// The producer failed, or the topic was seen to be another one.
    pub(crate) fn fail(&mut self, now: u64) {
        self.queues.iter_mut().for_each(VecDeque::clear);
        self.machine.failed(Duration::from_millis(now - self.began));
    }

    /// A producer that is not idempotent sends the second before the first.
    pub(crate) fn reorder(&mut self, partition: usize) {
        if let Some(queue) = self.queues.get_mut(partition).filter(|queue| queue.len() > 1) {
            queue.swap(0, 1);
        }
    }

    /// Looks at the topic, as the producer's watch does.
    pub(crate) fn watch(&mut self, shared: &Shared) {
        let partitions = shared.topic.as_ref().map_or(0, |topic| topic.partitions.len());
        if self.machine.leading().is_some() && partitions != self.queues.len() {
            self.fail(shared.now);
        }
    }
}

fn survey(topic: &Topic, log: &Log, passed: LogPoint) -> (Survey, Vec<u64>) {
    let last: Vec<Option<(Message, u64)>> =
        (0..topic.partitions.len()).map(|partition| topic.last(partition)).collect();
    let tail = |(message, event): (Message, u64)| Tail {
        layout: message.placement.layout,
        known: Known { through: message.point.position, last: event },
    };
    let published = last.iter().map(|last| last.map_or(0, |(_, event)| event)).collect();
    let record = if log.point(passed.position) == passed { Standing::Stands } else { Standing::Gone };
    let tails = last.into_iter().map(|last| last.map(tail)).collect();
    (Survey { tails, head: log.head(), record }, published)
}
