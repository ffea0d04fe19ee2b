//! The routes of the admin API that look into what is there. Reports are JSON, one line each thing found, as it is found.

use std::io;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use futures::stream;
use reel_problem::{Path, Problem, Query};
use reel_projector::chain;
use serde::Deserialize;
use serde_json::json;

use super::answers::problem;
use super::routes::{Answer, InTarget, reference};
use crate::host::Host;
use crate::inspect::{DiffRequest, Fingerprint, Positions, Report, Which};

pub(super) fn routes() -> Router<Host> {
    Router::new()
        .route("/admin/v1/projections/{projection}/fingerprint", get(fingerprint))
        .route("/admin/v1/projections/{projection}/verify", get(verify))
        .route("/admin/v1/diff", get(diff))
}

async fn fingerprint(
    State(host): State<Host>,
    Path(name): Path<String>,
    Query(which): Query<InTarget>,
) -> Answer<Fingerprint> {
    let which = Which { wanted: reference(&name)?, target: which.target };
    host.fingerprint(&which).await.map(Json).map_err(problem)
}

async fn verify(
    State(host): State<Host>,
    Path(name): Path<String>,
    Query(which): Query<InTarget>,
) -> Result<Response, Problem> {
    let which = Which { wanted: reference(&name)?, target: which.target };
    host.verify(&which).await.map(lines).map_err(problem)
}

/// Which two generations to compare.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct WhatToCompare {
    here: String,
    there: String,
    target: Option<String>,
    /// Nothing = the same as `target`.
    other_target: Option<String>,
    sample: Option<u64>,
    any_position: Option<bool>,
}

async fn diff(State(host): State<Host>, Query(what): Query<WhatToCompare>) -> Result<Response, Problem> {
    let other_target = what.other_target.or_else(|| what.target.clone());
    let request = DiffRequest {
        here: Which { wanted: reference(&what.here)?, target: what.target },
        there: Which { wanted: reference(&what.there)?, target: other_target },
        sample: what.sample,
        positions: if what.any_position.unwrap_or(false) { Positions::Any } else { Positions::Equal },
    };
    host.diff(request).await.map(lines).map_err(problem)
}

/// A report as JSON lines. One that breaks off says why in a last line, `{"line":"error","status":404,"message":…}`, with the
/// status that a whole answer would have had.
pub(super) fn lines(report: Report) -> Response {
    let next = |mut report: Report| async move {
        let text = match report.next().await {
            None => return Ok::<_, io::Error>(None),
            Some(Ok(line)) => serde_json::to_string(&line).expect("lines are plain data"),
            Some(Err(error)) => {
                let message = chain(&error);
                json!({"line": "error", "status": problem(error).status().as_u16(), "message": message}).to_string()
            }
        };
        Ok(Some((Bytes::from(text + "\n"), report)))
    };
    ([(CONTENT_TYPE, "application/x-ndjson")], Body::from_stream(stream::try_unfold(report, next))).into_response()
}
