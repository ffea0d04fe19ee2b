//! Whose rows a generation has, of those that are meant: rows may be there whose stream has no events any more, or never had.

use std::collections::HashSet;

use reel_events::EventRef;
use reel_projector::Value;
use reel_projector::manifest::{Ownership, StreamPart};
use reel_read_model::Snapshot;
use uuid::Uuid;

use crate::error::HostError;
use crate::inspect::Subject;

/// Rows that are read at once.
const PAGE: usize = 2_000;

/// Owners of rows, as their columns hold them; those that turn out to have events are taken out.
#[derive(Debug, Default)]
pub(super) struct Owners {
    /// Keys of streams, of whatever category.
    pub(super) keys: HashSet<String>,
    /// Whole ids of streams.
    pub(super) ids: HashSet<String>,
}

impl Owners {
    /// The owners of all rows that may be those of a stream whose id begins with one of `prefixes`.
    pub(super) async fn read(
        subject: &Subject,
        snapshot: &mut dyn Snapshot,
        prefixes: &[String],
    ) -> Result<Owners, HostError> {
        let mut owners = Owners::default();
        for (number, table) in subject.generation.manifest.tables.iter().enumerate() {
            let Ownership::Owned { column, holds } = table.ownership else { continue };
            let mut after = None;
            loop {
                let rows = snapshot.rows(number as u16, after.as_ref(), PAGE).await.map_err(HostError::reading)?;
                let Some(last) = rows.last() else { break };
                after = Some(table.key.iter().map(|column| last[usize::from(*column)].clone()).collect());
                rows.iter().for_each(|row| owners.add(&row[usize::from(column)], holds, prefixes));
            }
        }
        Ok(owners)
    }

    fn add(&mut self, owner: &Value, holds: StreamPart, prefixes: &[String]) {
        let owner = match owner {
            Value::Text(text) => text.to_string(),
            Value::Uuid(uuid) => uuid.to_string(),
            _ => return,
        };
        match holds {
            StreamPart::Key if prefixes.iter().any(|prefix| owner.starts_with(key_part(prefix))) => {
                self.keys.insert(owner);
            }
            StreamPart::Id if prefixes.iter().any(|prefix| owner.starts_with(prefix)) => {
                self.ids.insert(owner);
            }
            StreamPart::Key | StreamPart::Id => {}
        }
    }

    /// This event's stream has events: its rows are its own.
    pub(super) fn has_events(&mut self, event: &EventRef<'_>) {
        // A column of UUIDs holds what a stream's id may write in other ways.
        let canonical = |text: &str| Uuid::try_parse(text).ok().map(|uuid| uuid.to_string());
        for (owners, owner) in [(&mut self.keys, event.stream_key()), (&mut self.ids, event.stream)] {
            if owners.is_empty() {
                continue;
            }
            owners.remove(owner);
            if let Some(uuid) = canonical(owner) {
                owners.remove(&uuid);
            }
        }
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.keys.len() + self.ids.len()
    }
}

/// How the key of a stream begins whose id begins so: anyhow, where the category may be longer.
fn key_part(prefix: &str) -> &str {
    prefix.find(['-', ':']).map_or("", |end| &prefix[end + 1..])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owners(prefixes: &[&str]) -> Owners {
        let prefixes: Vec<String> = prefixes.iter().map(|prefix| (*prefix).to_owned()).collect();
        let mut owners = Owners::default();
        for key in ["1", "10", "2", "c0ffee00-0000-4000-8000-000000000000"] {
            owners.add(&Value::Text(key.into()), StreamPart::Key, &prefixes);
            owners.add(&Value::Text(format!("post-{key}").into()), StreamPart::Id, &prefixes);
        }
        owners
    }

    fn sorted(owners: &HashSet<String>) -> Vec<&str> {
        let mut owners: Vec<&str> = owners.iter().map(String::as_str).collect();
        owners.sort_unstable();
        owners
    }

    #[test]
    fn owners_are_those_of_streams_that_begin_so() {
        let of = owners(&["post-1"]);
        assert_eq!((sorted(&of.keys), sorted(&of.ids)), (vec!["1", "10"], vec!["post-1", "post-10"]));
        let of = owners(&["todo-2"]);
        assert_eq!((sorted(&of.keys), of.ids.len()), (vec!["2"], 0));
        assert_eq!(owners(&["po"]).len(), 8);
    }

    #[test]
    fn what_has_events_is_nobody_elses() {
        let mut of = owners(&["post-"]);
        for stream in ["post-1", "todo-10", "todo-C0FFEE00-0000-4000-8000-000000000000"] {
            let (id, recorded_at) = (Uuid::nil(), 0);
            let (kind, payload, metadata) = ("made", "{}", "");
            of.has_events(&EventRef {
                position: 1,
                version: 1,
                id,
                stream,
                kind,
                schema: 1,
                recorded_at,
                payload,
                metadata,
            });
        }
        assert_eq!(sorted(&of.keys), ["2"]);
        assert_eq!(sorted(&of.ids), ["post-10", "post-2", "post-c0ffee00-0000-4000-8000-000000000000"]);
    }
}
