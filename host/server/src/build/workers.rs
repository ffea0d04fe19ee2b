//! The threads of a build: each folds the streams that hash to it.

use std::sync::Arc;

use reel_event_log::history::Portion;
use reel_events::{EventBatch, LogPoint, Place};
use reel_projector::ports::DeadLetter;
use reel_projector::{BulkShard, FoldedShard, Progress, RunError};
use tokio::sync::{mpsc, oneshot, watch};

use super::Build;
use super::budget::Budget;
use super::thread::yielding;

/// Batches that wait for a worker.
const WAITING: usize = 4;

/// All workers of one attempt.
pub(super) struct Workers {
    workers: Vec<Worker>,
    /// Batches that each was given.
    given: u64,
    progress: Arc<Progress>,
}

struct Worker {
    batches: mpsc::Sender<Order>,
    /// Batches that it is done with.
    done: watch::Receiver<u64>,
    task: oneshot::Receiver<Result<(FoldedShard, Vec<DeadLetter>), RunError>>,
}

enum Order {
    Fold(EventBatch, LogPoint),
    /// There is no more.
    Finish,
}

/// What workers have made of the events of one pass.
#[derive(Default)]
pub(super) struct Worked {
    pub(super) shards: Vec<FoldedShard>,
    pub(super) aside: Vec<DeadLetter>,
}

impl Workers {
    /// Starts so many workers, who share the streams with all of other passes: `sharers` in all.
    pub(super) fn start(
        build: &Build,
        (number, sharers): (usize, usize),
        budget: &Arc<Budget>,
    ) -> Result<Workers, RunError> {
        let worker = |_| {
            let plugin = (build.plugins)().map_err(RunError::Fatal)?;
            let manifest = Arc::clone(&build.generation.manifest);
            let shard = BulkShard::new(manifest, plugin, build.settings.clone(), sharers);
            Ok(Worker::start(shard, Arc::clone(budget)))
        };
        let workers = (0..number).map(worker).collect::<Result<_, RunError>>()?;
        Ok(Workers { workers, given: 0, progress: Arc::clone(&build.progress) })
    }

    /// Shares a portion out; false where a worker has stopped. The others get theirs all the same: so of several events at fault
    /// the first is found, whichever worker comes to its own sooner.
    pub(super) async fn take(&mut self, portion: Portion) -> bool {
        let (through, events) = (portion.through, portion.events() as u64);
        let mut all = true;
        for (worker, batch) in self.workers.iter().zip(portion.batches) {
            all &= worker.batches.send(Order::Fold(batch, through)).await.is_ok();
        }
        self.given += 1;
        self.progress.folded(through.position, events);
        all
    }

    /// Waits until all are done with what they were given, or have stopped.
    pub(super) async fn settle(&mut self) {
        let given = self.given;
        for worker in &mut self.workers {
            // Why it stopped is told in the end.
            let _ = worker.done.wait_for(|done| *done >= given).await;
        }
    }

    /// Waits for all of them. Of several failures the first in the log counts.
    pub(super) async fn finish(self) -> Result<Worked, RunError> {
        let mut worked = Worked { shards: Vec::new(), aside: Vec::new() };
        let mut failures = Vec::new();
        for worker in &self.workers {
            // One that stopped already says why below.
            let _ = worker.batches.send(Order::Finish).await;
        }
        for worker in self.workers {
            match worker.task.await.expect("a worker does not panic") {
                Ok((shard, mut aside)) => {
                    worked.shards.push(shard);
                    worked.aside.append(&mut aside);
                }
                Err(error) => failures.push(error),
            }
        }
        failures.into_iter().min_by_key(place).map_or(Ok(worked), Err)
    }

    /// Ends all of them; their rows are gone when this returns.
    pub(super) async fn give_up(self) {
        for Worker { batches, task, .. } in self.workers {
            drop(batches);
            // Whatever it came to is not wanted any more.
            let _ = task.await;
        }
    }
}

/// The position at fault; what no event is at fault for comes first.
pub(super) fn place(error: &RunError) -> Option<Place> {
    match error {
        RunError::Halted(failure) | RunError::Fatal(failure) => failure.position,
        RunError::Superseded(_) => None,
    }
}

impl Worker {
    fn start(mut shard: BulkShard, budget: Arc<Budget>) -> Worker {
        let (batches, mut orders) = mpsc::channel(WAITING);
        let (told, done) = watch::channel(0);
        let task = yielding(move || {
            loop {
                match orders.blocking_recv() {
                    Some(Order::Fold(..)) if budget.stops_workers() => {}
                    Some(Order::Fold(batch, through)) => {
                        let before = shard.bytes();
                        shard.apply(batch, through)?;
                        budget.changed(before, shard.bytes(), through.position);
                    }
                    Some(Order::Finish) => return Ok(shard.finish()),
                    None => return Err(RunError::Superseded("the build was given up".into())),
                }
                told.send_modify(|done| *done += 1);
            }
        });
        Worker { batches, done, task }
    }
}
