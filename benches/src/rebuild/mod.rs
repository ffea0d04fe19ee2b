//! `rebuild`: events a second from the store into a read database, through the host's own loop; the component against the same
//! projection natively. Each run is a process of its own, so that its memory is its own.

mod one;

use std::path::{Path, PathBuf};
use std::process::Stdio;

use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::BenchError;
use crate::posts::{Runs, component};
use crate::report::Report;
use crate::store;
use crate::workload::Size;
pub(crate) use one::{Measured, One, one};

/// A rebuild from the event store: events a second, WebAssembly against native
#[derive(Debug, Args)]
pub(crate) struct Rebuild {
    /// Events in the store
    #[arg(long, default_value_t = 1_000_000)]
    events: usize,
    /// Posts that they are about [default: one for each 20 events]
    #[arg(long)]
    posts: Option<usize>,
    /// Seed of the workload
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// What is rebuilt into, repeatable [default: sqlite, and postgres and mysql where their URLs are given]
    #[arg(long = "target", value_enum)]
    targets: Vec<Kind>,
    /// How the projection runs, repeatable [default: both]
    #[arg(long = "runs", value_enum)]
    runs: Vec<Runs>,
    /// An empty PostgreSQL database; what is made there is dropped in the end
    #[arg(long, env = "REEL_TEST_POSTGRES", value_name = "URL", hide_env_values = true)]
    postgres: Option<String>,
    /// An empty MySQL or MariaDB database; what is made there is dropped in the end
    #[arg(long, env = "REEL_TEST_MYSQL", value_name = "URL", hide_env_values = true)]
    mysql: Option<String>,
    #[command(flatten)]
    tuning: Tuning,
    /// Where the files go; a store that was filled there before is used again [default: a temporary directory]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// The component of the posts example; built where none is given
    #[arg(long, value_name = "FILE")]
    component: Option<PathBuf>,
}

/// How the host works: its own defaults.
#[derive(Debug, Clone, Args)]
pub(crate) struct Tuning {
    /// Most events in one batch
    #[arg(long, default_value_t = 20_000)]
    batch: usize,
    /// Rows kept at hand, in MiB
    #[arg(long, default_value_t = 128)]
    cache_mib: usize,
    /// Leave the secondary indexes out, to see what they cost
    #[arg(long)]
    without_indexes: bool,
}

/// What is rebuilt into.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[value(rename_all = "lower")]
pub(crate) enum Kind {
    /// Rows held in memory: the loop without a database
    Memory,
    /// An SQLite file
    Sqlite,
    /// PostgreSQL
    Postgres,
    /// MySQL or MariaDB
    MySql,
}

const COLUMNS: [&str; 14] = [
    "target",
    "runs",
    "events_per_second",
    "seconds",
    "rows",
    "rows_per_second",
    "peak_mib",
    "cpu_seconds",
    "source_wait_s",
    "plugin_fold_s",
    "commit_s",
    "look_up_s",
    "rows_looked_up",
    "other_s",
];

pub(crate) async fn run(rebuild: Rebuild) -> Result<Report, BenchError> {
    let temporary = tempfile::tempdir().map_err(BenchError::doing("making a temporary directory"))?;
    let dir = rebuild.dir.as_deref().unwrap_or(temporary.path());
    std::fs::create_dir_all(dir).map_err(BenchError::doing("making the directory"))?;
    let wasm = temporary.path().join("posts.component.wasm");
    std::fs::write(&wasm, component(rebuild.component.as_deref())?)
        .map_err(BenchError::doing("writing the component"))?;
    let size = Size { events: rebuild.events, posts: rebuild.posts.unwrap_or(rebuild.events.div_ceil(20)) };
    let path = dir.join(format!("social-{}-{}-{}.db", size.events, size.posts, rebuild.seed));
    let mut report = Report::new("rebuild", &COLUMNS);
    // Closed again here: the runs open it themselves.
    if let (_, Some(rate)) = store::filled(&path, size, rebuild.seed).await? {
        report.note(format!("the store was filled at {rate:.0} events/s"));
    }
    for kind in rebuild.kinds() {
        let mut rates = Vec::new();
        for runs in rebuild.runs() {
            let measured = in_a_process(&rebuild, (kind, runs), (&path, &wasm)).await?;
            rates.push((runs, measured.rate()));
            report.row(row(kind, runs, &measured));
        }
        if let [(Runs::Native, native), (Runs::Wasm, wasm)] = rates[..] {
            report.note(format!("{}: wasm runs at {:.2} of native", name(kind), wasm / native));
        }
    }
    report.note("source_wait, plugin_fold and look_up are the loop's own time; commit goes on beside it; other is what is left of the loop".into());
    report.note(
        "goal: postgres at least 200,000 events/s, mysql 150,000, sqlite 100,000, peak flat in the number of events"
            .into(),
    );
    Ok(report)
}

impl Rebuild {
    fn kinds(&self) -> Vec<Kind> {
        if !self.targets.is_empty() {
            return self.targets.clone();
        }
        let mut kinds = vec![Kind::Sqlite];
        kinds.extend(self.postgres.as_ref().map(|_| Kind::Postgres));
        kinds.extend(self.mysql.as_ref().map(|_| Kind::MySql));
        kinds
    }

    fn runs(&self) -> Vec<Runs> {
        if self.runs.is_empty() { vec![Runs::Native, Runs::Wasm] } else { self.runs.clone() }
    }
}

async fn in_a_process(
    rebuild: &Rebuild,
    (kind, runs): (Kind, Runs),
    (store, wasm): (&Path, &Path),
) -> Result<Measured, BenchError> {
    let program = std::env::current_exe().map_err(BenchError::doing("finding this program"))?;
    let mut command = tokio::process::Command::new(program);
    command.args(["rebuild-one", "--target", name(kind), "--runs", runs.name()]);
    command.arg("--store").arg(store).arg("--component").arg(wasm);
    command.args(["--batch", &rebuild.tuning.batch.to_string(), "--cache-mib", &rebuild.tuning.cache_mib.to_string()]);
    if rebuild.tuning.without_indexes {
        command.arg("--without-indexes");
    }
    for (variable, url) in [("REEL_TEST_POSTGRES", &rebuild.postgres), ("REEL_TEST_MYSQL", &rebuild.mysql)] {
        if let Some(url) = url {
            // Not an argument: it may hold a password.
            command.env(variable, url);
        }
    }
    let output = command.stderr(Stdio::inherit()).output().await.map_err(BenchError::doing("starting a rebuild"))?;
    if !output.status.success() {
        return Err(BenchError::Failed(format!("the rebuild into {} ({}) failed", name(kind), runs.name())));
    }
    serde_json::from_slice(&output.stdout).map_err(BenchError::doing("reading what a rebuild measured"))
}

fn name(kind: Kind) -> &'static str {
    match kind {
        Kind::Memory => "memory",
        Kind::Sqlite => "sqlite",
        Kind::Postgres => "postgres",
        Kind::MySql => "mysql",
    }
}

fn row(kind: Kind, runs: Runs, measured: &Measured) -> Vec<Value> {
    vec![
        name(kind).into(),
        runs.name().into(),
        measured.rate().into(),
        measured.seconds.into(),
        measured.rows.into(),
        (measured.rows as f64 / measured.seconds).into(),
        measured.peak_mib.into(),
        measured.cpu_seconds.into(),
        measured.source.into(),
        // The look-ups happen within a call where a projection reads, else in the fold behind it; posts never reads.
        measured.plugin.into(),
        measured.commit.into(),
        measured.look_up.into(),
        measured.rows_looked_up.into(),
        (measured.seconds - measured.source - measured.plugin - measured.look_up).into(),
    ]
}
