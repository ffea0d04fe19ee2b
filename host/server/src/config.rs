//! What a host is told once, before it starts anything.

use reel_projector::Manifest;

/// A check of manifests that the host cannot do itself: the grammar of named queries belongs to the read API.
pub type ManifestCheck = fn(&Manifest) -> Result<(), String>;

/// How a host works.
#[derive(Debug, Clone)]
pub struct HostConfig {
    /// Most events in one batch.
    pub most_events: usize,
    /// About how many bytes of rows each generation keeps at hand.
    pub cache_bytes: usize,
    /// How many generations that were live before are kept current for a rollback.
    pub keep_previous: usize,
    /// Further checks of a manifest at deploy.
    pub check_manifest: ManifestCheck,
}

impl HostConfig {
    /// 20,000 events a batch, 128 MiB of rows, one previous generation.
    #[must_use]
    pub fn new(check_manifest: ManifestCheck) -> HostConfig {
        HostConfig { most_events: 20_000, cache_bytes: 128 << 20, keep_previous: 1, check_manifest }
    }
}
