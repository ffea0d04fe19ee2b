//! What a shard is asked to do between two batches, where it stands: one commit that moves nothing. Not here: which shard is asked,
//! and by whom (`host/server`).

use std::sync::Arc;

use reel_events::{EventBatch, Place, partition_of};
use tokio::sync::{Mutex, oneshot};

use super::Run;
use crate::failure::{Failure, Fault, RunError};
use crate::fold::{Folded, Known};
use crate::rederive::Rederivation;
use crate::work::{Scrutiny, Work};

/// Something for a shard to do in its turn, and who hears of it.
pub struct Request {
    /// What is to be done.
    pub errand: Errand,
    /// Hears how many rows were written, or why none was. Dropped where the shard ends before it took the request.
    pub reply: oneshot::Sender<Result<u64, Failure>>,
}

/// What a shard may be asked to do.
pub enum Errand {
    /// Applies events of a parked stream.
    Retry(Retry),
    /// Writes rows of some streams anew.
    Rederive(Rederive),
}

/// Events of one parked stream, the one at fault first, to be applied behind the checkpoint: all of them, or none.
pub struct Retry {
    /// The events that are to be applied.
    pub events: EventBatch,
    /// The stream.
    pub stream: String,
    /// Positions of all its dead letters: they end with this.
    pub positions: Vec<Place>,
}

impl Retry {
    /// Which of so many shards has the stream: that of its key, or that of the partition that its events are in.
    #[must_use]
    pub fn shard(&self, shards: u32) -> u32 {
        let partition = self.positions.first().and_then(|position| position.partition());
        partition.unwrap_or_else(|| partition_of(&self.stream, shards))
    }
}

/// Rows to be replaced by what a new fold of their streams makes: what hands have changed is gone then.
pub struct Rederive {
    /// The fold. It is brought to where the shard stands first.
    pub fold: Arc<Mutex<Rederivation>>,
    /// Whose rows: keys of streams that the fold has.
    pub keys: Vec<String>,
    /// Which shard has these streams.
    pub shard: u32,
    /// Out of how many: one that is laid out otherwise by now refuses.
    pub shards: u32,
}

impl Run {
    /// Does what was asked for, behind what was begun before.
    pub(super) async fn errand(&mut self, request: Request) -> Result<(), RunError> {
        let settled = self.shard.settle().await;
        self.settled(settled).await?;
        let answer = match request.errand {
            Errand::Retry(retry) => self.retry(retry).await?,
            Errand::Rederive(rederive) => self.rederive(rederive).await?,
        };
        // Whoever asked may have gone; what is done is done all the same.
        let _ = request.reply.send(answer);
        Ok(())
    }

    /// Tries a parked stream's events again.
    async fn retry(&mut self, retry: Retry) -> Result<Result<u64, Failure>, RunError> {
        let through = self.shard.checkpoint.point;
        let work = Work { settled: retry.positions, ..Work::all(retry.events, through) };
        let applied = match self.policy.unreadable(&work) {
            Some(fault) => Err(fault),
            None => self.shard.apply(&work, Scrutiny::Trust).await,
        };
        let folded = match applied {
            Ok(folded) => folded,
            Err(fault) => return refused(fault, &work.batch),
        };
        let answer = self.write_now(&work, folded).await?;
        if answer.is_ok() {
            self.policy.settings.parked.remove(&retry.stream);
        }
        Ok(answer)
    }

    /// Writes rows of some streams as the log makes them up to the checkpoint.
    async fn rederive(&mut self, wanted: Rederive) -> Result<Result<u64, Failure>, RunError> {
        if !self.shard.is(wanted.shard, wanted.shards) {
            let message = "the shards were laid out anew meanwhile: begin again";
            return Ok(Err(Failure::general("moved", message)));
        }
        let through = self.shard.checkpoint.point;
        let mut fold = wanted.fold.lock_owned().await;
        if let Err(failure) = fold.up_to(through.position).await {
            return Ok(Err(failure));
        }
        let writes = fold.writes(&wanted.keys);
        drop(fold);
        // Rows at hand may be other ones than are written now, and those in the database others than were at hand.
        self.shard.forget();
        let folded = Folded { writes, known: Known::default() };
        self.write_now(&Work::all(EventBatch::new(), through), folded).await
    }

    async fn write_now(&mut self, work: &Work, folded: Folded) -> Result<Result<u64, Failure>, RunError> {
        let rows = folded.writes.tables.iter().map(|table| table.rows() as u64).sum();
        self.shard.write(work, folded);
        match self.shard.settle().await {
            Ok(()) => Ok(Ok(rows)),
            Err(fault) => refused(fault, &work.batch),
        }
    }
}

/// Why an errand was not done; a shard that somebody else has by now ends.
fn refused(fault: Fault, batch: &EventBatch) -> Result<Result<u64, Failure>, RunError> {
    match fault {
        Fault::Superseded(by) => Err(RunError::Superseded(by)),
        fault => Ok(Err(fault.into_failure(batch))),
    }
}
