//! The routes of the admin API.

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::response::Response;
use axum::routing::{delete, get, post};
use axum::{Json, Router};
use reel_events::{Place, Timestamp};
use reel_problem::{Json as Body, Path, Problem, Query, method_not_allowed};
use reel_projector::ports::FailurePolicy;
use reel_read_model::target::IfBehind;
use reel_read_model::{Generation, Promotion};
use serde::Deserialize;

use super::answers::{DeadLetterAnswer, DeployedAnswer, problem};
use super::inspect::lines;
use crate::deploy::{Deployed, Deployment, Outcome, Until};
use crate::host::Host;
use crate::inspect::{DryRun, Which};
use crate::reference::ProjectionRef;
use crate::status::GenerationStatus;

/// The largest component that is taken: what a Python guest with its interpreter needs, twice.
const COMPONENT_BYTES: usize = 64 << 20;

/// The admin API of `host`.
pub fn router(host: Host) -> Router {
    Router::new()
        .route("/admin/v1/projections", get(list).post(deploy))
        .route("/admin/v1/projections/{projection}", get(status).delete(remove))
        .route("/admin/v1/projections/{projection}/replay", post(replay))
        .route("/admin/v1/projections/{projection}/rederive", post(rederive))
        .route("/admin/v1/projections/{projection}/dry-run", post(dry_run))
        .route("/admin/v1/projections/{projection}/promote", post(promote))
        .route("/admin/v1/projections/{projection}/rollback", post(rollback))
        .route("/admin/v1/projections/{projection}/pause", post(pause))
        .route("/admin/v1/projections/{projection}/resume", post(resume))
        .route("/admin/v1/projections/{projection}/cancel", post(cancel))
        .route("/admin/v1/projections/{projection}/dead-letters", get(dead_letters))
        .route("/admin/v1/projections/{projection}/dead-letters/{position}/skip", post(skip))
        .route("/admin/v1/projections/{projection}/dead-letters/{position}/retry", post(retry))
        .route("/admin/v1/projections/{projection}/dead-letters/{position}", delete(discard).get(dead_letter))
        .merge(super::archive::routes())
        .merge(super::inspect::routes())
        .method_not_allowed_fallback(method_not_allowed)
        .layer(DefaultBodyLimit::max(COMPONENT_BYTES))
        .with_state(host)
}

pub(super) type Answer<T> = Result<Json<T>, Problem>;

/// Which target is meant.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct InTarget {
    pub(super) target: Option<String>,
}

/// How something is to be deployed.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct HowToDeploy {
    target: Option<String>,
    name: Option<String>,
    settings: Option<String>,
    on_failure: Option<Policy>,
    promote: Option<bool>,
    /// A position, or a time as RFC 3339 has it.
    until: Option<String>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Policy {
    Halt,
    Skip,
    Park,
}

impl HowToDeploy {
    fn deployment(self, component: Option<Bytes>) -> Result<Deployment, Problem> {
        let until = self.until.as_deref().map(until).transpose()?;
        Ok(Deployment {
            component: component.map(|bytes| bytes.to_vec()),
            name: self.name,
            target: self.target,
            settings: self.settings,
            on_failure: self.on_failure.map(|policy| match policy {
                Policy::Halt => FailurePolicy::Halt,
                Policy::Skip => FailurePolicy::Skip,
                Policy::Park => FailurePolicy::Park,
            }),
            promotion: if self.promote.unwrap_or(true) { Promotion::Automatic } else { Promotion::Manual },
            until,
        })
    }
}

/// How something is to be promoted.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct HowToPromote {
    target: Option<String>,
    keep: Option<usize>,
}

/// How to go back.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct HowToRollBack {
    target: Option<String>,
    force: Option<bool>,
}

/// `4711`, `2026-11-21T09:30:00Z`
fn until(text: &str) -> Result<Until, Problem> {
    if let Ok(position) = text.parse() {
        return Ok(Until::Position(position));
    }
    let time = Timestamp::parse(text);
    time.map(Until::Time).map_err(|_| {
        Problem::bad_request(format!("until={text} is neither a position (4711) nor a time (2026-11-21T09:30:00Z)"))
    })
}

pub(super) fn reference(text: &str) -> Result<ProjectionRef, Problem> {
    text.parse().map_err(|error: crate::reference::ReferenceError| Problem::bad_request(error.to_string()))
}

fn place(text: &str) -> Result<Place, Problem> {
    text.parse().map_err(|error: reel_events::PlaceError| Problem::bad_request(error.to_string()))
}

async fn list(State(host): State<Host>, Query(which): Query<InTarget>) -> Answer<Vec<GenerationStatus>> {
    host.status(None, which.target.as_deref()).await.map(Json).map_err(problem)
}

async fn status(
    State(host): State<Host>,
    Path(name): Path<String>,
    Query(which): Query<InTarget>,
) -> Answer<Vec<GenerationStatus>> {
    host.status(Some(&reference(&name)?), which.target.as_deref()).await.map(Json).map_err(problem)
}

async fn deploy(State(host): State<Host>, Query(how): Query<HowToDeploy>, component: Bytes) -> Answer<DeployedAnswer> {
    if component.is_empty() {
        return Err(Problem::bad_request("the body must be a WebAssembly component"));
    }
    let target = how.target.clone();
    let deployed = host.deploy(how.deployment(Some(component))?).await.map_err(problem)?;
    answer(&host, target.as_deref(), deployed).await
}

async fn replay(
    State(host): State<Host>,
    Path(name): Path<String>,
    Query(how): Query<HowToDeploy>,
    component: Bytes,
) -> Answer<DeployedAnswer> {
    let target = how.target.clone();
    let component = (!component.is_empty()).then_some(component);
    let deployed = host.replay(&reference(&name)?, how.deployment(component)?).await.map_err(problem)?;
    answer(&host, target.as_deref(), deployed).await
}

/// Whose rows are made anew.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WhatToRederive {
    /// How the streams' ids begin.
    streams: Vec<String>,
}

async fn rederive(
    State(host): State<Host>,
    Path(name): Path<String>,
    Query(which): Query<InTarget>,
    Body(what): Body<WhatToRederive>,
) -> Result<Response, Problem> {
    let which = Which { wanted: reference(&name)?, target: which.target };
    host.rederive(&which, what.streams).await.map(lines).map_err(problem)
}

async fn dry_run(
    State(host): State<Host>,
    Path(name): Path<String>,
    Query(how): Query<HowToDeploy>,
    component: Bytes,
) -> Answer<DryRun> {
    let component = (!component.is_empty()).then_some(component);
    host.dry_run(&reference(&name)?, &how.deployment(component)?).await.map(Json).map_err(problem)
}

async fn answer(host: &Host, target: Option<&str>, deployed: Deployed) -> Answer<DeployedAnswer> {
    let outcome = match deployed.outcome {
        Outcome::Created => "created",
        Outcome::Unchanged => "unchanged",
    };
    let target = host.targets().get(target).map_err(problem)?;
    let status = host.status_of(target, &deployed.generation).await.map_err(problem)?;
    Ok(Json(DeployedAnswer { outcome, status }))
}

async fn promote(
    State(host): State<Host>,
    Path(name): Path<String>,
    Query(which): Query<HowToPromote>,
) -> Answer<GenerationStatus> {
    let changed = host.promote(&reference(&name)?, which.target.as_deref(), which.keep).await.map_err(problem)?;
    one(&host, which.target.as_deref(), &changed).await
}

async fn rollback(
    State(host): State<Host>,
    Path(name): Path<String>,
    Query(which): Query<HowToRollBack>,
) -> Answer<GenerationStatus> {
    let behind = if which.force.unwrap_or(false) { IfBehind::Force } else { IfBehind::Refuse };
    let changed = host.rollback(&reference(&name)?, which.target.as_deref(), behind).await.map_err(problem)?;
    one(&host, which.target.as_deref(), &changed).await
}

async fn pause(
    State(host): State<Host>,
    Path(name): Path<String>,
    Query(which): Query<InTarget>,
) -> Answer<Vec<GenerationStatus>> {
    let changed = host.pause(&reference(&name)?, which.target.as_deref()).await.map_err(problem)?;
    all(&host, which.target.as_deref(), &changed).await
}

async fn resume(
    State(host): State<Host>,
    Path(name): Path<String>,
    Query(which): Query<InTarget>,
) -> Answer<Vec<GenerationStatus>> {
    let changed = host.resume(&reference(&name)?, which.target.as_deref()).await.map_err(problem)?;
    all(&host, which.target.as_deref(), &changed).await
}

async fn cancel(
    State(host): State<Host>,
    Path(name): Path<String>,
    Query(which): Query<InTarget>,
) -> Answer<Vec<String>> {
    let gone = host.cancel(&reference(&name)?, which.target.as_deref()).await.map_err(problem)?;
    Ok(Json(gone.iter().map(crate::operate::title).collect()))
}

async fn remove(
    State(host): State<Host>,
    Path(name): Path<String>,
    Query(which): Query<InTarget>,
) -> Answer<Vec<String>> {
    let gone = host.drop_projection(&reference(&name)?, which.target.as_deref()).await.map_err(problem)?;
    Ok(Json(gone.iter().map(crate::operate::title).collect()))
}

/// A page of dead letters.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Page {
    target: Option<String>,
    after: Option<String>,
    limit: Option<u32>,
}

async fn dead_letters(
    State(host): State<Host>,
    Path(name): Path<String>,
    Query(page): Query<Page>,
) -> Answer<Vec<DeadLetterAnswer>> {
    let after = page.after.as_deref().map(place).transpose()?;
    let bounds = (after.unwrap_or(Place::START), page.limit.unwrap_or(1000).min(10_000));
    let (_, letters) = host.dead_letters(&reference(&name)?, page.target.as_deref(), bounds).await.map_err(problem)?;
    Ok(Json(letters.into_iter().map(DeadLetterAnswer::from).collect()))
}

async fn dead_letter(
    State(host): State<Host>,
    Path((name, at)): Path<(String, String)>,
    Query(which): Query<InTarget>,
) -> Answer<DeadLetterAnswer> {
    let found = host.dead_letter(&reference(&name)?, which.target.as_deref(), place(&at)?).await.map_err(problem)?;
    Ok(Json(DeadLetterAnswer::whole(found)))
}

async fn skip(
    State(host): State<Host>,
    Path((name, at)): Path<(String, String)>,
    Query(which): Query<InTarget>,
) -> Answer<GenerationStatus> {
    let changed = host.skip(&reference(&name)?, which.target.as_deref(), place(&at)?).await.map_err(problem)?;
    one(&host, which.target.as_deref(), &changed).await
}

async fn retry(
    State(host): State<Host>,
    Path((name, at)): Path<(String, String)>,
    Query(which): Query<InTarget>,
) -> Answer<GenerationStatus> {
    let changed = host.retry(&reference(&name)?, which.target.as_deref(), place(&at)?).await.map_err(problem)?;
    one(&host, which.target.as_deref(), &changed).await
}

async fn discard(
    State(host): State<Host>,
    Path((name, at)): Path<(String, String)>,
    Query(which): Query<InTarget>,
) -> Answer<GenerationStatus> {
    let changed = host.discard(&reference(&name)?, which.target.as_deref(), place(&at)?).await.map_err(problem)?;
    one(&host, which.target.as_deref(), &changed).await
}

async fn one(host: &Host, target: Option<&str>, generation: &Generation) -> Answer<GenerationStatus> {
    let target = host.targets().get(target).map_err(problem)?;
    host.status_of(target, generation).await.map(Json).map_err(problem)
}

async fn all(host: &Host, target: Option<&str>, generations: &[Generation]) -> Answer<Vec<GenerationStatus>> {
    let target = host.targets().get(target).map_err(problem)?;
    let mut statuses = Vec::with_capacity(generations.len());
    for generation in generations {
        statuses.push(host.status_of(target, generation).await.map_err(problem)?);
    }
    Ok(Json(statuses))
}
