//! The loop: events in, a plugin's changes, rows and checkpoint out. Live tailing and replay differ only in the source.

use std::collections::{HashSet, VecDeque};
use std::ops::Range;
use std::sync::Arc;

use reel_events::{EventBatch, LogPoint};
use tokio::sync::{mpsc, oneshot, watch};

use crate::failure::{Failure, Fault, RunError};
use crate::fold::Folded;
use crate::ports::{DeadLetter, DeadLetterReason, Delivery, FailurePolicy, Source, SourceError};
use crate::shard::{Backoff, Scrutiny, Shard, ShardParts, Work};

/// How many of a loop's first batches are applied whole and event by event; later, one in [`SAMPLE`].
const COMPARED_AT_FIRST: u64 = 3;
/// How many events of such a batch.
const COMPARED_EVENTS: usize = 500;
/// One batch in this many is applied whole and event by event, for good.
const SAMPLE: u64 = 512;

/// What decides how a loop goes on when an event cannot be applied, and how much it takes at once.
pub struct RunSettings {
    /// What to do with an event that cannot be applied.
    pub on_failure: FailurePolicy,
    /// Positions that an operator let go.
    pub let_go: HashSet<u64>,
    /// Streams that are parked.
    pub parked: HashSet<String>,
    /// Most events in one batch.
    pub most_events: usize,
}

/// What a loop hears from outside.
pub struct Orders {
    /// Becomes true when the loop is to end at the next batch.
    pub stop: watch::Receiver<bool>,
    /// Parked events to try again.
    pub retries: mpsc::Receiver<Retry>,
}

/// Events of one parked stream, the one at fault first, to be applied behind the checkpoint: all of them, or none.
pub struct Retry {
    /// The events that are to be applied.
    pub events: EventBatch,
    /// The stream.
    pub stream: String,
    /// Positions of all its dead letters: they end with this.
    pub positions: Vec<u64>,
    /// Hears how it went.
    pub reply: oneshot::Sender<Result<(), Failure>>,
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
    let shard = Shard::new(parts, orders.stop.clone());
    let mut run =
        Run { shard, settings, queue: VecDeque::new(), in_flight: None, batches: 0, compared: 0, wait: Backoff::new() };
    run.until_stopped(source, orders).await
}

struct Run {
    shard: Shard,
    settings: RunSettings,
    queue: VecDeque<Work>,
    /// What the commit under way will have done: to be tried again in pieces should it be refused.
    in_flight: Option<Work>,
    batches: u64,
    compared: u64,
    wait: Backoff,
}

impl Run {
    async fn until_stopped(&mut self, mut source: Box<dyn Source>, orders: &mut Orders) -> Result<(), RunError> {
        loop {
            tokio::select! {
                biased;
                () = asked(&mut orders.stop) => return self.drain().await,
                settled = self.shard.settle(), if self.shard.is_writing() => self.settled(settled).await?,
                Some(retry) = orders.retries.recv() => self.retry(retry).await?,
                delivery = source.next(self.settings.most_events) => match delivery {
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
        let range = 0..delivery.events.len();
        let work =
            Work { batch: Arc::new(delivery.events), range, through: delivery.through, aside: vec![], settled: vec![] };
        self.queue.push_back(work);
    }

    async fn work_off(&mut self, stop: &watch::Receiver<bool>) -> Result<(), RunError> {
        while !*stop.borrow()
            && let Some(work) = self.queue.pop_front()
        {
            let (work, scrutiny) = self.scrutinise(self.withhold(work));
            match self.shard.apply(&work, scrutiny).await {
                Ok(folded) => {
                    self.wait = Backoff::new();
                    self.commit(work, folded).await?;
                }
                Err(fault) => self.failed(work, fault).await?,
            }
        }
        Ok(())
    }

    /// Decides whether a piece of work is compared with itself event by event; of a long one, only the beginning is. Where fewer than
    /// two of its events are delivered, there is nothing to compare.
    fn scrutinise(&mut self, work: Work) -> (Work, Scrutiny) {
        self.batches += 1;
        if self.compared >= COMPARED_AT_FIRST && !self.batches.is_multiple_of(SAMPLE) {
            return (work, Scrutiny::Trust);
        }
        let manifest = self.shard.manifest();
        let delivered = |index: &usize| manifest.kind_index(work.batch.get(*index).kind).is_some();
        let compared: Vec<usize> = work.range.clone().filter(delivered).take(COMPARED_EVENTS).collect();
        if compared.len() < 2 {
            return (work, Scrutiny::Trust);
        }
        self.compared += 1;
        let (Range { start, end }, cut) = (work.range.clone(), compared[compared.len() - 1] + 1);
        if cut == end || compared.len() < COMPARED_EVENTS {
            return (work, Scrutiny::Compare);
        }
        let mut pieces = work.cut(&[start..cut, cut..end]);
        self.queue.push_front(pieces.pop().expect("two pieces"));
        (pieces.pop().expect("two pieces"), Scrutiny::Compare)
    }

    /// Begins to write what a piece of work came to, behind the commit before it.
    async fn commit(&mut self, work: Work, folded: Folded) -> Result<(), RunError> {
        if let Err(fault) = self.shard.settle().await {
            self.queue.push_front(work);
            return self.settled(Err(fault)).await;
        }
        self.shard.write(&work, folded);
        self.in_flight = Some(work);
        Ok(())
    }

    /// The commit under way has ended. One that was refused is taken back and tried again in pieces.
    async fn settled(&mut self, settled: Result<(), Fault>) -> Result<(), RunError> {
        let Some(work) = self.in_flight.take() else { return Ok(()) };
        match settled {
            Ok(()) => Ok(()),
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
        match fault {
            Fault::Fatal(failure) => return Err(RunError::Fatal(failure)),
            Fault::Superseded(by) => return Err(RunError::Superseded(by)),
            Fault::Passing(error) => {
                self.shard.progress.waiting(&crate::failure::chain(&error));
                self.wait.pause().await;
                self.queue.push_front(work);
                return Ok(());
            }
            Fault::Poison { .. } | Fault::Exhausted { .. } => {}
        }
        match fault.split(&work.range) {
            Some(pieces) => {
                for piece in work.cut(&pieces).into_iter().rev() {
                    self.queue.push_front(piece);
                }
                Ok(())
            }
            None => self.at_fault(work, fault).await,
        }
    }

    /// One event cannot be applied: the policy decides.
    async fn at_fault(&mut self, mut work: Work, fault: Fault) -> Result<(), RunError> {
        let (code, message, policy) = match fault {
            Fault::Poison { code, message, .. } => (code, message, self.settings.on_failure),
            // Budgets differ between versions and machines, so they never decide what is skipped.
            Fault::Exhausted { message } => ("budget".into(), message, FailurePolicy::Halt),
            other => unreachable!("decided before: {other:?}"),
        };
        let index = work.range.start;
        let failure = Failure::of(&work.batch, index, code, &message);
        let reason = match policy {
            FailurePolicy::Halt => return Err(RunError::Halted(failure)),
            FailurePolicy::Skip => DeadLetterReason::Skipped,
            FailurePolicy::Park => {
                self.settings.parked.insert(work.batch.get(index).stream.into());
                DeadLetterReason::Parked
            }
        };
        tracing::warn!(position = failure.position, stream = failure.stream, code = failure.code, "event put aside");
        work.aside.push(dead_letter(&work.batch, index, reason, (&failure.code, &message)));
        work.range = index..index;
        let nothing = self.shard.nothing();
        self.commit(work, nothing).await
    }

    /// Takes out the events that are not to be applied: of parked streams, and those that an operator let go.
    fn withhold(&self, work: Work) -> Work {
        let reason = |index: usize| {
            let event = work.batch.get(index);
            if self.settings.let_go.contains(&event.position) {
                return Some((DeadLetterReason::Skipped, ("let-go", "an operator let it go")));
            }
            self.settings.parked.contains(event.stream).then_some((DeadLetterReason::Held, ("", "")))
        };
        let idle = self.settings.let_go.is_empty() && self.settings.parked.is_empty();
        if idle || !work.settled.is_empty() || !work.range.clone().any(|index| reason(index).is_some()) {
            return work;
        }
        let (mut batch, mut aside) = (EventBatch::new(), work.aside.clone());
        for index in work.range.clone() {
            match reason(index) {
                Some((reason, words)) => aside.push(dead_letter(&work.batch, index, reason, words)),
                None => batch.push(work.batch.get(index)),
            }
        }
        aside.sort_by_key(|letter| letter.position);
        Work { range: 0..batch.len(), batch: Arc::new(batch), aside, ..work }
    }

    /// Tries a parked stream's events again, in one commit that moves nothing but them.
    async fn retry(&mut self, retry: Retry) -> Result<(), RunError> {
        let settled = self.shard.settle().await;
        self.settled(settled).await?;
        let through = self.shard.checkpoint.point;
        let range = 0..retry.events.len();
        let work = Work { batch: Arc::new(retry.events), range, through, aside: vec![], settled: retry.positions };
        let failure = match self.shard.apply(&work, Scrutiny::Trust).await {
            Ok(folded) => {
                self.shard.write(&work, folded);
                self.shard.settle().await.err()
            }
            Err(fault) => Some(fault),
        };
        let answer = match failure {
            None => {
                self.settings.parked.remove(&retry.stream);
                Ok(())
            }
            Some(Fault::Superseded(by)) => return Err(RunError::Superseded(by)),
            Some(fault) => Err(fault.into_failure(&work.batch)),
        };
        // Whoever asked may have gone; the stream is as it is all the same.
        let _ = retry.reply.send(answer);
        Ok(())
    }

    async fn source_failed(&mut self, error: SourceError) -> Result<(), RunError> {
        match error {
            SourceError::Unavailable(cause) => {
                self.shard.progress.waiting(&crate::failure::chain(cause.as_ref()));
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

impl Work {
    /// The same in pieces; each puts aside what lies up to its own end.
    fn cut(self, pieces: &[Range<usize>]) -> Vec<Work> {
        let (mut aside, last) = (self.aside, pieces.len() - 1);
        let mut works = Vec::with_capacity(pieces.len());
        for (number, piece) in pieces.iter().enumerate() {
            let through = if number == last { self.through } else { end_of(&self.batch, piece.end) };
            let later = aside.split_off(aside.partition_point(|letter| letter.position <= through.position));
            works.push(Work { batch: Arc::clone(&self.batch), range: piece.clone(), through, aside, settled: vec![] });
            aside = later;
        }
        works
    }
}

fn end_of(batch: &EventBatch, end: usize) -> LogPoint {
    let last = batch.get(end - 1);
    LogPoint { position: last.position, event: last.id }
}

fn dead_letter(
    batch: &EventBatch,
    index: usize,
    reason: DeadLetterReason,
    (code, message): (&str, &str),
) -> DeadLetter {
    let event = batch.get(index);
    DeadLetter {
        position: event.position,
        event: event.id,
        stream: event.stream.into(),
        kind: event.kind.into(),
        reason,
        code: code.into(),
        message: message.into(),
    }
}

#[cfg(test)]
mod tests;
