//! What the admin API answers, and which problem each failure is.

use axum::http::StatusCode;
use reel_events::Place;
use reel_problem::Problem;
use reel_projector::{
    chain,
    ports::{DeadLetter, DeadLetterReason},
};
use serde::Serialize;

use crate::error::HostError;
use crate::status::GenerationStatus;

/// A deployment, a replay.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DeployedAnswer {
    /// `created`, or `unchanged` where the same is live or being built already.
    pub(crate) outcome: &'static str,
    #[serde(flatten)]
    pub(crate) status: GenerationStatus,
}

/// One dead letter.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DeadLetterAnswer {
    position: Place,
    event: String,
    stream: String,
    kind: String,
    reason: &'static str,
    code: String,
    message: String,
    /// The message that could not be made an event, where it is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    original: Option<serde_json::Value>,
}

impl DeadLetterAnswer {
    /// The same with the message that it was, if it is one of a foreign topic.
    pub(crate) fn whole(mut letter: DeadLetter) -> DeadLetterAnswer {
        let original = letter.original.take().and_then(|original| serde_json::from_str(&original).ok());
        DeadLetterAnswer { original, ..DeadLetterAnswer::from(letter) }
    }
}

impl From<DeadLetter> for DeadLetterAnswer {
    fn from(letter: DeadLetter) -> DeadLetterAnswer {
        let reason = match letter.reason {
            DeadLetterReason::Skipped => "skipped",
            DeadLetterReason::Parked => "parked",
            DeadLetterReason::Held => "held",
        };
        DeadLetterAnswer {
            position: letter.position,
            event: letter.event.to_string(),
            stream: letter.stream,
            kind: letter.kind,
            reason,
            code: letter.code,
            message: letter.message,
            original: None,
        }
    }
}

/// The problem that a failure is.
pub(crate) fn problem(error: HostError) -> Problem {
    match &error {
        HostError::Refused(why) => {
            Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "refused", "It cannot be deployed").detail(why.clone())
        }
        HostError::NotFound(what) => Problem::not_found(what.clone()),
        HostError::Conflict(why) => {
            Problem::new(StatusCode::CONFLICT, "conflict", "That cannot be done now").detail(why.clone())
        }
        HostError::Unavailable { .. } => {
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", "A database does not answer")
                .detail(chain(&error))
        }
        HostError::Broken { .. } => {
            tracing::error!(error = chain(&error), "a catalog is broken");
            Problem::internal(chain(&error))
        }
    }
}
