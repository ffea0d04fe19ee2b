//! What relays remember, beside the log and shared by all of them: who leads, the layouts, how far the topic is published. The port;
//! its adapters are siblings here.
//!
//! There is one record, replaced as a whole by compare-and-set over its [`Stamp`]. A leader's writes carry its epoch, so that one
//! that was superseded cannot write. Not here: who may lead and what is published (`machine`).

mod mongodb;
mod open;
mod recent;
mod sqlite;

use async_trait::async_trait;
use reel_events::{LogPoint, StreamId};
use serde::{Deserialize, Serialize};

pub use self::{mongodb::MongoRelayState, open::open_relay_state, recent::RecentRelayState, sqlite::SqliteRelayState};
use crate::store::StoreError;

/// Where the record is kept.
#[async_trait]
pub trait RelayState: Send + Sync {
    /// The record as it is; [`RelayRecord::default`] where there is none yet.
    ///
    /// # Errors
    /// Where the store does not answer, or holds a record that this version cannot read.
    async fn read(&self) -> Result<RelayRecord, StoreError>;

    /// Replaces the record by `to` if it still carries the stamp `from`. Durable when this returns.
    ///
    /// # Errors
    /// Where the store does not answer; then it is not known whether the record was replaced.
    async fn replace(&self, from: Stamp, to: &RelayRecord) -> Result<Replaced, StoreError>;
}

/// What became of a [`RelayState::replace`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replaced {
    /// The record is the new one.
    Done,
    /// Somebody else had replaced it before; nothing was written.
    Superseded,
}

/// Which version of the record: every write has another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub struct Stamp {
    /// Raised whenever another relay leads: the fence.
    pub epoch: u64,
    /// Raised by every write of one leader: that it moves says that the leader lives.
    pub beat: u64,
}

/// What relays remember.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RelayRecord {
    /// The format of this record.
    pub format: u32,
    /// Its version.
    #[serde(flatten)]
    pub stamp: Stamp,
    /// Who leads; nobody where a leader gave it back.
    pub holder: Option<String>,
    /// For how long the holder may lead after a write, in milliseconds; others wait for that long without a new stamp.
    pub lease_ms: u64,
    /// In the order of their positions.
    pub layouts: Vec<Layout>,
    /// How far the topic is published.
    pub published: Published,
}

/// How the log is spread over partitions, from a position on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Layout {
    /// The first position that it holds for; messages name the layout by it.
    pub from: u64,
    /// How many partitions.
    pub partitions: u32,
}

impl Layout {
    /// The partition that an event of this stream goes to.
    #[must_use]
    pub fn partition(&self, stream: &StreamId) -> u32 {
        stream.partition(self.partitions)
    }
}

/// How far the topic is published under one layout.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Published {
    /// [`Layout::from`] of that layout; 0 where nothing was published yet.
    pub layout: u64,
    /// The last event that a leader went through. That it still stands there tells that the store is the one it was.
    pub passed: LogPoint,
    /// One entry a partition.
    pub partitions: Vec<Known>,
}

/// What is known of one partition under one layout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Known {
    /// Events up to this position were published.
    pub through: u64,
    /// The partition's last event at or below `through`; 0 where the layout has none yet. A fact of the log.
    pub last: u64,
}

/// The format that this version writes, and the only one that it reads.
const FORMAT: u32 = 1;

impl Default for RelayRecord {
    fn default() -> RelayRecord {
        RelayRecord {
            format: FORMAT,
            stamp: Stamp::default(),
            holder: None,
            lease_ms: 0,
            layouts: Vec::new(),
            published: Published { layout: 0, passed: LogPoint::START, partitions: Vec::new() },
        }
    }
}

impl RelayRecord {
    /// The record as it is kept.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("numbers and texts can be written")
    }

    /// Reads what [`RelayRecord::to_json`] wrote.
    ///
    /// # Errors
    /// Where it is not one, or of another format; the reason, to be shown with the place that it was found in.
    pub fn from_json(text: &str) -> Result<RelayRecord, String> {
        #[derive(Deserialize)]
        struct Format {
            format: u32,
        }
        let wrong = |error| format!("the relay's record is damaged: {error}");
        let Format { format } = serde_json::from_str(text).map_err(wrong)?;
        if format != FORMAT {
            return Err(format!("the relay's record has format {format}, this version reads format {FORMAT}"));
        }
        serde_json::from_str(text).map_err(wrong)
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    /// Written once by a released version, to be read for ever.
    const GOLDEN: &str = r#"{"format":1,"epoch":3,"beat":17,"holder":"host-1","lease_ms":3000,"layouts":[{"from":1,"partitions":2},{"from":41,"partitions":3}],"published":{"layout":41,"passed":{"position":44,"event":"00000000-0000-0000-0000-00000000002a"},"partitions":[{"through":44,"last":43},{"through":44,"last":0},{"through":42,"last":42}]}}"#;

    fn record() -> RelayRecord {
        let known = |(through, last)| Known { through, last };
        RelayRecord {
            stamp: Stamp { epoch: 3, beat: 17 },
            holder: Some("host-1".to_owned()),
            lease_ms: 3000,
            layouts: vec![Layout { from: 1, partitions: 2 }, Layout { from: 41, partitions: 3 }],
            published: Published {
                layout: 41,
                passed: LogPoint { position: 44, event: Uuid::from_u128(42) },
                partitions: [(44, 43), (44, 0), (42, 42)].map(known).to_vec(),
            },
            ..RelayRecord::default()
        }
    }

    #[test]
    fn the_stored_form_stays() {
        assert_eq!(record().to_json(), GOLDEN);
        assert_eq!(RelayRecord::from_json(GOLDEN).unwrap(), record());
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        let newer = GOLDEN.replace("\"format\":1", "\"format\":2");
        let error = RelayRecord::from_json(&newer).unwrap_err();
        assert_eq!(error, "the relay's record has format 2, this version reads format 1");
        assert!(RelayRecord::from_json("{}").unwrap_err().contains("missing field"));
        assert!(RelayRecord::from_json(&GOLDEN.replace("beat", "boat")).is_err());
    }
}
