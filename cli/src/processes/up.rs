//! `reel up`: command service, host and read API in one process, on one listener; over another producer's topic there are no commands.

use std::sync::Arc;

use axum::Router;
use axum::response::Html;
use axum::routing::get;
use reel_host::Host;
use reel_read_model::Target;

use super::opening::{open_store, open_targets};
use super::readiness::Readiness;
use super::sealing::Sealing;
use super::{Built, host, read_api, topic};
use crate::config::{Config, Topic};
use crate::error::CliError;

/// Puts all three together. Reads that wait are woken by the host's commits.
pub(super) async fn build(config: &Config, readiness: &Readiness) -> Result<Built, CliError> {
    if matches!(config.topic, Topic::Foreign(_)) {
        return following(config, readiness).await;
    }
    let store = open_store(config, readiness).await?;
    let relay = topic::start_relay(config, readiness, Arc::clone(&store)).await?;
    let targets = open_targets(config, readiness).await?;
    let host = host::start(config, Arc::clone(&store), targets.clone()).await?;
    let sealing = Sealing::start(config, &store, relay.as_ref())?;
    let read = reel_read_api::ReadConfig { commits: Some(host.commits()) };
    let router = Router::new()
        .merge(reel_command_service::router(store, reel_command_service::Config::default()))
        .merge(read_side(targets, read, &host));
    Ok(Built { router, host: Some(host), relay, sealing })
}

/// Host and read API alone.
async fn following(config: &Config, readiness: &Readiness) -> Result<Built, CliError> {
    topic::watch(config, readiness);
    let log = topic::open_log(config, readiness).await?;
    let targets = open_targets(config, readiness).await?;
    let host = host::start(config, log, targets.clone()).await?;
    let read = reel_read_api::ReadConfig { commits: Some(host.commits()) };
    Ok(Built { host: Some(host.clone()), ..Built::of(read_side(targets, read, &host)) })
}

fn read_side(targets: Vec<Arc<dyn Target>>, read: reel_read_api::ReadConfig, host: &Host) -> Router {
    Router::new()
        .merge(read_api::router(targets, read))
        .merge(reel_host::admin::router(host.clone()))
        .route("/", get(|| async { Html(include_str!("../front.html")) }))
}
