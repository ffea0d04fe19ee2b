//! `reel serve host`: runs projections, and answers the admin API. It needs the event store and the read databases; of another
//! producer's topic, that instead of the store.

use std::sync::Arc;

use reel_event_log::EventStore;
use reel_host::{BuildConfig, Host, HostConfig, HostError, Hosts, Targets};
use reel_plugin::{Engine, EngineConfig};
use reel_read_model::Target;

use super::opening::{Failed, open_targets, with_patience};
use super::readiness::Readiness;
use super::{Built, sealing, topic};
use crate::config::{Config, LogChange, Topic};
use crate::error::CliError;

pub(super) async fn build(config: &Config, readiness: &Readiness) -> Result<Built, CliError> {
    topic::watch(config, readiness);
    let store = topic::open_log(config, readiness).await?;
    let targets = open_targets(config, readiness).await?;
    let host = start(config, store, targets).await?;
    Ok(Built { host: Some(host.clone()), ..Built::of(reel_host::admin::router(host)) })
}

/// Starts a host with all generations that are to run.
pub(super) async fn start(
    config: &Config,
    store: Arc<dyn EventStore>,
    targets: Vec<Arc<dyn Target>>,
) -> Result<Host, CliError> {
    let engine = Engine::new(EngineConfig {
        cache_dir: Some(config.data.join("cache")),
        limits: config.plugin,
        ..EngineConfig::default()
    })
    .map_err(|error| CliError::caused("the WebAssembly engine cannot be started", error))?;
    let for_this_machine = BuildConfig::for_this_machine();
    let build = BuildConfig {
        memory_bytes: config.memory_bytes.unwrap_or(for_this_machine.memory_bytes),
        throttle: config.throttle,
        batch: config.batch.min(for_this_machine.batch),
        spill_dir: config.data.join("builds"),
        ..for_this_machine
    };
    let host_config = HostConfig {
        build,
        most_events: config.batch,
        cache_bytes: config.cache_bytes,
        keep_previous: config.keep_previous,
        archive: sealing::open(config)?,
        topic: topic::of_host(config).await?,
        // A SQLite store admits one process, so whoever had a lease is gone.
        hosts: hosts(config),
        ..HostConfig::new(reel_read_api::check_named_queries)
    };
    let host = Host::new(store, Targets::new(targets), engine, host_config);
    let failed = |error| passing("the projections cannot be started", error);
    with_patience(async || host.start().await.map_err(failed)).await?;
    if config.log_change == LogChange::Rebuild {
        let failed = |error| passing("the projections cannot be built anew", error);
        with_patience(async || host.accept_log().await.map(drop).map_err(failed)).await?;
    }
    Ok(host)
}

/// Whether other hosts may be there.
fn hosts(config: &Config) -> Hosts {
    let stored_in_file = config.store.scheme() == "sqlite" && !matches!(config.topic, Topic::Foreign(_));
    if stored_in_file { Hosts::One } else { Hosts::Several }
}

fn passing(action: &'static str, error: HostError) -> Failed {
    match error {
        HostError::Unavailable { .. } => Failed::passing(action, &error),
        error => Failed::ForGood(CliError::caused(action, error)),
    }
}
