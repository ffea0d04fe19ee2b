//! The archive of a process: who reads it opens it, and the process that keeps the log seals it in the background.

use std::sync::Arc;

use reel_event_log::EventStore;
use reel_event_log::archive::{Archive, Sealer, SealerConfig, SealerStatus};
use reel_event_log::relay::Relay;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::config::{ArchiveConfig, Config};
use crate::error::CliError;

/// A sealer at work, or none; it ends when this is dropped.
#[derive(Default)]
pub(super) struct Sealing {
    task: Option<JoinHandle<()>>,
    status: Option<watch::Receiver<SealerStatus>>,
}

/// Opens the archive, if there is to be one.
pub(super) fn open(config: &Config) -> Result<Option<Archive>, CliError> {
    let Some(ArchiveConfig { url, .. }) = &config.archive else { return Ok(None) };
    Archive::open(url).map(Some).map_err(|error| CliError::Usage(format!("configuration: archive.url: {error}")))
}

impl Sealing {
    /// Seals the log of `store`, if it is to be sealed: where there is a relay, only while that leads, so that one of many command
    /// services does it.
    pub(super) fn start(
        config: &Config,
        store: &Arc<dyn EventStore>,
        relay: Option<&Relay>,
    ) -> Result<Sealing, CliError> {
        let (Some(archive), Some(ArchiveConfig { events_per_second, .. })) = (open(config)?, &config.archive) else {
            return Ok(Sealing::default());
        };
        let how = SealerConfig { events_per_second: *events_per_second, ..SealerConfig::default() };
        let sealer = Sealer::new(Arc::clone(store), archive, how);
        let gets_on = sealer.status();
        let task = match relay.map(Relay::status) {
            Some(status) => {
                tokio::spawn(async move { sealer.run_while(status, |relay| relay.leading.is_some()).await })
            }
            None => tokio::spawn(async move { sealer.run().await }),
        };
        Ok(Sealing { task: Some(task), status: Some(gets_on) })
    }

    /// How sealing gets on, where this process seals.
    pub(super) fn status(&self) -> Option<watch::Receiver<SealerStatus>> {
        self.status.clone()
    }
}

impl Drop for Sealing {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}
