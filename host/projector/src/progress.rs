//! How a shard gets on, for status, metrics and readers that wait: written by the loop, read by anybody.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::watch;

/// What a generation is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// A build reads history and folds it in memory.
    Folding,
    /// A build writes its rows.
    Loading,
    /// A build makes keys, indexes and statistics: nothing moves that could be counted, and nothing is wrong.
    Indexing,
    /// Events are applied as they come.
    Following,
}

/// When a phase began, and at which counts.
#[derive(Debug, Clone, Copy)]
struct Begun {
    phase: Phase,
    at: Instant,
    events: u64,
    rows: u64,
    moved: Instant,
}

/// Counters of one shard since its loop began, or of a build.
#[derive(Debug)]
pub struct Progress {
    position: watch::Sender<u64>,
    head: AtomicU64,
    events: AtomicU64,
    rows: AtomicU64,
    rows_to_load: AtomicU64,
    pass: AtomicU32,
    passes: AtomicU32,
    taken_over: AtomicU32,
    most_held: AtomicUsize,
    begun: Mutex<Begun>,
    waiting: Mutex<Option<String>>,
    commits: watch::Sender<u64>,
}

/// One look at a shard's progress.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProgressNow {
    /// The last position whose changes are in the tables.
    pub position: u64,
    /// The log's last position as far as the loop knows.
    pub head: u64,
    /// Events applied since the loop began.
    pub events: u64,
    /// Rows written since the loop began.
    pub rows: u64,
    /// What it is at.
    pub phase: Phase,
    /// For how long.
    pub in_phase: Duration,
    /// Events applied in this phase.
    pub phase_events: u64,
    /// Rows written in this phase.
    pub phase_rows: u64,
    /// Rows that a build has to write; 0 where that is not known.
    pub rows_to_load: u64,
    /// Which reading of history a build is at, from 1; it reads as often as it must for its rows to fit into memory.
    pub pass: u32,
    /// Out of how many, as far as it knows.
    pub passes: u32,
    /// How many of them were done by an earlier attempt, whose rows were taken over.
    pub taken_over: u32,
    /// Most bytes that the rows of a build took at once, as it counts them.
    pub most_held: usize,
    /// For how long nothing moved.
    pub idle: Duration,
    /// What it waits for, where something is wrong that may pass.
    pub waiting: Option<String>,
}

impl Progress {
    /// A shard that stands at `position`. `commits` goes up with every commit: readers that wait for one are woken by it.
    #[must_use]
    pub fn new(position: u64, commits: watch::Sender<u64>) -> Progress {
        Progress {
            commits,
            position: watch::Sender::new(position),
            head: AtomicU64::new(position),
            events: AtomicU64::new(0),
            rows: AtomicU64::new(0),
            rows_to_load: AtomicU64::new(0),
            pass: AtomicU32::new(1),
            passes: AtomicU32::new(1),
            taken_over: AtomicU32::new(0),
            most_held: AtomicUsize::new(0),
            begun: Mutex::new(Begun::now(Phase::Following, 0, 0)),
            waiting: Mutex::new(None),
        }
    }

    /// Begins (again) behind `position`.
    pub fn begin(&self, position: u64) {
        self.position.send_replace(position);
    }

    /// How it gets on.
    #[must_use]
    pub fn now(&self) -> ProgressNow {
        let position = *self.position.borrow();
        let begun = *self.begun();
        let (events, rows) = (self.events.load(Ordering::Relaxed), self.rows.load(Ordering::Relaxed));
        ProgressNow {
            phase: begun.phase,
            in_phase: begun.at.elapsed(),
            phase_events: events - begun.events,
            phase_rows: rows - begun.rows,
            rows_to_load: self.rows_to_load.load(Ordering::Relaxed),
            pass: self.pass.load(Ordering::Relaxed),
            passes: self.passes.load(Ordering::Relaxed),
            taken_over: self.taken_over.load(Ordering::Relaxed),
            most_held: self.most_held.load(Ordering::Relaxed),
            idle: begun.moved.elapsed(),
            position,
            head: self.head.load(Ordering::Relaxed).max(position),
            events,
            rows,
            waiting: self.waiting.lock().expect("nobody panics while holding it").clone(),
        }
    }

    /// Follows the position.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.position.subscribe()
    }

    /// Notes how far the log reaches.
    pub fn saw_head(&self, head: u64) {
        self.head.fetch_max(head, Ordering::Relaxed);
    }

    /// Another phase begins.
    pub fn enter(&self, phase: Phase) {
        let (events, rows) = (self.events.load(Ordering::Relaxed), self.rows.load(Ordering::Relaxed));
        *self.begun() = Begun::now(phase, events, rows);
    }

    /// A build has folded `events` more, up to `position`; nothing of it is in the tables yet.
    pub fn folded(&self, position: u64, events: u64) {
        self.events.fetch_add(events, Ordering::Relaxed);
        self.position.send_replace(position);
        self.moving();
    }

    /// A build reads history for the `pass`th time, out of `passes`; its position begins again with each.
    pub fn enter_pass(&self, pass: u32, passes: u32) {
        self.pass.store(pass, Ordering::Relaxed);
        self.passes.store(passes, Ordering::Relaxed);
        self.begin(0);
    }

    /// So many parts of history need not be read again, because an earlier attempt left their rows.
    pub fn took_over(&self, parts: u32) {
        self.taken_over.store(parts, Ordering::Relaxed);
    }

    /// The rows of a build take so many bytes.
    pub fn holds(&self, bytes: usize) {
        self.most_held.fetch_max(bytes, Ordering::Relaxed);
    }

    /// A build has this many rows to write.
    pub fn to_load(&self, rows: u64) {
        self.rows_to_load.store(rows, Ordering::Relaxed);
    }

    /// A build has written `rows` more.
    pub fn loaded(&self, rows: u64) {
        self.rows.fetch_add(rows, Ordering::Relaxed);
        self.moving();
    }

    fn begun(&self) -> std::sync::MutexGuard<'_, Begun> {
        self.begun.lock().expect("nobody panics while holding it")
    }

    pub(crate) fn committed(&self, position: u64, events: u64, rows: u64) {
        self.events.fetch_add(events, Ordering::Relaxed);
        self.rows.fetch_add(rows, Ordering::Relaxed);
        self.moving();
        self.position.send_replace(position);
        self.commits.send_modify(|commits| *commits += 1);
    }

    /// Says what it waits for, where something is wrong that may pass.
    pub fn waiting(&self, why: &str) {
        tracing::warn!(%why, "waiting");
        *self.waiting.lock().expect("nobody panics while holding it") = Some(why.into());
    }

    /// Whatever it waited for is there.
    pub fn moving(&self) {
        self.begun().moved = Instant::now();
        *self.waiting.lock().expect("nobody panics while holding it") = None;
    }
}

impl Begun {
    fn now(phase: Phase, events: u64, rows: u64) -> Begun {
        let at = Instant::now();
        Begun { phase, at, events, rows, moved: at }
    }
}
