//! The routes of the admin API that concern the archive.

use axum::extract::State;
use axum::routing::{get, post};
use axum::{Json, Router};
use reel_problem::Query;
use serde::Deserialize;

use super::answers::problem;
use super::routes::Answer;
use crate::archive::{ArchivePruned, ArchiveStatus, ArchiveVerified, Mend};
use crate::host::Host;

/// Segments that one request reads: some seconds of work at most.
const PAGE: usize = 16;

pub(super) fn routes() -> Router<Host> {
    Router::new()
        .route("/admin/v1/archive", get(status))
        .route("/admin/v1/archive/verify", post(verify))
        .route("/admin/v1/archive/prune", post(prune))
}

async fn status(State(host): State<Host>) -> Answer<ArchiveStatus> {
    host.archive_status().await.map(Json).map_err(problem)
}

/// Which segments to verify, and what to do with those that are damaged.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Page {
    after: Option<u64>,
    limit: Option<usize>,
    mend: Option<bool>,
}

async fn verify(State(host): State<Host>, Query(page): Query<Page>) -> Answer<ArchiveVerified> {
    let mend = if page.mend.unwrap_or(false) { Mend::Yes } else { Mend::No };
    let most = page.limit.unwrap_or(PAGE).clamp(1, PAGE);
    host.verify_archive(page.after.unwrap_or(0), most, mend).await.map(Json).map_err(problem)
}

async fn prune(State(host): State<Host>) -> Answer<ArchivePruned> {
    host.prune_archive().await.map(Json).map_err(problem)
}
