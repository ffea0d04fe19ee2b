//! What a host is told once, before it starts anything.

use std::fmt;
use std::sync::Arc;

use reel_event_log::archive::Archive;
use reel_event_log::relay::state::RelayState;
use reel_event_log::topic::foreign::ForeignTopic;
use reel_event_log::topic::kafka::TopicUrl;
use reel_projector::Manifest;

use crate::build::BuildConfig;

/// A check of manifests that the host cannot do itself: the grammar of named queries belongs to the read API.
pub type ManifestCheck = fn(&Manifest) -> Result<(), String>;

/// Where live events come from.
#[derive(Debug, Clone)]
pub enum Topic {
    /// The event store itself, tailed by one host for each generation.
    Store,
    /// A topic in Kafka: hosts share the shards of a generation whose order is by stream.
    Kafka(KafkaTopic),
    /// Another producer's topic in Kafka: hosts share its partitions, and there is no store behind it.
    Foreign(ForeignTopic),
}

/// A topic in Kafka that a relay of the same log publishes to.
#[derive(Clone)]
pub struct KafkaTopic {
    /// Where it is.
    pub url: TopicUrl,
    /// What the relay wrote down: its layouts.
    pub relay: Arc<dyn RelayState>,
}

impl fmt::Debug for KafkaTopic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KafkaTopic").field("url", &self.url).finish_non_exhaustive()
    }
}

/// Whether other hosts may have the same read databases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hosts {
    /// The event store admits one process only, so that a lease of a process that died is this one's.
    One,
    /// Leases of a process that died lapse.
    Several,
}

/// How a host works.
#[derive(Debug, Clone)]
pub struct HostConfig {
    /// Most events in one batch.
    pub most_events: usize,
    /// About how many bytes of rows each generation keeps at hand.
    pub cache_bytes: usize,
    /// How many generations that were live before are kept current for a rollback.
    pub keep_previous: usize,
    /// Where live events come from.
    pub topic: Topic,
    /// Whether other hosts may have the same read databases.
    pub hosts: Hosts,
    /// How generations are built.
    pub build: BuildConfig,
    /// Sealed history, which builds read first.
    pub archive: Option<Archive>,
    /// Further checks of a manifest at deploy.
    pub check_manifest: ManifestCheck,
}

impl HostConfig {
    /// At most 100,000 events a batch, 128 MiB of rows, one previous generation; the only host, tailing the store; builds as this machine allows.
    #[must_use]
    pub fn new(check_manifest: ManifestCheck) -> HostConfig {
        HostConfig {
            most_events: 100_000,
            cache_bytes: 128 << 20,
            keep_previous: 1,
            topic: Topic::Store,
            hosts: Hosts::One,
            build: BuildConfig::for_this_machine(),
            archive: None,
            check_manifest,
        }
    }
}
