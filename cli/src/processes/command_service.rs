//! `reel serve command-service`: takes commands, keeps events, and fills the topic. It needs the event store and, where it is Kafka, the
//! topic.

use std::sync::Arc;

use super::opening::open_store;
use super::readiness::Readiness;
use super::sealing::Sealing;
use super::{Built, topic};
use crate::config::Config;
use crate::error::CliError;

pub(super) async fn build(config: &Config, readiness: &Readiness) -> Result<Built, CliError> {
    let store = open_store(config, readiness).await?;
    let relay = topic::start_relay(config, readiness, Arc::clone(&store)).await?;
    let sealing = Sealing::start(config, &store, relay.as_ref())?;
    let router = reel_command_service::router(store, reel_command_service::Config::default());
    Ok(Built { relay, sealing, ..Built::of(router) })
}
