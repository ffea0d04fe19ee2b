//! The paths below `/commands/v1`, and what holds for all of them: limits, and every refusal as a problem.
//!
//! Who acts is said in the body's member `actor`, the header `Reel-Actor` or the query's parameter `actor`, whichever is at
//! hand; where it is said more than once it must be the same. `Idempotency-Key`, `If-Match`, `traceparent`, `Reel-Correlation`
//! and `Reel-Causation` go with every command (see `caller`); every answer names the command's `traceparent` (see `observed`).

mod answer;
mod append;
mod caller;
mod import;
mod log;
mod observed;
mod posts;
mod todos;

use std::{any::Any, sync::Arc};

use axum::{
    Router,
    extract::{DefaultBodyLimit, Request, State},
    http::{StatusCode, header::CONTENT_LENGTH},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{any, delete, get, patch, post},
};
use reel_event_log::EventStore;
use reel_problem::Problem;
use tower_http::catch_panic::CatchPanicLayer;

use crate::{Config, Mediator};

/// What every handler can reach.
#[derive(Clone)]
struct Service {
    mediator: Mediator,
    store: Arc<dyn EventStore>,
    config: Config,
}

/// All paths of the command service, below `/commands/v1`; to be merged into a server's router.
pub fn router(store: Arc<dyn EventStore>, config: Config) -> Router {
    let service = Service { mediator: Mediator::new(Arc::clone(&store)), store, config };
    let commands = commands()
        .layer(middleware::from_fn_with_state(service.clone(), in_time))
        .layer(middleware::from_fn_with_state(service.clone(), in_size))
        .layer(middleware::from_fn(observed::observed))
        .layer(DefaultBodyLimit::max(config.body_bytes));
    let paths = commands
        .merge(streaming())
        .fallback(reel_problem::no_such_path)
        .method_not_allowed_fallback(reel_problem::method_not_allowed)
        .layer(CatchPanicLayer::custom(panicked))
        .with_state(service);
    // `nest` does not take this one for a path of its own.
    let root = any(reel_problem::no_such_path);
    Router::new().nest("/commands/v1", paths).route("/commands/v1/", root)
}

fn commands() -> Router<Service> {
    Router::new()
        .route("/posts", post(posts::create))
        .route("/posts/{post}", patch(posts::edit).delete(posts::remove))
        .route("/posts/{post}/likes", post(posts::like))
        .route("/posts/{post}/comments", post(posts::add_comment))
        .route("/posts/{post}/comments/{comment}", patch(posts::edit_comment).delete(posts::remove_comment))
        .route("/todos", post(todos::add))
        .route("/todos/{todo}", patch(todos::rename))
        .route("/todos/{todo}", delete(todos::remove))
        .route("/todos/{todo}/complete", post(todos::complete))
        .route("/todos/{todo}/reopen", post(todos::reopen))
        .route("/streams/{*stream}", post(append::append))
        .route("/head", get(log::head))
}

/// What takes as long as there is something to send.
fn streaming() -> Router<Service> {
    Router::new().route("/import", post(import::import)).route("/export", get(log::export))
}

/// A body that says of itself that it is too large is read all the same, and thrown away: a sender that is cut off while it sends does
/// not get to read why.
async fn in_size(State(service): State<Service>, request: Request, next: Next) -> Response {
    let declared = request.headers().get(CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    let length: usize = declared.and_then(|value| value.parse().ok()).unwrap_or(0);
    let limit = service.config.body_bytes;
    if length <= limit {
        return next.run(request).await;
    }
    import::drain(request.into_body().into_data_stream()).await;
    answer::too_large(format!("the body has {length} bytes; at most {limit} are taken: send less at once"))
        .into_response()
}

async fn in_time(State(service): State<Service>, request: Request, next: Next) -> Response {
    let limit = service.config.time_limit;
    match tokio::time::timeout(limit, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Problem::new(StatusCode::SERVICE_UNAVAILABLE, "timeout", "There was no answer in time")
            .detail(format!(
                "not done within {} s; whether it will be is not known: send it again with the same Idempotency-Key",
                limit.as_secs_f64()
            ))
            .into_response(),
    }
}

fn panicked(_: Box<dyn Any + Send>) -> Response {
    tracing::error!("a handler of the command service panicked; the panic's message is on stderr");
    Problem::internal("this request met a fault in Reel; it is logged, and other requests go on").into_response()
}
