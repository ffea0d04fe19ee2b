//! `reel up`: command service, host and read API in one process, on one listener.

use std::sync::Arc;

use axum::Router;
use axum::response::Html;
use axum::routing::get;

use super::opening::{open_store, open_targets};
use super::readiness::Readiness;
use super::sealing::Sealing;
use super::{Built, host, read_api, topic};
use crate::config::Config;
use crate::error::CliError;

/// Puts all three together. Reads that wait are woken by the host's commits.
pub(super) async fn build(config: &Config, readiness: &Readiness) -> Result<Built, CliError> {
    let store = open_store(config, readiness).await?;
    let relay = topic::start_relay(config, readiness, Arc::clone(&store)).await?;
    let targets = open_targets(config, readiness).await?;
    let host = host::start(config, Arc::clone(&store), targets.clone()).await?;
    let sealing = Sealing::start(config, &store, relay.as_ref())?;
    let read = reel_read_api::ReadConfig { commits: Some(host.commits()) };
    let router = Router::new()
        .merge(reel_command_service::router(store, reel_command_service::Config::default()))
        .merge(read_api::router(targets, read))
        .merge(reel_host::admin::router(host.clone()))
        .route("/", get(|| async { Html(include_str!("../front.html")) }));
    Ok(Built { router, host: Some(host), relay, sealing })
}
