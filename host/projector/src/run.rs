//! The loop: events in, a plugin's changes, rows and checkpoint out. Live tailing and replay differ only in the source.

mod errand;

use std::collections::VecDeque;
use std::time::Instant;

use reel_events::chain;
use tokio::sync::{mpsc, watch};

use crate::failure::{Failure, Fault, RunError};
use crate::fold::Folded;
use crate::policy::{Policy, RunSettings};
use crate::ports::{Delivery, Source, SourceError};
use crate::shard::{Backoff, Shard, ShardParts};
use crate::stride::Stride;
use crate::work::Work;

pub use errand::{Errand, Rederive, Request, Retry};

/// What a loop hears from outside.
pub struct Orders {
    /// Becomes true when the loop is to end at the next batch.
    pub stop: watch::Receiver<bool>,
    /// What is to be done between two batches.
    pub requests: mpsc::Receiver<Request>,
}

/// Runs a shard until it is told to stop.
///
/// # Errors
/// [`RunError`], by what an operator does next. What was committed stays.
pub async fn run(
    parts: ShardParts,
    source: Box<dyn Source>,
    settings: RunSettings,
    orders: &mut Orders,
) -> Result<(), RunError> {
    let policy = Policy::new(settings, parts.manifest.clone());
    let shard = Shard::new(parts, orders.stop.clone());
    let stride = Stride::new(policy.settings.most_events);
    let mut run = Run { shard, policy, stride, queue: VecDeque::new(), in_flight: None, wait: Backoff::new() };
    run.until_stopped(source, orders).await
}

struct Run {
    shard: Shard,
    policy: Policy,
    stride: Stride,
    queue: VecDeque<Work>,
    /// What the commit under way will have done, to be tried again in pieces should it be refused; and since when.
    in_flight: Option<(Work, Instant)>,
    wait: Backoff,
}

impl Run {
    async fn until_stopped(&mut self, mut source: Box<dyn Source>, orders: &mut Orders) -> Result<(), RunError> {
        loop {
            tokio::select! {
                biased;
                () = asked(&mut orders.stop) => return self.drain().await,
                settled = self.shard.settle(), if self.shard.is_writing() => self.settled(settled).await?,
                Some(request) = orders.requests.recv() => self.errand(request).await?,
                delivery = source.next(self.stride.events()) => match delivery {
                    Ok(delivery) => self.enqueue(delivery),
                    Err(error) => self.source_failed(error).await?,
                },
            }
            self.work_off(&orders.stop).await?;
        }
    }

    /// Ends cleanly: what was begun is written.
    async fn drain(&mut self) -> Result<(), RunError> {
        let settled = self.shard.settle().await;
        self.settled(settled).await
    }

    fn enqueue(&mut self, delivery: Delivery) {
        self.shard.progress.saw_head(delivery.head);
        self.shard.progress.moving();
        self.queue.push_back(Work::all(delivery.events, delivery.through));
    }

    async fn work_off(&mut self, stop: &watch::Receiver<bool>) -> Result<(), RunError> {
        while !*stop.borrow()
            && let Some(work) = self.queue.pop_front()
        {
            let (work, scrutiny, rest) = self.policy.scrutinise(self.policy.withhold(work));
            if let Some(rest) = rest {
                self.queue.push_front(rest);
            }
            let applied = match self.policy.unreadable(&work) {
                Some(fault) => Err(fault),
                None => self.shard.apply(&work, scrutiny).await,
            };
            match applied {
                Ok(folded) => {
                    self.wait = Backoff::new();
                    self.commit(work, folded).await?;
                }
                Err(fault) => self.failed(work, fault).await?,
            }
        }
        Ok(())
    }

    /// Begins to write what a piece of work came to, behind the commit before it.
    async fn commit(&mut self, work: Work, folded: Folded) -> Result<(), RunError> {
        let settled = self.shard.settle().await;
        if settled.is_err() {
            self.queue.push_front(work);
            return self.settled(settled).await;
        }
        self.settled(settled).await?;
        self.shard.write(&work, folded);
        self.in_flight = Some((work, Instant::now()));
        Ok(())
    }

    /// The commit under way has ended. One that was refused is taken back and tried again in pieces.
    async fn settled(&mut self, settled: Result<(), Fault>) -> Result<(), RunError> {
        let Some((work, since)) = self.in_flight.take() else { return Ok(()) };
        match settled {
            Ok(()) => {
                // While it was written the next one was applied: the longer of the two.
                self.stride.took(work.range.len(), since.elapsed());
                Ok(())
            }
            Err(fault) => {
                self.shard.step_back();
                Box::pin(self.failed(work, fault)).await
            }
        }
    }

    /// A piece of work failed: decides what to do next, by the kind of fault.
    async fn failed(&mut self, work: Work, fault: Fault) -> Result<(), RunError> {
        if let Err(earlier) = self.shard.settle().await {
            self.queue.push_front(work);
            return self.settled(Err(earlier)).await;
        }
        self.in_flight = None;
        if let Fault::Passing(error) = &fault {
            self.shard.progress.waiting(&chain(error));
            self.wait.pause().await;
        }
        let pieces = match self.policy.instead(work, fault) {
            Ok(pieces) => pieces,
            Err(stopped) => return Err(self.stopped(stopped).await),
        };
        for piece in pieces.into_iter().rev() {
            self.queue.push_front(piece);
        }
        Ok(())
    }

    /// Why the loop stops. Rows are read without a fence: what another host that took the shard over wrote since may look like a fault
    /// of an event, or of the component, and must stop nobody but this host.
    async fn stopped(&mut self, stopped: RunError) -> RunError {
        match self.shard.confirm().await {
            Ok(()) => stopped,
            Err(Fault::Superseded(by)) => RunError::Superseded(by),
            // Who cannot ask begins again from the checkpoint; a fault that is one comes again.
            Err(Fault::Passing(error)) => RunError::Superseded(chain(&error)),
            Err(_) => stopped,
        }
    }

    async fn source_failed(&mut self, error: SourceError) -> Result<(), RunError> {
        match error {
            SourceError::Unavailable(cause) => {
                self.shard.progress.waiting(&chain(cause.as_ref()));
                self.wait.pause().await;
                Ok(())
            }
            SourceError::LogChanged(what) => {
                self.drain().await?;
                Err(RunError::Fatal(Failure::general("log-changed", what)))
            }
        }
    }
}

/// Waits until the loop is to end; whoever could say so being gone says so too.
pub(crate) async fn asked(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

#[cfg(test)]
mod tests;
