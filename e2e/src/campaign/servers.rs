//! A campaign's own servers, started by `scripts/servers` on ports and data of their own; the programs are those that are installed
//! already. Killed, stopped and started again one by one.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;

use tempfile::TempDir;
use tokio::sync::{Mutex, OwnedMutexGuard};

use super::processes::{free_port, signal};
use crate::binary::repository;
use crate::dice::Dice;

/// A server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Server {
    Postgres,
    Broker,
    MongoDb,
}

impl Server {
    const ALL: [Server; 3] = [Server::Postgres, Server::Broker, Server::MongoDb];

    /// As `scripts/servers` calls it.
    fn name(self) -> &'static str {
        match self {
            Server::Postgres => "postgres",
            Server::Broker => "kafka",
            Server::MongoDb => "mongodb",
        }
    }
}

/// The servers. Gone, with their data, when this is dropped.
pub(super) struct Servers {
    folder: TempDir,
    programs: PathBuf,
    /// In the order of [`Server::ALL`].
    ports: [u16; 3],
    /// Whoever does something to a server holds it.
    held: [Arc<Mutex<()>>; 3],
}

impl Servers {
    /// Starts all of them.
    pub(super) async fn start(dice: &mut Dice) -> Servers {
        let folder = tempfile::Builder::new().prefix("reel-campaign-servers-").tempdir().expect("a folder can be made");
        let installed = std::env::var_os("REEL_SERVERS_DIR").map(PathBuf::from);
        let programs = installed.unwrap_or_else(|| std::env::temp_dir().join("reel-servers"));
        let servers = Servers {
            folder,
            programs,
            ports: [(); 3].map(|()| free_port(dice)),
            held: [(); 3].map(|()| Arc::default()),
        };
        for server in Server::ALL {
            servers.start_again(server).await;
        }
        servers
    }

    /// `host:port`.
    pub(super) fn address(&self, server: Server) -> String {
        format!("127.0.0.1:{}", self.ports[server as usize])
    }

    /// Holds a server, so that nobody else does something to it; nothing where somebody does.
    pub(super) fn hold(&self, server: Server) -> Option<OwnedMutexGuard<()>> {
        Arc::clone(&self.held[server as usize]).try_lock_owned().ok()
    }

    /// SIGKILL.
    pub(super) async fn kill(&self, server: Server) {
        self.script("kill", server).await;
    }

    /// Starts it on its data, and waits until it answers.
    pub(super) async fn start_again(&self, server: Server) {
        self.script("start", server).await;
    }

    /// Stops it in good order.
    pub(super) async fn stop(&self, server: Server) {
        self.script("stop", server).await;
    }

    /// SIGSTOP or SIGCONT, to a server and to the processes that it has started: PostgreSQL has one for each connection.
    pub(super) async fn signal(&self, server: Server, name: &str) {
        let file = self.folder.path().join(server.name()).join("pid");
        let text = std::fs::read_to_string(&file).expect("a server that was started has a number");
        let own = text.split(' ').next().expect("it begins with it").to_owned();
        // The parent first, so that it starts no more.
        signal(name, std::slice::from_ref(&own)).await;
        let children = std::fs::read_to_string(format!("/proc/{own}/task/{own}/children")).unwrap_or_default();
        let children: Vec<String> = children.split_whitespace().map(str::to_owned).collect();
        if !children.is_empty() {
            signal(name, &children).await;
        }
    }

    async fn script(&self, verb: &'static str, server: Server) {
        let mut command = self.command(verb, &[server.name()]);
        let ran = tokio::task::spawn_blocking(move || command.output()).await.expect("waiting does not panic");
        let output = ran.expect("the script is there");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "scripts/servers {verb} {}: {said}", server.name());
    }

    fn command(&self, verb: &str, names: &[&str]) -> Command {
        let mut command = Command::new(repository().join("scripts/servers"));
        command.arg(verb).args(names).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let variables = ["REEL_PG_PORT", "REEL_KAFKA_PORT", "REEL_MONGO_PORT"];
        command.envs(variables.into_iter().zip(self.ports.map(|port| port.to_string())));
        command.env("REEL_SERVERS_DIR", self.folder.path()).env("REEL_SERVERS_PROGRAMS", &self.programs);
        command
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        for server in Server::ALL {
            // One that was stopped would not end, and one that is down is down.
            let _ = self.command("kill", &[server.name()]).status();
        }
    }
}
