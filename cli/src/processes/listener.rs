//! One listener: it answers health checks from the moment it is bound, and everything else once the process is built.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use metrics_exporter_prometheus::PrometheusHandle;
use reel_event_log::archive::SealerStatus;
use reel_event_log::relay::RelayStatus;
use reel_host::Host;
use reel_problem::Problem;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tower::ServiceExt;

use super::readiness::Readiness;
use crate::config::Config;
use crate::error::CliError;
use crate::metrics;
use crate::secure::{TokenHash, demand_token};

/// A listener that answers.
pub(super) struct Listener {
    /// Where.
    pub(super) address: SocketAddr,
    gate: Gate,
    stop: watch::Sender<bool>,
    server: JoinHandle<std::io::Result<()>>,
}

/// What stands before the process.
#[derive(Clone)]
struct Gate {
    readiness: Arc<Readiness>,
    counted: PrometheusHandle,
    /// Nothing until the process is built.
    inner: Arc<OnceLock<Inner>>,
}

/// The process itself.
struct Inner {
    router: Router,
    looks: Looks,
}

/// What is looked at whenever somebody asks for metrics, where there is one.
pub(super) struct Looks {
    pub(super) host: Option<Host>,
    pub(super) relay: Option<watch::Receiver<RelayStatus>>,
    pub(super) sealer: Option<watch::Receiver<SealerStatus>>,
}

impl Listener {
    /// Binds, and answers health checks.
    pub(super) async fn start(config: &Config, readiness: Arc<Readiness>) -> Result<Listener, CliError> {
        let listener = bind(config.listen).await?;
        let address = listener.local_addr().map_err(|error| CliError::caused("the listener has no address", error))?;
        tracing::info!("listening on http://{address}");
        let gate = Gate { readiness, counted: metrics::start(), inner: Arc::default() };
        let router = gate.router(config);
        let (stop, mut stopped) = watch::channel(false);
        let until = async move {
            // The sender goes only with the process.
            let _ = stopped.wait_for(|stop| *stop).await;
        };
        let server = tokio::spawn(async move { axum::serve(listener, router).with_graceful_shutdown(until).await });
        Ok(Listener { address, gate, stop, server })
    }

    /// From now on everything is answered, by `router`.
    pub(super) fn serve(&self, router: Router, looks: Looks) {
        let router = router.fallback(reel_problem::no_such_path).layer(from_fn(metrics::of_request));
        assert!(self.gate.inner.set(Inner { router, looks }).is_ok(), "a process is built once");
        self.gate.readiness.serves();
    }

    /// Takes no more requests, and waits for those under way.
    pub(super) async fn stop(self) {
        self.stop.send_replace(true);
        if let Ok(Err(error)) = self.server.await {
            tracing::error!(%error, "the listener ended badly");
        }
    }
}

async fn bind(address: SocketAddr) -> Result<TcpListener, CliError> {
    TcpListener::bind(address).await.map_err(|error| match error.kind() {
        std::io::ErrorKind::AddrInUse => CliError::Conflict(format!(
            "{address} is taken: is another reel running? --listen 127.0.0.1:0 takes any free port"
        )),
        _ => CliError::caused(format!("cannot listen on {address}"), error),
    })
}

impl Gate {
    fn router(&self, config: &Config) -> Router {
        let router = Router::new()
            .route("/health/live", get(|| async { "live\n" }))
            .route("/health/ready", get(ready))
            .route("/metrics", get(counted))
            .fallback(pass)
            .with_state(self.clone());
        match &config.token {
            Some(token) => router.layer(from_fn_with_state(TokenHash::of(token), demand_token)),
            None => router,
        }
    }
}

async fn ready(State(gate): State<Gate>) -> Response {
    let report = gate.readiness.report().await;
    let status = if report.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, axum::Json(report)).into_response()
}

async fn counted(State(gate): State<Gate>) -> Response {
    if let Some(Inner { looks, .. }) = gate.inner.get() {
        if let Some(host) = &looks.host {
            host.measure().await;
        }
        if let Some(relay) = &looks.relay {
            metrics::of_relay(&relay.borrow());
        }
        if let Some(sealer) = &looks.sealer {
            metrics::of_sealer(&sealer.borrow());
        }
    }
    let content_type = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    ([(header::CONTENT_TYPE, content_type)], metrics::render(&gate.counted)).into_response()
}

async fn pass(State(gate): State<Gate>, request: Request) -> Response {
    match gate.inner.get() {
        Some(Inner { router, .. }) => router.clone().oneshot(request).await.into_response(),
        None => starting(&gate.readiness),
    }
}

fn starting(readiness: &Readiness) -> Response {
    let problem = Problem::new(StatusCode::SERVICE_UNAVAILABLE, "starting", "Reel is not ready yet");
    let mut response = problem.detail(format!("{}; it goes on trying", readiness.waits_for())).into_response();
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    response
}
