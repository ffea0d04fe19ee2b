//! A relay's decisions: when to look, to take the lease, to survey the topic, what to publish and what to write down. Pure: no I/O,
//! no clock of its own. Whoever runs it does what [`Machine::next`] says, one thing after the other, and reports what came of it.
//!
//! ```text
//!              lease is free           written              surveyed            stored
//!  Following ───────────────► Taking ───────────► Surveying ─────────► Planned ────────► Leading
//!      ▲                        │                     │                   │                 │
//!      └─────────── somebody else has written, or the lease was given back ◄────────────────┘
//! ```

use std::time::Duration;

use reel_events::{EventRef, LogId, LogPoint};

use super::{
    chain::{Chain, Place, Watermark},
    lease::Lease,
    plan::{Plan, Survey},
    state::{RelayRecord, Replaced, Stamp},
};

/// How a relay behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// How long a lease lasts without being renewed; it is renewed three times as often.
    pub lease: Duration,
    /// How often a relay that does not lead looks whether it may.
    pub look: Duration,
    /// After how long a silent partition gets a watermark.
    pub quiet: Duration,
    /// The first pause after a failure; it doubles up to `longest_pause`.
    pub pause: Duration,
    /// See `pause`.
    pub longest_pause: Duration,
}

impl Default for Pace {
    fn default() -> Pace {
        Pace {
            lease: Duration::from_secs(3),
            look: Duration::from_millis(500),
            quiet: Duration::from_millis(100),
            pause: Duration::from_millis(100),
            longest_pause: Duration::from_secs(5),
        }
    }
}

/// What is to be done next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Do {
    /// Read the record; then [`Machine::looked`], or [`Machine::failed`].
    Look,
    /// Replace the record; then [`Machine::wrote`], or [`Machine::unsure`].
    Write {
        /// The stamp that must be there.
        from: Stamp,
        /// What to write.
        record: Box<RelayRecord>,
    },
    /// Survey topic and store, while this goes on; then [`Machine::surveyed`], or [`Machine::failed`].
    Survey {
        /// The event that is to stand in the store, for [`Survey::record`].
        passed: LogPoint,
    },
    /// Publish these; then [`Machine::next`] again.
    Watermarks(Vec<Watermark>),
    /// Read the store and publish what [`Machine::place`] says. Where it has nothing, wait as with `Wait`.
    Read {
        /// Behind this position.
        after: u64,
        /// At most this many events.
        most: u64,
        /// Until when to wait at the longest where there is nothing.
        until: Duration,
    },
    /// Wait until then, or until something was reported.
    Wait(Duration),
    /// It is over: stopped, and the lease given back.
    End,
}

#[derive(Debug, Clone)]
enum Phase {
    Following {
        look_at: Duration,
    },
    Taking,
    Surveying {
        asked: bool,
    },
    /// The plan is stored before anything is published by it.
    Planned(Box<Plan>),
    Leading(Box<Chain>),
    GivingBack(Duration),
    Over,
}

/// One relay.
#[derive(Debug, Clone)]
pub struct Machine {
    log: LogId,
    pace: Pace,
    lease: Lease,
    phase: Phase,
    /// The record as this relay knows it.
    record: RelayRecord,
    writing: Option<(Duration, RelayRecord)>,
    renew_at: Duration,
    pause: Duration,
    stopping: bool,
}

impl Machine {
    /// A relay of one log. `holder` is its own name: no other relay, and none before it, has the same.
    #[must_use]
    pub fn new(log: LogId, holder: String, pace: Pace) -> Machine {
        Machine {
            log,
            pace,
            lease: Lease::new(holder, pace.lease),
            phase: Phase::Following { look_at: Duration::ZERO },
            record: RelayRecord::default(),
            writing: None,
            renew_at: Duration::ZERO,
            pause: pace.pause,
            stopping: false,
        }
    }

    /// What to do now.
    pub fn next(&mut self, now: Duration) -> Do {
        if self.stopping {
            self.wind_up(now);
        }
        let holds = self.lease.holds(now);
        let renew = !holds || now >= self.renew_at;
        match &mut self.phase {
            Phase::Over => Do::End,
            Phase::Following { look_at } if now >= *look_at => Do::Look,
            Phase::Following { look_at } => Do::Wait(*look_at),
            Phase::Taking => self.write(now, self.lease.taken(&self.record)),
            Phase::GivingBack(_) => self.write(now, self.lease.given_back(&self.record)),
            Phase::Planned(plan) => {
                let record = plan.record(&self.record);
                self.write(now, self.lease.kept(&record))
            }
            Phase::Surveying { .. } if renew => self.write(now, self.lease.kept(&self.record)),
            Phase::Surveying { asked: true } => Do::Wait(self.renew_at),
            Phase::Surveying { asked } => {
                *asked = true;
                Do::Survey { passed: self.record.published.passed }
            }
            Phase::Leading(chain) if renew => {
                self.record.published = chain.published();
                self.write(now, self.lease.kept(&self.record))
            }
            Phase::Leading(_) => self.lead(now),
        }
    }

    fn lead(&mut self, now: Duration) -> Do {
        let Phase::Leading(chain) = &mut self.phase else { unreachable!("asked in this phase only") };
        let due = chain.watermarks(now, self.pace.quiet);
        if !due.is_empty() {
            return Do::Watermarks(due);
        }
        let until = chain.next_watermark(self.pace.quiet).map_or(self.renew_at, |at| at.min(self.renew_at));
        match chain.reading() {
            Some((after, most)) if !self.stopping => Do::Read { after, most, until },
            _ => Do::Wait(until),
        }
    }

    fn write(&mut self, now: Duration, record: RelayRecord) -> Do {
        self.writing = Some((now, record.clone()));
        Do::Write { from: self.record.stamp, record: Box::new(record) }
    }

    /// The record was read.
    pub fn looked(&mut self, record: RelayRecord, now: Duration) {
        let Phase::Following { look_at } = &mut self.phase else { return };
        *look_at = now + self.pace.look;
        let free = self.lease.is_free(&record, now);
        self.record = record;
        if free {
            self.phase = Phase::Taking;
        }
    }

    /// The record was replaced, or not.
    pub fn wrote(&mut self, replaced: Replaced, now: Duration) {
        let Some((began, record)) = self.writing.take() else { return };
        if replaced == Replaced::Superseded {
            self.lease.lost();
            return self.follow(now);
        }
        self.record = record;
        self.lease.written(began);
        self.renew_at = began + self.pace.lease / 3;
        match std::mem::replace(&mut self.phase, Phase::Taking) {
            Phase::Taking => self.phase = Phase::Surveying { asked: false },
            Phase::Planned(plan) => {
                let chain = Chain::resume(self.log, plan.layouts_in_use(), &plan.published);
                self.phase = Phase::Leading(Box::new(chain));
            }
            Phase::GivingBack(look_at) => {
                self.lease.lost();
                self.phase = if self.stopping { Phase::Over } else { Phase::Following { look_at } };
            }
            phase => self.phase = phase,
        }
    }

    /// It is not known whether the record was replaced: the store did not answer.
    pub fn unsure(&mut self, now: Duration) {
        self.writing = None;
        self.lease.lost();
        let pause = self.longer_pause();
        self.follow(now + pause);
    }

    /// The topic and the store were surveyed.
    pub fn surveyed(&mut self, survey: &Survey) {
        if matches!(self.phase, Phase::Surveying { .. }) {
            self.phase = Phase::Planned(Box::new(Plan::of(&self.record, survey)));
        }
    }

    /// The next event of the log was read: where to publish it, or nothing where it is published already or this relay leads no
    /// more.
    pub fn place(&mut self, event: &EventRef<'_>) -> Option<Place> {
        match &mut self.phase {
            Phase::Leading(chain) => chain.place(event),
            _ => None,
        }
    }

    /// The messages of a partition up to this position have arrived.
    pub fn delivered(&mut self, partition: u32, through: u64) {
        if let Phase::Leading(chain) = &mut self.phase {
            chain.delivered(partition, through);
            self.pause = self.pace.pause;
        }
    }

    /// Store or topic failed: the lease is given back, and after a pause this relay tries again, if no other leads by then.
    pub fn failed(&mut self, now: Duration) {
        let until = now + self.longer_pause();
        match &self.phase {
            Phase::Leading(chain) => {
                self.record.published = chain.published();
                self.phase = Phase::GivingBack(until);
            }
            Phase::Surveying { .. } | Phase::Planned(_) => self.phase = Phase::GivingBack(until),
            Phase::Following { .. } => self.phase = Phase::Following { look_at: until },
            Phase::Taking | Phase::GivingBack(_) | Phase::Over => {}
        }
    }

    /// Asks to end: what is on its way is awaited, then the lease is given back.
    pub fn stop(&mut self) {
        self.stopping = true;
    }

    fn wind_up(&mut self, now: Duration) {
        match &self.phase {
            Phase::Leading(chain) if chain.is_delivered() => {
                self.record.published = chain.published();
                self.phase = Phase::GivingBack(now);
            }
            Phase::Surveying { .. } | Phase::Planned(_) => self.phase = Phase::GivingBack(now),
            Phase::Following { .. } | Phase::Taking => self.phase = Phase::Over,
            Phase::Leading(_) | Phase::GivingBack(_) | Phase::Over => {}
        }
    }

    /// Whether this relay leads, and up to which position the topic holds every event.
    #[must_use]
    pub fn leading(&self) -> Option<u64> {
        match &self.phase {
            Phase::Leading(chain) => Some(chain.published_through()),
            _ => None,
        }
    }

    /// Whether this relay is about to lead: the topic was surveyed, and what follows from it is being stored.
    #[must_use]
    pub fn is_planned(&self) -> bool {
        matches!(self.phase, Phase::Planned(_))
    }

    fn follow(&mut self, look_at: Duration) {
        self.phase = if self.stopping { Phase::Over } else { Phase::Following { look_at } };
    }

    fn longer_pause(&mut self) -> Duration {
        let pause = self.pause;
        self.pause = (pause * 2).min(self.pace.longest_pause);
        pause
    }
}
