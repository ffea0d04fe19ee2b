//! The run: writers that carry out the append protocol's steps on the modelled server, clients that repeat what was not answered,
//! and the scenario's faults in between.

use std::collections::VecDeque;

use reel_events::Timestamp;

use super::{
    judge::{self, Reader, Violation},
    scenario::{FAULTS_END, Fault, Scenario, WRITERS},
    schedule::{Dice, Schedule},
    server::{Part, ReadConcern, Server, Stored},
};
use crate::store::{
    AppendError, Appended, IdOrigin, StoreError,
    mongodb::protocol::{Answer, Knowledge, Look, Outcome, Proposal, Round, Seen, SeenTail, Step, Wanted},
};

/// How long a writer waits for the answer to an insert.
const PATIENCE: u64 = 40_000;
/// How far the writers' clocks are apart, in microseconds.
const CLOCKS_APART: u64 = 3_600_000_000;
/// When everything must have come to rest.
const END: u64 = FAULTS_END + 20_000_000;
/// Vain attempts after which a round is given up, as it is after ten seconds in truth.
const ATTEMPTS: u32 = 12;

/// The protocol that is run: ours, or one that is wrong in one point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    Ours,
    /// Positions come from a counter on the server (`$inc`), the insert comes later.
    Counter,
    /// Looks at what the primary has, whether a majority has it or not: it proposes above unacknowledged positions.
    LocalReads,
    /// Takes an insert whose answer was lost for one that succeeded.
    SilenceIsSuccess,
    /// Often proposes the next position after one that is taken, without looking again.
    CountsOn,
    /// Takes ids that were given for ones that nobody else can have.
    TakesIdsForFresh,
}

/// An ordered insert on its way, and at work.
#[derive(Debug)]
struct Insert {
    by: Caller,
    documents: VecDeque<Stored>,
    /// The primary that began it.
    term: Option<u64>,
}

/// Who waits for an answer: which step of which life of which writer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Caller {
    writer: usize,
    step: u64,
}

#[derive(Debug)]
enum Event {
    Sent(usize),
    Go(usize),
    Work(Insert),
    Answer(Caller, Outcome),
    Read(Caller, Look, Box<Seen>, usize),
    Replicate,
    Fault(Fault),
}

/// The parts of a look in their order.
const PARTS: [Part; 4] = [Part::Tail, Part::Streams, Part::Commits, Part::Events];

#[derive(Default)]
struct Writer {
    knowledge: Knowledge,
    round: Option<(Round, Vec<usize>)>,
    inbox: Vec<usize>,
    /// Counts steps over all its lives: an answer to an older one is for nobody.
    step: u64,
    vain: u32,
    paused_until: u64,
}

struct Run<'s> {
    scenario: &'s Scenario,
    protocol: Protocol,
    dice: Dice,
    schedule: Schedule<Event>,
    server: Server,
    writers: Vec<Writer>,
    /// Inserts that are done on the primary and wait until a majority holds so many documents.
    waiting: Vec<(usize, Caller)>,
    no_majority_until: u64,
    reader: Reader,
    told: Vec<(usize, Answer)>,
}

/// Runs a scenario to its end.
pub(crate) fn run(scenario: &Scenario, protocol: Protocol) -> Result<(), Violation> {
    Run::new(scenario, protocol).go_to_the_end().map(drop)
}

/// The log in the end, and what clients were told: for comparing two runs.
pub(crate) fn history(scenario: &Scenario, protocol: Protocol) -> String {
    let mut run = Run::new(scenario, protocol);
    let ended = run.go_to_the_end();
    format!("{ended:?} {:?} {:?}", run.server.visible(ReadConcern::Majority), run.told)
}

impl<'s> Run<'s> {
    fn new(scenario: &'s Scenario, protocol: Protocol) -> Run<'s> {
        let mut schedule = Schedule::new();
        for (nth, command) in scenario.commands.iter().enumerate() {
            schedule.at(command.at, Event::Sent(nth));
        }
        for (at, fault) in &scenario.faults {
            schedule.at(*at, Event::Fault(*fault));
        }
        schedule.after(0, Event::Replicate);
        Run {
            scenario,
            protocol,
            dice: Dice::new(!scenario.seed),
            schedule,
            server: Server::new(scenario.event_ids),
            writers: (0..WRITERS).map(|_| Writer::default()).collect(),
            waiting: Vec::new(),
            no_majority_until: 0,
            reader: Reader::default(),
            told: Vec::new(),
        }
    }

    fn go_to_the_end(&mut self) -> Result<(), Violation> {
        while let Some(event) = self.schedule.next() {
            if self.schedule.now() > END {
                return Err("it does not come to rest".to_owned());
            }
            self.happens(event);
            self.reader.read(self.server.visible(ReadConcern::Majority))?;
        }
        judge::judge(self.server.visible(ReadConcern::Majority), &self.scenario.commands, &self.told)
    }

    fn happens(&mut self, event: Event) {
        match event {
            Event::Sent(command) => {
                let writer = self.scenario.commands[command].writer;
                self.writers[writer].inbox.push(command);
                self.schedule.after(0, Event::Go(writer));
            }
            Event::Go(writer) if !self.is_paused(writer) => self.go(writer),
            Event::Go(writer) => self.schedule.at(self.writers[writer].paused_until, Event::Go(writer)),
            Event::Work(insert) => self.work(insert),
            Event::Answer(caller, outcome) => self.answered(caller, outcome),
            Event::Read(caller, look, seen, part) => self.read(caller, look, seen, part),
            Event::Replicate => self.replicate(),
            Event::Fault(fault) => self.fault(fault),
        }
    }

    fn is_paused(&self, writer: usize) -> bool {
        self.writers[writer].paused_until > self.schedule.now()
    }

    /// Takes the next step of the writer's round, or begins one.
    fn go(&mut self, writer: usize) {
        // Nobody's clock is right: each writer's is an hour ahead of the last one's.
        let ahead = writer as u64 * CLOCKS_APART;
        let now = Timestamp::from_micros((self.schedule.now() + ahead).cast_signed());
        let place = &mut self.writers[writer];
        if place.round.is_none() && !place.inbox.is_empty() {
            let commands = std::mem::take(&mut place.inbox);
            let mut wanted: Vec<Wanted> =
                commands.iter().map(|command| self.scenario.commands[*command].wanted.clone()).collect();
            if self.protocol == Protocol::TakesIdsForFresh {
                wanted.iter_mut().for_each(|wanted| wanted.ids = IdOrigin::Fresh);
            }
            place.round = Some((Round::new(wanted, self.scenario.event_ids), commands));
            place.vain = 0;
            place.step += 1;
        } else if place.round.is_none() {
            return;
        }
        let Some((round, _)) = &mut place.round else { return };
        let step = round.step(&mut place.knowledge, now);
        place.step += 1;
        let caller = Caller { writer, step: place.step };
        match step {
            Step::Look(look) => {
                let nothing =
                    Seen { tail: SeenTail::Skipped, commits: Vec::new(), streams: Vec::new(), events: Vec::new() };
                self.schedule.after(self.dice.delay(), Event::Read(caller, look, Box::new(nothing), 0));
            }
            Step::Insert(proposals) => self.insert(caller, &proposals),
            Step::Pause(_) if self.writers[writer].vain > ATTEMPTS => self.give_up(writer),
            Step::Pause(pause) => {
                self.schedule.after(u64::try_from(pause.as_micros()).unwrap_or(u64::MAX), Event::Go(writer));
            }
            Step::Done => self.finish(writer),
        }
    }

    fn insert(&mut self, by: Caller, proposals: &[Proposal]) {
        let Some((round, _)) = &self.writers[by.writer].round else { return };
        let mut documents: VecDeque<Stored> =
            proposals.iter().map(|Proposal { nth, place }| document(round.wanted(*nth), *place)).collect();
        if self.protocol == Protocol::Counter {
            for document in &mut documents {
                document.place.first_position = self.server.counter + 1;
                self.server.counter += u64::from(document.place.count);
            }
        }
        self.schedule.after(self.dice.delay(), Event::Work(Insert { by, documents, term: None }));
        // The answer may be lost, or come too late: then the writer goes on without it, and the insert goes on without the writer.
        let patience = if self.dice.chance(10) { self.dice.delay() } else { PATIENCE };
        self.schedule.after(patience, Event::Answer(by, Outcome::Unknown));
    }

    /// Inserts one document or a few; others may come in between.
    fn work(&mut self, mut insert: Insert) {
        let term = *insert.term.get_or_insert(self.server.term);
        if term != self.server.term {
            return self.schedule.after(self.dice.delay(), Event::Answer(insert.by, Outcome::Unknown));
        }
        for _ in 0..1 + self.dice.below(3) {
            let Some(document) = insert.documents.pop_front() else { break };
            if !self.server.insert(document) {
                return self.schedule.after(self.dice.delay(), Event::Answer(insert.by, Outcome::Unknown));
            }
        }
        if insert.documents.is_empty() {
            self.waiting.push((self.server.len(), insert.by));
        } else {
            self.schedule.after(self.dice.below(500), Event::Work(insert));
        }
    }

    fn replicate(&mut self) {
        if self.schedule.now() >= self.no_majority_until {
            let behind = self.server.len() - self.server.majority();
            let count = self.server.majority() + self.dice.below(behind as u64 + 1) as usize;
            self.server.replicate(count);
            let (done, waiting) = self.waiting.drain(..).partition(|(count, _)| *count <= self.server.majority());
            self.waiting = waiting;
            for (_, caller) in done {
                self.schedule.after(self.dice.delay(), Event::Answer(caller, Outcome::Acknowledged));
            }
        }
        let resting = self.writers.iter().all(|writer| writer.round.is_none() && writer.inbox.is_empty());
        let rested = resting && self.schedule.now() > FAULTS_END && self.server.len() == self.server.majority();
        if !rested {
            self.schedule.after(1 + self.dice.below(1_500), Event::Replicate);
        }
    }

    fn answered(&mut self, caller: Caller, outcome: Outcome) {
        let writer = caller.writer;
        if self.is_paused(writer) {
            return self.schedule.at(self.writers[writer].paused_until, Event::Answer(caller, outcome));
        }
        let place = &mut self.writers[writer];
        let Some((round, _)) = &mut place.round else { return };
        if place.step != caller.step {
            return;
        }
        let outcome = if self.protocol == Protocol::SilenceIsSuccess { Outcome::Acknowledged } else { outcome };
        place.vain = if outcome == Outcome::Unknown { place.vain + 1 } else { 0 };
        round.inserted(&mut place.knowledge, outcome);
        if self.protocol == Protocol::CountsOn && outcome == Outcome::Unknown && self.dice.chance(30) {
            place.knowledge.skip_ahead();
            round.does_not_look();
        }
        place.step += 1;
        self.schedule.after(0, Event::Go(writer));
    }

    /// One part of a look after the other, each at a time of its own.
    fn read(&mut self, caller: Caller, look: Look, mut seen: Box<Seen>, part: usize) {
        let concern = if self.protocol == Protocol::LocalReads { ReadConcern::Local } else { ReadConcern::Majority };
        if let Some(part_of_look) = PARTS.get(part) {
            self.server.answer(concern, *part_of_look, &look, &mut seen);
            return self.schedule.after(self.dice.delay() / 4, Event::Read(caller, look, seen, part + 1));
        }
        let writer = caller.writer;
        if self.is_paused(writer) {
            return self.schedule.at(self.writers[writer].paused_until, Event::Read(caller, look, seen, part));
        }
        let lost = self.dice.chance(5) && self.schedule.now() < FAULTS_END;
        let place = &mut self.writers[writer];
        let Some((round, _)) = &mut place.round else { return };
        if place.step != caller.step {
            return;
        }
        if lost {
            round.failed_to_look();
        } else {
            round.looked(&mut place.knowledge, *seen);
        }
        place.step += 1;
        self.schedule.after(0, Event::Go(writer));
    }

    fn fault(&mut self, fault: Fault) {
        match fault {
            Fault::FailOver { keeps } => {
                let at_risk = self.server.len() - self.server.majority();
                self.server.fail_over(at_risk * keeps as usize / 100);
                for (_, caller) in std::mem::take(&mut self.waiting) {
                    self.schedule.after(self.dice.delay(), Event::Answer(caller, Outcome::Unknown));
                }
            }
            Fault::Crash { writer } => {
                let place = &mut self.writers[writer];
                let commands = place.round.take().map(|(_, commands)| commands).unwrap_or_default();
                let lost: Vec<usize> = commands.into_iter().chain(place.inbox.drain(..)).collect();
                place.knowledge = Knowledge::default();
                place.step += 1;
                self.send_again(lost);
            }
            Fault::Pause { writer, lasts } => self.writers[writer].paused_until = self.schedule.now() + lasts,
            Fault::NoMajority { lasts } => self.no_majority_until = self.schedule.now() + lasts,
        }
    }

    fn give_up(&mut self, writer: usize) {
        let place = &mut self.writers[writer];
        if let Some((round, _)) = &mut place.round {
            let source = "it was given up".into();
            let error = StoreError::Unavailable { location: "the simulation".to_owned(), source };
            round.give_up(&mut place.knowledge, &error.into());
        }
        self.finish(writer);
    }

    fn finish(&mut self, writer: usize) {
        let Some((round, commands)) = self.writers[writer].round.take() else { return };
        let mut unanswered = Vec::new();
        for (command, answer) in commands.into_iter().zip(round.finish()) {
            match answer {
                Err(AppendError::Store(_)) => unanswered.push(command),
                answer => {
                    // Some answers get lost between writer and client, who then asks again.
                    if answer.is_ok() && self.dice.chance(5) && self.schedule.now() < FAULTS_END {
                        unanswered.push(command);
                    }
                    self.told.push((command, answer));
                }
            }
        }
        self.send_again(unanswered);
        self.schedule.after(0, Event::Go(writer));
    }

    /// Clients send what was not answered again, to whomever.
    fn send_again(&mut self, commands: Vec<usize>) {
        for command in commands {
            let writer = self.dice.below(WRITERS) as usize;
            self.writers[writer].inbox.push(command);
            self.schedule.after(self.dice.delay(), Event::Go(writer));
        }
    }
}

fn document(wanted: &Wanted, place: Appended) -> Stored {
    let Wanted { id, stream, digest, event_ids, .. } = wanted.clone();
    Stored { id, stream, place, digest, events: event_ids }
}
