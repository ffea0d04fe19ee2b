//! A Reel of its own for a measurement: the real binary, as a child process.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use clap::Args;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStderr, Command};

use crate::error::BenchError;

/// How long it may take to listen.
const PATIENCE: Duration = Duration::from_secs(30);

/// Which Reel is measured.
#[derive(Debug, Clone, Args)]
pub(crate) struct Which {
    /// The reel binary [default: the one beside this program]
    #[arg(long, value_name = "FILE")]
    reel: Option<PathBuf>,
    /// Its read database, as `reel up --target` takes it [default: SQLite in its data directory]
    #[arg(long, value_name = "URL")]
    target: Option<String>,
}

/// A Reel that runs; killed when dropped.
pub(crate) struct Reel {
    pub(crate) url: String,
    child: Child,
}

impl Reel {
    /// Starts all of it in one process.
    pub(crate) async fn up(which: &Which, data: &Path) -> Result<Reel, BenchError> {
        match &which.target {
            Some(target) => Reel::start(which, &["up", "--target", target], data).await,
            None => Reel::start(which, &["up"], data).await,
        }
    }

    /// Starts it with these arguments on a free port, with its files in `data`, and waits until it serves.
    pub(crate) async fn start(which: &Which, arguments: &[&str], data: &Path) -> Result<Reel, BenchError> {
        let mut command = Command::new(which.binary()?);
        command.args(arguments).args(["--listen", "127.0.0.1:0", "--data"]).arg(data).current_dir(data);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("REEL_") {
                command.env_remove(name);
            }
        }
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().map_err(BenchError::doing("starting reel"))?;
        let stderr = child.stderr.take().expect("it is a pipe");
        let mut lines = BufReader::new(stderr).lines();
        let url = tokio::time::timeout(PATIENCE, address(&mut lines)).await;
        let url =
            url.map_err(|_| BenchError::Failed(format!("reel did not serve within {} s", PATIENCE.as_secs())))??;
        // Read on: a full pipe would stop it.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Ok(Reel { url, child })
    }

    /// Its process; nothing once it has ended.
    pub(crate) fn process(&self) -> Option<u32> {
        self.child.id()
    }

    /// Ends it in order, so that its files are free.
    pub(crate) async fn stop(mut self) -> Result<(), BenchError> {
        self.child.kill().await.map_err(BenchError::doing("ending reel"))
    }
}

impl Which {
    fn binary(&self) -> Result<PathBuf, BenchError> {
        let beside = || std::env::current_exe().map(|program| program.with_file_name("reel"));
        let binary = self.reel.clone().map_or_else(beside, Ok).map_err(BenchError::doing("finding this program"))?;
        if binary.exists() {
            // It is started in another directory.
            return std::path::absolute(binary).map_err(BenchError::doing("finding the reel binary"));
        }
        Err(BenchError::Failed(format!(
            "{} does not exist: cargo build --release makes it, --reel FILE names another",
            binary.display()
        )))
    }
}

/// The URL that it says it serves.
async fn address(lines: &mut Lines<BufReader<ChildStderr>>) -> Result<String, BenchError> {
    let mut said = String::new();
    while let Some(line) = lines.next_line().await.map_err(BenchError::doing("reading what reel says"))? {
        if let Some((_, rest)) = line.split_once("serving http://") {
            let address: String = rest.chars().take_while(|c| c.is_ascii_digit() || matches!(c, '.' | ':')).collect();
            return Ok(format!("http://{address}"));
        }
        said.push_str(&line);
        said.push('\n');
    }
    Err(BenchError::Failed(format!("reel ended before it served: {said}")))
}

/// Time since `began`, in milliseconds.
pub(crate) fn milliseconds(began: Instant) -> f64 {
    began.elapsed().as_secs_f64() * 1000.0
}
