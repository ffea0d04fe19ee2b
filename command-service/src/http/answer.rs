//! Answers: what became of a command, and why one was refused, as HTTP says it.

use axum::{
    Extension,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use reel_event_log::{AppendError, StoreError};
use reel_events::token::Token;
use reel_problem::Problem;
use serde::Serialize;
use uuid::Uuid;

use super::observed::Kept;
use crate::{
    domain::{Rejection, text::Invalid},
    mediator::{CommandError, Outcome},
};

const TOKEN: HeaderName = HeaderName::from_static("reel-token");
const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// A command that was kept.
pub(super) struct Answer {
    outcome: Outcome,
    made: Option<Made>,
}

/// What a command made: its id and its path.
struct Made {
    id: Uuid,
    path: String,
}

#[derive(Serialize)]
struct Document<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<Uuid>,
    stream: &'a str,
    version: u64,
    position: u64,
    events: u32,
    token: &'a str,
}

impl Answer {
    /// 200.
    pub(super) fn done(outcome: Outcome) -> Answer {
        Answer { outcome, made: None }
    }

    /// 201: `id` is new, and is found at `path` below `/commands/v1`.
    pub(super) fn made(outcome: Outcome, id: Uuid, path: &str) -> Answer {
        Answer { outcome, made: Some(Made { id, path: format!("/commands/v1{path}") }) }
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let Answer { outcome: Outcome { stream, version, position, events, repeated }, made } = self;
        let token = Token::new(position, &stream).to_string();
        let id = made.as_ref().map(|made| made.id);
        let document = Document { id, stream: stream.as_str(), version, position, events, token: &token };
        let mut headers = HeaderMap::new();
        headers.insert(TOKEN, ascii(&token));
        headers.insert(header::ETAG, ascii(&format!("\"{version}\"")));
        if repeated {
            headers.insert(REPLAYED, HeaderValue::from_static("true"));
        }
        if let Some(made) = &made {
            headers.insert(header::LOCATION, ascii(&made.path));
        }
        let status = if made.is_some() { StatusCode::CREATED } else { StatusCode::OK };
        let kept = Kept { stream: stream.as_str().to_owned(), position, events, repeated };
        (status, headers, Extension(kept), axum::Json(document)).into_response()
    }
}

fn ascii(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).expect("numbers, hex and UUIDs")
}

/// 422: fields that are not what they must be, each named.
pub(super) fn invalid(errors: &[Invalid]) -> Problem {
    let detail = errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid-fields", "Fields are not what they must be")
        .detail(detail)
        .member("errors", errors)
}

/// A command that was not kept, as a problem.
pub(super) fn refusal(error: &CommandError) -> Problem {
    match error {
        CommandError::Rejected(rejection) => rejected(*rejection_kind(rejection), rejection),
        CommandError::Append(error) => append_refusal(error),
        CommandError::Store(error) => store_failure(error),
        CommandError::Contended { stream } => {
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "contended", "Others write this stream too often")
                .detail(format!("{error}; send it again"))
                .member("stream", stream.as_str())
        }
        CommandError::Unreadable { stream, version, source, .. } => {
            tracing::error!(%stream, version, %source, "a stream cannot be folded");
            Problem::internal(format!("{error}: {source}")).member("stream", stream.as_str()).member("version", version)
        }
    }
}

type RejectionKind = (StatusCode, &'static str, &'static str);

fn rejection_kind(rejection: &Rejection) -> &'static RejectionKind {
    match rejection {
        Rejection::NotFound(_) => &(StatusCode::NOT_FOUND, "not-found", "There is no such thing"),
        Rejection::Removed(_) => &(StatusCode::GONE, "removed", "It was removed"),
        Rejection::Exists(_) => &(StatusCode::CONFLICT, "exists", "It exists already"),
        Rejection::Forbidden { .. } => &(StatusCode::FORBIDDEN, "forbidden", "Somebody else may do this"),
    }
}

fn rejected((status, kind, title): RejectionKind, rejection: &Rejection) -> Problem {
    Problem::new(status, kind, title).detail(rejection.to_string())
}

/// A commit that the store did not take, as a problem.
pub(super) fn append_refusal(error: &AppendError) -> Problem {
    match error {
        AppendError::Conflict { stream, expected, actual } => {
            Problem::new(StatusCode::CONFLICT, "version-conflict", "The stream is not at the expected version")
                .detail(format!("{error}; read it again and decide anew"))
                .member("stream", stream.as_str())
                .member("expectedVersion", expected)
                .member("actualVersion", actual)
        }
        AppendError::CommitReused { .. } => {
            let title = "The idempotency key belongs to another request";
            Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "idempotency-key-reused", title)
                .detail("this Idempotency-Key came with another request before; use a new one for a new request")
        }
        AppendError::EventExists { id } => {
            Problem::new(StatusCode::CONFLICT, "event-exists", "An event is in the log already")
                .detail(format!("{error}; leave its id out, or take a new one"))
                .member("event", id)
        }
        AppendError::TooLarge { limit, .. } => too_large(error.to_string()).member("limit", limit),
        AppendError::Empty => invalid(&[Invalid::new("events", "must hold at least one event")]),
        AppendError::Store(error) => store_failure(error),
    }
}

/// 413.
pub(super) fn too_large(detail: String) -> Problem {
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", "The request is larger than what is taken").detail(detail)
}

/// The store failed: 503 where trying again can help, else 500.
pub(super) fn store_failure(error: &StoreError) -> Problem {
    let cause = std::error::Error::source(error).map(|source| format!(": {source}")).unwrap_or_default();
    tracing::error!("{error}{cause}");
    match error {
        StoreError::Unavailable { .. } | StoreError::InUse { .. } => {
            let title = "The event store is not available";
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "store-unavailable", title).detail(
                "the event store did not answer; whether the command was kept is not known: \
                 send it again later with the same Idempotency-Key",
            )
        }
        StoreError::Unreadable { .. } | StoreError::Refused { .. } => {
            Problem::internal("the event store cannot be used; the log of Reel says why")
        }
    }
}
