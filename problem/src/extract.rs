//! axum's extractors for bodies, queries and paths, refusing with a [`Problem`] that says where the fault is.

use axum::{
    body::Bytes,
    extract::{
        FromRequest, FromRequestParts, Request,
        rejection::{BytesRejection, JsonRejection},
    },
    http::{HeaderMap, StatusCode, header::CONTENT_TYPE, request::Parts},
};
use serde::de::DeserializeOwned;

use crate::Problem;

/// A JSON body. It must be declared as `application/json` (or `…+json`).
#[derive(Debug, Clone, Copy)]
pub struct Json<T>(pub T);

/// A JSON body, or none at all where the body is empty (whatever its declared type).
#[derive(Debug, Clone, Copy)]
pub struct OptionalJson<T>(pub Option<T>);

/// The query's parameters.
#[derive(Debug, Clone, Copy)]
pub struct Query<T>(pub T);

/// The path's parameters.
#[derive(Debug, Clone, Copy)]
pub struct Path<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        if !declares_json(request.headers()) {
            return Err(not_json());
        }
        let bytes = Bytes::from_request(request, state).await.map_err(refused_bytes)?;
        read(&bytes).map(Json)
    }
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for OptionalJson<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let declared = declares_json(request.headers());
        let bytes = Bytes::from_request(request, state).await.map_err(refused_bytes)?;
        if bytes.is_empty() {
            return Ok(OptionalJson(None));
        }
        if !declared {
            return Err(not_json());
        }
        read(&bytes).map(|value| OptionalJson(Some(value)))
    }
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let query = axum::extract::Query::from_request_parts(parts, state).await;
        query
            .map(|axum::extract::Query(value)| Query(value))
            .map_err(|refused| Problem::bad_request(refused.body_text()))
    }
}

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path = axum::extract::Path::from_request_parts(parts, state).await;
        path.map(|axum::extract::Path(value)| Path(value)).map_err(|refused| Problem::bad_request(refused.body_text()))
    }
}

fn declares_json(headers: &HeaderMap) -> bool {
    let declared = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media_type = declared.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    media_type == "application/json" || (media_type.starts_with("application/") && media_type.ends_with("+json"))
}

fn not_json() -> Problem {
    Problem::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "unsupported-media-type",
        "The body has a type that is not read here",
    )
    .detail("expected a JSON body with the header Content-Type: application/json")
}

fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    axum::Json::from_bytes(bytes).map(|axum::Json(value)| value).map_err(|refused| match refused {
        JsonRejection::JsonSyntaxError(error) => {
            Problem::new(StatusCode::BAD_REQUEST, "malformed-json", "The body is not JSON").detail(cause(&error))
        }
        other => Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "invalid-body",
            "The body's JSON is not what is expected here",
        )
        .detail(cause(&other)),
    })
}

/// What the innermost reader said; it names the member, line and column.
fn cause(error: &dyn std::error::Error) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        // The error that knows the member's path repeats its source, which does not know it.
        if innermost.to_string().ends_with(&source.to_string()) && !innermost.to_string().starts_with("Failed to") {
            break;
        }
        innermost = source;
    }
    innermost.to_string()
}

fn refused_bytes(refused: BytesRejection) -> Problem {
    if refused.status() == StatusCode::PAYLOAD_TOO_LARGE {
        return Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", "The request is larger than what is taken")
            .detail("the body is larger than this path takes; send less at once");
    }
    Problem::bad_request(format!("the body could not be read to its end: {}", refused.body_text()))
}

#[cfg(test)]
mod tests {
    use axum::{
        Router,
        body::{Body, to_bytes},
        extract::DefaultBodyLimit,
        routing::{get, post},
    };
    use serde::Deserialize;
    use serde_json::Value;
    use tower::ServiceExt;

    use super::*;

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Input {
        count: u32,
        #[serde(default)]
        inner: Vec<Inner>,
    }

    #[derive(Deserialize)]
    struct Inner {
        data: Box<serde_json::value::RawValue>,
    }

    fn router() -> Router {
        Router::new()
            .route(
                "/json",
                post(|Json(input): Json<Input>| async move { format!("{}/{}", input.count, input.inner[0].data) }),
            )
            .route(
                "/maybe",
                post(|OptionalJson(input): OptionalJson<Input>| async move { input.is_some().to_string() }),
            )
            .route("/query", get(|Query(input): Query<Input>| async move { input.count.to_string() }))
            .route("/path/{count}", get(|Path(count): Path<u32>| async move { count.to_string() }))
            .fallback(crate::no_such_path)
            .method_not_allowed_fallback(crate::method_not_allowed)
            .layer(DefaultBodyLimit::max(200))
    }

    async fn ask(method: &str, path: &str, body: &str) -> (u16, String) {
        let request = Request::builder().method(method).uri(path).header(CONTENT_TYPE, "application/json");
        answer(request.body(Body::from(body.to_owned())).unwrap()).await
    }

    async fn answer(request: Request) -> (u16, String) {
        let response = router().oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        let text = match serde_json::from_slice::<Value>(&body) {
            Ok(Value::Object(problem)) => {
                let kind = problem["type"].as_str().unwrap().trim_start_matches("urn:reel:problem:");
                format!("{kind}: {}", problem["detail"].as_str().unwrap())
            }
            _ => String::from_utf8(body.to_vec()).unwrap(),
        };
        (status, text)
    }

    #[tokio::test]
    async fn what_fits_goes_through() {
        let nested = r#"{"count":7,"inner":[{"data":{"any":[1,2.50]}}]}"#;
        assert_eq!(ask("POST", "/json", nested).await, (200, r#"7/{"any":[1,2.50]}"#.to_owned()));
        assert_eq!(ask("POST", "/maybe", "").await, (200, "false".to_owned()));
        assert_eq!(ask("POST", "/maybe", r#"{"count":7}"#).await, (200, "true".to_owned()));
        assert_eq!(ask("GET", "/query?count=7", "").await, (200, "7".to_owned()));
        assert_eq!(ask("GET", "/path/7", "").await, (200, "7".to_owned()));
    }

    /// Method, path, body; status and text of the answer.
    const REFUSED: &[(&str, &str, &str, u16, &str)] = &[
        ("POST", "/json", r#"{"count":"#, 400, "malformed-json: count: EOF while parsing a value at line 1 column 9"),
        (
            "POST",
            "/json",
            r#"{"count":"7"}"#,
            422,
            "invalid-body: count: invalid type: string \"7\", expected u32 at line 1 column 12",
        ),
        ("POST", "/json", r#"{}"#, 422, "invalid-body: missing field `count` at line 1 column 2"),
        (
            "POST",
            "/json",
            r#"{"count":1,"x":2}"#,
            422,
            "invalid-body: x: unknown field `x`, expected `count` or `inner` at line 1 column 14",
        ),
        (
            "POST",
            "/json",
            r#"{"count":1,"inner":[{"data":1},{}]}"#,
            422,
            "invalid-body: inner[1]: missing field `data` at line 1 column 33",
        ),
        (
            "GET",
            "/query?count=x",
            "",
            400,
            "bad-request: Failed to deserialize query string: count: invalid digit found in string",
        ),
        ("GET", "/path/x", "", 400, "bad-request: Invalid URL: Cannot parse `x` to a `u32`"),
        ("GET", "/nothing", "", 404, "no-such-path: /nothing is no path of this API"),
        ("GET", "/json", "", 405, "method-not-allowed: /json does not take GET; the header Allow lists what it takes"),
    ];

    #[tokio::test]
    async fn what_does_not_is_told_where_and_why() {
        for (method, path, body, status, text) in REFUSED {
            assert_eq!(ask(method, path, body).await, (*status, (*text).to_owned()), "{method} {path} {body}");
        }
        let (status, text) = ask("POST", "/json", &format!("{{\"count\":{}}}", " ".repeat(300))).await;
        assert_eq!(
            (status, text.as_str()),
            (413, "too-large: the body is larger than this path takes; send less at once")
        );
    }

    #[tokio::test]
    async fn the_type_must_be_declared_and_405_says_what_is_allowed() {
        let plain = Request::post("/json").header(CONTENT_TYPE, "text/plain").body(Body::from("{}")).unwrap();
        assert_eq!(answer(plain).await.0, 415);
        let undeclared = Request::post("/maybe").body(Body::from("{}")).unwrap();
        assert_eq!(answer(undeclared).await.0, 415);
        let refused = router().oneshot(Request::get("/json").body(Body::empty()).unwrap()).await.unwrap();
        assert_eq!(refused.headers()["allow"], "POST");
    }
}
