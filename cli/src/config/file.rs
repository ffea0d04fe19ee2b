//! The form of `reel.toml`, with the defaults of what it leaves out. Variables are laid over it before it is read.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::Table;

use super::ArchiveConfig;
use super::secret::Given;
use crate::error::CliError;
use crate::processes::Process;

/// The file's form.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct File {
    pub(super) listen: Option<SocketAddr>,
    #[serde(default = "default_data")]
    pub(super) data: PathBuf,
    pub(super) store: Option<Given>,
    pub(super) topic: Option<Given>,
    #[serde(default = "default_partitions")]
    pub(super) topic_partitions: u32,
    pub(super) token: Option<Given>,
    #[serde(default = "default_drain")]
    pub(super) drain_seconds: u64,
    #[serde(default)]
    pub(super) targets: Table,
    #[serde(default)]
    pub(super) serve: ServeSection,
    #[serde(default)]
    pub(super) host: HostSection,
    #[serde(default)]
    pub(super) archive: ArchiveSection,
    #[serde(default)]
    pub(super) limits: LimitsSection,
    #[serde(default)]
    pub(super) plugin: PluginSection,
}

/// Where the processes of `reel serve` listen, if each has an address of its own.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct ServeSection {
    command_service: Option<SocketAddr>,
    host: Option<SocketAddr>,
    read_api: Option<SocketAddr>,
}

impl ServeSection {
    /// The address of a process.
    pub(super) fn of(&self, process: Process) -> Option<SocketAddr> {
        match process {
            Process::Up => None,
            Process::CommandService => self.command_service,
            Process::Host => self.host,
            Process::ReadApi => self.read_api,
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(super) struct HostSection {
    pub(super) batch: usize,
    pub(super) cache_mib: usize,
    pub(super) keep_previous: usize,
    pub(super) memory_mib: Option<usize>,
    pub(super) throttle: Option<u64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(super) struct ArchiveSection {
    pub(super) url: Option<String>,
    pub(super) events_per_second: u32,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(super) struct LimitsSection {
    event_bytes: usize,
    commit_bytes: usize,
}

/// Named as the messages of a budget that is used up name them.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(super) struct PluginSection {
    fuel: u64,
    memory_mib: usize,
    output: usize,
    changes: usize,
    rows: usize,
    row_bytes: usize,
    log_lines: usize,
}

impl Default for PluginSection {
    fn default() -> PluginSection {
        let limits = reel_plugin::CallLimits::default();
        PluginSection {
            fuel: limits.fuel,
            memory_mib: limits.memory >> 20,
            output: limits.output,
            changes: limits.changes,
            rows: limits.rows,
            row_bytes: limits.row_bytes,
            log_lines: limits.log_lines,
        }
    }
}

impl PluginSection {
    /// What one call of a plugin may use.
    pub(super) fn limits(&self) -> reel_plugin::CallLimits {
        reel_plugin::CallLimits {
            fuel: self.fuel,
            memory: self.memory_mib << 20,
            output: self.output,
            changes: self.changes,
            rows: self.rows,
            row_bytes: self.row_bytes,
            log_lines: self.log_lines,
            ..reel_plugin::CallLimits::default()
        }
    }
}

impl Default for HostSection {
    fn default() -> HostSection {
        HostSection { batch: 100_000, cache_mib: 128, keep_previous: 1, memory_mib: None, throttle: None }
    }
}

impl Default for ArchiveSection {
    fn default() -> ArchiveSection {
        let events_per_second = reel_event_log::archive::SealerConfig::default().events_per_second;
        ArchiveSection { url: None, events_per_second }
    }
}

impl ArchiveSection {
    /// Where the archive is, and how it is filled; nothing where there is none.
    pub(super) fn checked(self, data: &Path) -> Result<Option<ArchiveConfig>, CliError> {
        if self.events_per_second == 0 {
            return Err(CliError::Usage(
                "configuration: archive.events-per-second must be at least 1; archive.url = \"none\" ends archiving"
                    .into(),
            ));
        }
        let url = self.url.unwrap_or_else(|| data.join("archive").display().to_string());
        let events_per_second = self.events_per_second;
        Ok((url != "none").then_some(ArchiveConfig { url, events_per_second }))
    }
}

impl Default for LimitsSection {
    fn default() -> LimitsSection {
        let reel_event_log::Limits { event_bytes, commit_bytes } = reel_event_log::Limits::default();
        LimitsSection { event_bytes, commit_bytes }
    }
}

impl LimitsSection {
    /// The store's limits; they can only be lowered.
    pub(super) fn checked(&self) -> Result<reel_event_log::Limits, CliError> {
        let most = reel_event_log::Limits::default();
        if self.event_bytes > most.event_bytes || self.commit_bytes > most.commit_bytes {
            return Err(CliError::Usage(format!(
                "configuration: limits can only be lowered: event-bytes is at most {}, commit-bytes at most {}",
                most.event_bytes, most.commit_bytes
            )));
        }
        Ok(reel_event_log::Limits { event_bytes: self.event_bytes, commit_bytes: self.commit_bytes })
    }
}

fn default_data() -> PathBuf {
    PathBuf::from(".reel")
}

fn default_drain() -> u64 {
    10
}

fn default_partitions() -> u32 {
    8
}
