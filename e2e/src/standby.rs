//! A PostgreSQL server and its read-only standby, both of a test's own: made by the programs that are installed, on free ports, and
//! gone with this.

use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use sqlx::{Connection, PgConnection, raw_sql};
use tempfile::TempDir;

use crate::deadline::until;

/// Who runs the servers where we are root, as whom they refuse to run.
const USER: &str = "postgres";

/// A server, and one that follows it.
#[derive(Debug)]
pub struct Standby {
    standby: Server,
    primary: Server,
    _folder: TempDir,
}

#[derive(Debug)]
struct Server {
    process: Child,
    port: u16,
}

/// The programs, and as whom they run.
struct Programs {
    folder: PathBuf,
    as_user: Option<&'static str>,
}

impl Standby {
    /// Both of them, empty; nothing where PostgreSQL's programs are not installed.
    ///
    /// # Panics
    /// Where a server does not start.
    pub async fn new() -> Option<Standby> {
        let programs = Programs::installed()?;
        let folder = tempfile::Builder::new().prefix("reel-standby-").tempdir().expect("a folder can be made");
        programs.give(folder.path());
        let (first, second) = (folder.path().join("primary"), folder.path().join("standby"));
        programs.run(
            "initdb",
            &["-U", "reel", "-A", "trust", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"],
            &first,
        );
        let primary = programs.start(&first).await;
        let port = primary.port.to_string();
        let copied = ["-h", "127.0.0.1", "-p", &port, "-U", "reel", "-R", "-X", "stream", "-c", "fast", "--no-sync"];
        programs.run("pg_basebackup", &copied, &second);
        let standby = programs.start(&second).await;
        Some(Standby { standby, primary, _folder: folder })
    }

    /// Where the primary is, as `--target` takes it.
    #[must_use]
    pub fn primary(&self) -> String {
        self.primary.url()
    }

    /// Where the standby is.
    #[must_use]
    pub fn standby(&self) -> String {
        self.standby.url()
    }

    /// Waits until the standby has all that the primary has now.
    ///
    /// # Panics
    /// Where it does not come to have it.
    pub async fn caught_up(&self) {
        let mut primary = PgConnection::connect(&self.primary()).await.expect("it answers");
        let mut standby = PgConnection::connect(&self.standby()).await.expect("it answers");
        let ask = "SELECT pg_current_wal_lsn()::text";
        let (there,): (String,) = sqlx::query_as(ask).fetch_one(&mut primary).await.expect("it is no standby");
        until("the standby follows", async || {
            let ask = "SELECT pg_last_wal_replay_lsn() >= $1::text::pg_lsn";
            let (here,): (bool,) = sqlx::query_as(ask).bind(&there).fetch_one(&mut standby).await.ok()?;
            here.then_some(())
        })
        .await;
    }

    /// Makes the standby a primary.
    ///
    /// # Panics
    /// Where it cannot become one.
    pub async fn promote(&self) {
        let mut standby = PgConnection::connect(&self.standby()).await.expect("it answers");
        raw_sql("SELECT pg_promote()").execute(&mut standby).await.expect("it is a standby");
    }
}

impl Programs {
    fn installed() -> Option<Programs> {
        // Debian keeps them off the PATH, by version.
        let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
        let debian = versions.map(|version| version.path().join("bin"));
        let path = std::env::var_os("PATH").unwrap_or_default();
        let folders = debian.chain(std::env::split_paths(&path));
        let all =
            |folder: &PathBuf| ["initdb", "pg_basebackup", "postgres"].iter().all(|name| folder.join(name).exists());
        let folder = folders.into_iter().find(all)?;
        let root = std::fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0);
        Some(Programs { folder, as_user: root.then_some(USER) })
    }

    fn command(&self, program: &str) -> Command {
        let program = self.folder.join(program);
        let Some(user) = self.as_user else { return Command::new(program) };
        let mut command = Command::new("setpriv");
        command.args(["--reuid", user, "--regid", user, "--init-groups"]).arg(program);
        command
    }

    /// Lets whoever runs the servers have a folder.
    fn give(&self, folder: &Path) {
        let Some(user) = self.as_user else { return };
        let id = Command::new("id").args(["-u", user]).output().expect("id is installed").stdout;
        let id = String::from_utf8_lossy(&id).trim().parse().expect("PostgreSQL was installed with its user");
        chown(folder, Some(id), None).expect("root may give a folder away");
    }

    fn run(&self, program: &str, arguments: &[&str], data: &Path) {
        let mut command = self.command(program);
        command.args(arguments).arg("-D").arg(data).current_dir("/").stdin(Stdio::null());
        let output = command.output().expect("it is installed");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{program}: {said}");
    }

    async fn start(&self, data: &Path) -> Server {
        let port = free_port();
        let mut command = self.command("postgres");
        command.arg("-D").arg(data).args(["-p", &port.to_string()]).current_dir("/");
        for setting in ["listen_addresses=127.0.0.1", "unix_socket_directories=", "shared_buffers=16MB", "fsync=off"] {
            command.args(["-c", setting]);
        }
        let output = std::fs::File::create(data.with_extension("log")).expect("the folder is there");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(output);
        let server = Server { process: command.spawn().expect("it is installed"), port };
        until("the server answers", async || PgConnection::connect(&server.url()).await.ok().map(drop)).await;
        server
    }
}

impl Server {
    fn url(&self) -> String {
        format!("postgres://reel@127.0.0.1:{}/postgres", self.port)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Stopped in good order, it takes its sessions and its shared memory with it.
        let stopped = Command::new("kill").args(["-INT", &self.process.id().to_string()]).status();
        if !stopped.is_ok_and(|status| status.success()) {
            let _ = self.process.kill();
        }
        let _ = self.process.wait();
    }
}

/// A port that nobody listens on now.
fn free_port() -> u16 {
    let taken = TcpListener::bind(("127.0.0.1", 0)).and_then(|listener| listener.local_addr());
    taken.expect("a port is free").port()
}
