//! The memory that a build's rows may take: counted by all workers of a pass together, after each of their batches.
//!
//! What one batch adds is only known once it is folded, so batches are small beside the budget, and an eighth of it is left for them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use reel_event_log::ReadLimit;
use reel_projector::Progress;

use super::BuildConfig;
use super::passes::Beyond;

/// The share of the budget that is left for the batches under way: one of so many parts.
const LEFT: usize = 8;
/// About what a row takes beside the texts of the event that makes it.
const ROW: usize = 512;
/// Most bytes of texts in one portion of history.
const PORTION: usize = 16 << 20;

/// The budget of one pass.
pub(super) struct Budget {
    room: usize,
    beyond: Beyond,
    held: AtomicUsize,
    /// The position at which it first was used up.
    full_at: AtomicU64,
    progress: Arc<Progress>,
}

impl Budget {
    pub(super) fn new(config: &BuildConfig, beyond: Beyond, progress: Arc<Progress>) -> Budget {
        let room = config.memory_bytes - config.memory_bytes / LEFT;
        Budget { room, beyond, held: AtomicUsize::new(0), full_at: AtomicU64::new(u64::MAX), progress }
    }

    /// How much of history is read at once: what that may add to the rows fits into what is left for it.
    pub(super) fn portion(config: &BuildConfig, workers: usize) -> ReadLimit {
        let share = config.memory_bytes / LEFT / 2;
        ReadLimit { events: (config.batch * workers).min(share / ROW).max(1), bytes: PORTION.min(share).max(1) }
    }

    /// The rows of a worker took `before` bytes and take `now`, up to a position.
    pub(super) fn changed(&self, before: usize, now: usize, position: u64) {
        // Wraps around where it became less, and so comes out right.
        let change = now.wrapping_sub(before);
        let held = self.held.fetch_add(change, Ordering::Relaxed).wrapping_add(change);
        self.progress.holds(held);
        if held > self.room {
            self.full_at.fetch_min(position, Ordering::Relaxed);
        }
    }

    /// Whether a worker has to leave alone what it was not given yet. Where a pass ends with the rows it has, workers must end at one
    /// point, so nobody stops by himself.
    pub(super) fn stops_workers(&self) -> bool {
        self.beyond == Beyond::Split && self.full_at().is_some()
    }

    /// The position at which it was used up.
    pub(super) fn full_at(&self) -> Option<u64> {
        Some(self.full_at.load(Ordering::Relaxed)).filter(|position| *position != u64::MAX)
    }

    /// How many bytes of rows there are.
    pub(super) fn held(&self) -> usize {
        self.held.load(Ordering::Relaxed)
    }

    /// How much of it is used; more than 1 = used up.
    pub(super) fn filled(&self) -> f64 {
        self.held.load(Ordering::Relaxed) as f64 / self.room.max(1) as f64
    }
}
