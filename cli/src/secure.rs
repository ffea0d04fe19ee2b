//! The token on every path but the health checks. Whoever listens beyond loopback has one.

use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;
use reel_problem::Problem;

use crate::config::Secret;

/// The hash of the token: the token itself is not kept.
#[derive(Clone, Copy)]
pub(crate) struct TokenHash(blake3::Hash);

impl TokenHash {
    pub(crate) fn of(token: &Secret) -> TokenHash {
        TokenHash(blake3::hash(token.0.as_bytes()))
    }
}

/// Lets through what brings the token. Hashes are compared, in constant time.
pub(crate) async fn demand_token(
    State(TokenHash(wanted)): State<TokenHash>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let given = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let token = given.and_then(|value| value.strip_prefix("Bearer "));
    if request.uri().path().starts_with("/health/")
        || token.is_some_and(|token| blake3::hash(token.as_bytes()) == wanted)
    {
        return Ok(next.run(request).await);
    }
    let problem = Problem::new(StatusCode::UNAUTHORIZED, "unauthorized", "A token is needed");
    Err(problem.detail("send it as `Authorization: Bearer TOKEN`; the command line takes --token or REEL_TOKEN"))
}
