//! `reel serve read-api`: answers reads. It needs the read databases only, and writes nothing into them.

use std::sync::Arc;

use axum::Router;
use reel_read_api::{ReadConfig, Targets};
use reel_read_model::Target;

use super::Built;
use super::opening::open_targets;
use super::readiness::Readiness;
use crate::config::Config;
use crate::error::CliError;

/// Reads that wait look for the host's commits in the database: no signal comes from another process.
pub(super) async fn build(config: &Config, readiness: &Readiness) -> Result<Built, CliError> {
    let targets = open_targets(config, readiness).await?;
    Ok(Built::of(router(targets, ReadConfig::default())))
}

/// The read API over `targets`, the default one first.
pub(super) fn router(targets: Vec<Arc<dyn Target>>, config: ReadConfig) -> Router {
    let mut targets = targets.into_iter();
    let first = targets.next().expect("the configuration has at least one target");
    reel_read_api::router(Targets::new(first, targets), config)
}
