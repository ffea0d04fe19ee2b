//! `reel up`: command service, host and read API in one process, on one listener.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::response::Html;
use axum::routing::get;
use reel_event_log::EventStore;
use reel_event_log::{SqliteStore, StoreError};
use reel_host::{Host, HostConfig, Targets};
use reel_plugin::{Engine, EngineConfig};
use reel_projector::{ReadModelError, chain};
use reel_read_model::{CatalogError, Target};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::config::{Config, LogChange, without_password};
use crate::error::CliError;
use crate::secure::{TokenHash, demand_token};

/// How long requests may take to end when the process is told to.
const GRACE: Duration = Duration::from_secs(10);

/// A Reel that serves.
pub(crate) struct Running {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    host: Host,
    stop: watch::Sender<bool>,
    server: JoinHandle<std::io::Result<()>>,
}

/// Runs until the process is told to stop.
pub(crate) async fn until_stopped(config: Config) -> Result<(), CliError> {
    let running = Running::start(config).await?;
    tracing::info!("serving http://{}", running.address);
    stop_signal().await;
    tracing::info!("stopping");
    running.stop().await
}

/// Waits for SIGINT or SIGTERM.
pub(crate) async fn stop_signal() {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate()).expect("a process may listen to its signals");
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
}

impl Running {
    /// Opens everything, starts what is deployed, and listens.
    pub(crate) async fn start(config: Config) -> Result<Running, CliError> {
        let data = config.data.display().to_string();
        std::fs::create_dir_all(&config.data)
            .map_err(|error| CliError::caused(format!("the data directory {data} cannot be made"), error))?;
        let store: Arc<dyn EventStore> = Arc::new(open_store(&config)?);
        // Before the databases are opened: a port that is taken should cost nothing.
        let listener = listen(config.listen).await?;
        let targets = open_targets(&config.targets).await?;
        let engine = Engine::new(EngineConfig {
            cache_dir: Some(config.data.join("cache")),
            limits: config.plugin,
            ..EngineConfig::default()
        })
        .map_err(|error| CliError::caused("the WebAssembly engine cannot be started", error))?;
        let host_config = HostConfig {
            most_events: config.batch,
            cache_bytes: config.cache_bytes,
            keep_previous: config.keep_previous,
            ..HostConfig::new(reel_read_api::check_named_queries)
        };
        let host = Host::new(Arc::clone(&store), Targets::new(targets.clone()), engine, host_config);
        host.start().await.map_err(|error| CliError::caused("the projections cannot be started", error))?;
        if config.log_change == LogChange::Rebuild {
            let rebuilt = host.accept_log().await;
            rebuilt.map_err(|error| CliError::caused("the projections cannot be built anew", error))?;
        }
        let router = router(store, targets, &host, &config);
        let address = listener.local_addr().map_err(|error| CliError::caused("the listener has no address", error))?;
        let (stop, stopped) = watch::channel(false);
        let server = tokio::spawn(serve(listener, router, stopped));
        Ok(Running { address, host, stop, server })
    }

    /// Ends in order: no new requests, those under way, the projections behind the batch they are at.
    pub(crate) async fn stop(self) -> Result<(), CliError> {
        self.stop.send_replace(true);
        if tokio::time::timeout(GRACE, self.server).await.is_err() {
            tracing::warn!("some requests were still open after {} s", GRACE.as_secs());
        }
        if tokio::time::timeout(GRACE, self.host.stop()).await.is_err() {
            tracing::warn!("a projection did not end its batch within {} s; nothing is lost", GRACE.as_secs());
        }
        Ok(())
    }
}

async fn serve(listener: TcpListener, router: Router, mut stopped: watch::Receiver<bool>) -> std::io::Result<()> {
    let until = async move {
        // The sender goes only with the process.
        let _ = stopped.wait_for(|stop| *stop).await;
    };
    axum::serve(listener, router).with_graceful_shutdown(until).await
}

fn open_store(config: &Config) -> Result<SqliteStore, CliError> {
    let path = config.store.display();
    SqliteStore::open(&config.store, config.limits).map_err(|error| match error {
        StoreError::InUse { .. } => CliError::Conflict(format!(
            "{path} is in use: another reel runs on it; stop that one, or give this one its own --data DIR"
        )),
        error => CliError::caused("the event store cannot be opened", error),
    })
}

async fn listen(address: SocketAddr) -> Result<TcpListener, CliError> {
    TcpListener::bind(address).await.map_err(|error| match error.kind() {
        std::io::ErrorKind::AddrInUse => CliError::Conflict(format!(
            "{address} is taken: is another reel running? --listen 127.0.0.1:0 takes any free port"
        )),
        _ => CliError::caused(format!("cannot listen on {address}"), error),
    })
}

async fn open_targets(targets: &[(String, String)]) -> Result<Vec<Arc<dyn Target>>, CliError> {
    let mut opened = Vec::with_capacity(targets.len());
    for (name, url) in targets {
        let target = reel_read_model::open(name, url).await;
        opened.push(target.map_err(|error| not_opened(name, url, error))?);
    }
    Ok(opened)
}

fn not_opened(name: &str, url: &str, error: CatalogError) -> CliError {
    let what = format!("the read database {name} ({}) cannot be opened", without_password(url));
    match error {
        CatalogError::ReadModel(ReadModelError::Unavailable { source, .. }) => {
            CliError::NotReachable(format!("{what}: {}", chain(&*source)))
        }
        error => CliError::caused(what, error),
    }
}

fn router(store: Arc<dyn EventStore>, targets: Vec<Arc<dyn Target>>, host: &Host, config: &Config) -> Router {
    let mut targets = targets.into_iter();
    let first = targets.next().expect("there is at least one target");
    let read = reel_read_api::ReadConfig { commits: Some(host.commits()) };
    let router = Router::new()
        .merge(reel_command_service::router(store, reel_command_service::Config::default()))
        .merge(reel_read_api::router(reel_read_api::Targets::new(first, targets), read))
        .merge(reel_host::admin::router(host.clone()))
        .route("/health/live", get(|| async { "live\n" }))
        .route("/health/ready", get(|| async { "ready\n" }))
        .route("/", get(|| async { Html(include_str!("front.html")) }))
        .fallback(reel_problem::no_such_path);
    match &config.token {
        Some(token) => router.layer(axum::middleware::from_fn_with_state(TokenHash::of(token), demand_token)),
        None => router,
    }
}
