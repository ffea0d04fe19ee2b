//! `POST /import`: CloudEvents JSON Lines of any length, read as they come.

use std::time::Duration;

use axum::{
    Json,
    body::{Body, BodyDataStream},
    extract::State,
    http::{HeaderMap, StatusCode, header::CONTENT_ENCODING},
};
use futures::StreamExt;
use reel_event_log::{AppendError, StoreError};
use reel_problem::{Problem, Query};
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, timeout, timeout_at};

use super::{
    Service,
    answer::{append_refusal, store_failure, too_large},
};
use crate::import::{Fault, Importer, Progress, Reason};

/// What is still read of a body that was refused, so that its sender gets to read why: bytes and time.
const DRAINED: (usize, Duration) = (64 << 20, Duration::from_secs(10));

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Parameters {
    /// Number of the first line, where a file is sent in parts.
    line: Option<u64>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Summary {
    imported: u64,
    already: u64,
    lines: u64,
    last_position: u64,
}

/// `POST /import`. Answers when all lines are in the log, or with the first that cannot be; those before it are kept.
pub(super) async fn import(
    State(service): State<Service>,
    Query(parameters): Query<Parameters>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Summary>, Problem> {
    let first_line = parameters.line.unwrap_or(1);
    if first_line == 0 {
        return Err(Problem::bad_request("the parameter line counts from 1"));
    }
    if headers.contains_key(CONTENT_ENCODING) {
        let title = "The body has a type that is not read here";
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type", title)
            .detail("the body must not be compressed: reel import reads .zst and .gz files itself"));
    }
    let mut importer = Importer::new(service.store.clone(), first_line, service.config.line_bytes);
    let mut body = body.into_data_stream();
    let outcome = run(&mut importer, &mut body, service.config.silence).await;
    let progress = importer.progress();
    match outcome {
        Ok(()) => finished(&service, progress).await,
        Err(ended) => {
            if let Ended::Fault(_) = ended {
                drain(body).await;
            }
            Err(with_progress(problem(ended), progress))
        }
    }
}

/// Why an import ended early.
enum Ended {
    Fault(Fault),
    Silent(Duration),
    Broken(axum::Error),
}

impl From<Fault> for Ended {
    fn from(fault: Fault) -> Ended {
        Ended::Fault(fault)
    }
}

async fn run(importer: &mut Importer, body: &mut BodyDataStream, silence: Duration) -> Result<(), Ended> {
    loop {
        match timeout(silence, body.next()).await {
            Ok(Some(Ok(bytes))) => importer.take(&bytes).await?,
            Ok(None) => return Ok(importer.finish().await?),
            Ok(Some(Err(error))) => {
                importer.keep_all().await?;
                return Err(Ended::Broken(error));
            }
            Err(_) => {
                importer.keep_all().await?;
                return Err(Ended::Silent(silence));
            }
        }
    }
}

async fn finished(service: &Service, progress: Progress) -> Result<Json<Summary>, Problem> {
    let Progress { imported, already, lines, mut last_position } = progress;
    if last_position == 0 {
        last_position = service.store.head().await.map_err(|error| store_failure(&error))?.position;
    }
    Ok(Json(Summary { imported, already, lines, last_position }))
}

/// Reads on, and throws away, within bounds.
pub(super) async fn drain(mut body: BodyDataStream) {
    let (mut left, until) = (DRAINED.0, Instant::now() + DRAINED.1);
    while let Ok(Some(Ok(bytes))) = timeout_at(until, body.next()).await {
        let Some(rest) = left.checked_sub(bytes.len()) else {
            return;
        };
        left = rest;
    }
}

fn problem(ended: Ended) -> Problem {
    match ended {
        Ended::Fault(Fault { line, reason }) => refused(&reason, line).member("line", line),
        Ended::Silent(silence) => Problem::new(StatusCode::REQUEST_TIMEOUT, "timeout", "The request did not go on")
            .detail(format!("nothing came for {} s; what came before is kept: send it again", silence.as_secs_f64())),
        Ended::Broken(error) => {
            Problem::bad_request(format!("the body broke off: {error}; what came before is kept: send it again"))
        }
    }
}

fn refused(reason: &Reason, line: u64) -> Problem {
    let again = "the lines before it are kept; mend it and import again: what is kept is not taken twice";
    match reason {
        Reason::TooLong { limit } => too_large(format!("line {line}: {reason}; {again}")).member("limit", limit),
        Reason::NoEvent(error) => {
            let title = "A line is not an event that can be kept";
            let cause = within_the_line(&error.to_string());
            Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid-event", title)
                .detail(format!("line {line}: {cause}; {again}"))
        }
        Reason::Append(AppendError::CommitReused { .. }) => {
            let title = "An event with this id is in the log already, and says something else";
            Problem::new(StatusCode::CONFLICT, "event-differs", title).detail(format!(
                "line {line}: its id was imported before with another subject, type, schema or data; {again}"
            ))
        }
        Reason::Append(error @ AppendError::TooLarge { limit, .. }) => {
            too_large(format!("line {line}: {error}; {again}")).member("limit", limit)
        }
        Reason::Append(AppendError::Store(error)) => away(error, line),
        Reason::Append(error) => append_refusal(error),
    }
}

/// The store failed while lines from `line` on were written: no key makes it safe to send them again, their ids do.
fn away(error: &StoreError, line: u64) -> Problem {
    let problem = store_failure(error);
    match error {
        StoreError::Unavailable { .. } | StoreError::InUse { .. } => problem.detail(format!(
            "the event store did not answer at line {line}; the lines before it are kept: import again, what is kept is not \
             taken twice"
        )),
        StoreError::Unreadable { .. } | StoreError::Refused { .. } => problem,
    }
}

/// A reader of one line calls it line 1; here only the column means something.
fn within_the_line(message: &str) -> String {
    message.replace(" at line 1 column ", " at column ").replace("line 1, column ", "column ")
}

fn with_progress(problem: Problem, progress: Progress) -> Problem {
    problem
        .member("kept", progress.lines)
        .member("imported", progress.imported)
        .member("already", progress.already)
        .member("lastPosition", progress.last_position)
}
