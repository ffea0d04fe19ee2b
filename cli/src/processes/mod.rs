//! The processes of Reel: everything in one (`reel up`), or each for itself (`reel serve …`). All have one shape:
//! configuration → listen → build what it needs, with patience → serve → drain.
//!
//! Not here: what a process does (`command-service`, `host`, `read-api`); it is put together here.

mod command_service;
mod host;
mod listener;
mod opening;
mod read_api;
mod readiness;
mod sealing;
mod signals;
mod topic;
mod up;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use axum::Router;
use reel_event_log::relay::Relay;
use reel_host::Host;
use tokio::task::JoinHandle;

use self::listener::{Listener, Looks};
use self::readiness::Readiness;
use self::sealing::Sealing;
pub(crate) use self::signals::stop_signal;
use crate::config::Config;
use crate::error::CliError;

/// Which process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Process {
    /// All of them in one.
    Up,
    /// Takes commands.
    CommandService,
    /// Runs projections.
    Host,
    /// Answers reads.
    ReadApi,
}

impl Process {
    /// Where it listens unless it is told.
    pub(crate) fn default_listen(self) -> SocketAddr {
        let port = match self {
            Process::Up | Process::CommandService => 7070,
            Process::Host => 7071,
            Process::ReadApi => 7072,
        };
        SocketAddr::from((Ipv4Addr::LOCALHOST, port))
    }
}

/// What a process is made of, once all that it needs has answered.
struct Built {
    router: Router,
    /// To be stopped at the end, where there is one.
    host: Option<Host>,
    /// The same.
    relay: Option<Relay>,
    /// Seals the log, where this process keeps it.
    sealing: Sealing,
}

impl Built {
    /// A process that answers, and does nothing else.
    fn of(router: Router) -> Built {
        Built { router, host: None, relay: None, sealing: Sealing::default() }
    }
}

/// A process that serves.
pub(crate) struct Running {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    listener: Listener,
    host: Option<Host>,
    relay: Option<Relay>,
    watch: Option<JoinHandle<()>>,
    config: Config,
    /// Works until the process ends.
    _sealing: Sealing,
}

/// Runs a process until it is told to stop. It listens at once, and says that it is not ready as long as something that it needs does
/// not answer.
pub(crate) async fn until_stopped(process: Process, config: Config) -> Result<(), CliError> {
    let running = tokio::select! {
        running = Running::start(process, config) => running?,
        () = stop_signal() => return Ok(()),
    };
    stop_signal().await;
    tracing::info!("stopping");
    tokio::select! {
        () = running.stop() => {}
        () = stop_signal() => tracing::warn!("told to stop again: ending at once; nothing that was acknowledged is lost"),
    }
    Ok(())
}

impl Running {
    /// Listens, opens what the process needs, and serves.
    pub(crate) async fn start(process: Process, config: Config) -> Result<Running, CliError> {
        let readiness = Arc::new(Readiness::default());
        let listener = Listener::start(&config, Arc::clone(&readiness)).await?;
        let built = match process {
            Process::Up => up::build(&config, &readiness).await,
            Process::CommandService => command_service::build(&config, &readiness).await,
            Process::Host => host::build(&config, &readiness).await,
            Process::ReadApi => read_api::build(&config, &readiness).await,
        }?;
        let relay = built.relay.as_ref().map(Relay::status);
        let looks = Looks { host: built.host.clone(), relay, sealer: built.sealing.status() };
        listener.serve(built.router, looks);
        tracing::info!("serving http://{}", listener.address);
        let watched = built.host.clone();
        let watch = watched.map(|host| tokio::spawn(async move { host.watch().await }));
        let Built { host, relay, sealing, .. } = built;
        Ok(Running { address: listener.address, listener, host, relay, watch, config, _sealing: sealing })
    }

    /// Ends in order: no new requests, those under way, the relay gives its lease back, the projections stop behind the
    /// batch they are at.
    pub(crate) async fn stop(self) {
        let drain = self.config.drain;
        if tokio::time::timeout(drain, self.listener.stop()).await.is_err() {
            tracing::warn!("some requests were still open after {} s", drain.as_secs());
        }
        if let Some(watch) = self.watch {
            watch.abort();
        }
        if let Some(relay) = self.relay {
            relay.stop().await;
        }
        let Some(host) = self.host else { return };
        if tokio::time::timeout(drain, host.stop()).await.is_err() {
            tracing::warn!("a projection did not end its batch within {} s; nothing is lost", drain.as_secs());
        }
    }
}
