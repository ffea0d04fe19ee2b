//! Rows of some streams folded anew, from the log's beginning to where their shard stands: what a generation's rows are replaced by
//! where only these are in doubt. It needs tables that streams own: rows of others are not those streams' alone.
//!
//! Not here: where history is read, and which streams are meant (`host/server`).

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use reel_events::{EventBatch, LogPoint, chain, key_part};

use crate::bulk::BulkShard;
use crate::change::{RowFilter, TableWrites, Writes};
use crate::failure::{Failure, RunError};
use crate::manifest::{ColumnType, Manifest, Ownership, StreamPart, Table};
use crate::policy::RunSettings;
use crate::ports::{Plugin, Source};
use crate::value::Value;

/// Most events that are folded at once on the way to the checkpoint.
const EVENTS: usize = 5_000;

/// The fold of some streams of one shard.
pub struct Rederivation {
    manifest: Arc<Manifest>,
    /// Nothing only while a thread has it.
    shard: Option<BulkShard>,
    /// By key, the streams that were met: two categories may share a key, and then rows.
    streams: BTreeMap<String, BTreeSet<String>>,
    behind: Box<dyn Source>,
    at: u64,
    events: u64,
}

impl Rederivation {
    /// Begins a fold of the streams with these keys. History up to `through` is given by [`Rederivation::apply`]; `behind` has what
    /// comes after it, of all streams and without a gap. All tables of the manifest are owned.
    #[must_use]
    pub fn begin(
        manifest: Arc<Manifest>,
        plugin: Box<dyn Plugin>,
        settings: RunSettings,
        keys: impl IntoIterator<Item = String>,
        (through, behind): (u64, Box<dyn Source>),
    ) -> Rederivation {
        let shard = Some(BulkShard::new(Arc::clone(&manifest), plugin, settings, 1));
        let streams = keys.into_iter().map(|key| (key, BTreeSet::new())).collect();
        Rederivation { manifest, shard, streams, behind, at: through, events: 0 }
    }

    /// Has the rows of this stream put in order too, whether it turns out to have events or not. Its key is among those of the fold.
    ///
    /// # Panics
    /// Where it is not.
    pub fn stands_for(&mut self, stream: &str) {
        let streams = self.streams.get_mut(key_part(stream)).expect("a key of the fold");
        streams.insert(stream.to_owned());
    }

    /// Folds the next events of history; those of other streams are left out.
    ///
    /// # Errors
    /// Where an event cannot be applied: the log has it, so the rows have passed it under another policy or component.
    pub async fn apply(&mut self, events: &EventBatch, through: LogPoint) -> Result<(), Failure> {
        let mut own = EventBatch::new();
        for event in events.iter() {
            let Some(streams) = self.streams.get_mut(event.stream_key()) else { continue };
            if !streams.contains(event.stream) {
                streams.insert(event.stream.to_owned());
            }
            own.push(event);
        }
        if own.is_empty() {
            return Ok(());
        }
        self.events += own.len() as u64;
        let mut shard = self.shard.take().expect("it is there between two calls");
        let folded = tokio::task::spawn_blocking(move || {
            let result = shard.apply(own, through);
            (shard, result)
        });
        let (shard, result) = folded.await.expect("folding does not panic, and nobody aborts it");
        self.shard = Some(shard);
        result.map_err(|error| match error {
            RunError::Halted(failure) | RunError::Fatal(failure) => failure,
            RunError::Superseded(by) => Failure::general("superseded", by),
        })
    }

    /// Folds what lies between history and `position`.
    pub(crate) async fn up_to(&mut self, position: u64) -> Result<(), Failure> {
        if position < self.at {
            let message = format!("the shard stands at position {position}, before {}: begin again", self.at);
            return Err(Failure::general("moved", message));
        }
        while self.at < position {
            let most = usize::try_from(position - self.at).unwrap_or(EVENTS).min(EVENTS);
            let unread = |error: &dyn std::error::Error| Failure::general("unavailable", chain(error));
            let delivery = self.behind.next(most).await.map_err(|error| unread(&error))?;
            self.apply(&delivery.events, delivery.through).await?;
            self.at = delivery.through.position;
        }
        Ok(())
    }

    /// About how many bytes its rows take.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.shard.as_ref().map_or(0, BulkShard::bytes)
    }

    /// The keys that it folds.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.streams.keys().map(String::as_str)
    }

    /// How many streams it has met, and how many events of them.
    #[must_use]
    pub fn met(&self) -> (u64, u64) {
        (self.streams.values().map(|streams| streams.len() as u64).sum(), self.events)
    }

    /// What puts the rows of these keys in the place of those that are there.
    pub(crate) fn writes(&self, keys: &[String]) -> Writes {
        let table = |(number, table): (usize, &Table)| {
            let Ownership::Owned { column, holds } = table.ownership else { return TableWrites::default() };
            let owners = self.owners(table, (column, holds), keys);
            let is_owned = |value: &Value| match value {
                Value::Text(text) => owners.texts.contains(text.as_ref()),
                Value::Uuid(uuid) => owners.uuids.contains(uuid),
                _ => false,
            };
            let shard = self.shard.as_ref().expect("it is there between two calls");
            TableWrites {
                delete_where: owners.filters(column),
                upserts: shard.rows_where(number, |row| is_owned(&row[usize::from(column)])),
                ..TableWrites::default()
            }
        };
        Writes { tables: self.manifest.tables.iter().enumerate().map(table).collect() }
    }

    /// What the owner's column of a table holds in the rows of these keys.
    fn owners<'s>(&'s self, table: &Table, (column, holds): (u16, StreamPart), keys: &'s [String]) -> Owners<'s> {
        let keys = keys.iter().filter_map(|key| self.streams.get_key_value(key));
        let texts: HashSet<&str> = match holds {
            StreamPart::Key => keys.map(|(key, _)| key.as_str()).collect(),
            StreamPart::Id => keys.flat_map(|(_, streams)| streams).map(String::as_str).collect(),
        };
        match table.columns[usize::from(column)].kind {
            ColumnType::Uuid => {
                let uuids = texts.iter().filter_map(|text| uuid::Uuid::try_parse(text).ok()).collect();
                Owners { texts: HashSet::new(), uuids }
            }
            _ => Owners { texts, uuids: HashSet::new() },
        }
    }
}

/// Whose rows are meant, as the owner's column holds it.
struct Owners<'s> {
    texts: HashSet<&'s str>,
    uuids: HashSet<uuid::Uuid>,
}

impl Owners<'_> {
    fn filters(&self, column: u16) -> Vec<RowFilter> {
        let texts = self.texts.iter().map(|text| Value::Text((*text).into()));
        let owners = texts.chain(self.uuids.iter().map(|uuid| Value::Uuid(*uuid)));
        owners.map(|owner| RowFilter { equal: Box::new([(column, owner)]) }).collect()
    }
}

#[cfg(test)]
mod tests;
