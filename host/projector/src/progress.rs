//! How a shard gets on, for status, metrics and readers that wait: written by the loop, read by anybody.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::watch;

/// Counters of one shard since its loop began.
#[derive(Debug)]
pub struct Progress {
    position: watch::Sender<u64>,
    head: AtomicU64,
    events: AtomicU64,
    rows: AtomicU64,
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
        ProgressNow {
            position,
            head: self.head.load(Ordering::Relaxed).max(position),
            events: self.events.load(Ordering::Relaxed),
            rows: self.rows.load(Ordering::Relaxed),
            waiting: self.waiting.lock().expect("nobody panics while holding it").clone(),
        }
    }

    /// Follows the position.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.position.subscribe()
    }

    pub(crate) fn saw_head(&self, head: u64) {
        self.head.fetch_max(head, Ordering::Relaxed);
    }

    pub(crate) fn committed(&self, position: u64, events: u64, rows: u64) {
        self.events.fetch_add(events, Ordering::Relaxed);
        self.rows.fetch_add(rows, Ordering::Relaxed);
        *self.waiting.lock().expect("nobody panics while holding it") = None;
        self.position.send_replace(position);
        self.commits.send_modify(|commits| *commits += 1);
    }

    /// Says what it waits for, where something is wrong that may pass.
    pub fn waiting(&self, why: &str) {
        tracing::warn!(%why, "waiting");
        *self.waiting.lock().expect("nobody panics while holding it") = Some(why.into());
    }

    pub(crate) fn moving(&self) {
        *self.waiting.lock().expect("nobody panics while holding it") = None;
    }
}
