//! `reel serve command-service`: takes commands and keeps events. It needs the event store only.

use super::Built;
use super::opening::open_store;
use super::readiness::Readiness;
use crate::config::Config;
use crate::error::CliError;

pub(super) async fn build(config: &Config, readiness: &Readiness) -> Result<Built, CliError> {
    let store = open_store(config, readiness).await?;
    let router = reel_command_service::router(store, reel_command_service::Config::default());
    Ok(Built { router, host: None })
}
