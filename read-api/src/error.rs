//! Why a read was not answered, by what the caller does next, and the problem document that says so.

use axum::{
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use reel_problem::Problem;
use reel_projector::{ReadModelError, chain};
use reel_read_model::CatalogError;

use crate::query_error::{QueryError, unknown_text};

/// Why a read was not answered.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The query is wrong: change it.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// A header is wrong: change it.
    #[error("{0}")]
    Request(String),
    /// There is no such target, projection, generation, table or query.
    #[error("{message}")]
    NotFound {
        /// What was not found, and what is there.
        message: String,
        /// What is there.
        known: Vec<String>,
    },
    /// The answer is not of the form that the caller accepts.
    #[error("{0}")]
    NotAcceptable(String),
    /// The offset lies behind the last row.
    #[error("offset {offset} is beyond the {total} rows that fit: ask for a lower one")]
    BeyondTotal {
        /// The offset.
        offset: u64,
        /// How many rows there are.
        total: u64,
    },
    /// What was waited for did not come in time: ask again.
    #[error("{0}")]
    WaitedTooLong(String),
    /// The read database or what is live there changes just now: ask again soon.
    #[error("{0}")]
    Passing(String),
    /// Somebody must repair something; the log says more.
    #[error("{0}")]
    Broken(String),
}

impl ReadError {
    /// A thing `what` named `name` that is none of `known`.
    pub(crate) fn unknown(what: &str, name: &str, known: Vec<String>) -> ReadError {
        ReadError::NotFound { message: unknown_text(what, name, &known), known }
    }

    fn problem(self) -> Problem {
        let detail = self.to_string();
        let problem = match &self {
            ReadError::Query(_) => Problem::new(StatusCode::BAD_REQUEST, "invalid-query", "The query cannot be read"),
            ReadError::Request(_) => return Problem::bad_request(detail),
            ReadError::NotFound { .. } => Problem::not_found(""),
            ReadError::NotAcceptable(_) => Problem::new(
                StatusCode::NOT_ACCEPTABLE,
                "not-acceptable",
                "The answer does not have the form asked for",
            ),
            ReadError::BeyondTotal { .. } => {
                Problem::new(StatusCode::RANGE_NOT_SATISFIABLE, "range-not-satisfiable", "There are no such rows")
            }
            ReadError::WaitedTooLong(_) => {
                Problem::new(StatusCode::GATEWAY_TIMEOUT, "wait-timeout", "The read model is not there yet")
            }
            ReadError::Passing(_) => Problem::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "unavailable",
                "The read model cannot be read at the moment",
            ),
            ReadError::Broken(_) => return Problem::internal(detail),
        };
        match self {
            ReadError::Query(error) if error.known.is_empty() => {
                problem.detail(detail).member("parameter", error.place)
            }
            ReadError::Query(error) => {
                problem.detail(detail).member("parameter", error.place).member("known", error.known)
            }
            ReadError::NotFound { known, .. } => problem.detail(detail).member("known", known),
            _ => problem.detail(detail),
        }
    }
}

impl From<ReadModelError> for ReadError {
    fn from(error: ReadModelError) -> ReadError {
        let message = error.to_string();
        match &error {
            ReadModelError::Unavailable { .. } => {
                tracing::warn!(error = chain(&error), "a read was not answered");
                ReadError::Passing(message)
            }
            ReadModelError::Refused { .. } => {
                tracing::error!(error = chain(&error), "a read was refused by the database");
                ReadError::Broken(message)
            }
        }
    }
}

impl From<CatalogError> for ReadError {
    fn from(error: CatalogError) -> ReadError {
        match error {
            CatalogError::ReadModel(error) => error.into(),
            CatalogError::NotFound(what) => {
                ReadError::NotFound { message: format!("{what} does not exist (any more)"), known: Vec::new() }
            }
            CatalogError::Moved => ReadError::Passing("another generation goes live just now".to_owned()),
            other => {
                tracing::error!(error = chain(&other), "a read was refused by the catalog");
                ReadError::Broken(other.to_string())
            }
        }
    }
}

impl IntoResponse for ReadError {
    fn into_response(self) -> Response {
        let extra: Option<(HeaderName, HeaderValue)> = match &self {
            ReadError::Passing(_) => Some((header::RETRY_AFTER, HeaderValue::from_static("1"))),
            ReadError::BeyondTotal { total, .. } => {
                HeaderValue::try_from(format!("*/{total}")).ok().map(|value| (header::CONTENT_RANGE, value))
            }
            _ => None,
        };
        let mut response = self.problem().into_response();
        response.headers_mut().extend(extra);
        response
    }
}
