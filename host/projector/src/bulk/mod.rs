//! A shard of a build: folds events from the beginning of the log in memory, for as long as there are some, so that each row is
//! written once in the end ([`merge`]). Nothing is read from a database: what the shard does not know is not there.
//!
//! Everything is checked as a live shard checks it, by the same policy; a property test holds the two to the same rows. Not here:
//! where events come from and where rows go (`host/server`).

mod entries;
#[cfg(test)]
mod every_type;
mod merge;
mod packed;
mod stored;
mod table;
mod tables;

use std::collections::VecDeque;
use std::sync::Arc;

use reel_events::{EventBatch, LogPoint};

use crate::change::Row;
use crate::failure::{Fault, RunError, depends_on_batches};
use crate::fold::Writers;
use crate::manifest::Manifest;
use crate::policy::{Policy, RunSettings};
use crate::ports::{DeadLetter, Plugin};
use crate::work::{Scrutiny, Work};
use tables::Tables;

pub use merge::{MergeError, MergedTable, StoredRun, merge};
pub use stored::FORM;
pub use tables::FoldedShard;

/// A shard of a build at work. Blocks: it belongs on a thread of its own.
pub struct BulkShard {
    plugin: Box<dyn Plugin>,
    tables: Tables,
    policy: Policy,
    aside: Vec<DeadLetter>,
}

impl BulkShard {
    /// Begins with empty tables, at the beginning of the log. `shards` is how many share the events by their streams.
    #[must_use]
    pub fn new(manifest: Arc<Manifest>, plugin: Box<dyn Plugin>, settings: RunSettings, shards: usize) -> BulkShard {
        let writers = if shards == 1 { Writers::One } else { Writers::Many };
        let policy = Policy::new(settings, Arc::clone(&manifest));
        BulkShard { plugin, tables: Tables::new(manifest, writers), policy, aside: Vec::new() }
    }

    /// Applies the next events of the shard, up to `through`.
    ///
    /// # Errors
    /// Where the shard must stop: [`RunError::Halted`] or [`RunError::Fatal`].
    pub fn apply(&mut self, events: EventBatch, through: LogPoint) -> Result<(), RunError> {
        let mut queue = VecDeque::from([Work::all(events, through)]);
        while let Some(work) = queue.pop_front() {
            let (mut work, scrutiny, rest) = self.policy.scrutinise(self.policy.withhold(work));
            if let Some(rest) = rest {
                queue.push_front(rest);
            }
            match self.fold(&work, scrutiny) {
                Ok(()) => {
                    self.tables.keep();
                    self.aside.append(&mut work.aside);
                }
                Err(fault) => {
                    self.tables.roll_back();
                    for piece in self.policy.instead(work, fault)?.into_iter().rev() {
                        queue.push_front(piece);
                    }
                }
            }
        }
        Ok(())
    }

    /// About how many bytes its rows take.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.tables.bytes()
    }

    /// How many rows it has, about: rows that are gone count until they are swept out.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.tables.rows()
    }

    /// The rows of table number `table` that `wanted` is true for, as they stand, in key order.
    pub(crate) fn rows_where(&self, table: usize, wanted: impl Fn(&Row) -> bool) -> Vec<Row> {
        self.tables.rows_where(table, wanted)
    }

    /// Its rows, put in order for [`merge`], and the events that were put aside.
    #[must_use]
    pub fn finish(self) -> (FoldedShard, Vec<DeadLetter>) {
        (self.tables.finish(), self.aside)
    }

    fn fold(&mut self, work: &Work, scrutiny: Scrutiny) -> Result<(), Fault> {
        let (batch, range) = (&*work.batch, work.range.clone());
        if scrutiny == Scrutiny::Trust || range.len() < 2 {
            return self.tables.fold(&mut *self.plugin, batch, std::slice::from_ref(&range));
        }
        self.tables.fold(&mut *self.plugin, batch, std::slice::from_ref(&range))?;
        let whole = self.tables.outcome();
        self.tables.roll_back();
        let pieces: Vec<_> = range.clone().map(|event| event..event + 1).collect();
        match self.tables.fold(&mut *self.plugin, batch, &pieces) {
            Ok(()) => match self.tables.difference(whole) {
                None => Ok(()),
                Some(difference) => Err(depends_on_batches(batch, range.clone(), &difference)),
            },
            Err(Fault::Poison { message, .. }) => {
                Err(depends_on_batches(batch, range.clone(), &format!("in pieces an event fails: {message}")))
            }
            Err(fault) => Err(fault),
        }
    }
}

#[cfg(test)]
mod tests;
