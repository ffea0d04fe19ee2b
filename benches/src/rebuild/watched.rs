//! How long each phase of a build takes, and the workers' time in the projection's code and the fold.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use reel_events::EventBatch;
use reel_projector::{ApplyError, Phase, Plugin, Progress, Sink};
use tokio::sync::oneshot;

/// A projection's code with a stopwatch: what it takes with the host's checks and the fold of what it emits.
pub(super) struct Timed {
    pub(super) plugin: Box<dyn Plugin>,
    pub(super) nanoseconds: Arc<AtomicU64>,
}

impl Plugin for Timed {
    fn apply(&mut self, batch: &EventBatch, range: Range<usize>, sink: &mut dyn Sink) -> Result<(), ApplyError> {
        let began = Instant::now();
        let applied = self.plugin.apply(batch, range, sink);
        let nanoseconds = u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.nanoseconds.fetch_add(nanoseconds, Ordering::Relaxed);
        applied
    }
}

/// Seconds in each phase.
#[derive(Debug, Default)]
pub(super) struct Phases {
    pub(super) folding: f64,
    pub(super) loading: f64,
    pub(super) indexing: f64,
}

/// Looks at a build's progress until `ended` closes. A task of its own: a build may block its own for a while.
pub(super) async fn phases(progress: Arc<Progress>, mut ended: oneshot::Receiver<()>) -> Phases {
    let mut into = Phases::default();
    let mut last = Instant::now();
    loop {
        if tokio::time::timeout(Duration::from_millis(2), &mut ended).await.is_ok() {
            return into;
        }
        let (now, phase) = (Instant::now(), progress.now().phase);
        let seconds = (now - last).as_secs_f64();
        match phase {
            Phase::Folding => into.folding += seconds,
            Phase::Loading => into.loading += seconds,
            Phase::Indexing => into.indexing += seconds,
            Phase::Following => {}
        }
        last = now;
    }
}
