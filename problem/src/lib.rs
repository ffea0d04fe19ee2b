//! Errors over HTTP as RFC 9457 says (`application/problem+json`), for every HTTP part of Reel: the [`Problem`] itself, axum
//! extractors that refuse with one, and the answers to unknown paths and methods.
//!
//! Not here: which problems a part has; each names its own.

mod extract;

use std::borrow::Cow;

use axum::{
    http::{HeaderValue, Method, StatusCode, Uri, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
};
use serde_json::{Map, Value, json};

pub use extract::{Json, OptionalJson, Path, Query};

/// The media type of a problem.
pub const MEDIA_TYPE: &str = "application/problem+json";

/// Why a request was refused: `{"type", "title", "status", "detail", …}`.
///
/// `type` is `urn:reel:problem:` and the kind; who handles errors by program looks at that. It does not change once released.
#[derive(Debug, Clone, PartialEq)]
pub struct Problem {
    status: StatusCode,
    kind: &'static str,
    title: Cow<'static, str>,
    detail: String,
    members: Map<String, Value>,
}

impl Problem {
    /// A problem of `kind` (kebab-case); `title` says in a few words what all problems of this kind have in common.
    #[must_use]
    pub fn new(status: StatusCode, kind: &'static str, title: impl Into<Cow<'static, str>>) -> Problem {
        Problem { status, kind, title: title.into(), detail: String::new(), members: Map::new() }
    }

    /// Says what was wrong this time, where, and what to do.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<String>) -> Problem {
        self.detail = detail.into();
        self
    }

    /// Adds a member of this kind's own, for programs: `actualVersion`, `line`. One that stands there is replaced; a value
    /// that cannot be written as JSON becomes null.
    #[must_use]
    pub fn member(mut self, name: &str, value: impl serde::Serialize) -> Problem {
        self.members.insert(name.to_owned(), serde_json::to_value(value).unwrap_or(Value::Null));
        self
    }

    /// 400, kind `bad-request`: a header or a parameter is not of the form it must have.
    #[must_use]
    pub fn bad_request(detail: impl Into<String>) -> Problem {
        Problem::new(StatusCode::BAD_REQUEST, "bad-request", "The request is not of the form it must have")
            .detail(detail)
    }

    /// 404, kind `not-found`.
    #[must_use]
    pub fn not_found(detail: impl Into<String>) -> Problem {
        Problem::new(StatusCode::NOT_FOUND, "not-found", "There is no such thing").detail(detail)
    }

    /// 500, kind `internal`: our fault. `detail` goes to the caller: no secrets.
    #[must_use]
    pub fn internal(detail: impl Into<String>) -> Problem {
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "Reel failed").detail(detail)
    }

    /// The HTTP status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// What `type` ends with.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        self.kind
    }

    /// The problem as the JSON document that goes out.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let mut document = json!({
            "type": format!("urn:reel:problem:{}", self.kind),
            "title": self.title,
            "status": self.status.as_u16(),
        });
        let object = document.as_object_mut().expect("just made");
        if !self.detail.is_empty() {
            object.insert("detail".to_owned(), Value::from(self.detail.as_str()));
        }
        for (name, value) in &self.members {
            object.entry(name).or_insert_with(|| value.clone());
        }
        document
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let headers = [(CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE))];
        (self.status, headers, self.to_json().to_string()).into_response()
    }
}

/// A handler for `Router::fallback`: 404 that names the path.
pub async fn no_such_path(uri: Uri) -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "no-such-path", "There is nothing at this path")
        .detail(format!("{} is no path of this API", uri.path()))
}

/// A handler for `Router::method_not_allowed_fallback`: 405 that names the method. axum adds the `Allow` header.
pub async fn method_not_allowed(method: Method, uri: Uri) -> Problem {
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", "This path does not take this method")
        .detail(format!("{} does not take {method}; the header Allow lists what it takes", uri.path()))
}

#[cfg(test)]
mod tests {
    use axum::body::to_bytes;

    use super::*;

    #[tokio::test]
    async fn a_problem_is_a_document_with_its_own_media_type() {
        let problem = Problem::new(StatusCode::CONFLICT, "version-conflict", "Conflict")
            .detail("stands at 3")
            .member("actualVersion", 3)
            .member("status", "cannot be overwritten");
        let response = problem.into_response();
        assert_eq!(response.status(), StatusCode::CONFLICT);
        assert_eq!(response.headers()[CONTENT_TYPE], MEDIA_TYPE);
        let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        let expected = json!({
            "type": "urn:reel:problem:version-conflict", "title": "Conflict", "status": 409, "detail": "stands at 3", "actualVersion": 3,
        });
        assert_eq!(serde_json::from_slice::<Value>(&body).unwrap(), expected);
    }
}
