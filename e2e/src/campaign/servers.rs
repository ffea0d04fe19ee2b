//! A campaign's own servers, started by `scripts/servers` on ports and data of their own; the programs are those that are installed
//! already. Killed, stopped and started again one by one. SQL Server cannot be started so: there it is a database of its own on the server
//! that is given, behind a gate that cuts every connection.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;

use tempfile::TempDir;
use tokio::sync::{Mutex, OwnedMutexGuard};

use super::processes::{free_port, signal};
use super::target::Target;
use crate::binary::repository;
use crate::database::SqlServer;
use crate::dice::Dice;
use crate::gate::Gate;

/// A server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Server {
    Broker,
    MongoDb,
    Postgres,
    MySql,
    /// A SQL Server, which others use too.
    Given,
}

impl Server {
    /// How many there are.
    const COUNT: usize = 5;

    /// As `scripts/servers` calls it.
    fn name(self) -> &'static str {
        match self {
            Server::Broker => "kafka",
            Server::MongoDb => "mongodb",
            Server::Postgres => "postgres",
            Server::MySql => "mysql",
            Server::Given => "sqlserver",
        }
    }
}

/// The servers. Gone, with their data, when this is dropped.
pub(super) struct Servers {
    folder: TempDir,
    programs: PathBuf,
    started: Vec<Server>,
    /// Which of them has the rows; nothing where they are in a file.
    read_database: Option<Server>,
    given: Option<Given>,
    /// By [`Server`], as all that follows.
    ports: [u16; Server::COUNT],
    /// Whoever does something to a server holds it.
    held: [Arc<Mutex<()>>; Server::COUNT],
}

/// A database on a SQL Server that others use too.
struct Given {
    // Before the database, which cannot be dropped while sessions are in it.
    gate: Mutex<Gate>,
    url: String,
    _database: SqlServer,
}

impl Given {
    async fn new() -> Given {
        let database = SqlServer::new().await.expect("a campaign on SQL Server needs REEL_TEST_SQLSERVER");
        let gate = Gate::to(&database.address()).await;
        let url = database.url_through(&gate.address.to_string());
        Given { gate: Mutex::new(gate), url, _database: database }
    }
}

impl Servers {
    /// Starts store, broker and read database.
    pub(super) async fn start(target: Target, dice: &mut Dice) -> Servers {
        let folder = tempfile::Builder::new().prefix("reel-campaign-servers-").tempdir().expect("a folder can be made");
        let installed = ["REEL_SERVERS_PROGRAMS", "REEL_SERVERS_DIR"].into_iter().find_map(std::env::var_os);
        let programs = installed.map_or_else(|| std::env::temp_dir().join("reel-servers"), PathBuf::from);
        let read_database = target.server();
        let given = if read_database == Some(Server::Given) { Some(Given::new().await) } else { None };
        let servers = Servers {
            folder,
            programs,
            started: [Server::Broker, Server::MongoDb].into_iter().chain(read_database).collect(),
            read_database,
            given,
            ports: [(); Server::COUNT].map(|()| free_port(dice)),
            held: [(); Server::COUNT].map(|()| Arc::default()),
        };
        for server in servers.started.iter().filter(|server| **server != Server::Given) {
            servers.start_again(*server).await;
        }
        servers
    }

    /// Which of them has the rows; nothing where they are in a file.
    pub(super) fn read_database(&self) -> Option<Server> {
        self.read_database
    }

    /// Where the rows are, as `--target` takes it.
    pub(super) fn target(&self) -> String {
        match (&self.given, self.read_database) {
            (Some(given), _) => given.url.clone(),
            (None, None) => format!("sqlite:{}", self.folder.path().join("read.sqlite").display()),
            (None, Some(server @ Server::MySql)) => format!("mysql://root@{}/reel", self.address(server)),
            (None, Some(server)) => format!("postgres://reel@{}/postgres", self.address(server)),
        }
    }

    /// `host:port`.
    pub(super) fn address(&self, server: Server) -> String {
        format!("127.0.0.1:{}", self.ports[server as usize])
    }

    /// Holds a server, so that nobody else does something to it; nothing where somebody does.
    pub(super) fn hold(&self, server: Server) -> Option<OwnedMutexGuard<()>> {
        Arc::clone(&self.held[server as usize]).try_lock_owned().ok()
    }

    /// SIGKILL; all its connections are cut, where it is not ours.
    pub(super) async fn kill(&self, server: Server) {
        match self.gate(server) {
            Some(gate) => gate.lock().await.shut().await,
            None => self.script("kill", server).await,
        }
    }

    /// Starts it on its data, and waits until it answers.
    pub(super) async fn start_again(&self, server: Server) {
        match self.gate(server) {
            Some(gate) => gate.lock().await.open().await,
            None => self.script("start", server).await,
        }
    }

    /// Stops it in good order; all its connections are cut, where it is not ours.
    pub(super) async fn stop(&self, server: Server) {
        match self.gate(server) {
            Some(gate) => gate.lock().await.shut().await,
            None => self.script("stop", server).await,
        }
    }

    /// Lets it stand still, until it is resumed; where it is not ours, it cannot be reached so long.
    pub(super) async fn halt(&self, server: Server) {
        match self.gate(server) {
            Some(gate) => gate.lock().await.shut().await,
            None => self.signal(server, "STOP").await,
        }
    }

    /// Lets what was halted go on.
    pub(super) async fn resume(&self, server: Server) {
        match self.gate(server) {
            Some(gate) => gate.lock().await.open().await,
            None => self.signal(server, "CONT").await,
        }
    }

    fn gate(&self, server: Server) -> Option<&Mutex<Gate>> {
        self.given.as_ref().filter(|_| server == Server::Given).map(|given| &given.gate)
    }

    /// SIGSTOP or SIGCONT, to a server and to the processes that it has started: PostgreSQL has one for each connection.
    async fn signal(&self, server: Server, name: &str) {
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
        let mut command = self.command(verb, server);
        let ran = tokio::task::spawn_blocking(move || command.output()).await.expect("waiting does not panic");
        let output = ran.expect("the script is there");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "scripts/servers {verb} {}: {said}", server.name());
    }

    fn command(&self, verb: &str, server: Server) -> Command {
        let mut command = Command::new(repository().join("scripts/servers"));
        command.args([verb, server.name()]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        for (server, variable) in [
            (Server::Broker, "REEL_KAFKA_PORT"),
            (Server::MongoDb, "REEL_MONGO_PORT"),
            (Server::Postgres, "REEL_PG_PORT"),
            (Server::MySql, "REEL_MYSQL_PORT"),
        ] {
            command.env(variable, self.ports[server as usize].to_string());
        }
        command.env("REEL_SERVERS_DIR", self.folder.path()).env("REEL_SERVERS_PROGRAMS", &self.programs);
        command
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        for server in self.started.iter().filter(|server| **server != Server::Given) {
            // One that was stopped would not end, and one that is down is down.
            let _ = self.command("kill", *server).status();
        }
    }
}
