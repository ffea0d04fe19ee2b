//! `rebuild`: events a second from history into a read database, as a host builds a generation; the component against the same
//! projection natively, and both against writing the finished rows and nothing else. Each run is a process of its own, so that its
//! memory is its own.

mod one;
pub(crate) mod place;
mod watched;

use std::path::{Path, PathBuf};
use std::process::Stdio;

use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::BenchError;
use crate::posts::{Runs, component};
use crate::read_databases::ReadDatabases;
use crate::report::Report;
use crate::sealed;
use crate::store;
use crate::workload::Size;
pub(crate) use one::{Measured, One, one};

/// A rebuild from history: events a second, WebAssembly against native
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
    /// What is rebuilt into, repeatable [default: sqlite, and the servers whose URLs are given]
    #[arg(long = "target", value_enum)]
    targets: Vec<Kind>,
    /// Where history is read from, repeatable
    #[arg(long = "source", value_enum, default_values_t = [From::Archive])]
    sources: Vec<From>,
    /// How the projection runs, repeatable [default: both]
    #[arg(long = "runs", value_enum)]
    runs: Vec<Runs>,
    /// Rebuild again with the events of this kind only, as a projection that names no other (post-removed: 1 % of them)
    #[arg(long, value_name = "KIND")]
    only: Option<String>,
    #[command(flatten)]
    databases: ReadDatabases,
    #[command(flatten)]
    tuning: Tuning,
    /// Where the files go; a store that was filled there before is used again [default: a temporary directory]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// The component of the posts example; built where none is given
    #[arg(long, value_name = "FILE")]
    component: Option<PathBuf>,
}

/// How the host builds: its own defaults.
#[derive(Debug, Clone, Args)]
pub(crate) struct Tuning {
    /// Most events that a worker gets at once [default: the host's]
    #[arg(long)]
    batch: Option<usize>,
    /// Threads that fold [default: the host's]
    #[arg(long)]
    workers: Option<usize>,
    /// Memory for rows, in MiB [default: the host's]
    #[arg(long)]
    memory_mib: Option<usize>,
    /// Leave the secondary indexes out, to see what they cost
    #[arg(long)]
    without_indexes: bool,
}

/// Where history is read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum From {
    /// Sealed segments, and the event store for what is not sealed yet
    Archive,
    /// The event store alone
    Store,
}

/// What is rebuilt into.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[value(rename_all = "lower")]
pub(crate) enum Kind {
    /// An SQLite file
    Sqlite,
    /// PostgreSQL
    Postgres,
    /// MySQL or MariaDB
    MySql,
    /// SQL Server
    SqlServer,
}

const COLUMNS: [&str; 15] = [
    "target",
    "source",
    "runs",
    "kinds",
    "events_per_second",
    "seconds",
    "rows",
    "peak_mib",
    "cpu_seconds",
    "read_s",
    "plugin_and_fold_s",
    "folding_s",
    "loading_s",
    "indexing_s",
    "rows_alone_s",
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
    let (store, filled) = store::filled(&path, size, rebuild.seed).await?;
    if let Some(rate) = filled {
        report.note(format!("the store was filled at {rate:.0} events/s"));
    }
    sealed::seal(&*store, &sealed::beside(&path)).await?;
    drop(store);
    for kind in rebuild.kinds() {
        for from in &rebuild.sources {
            compare(&rebuild, (kind, *from), (&path, &wasm), &mut report).await?;
        }
    }
    report.note(
        "read: history alone; plugin_and_fold: all workers' time together; rows_alone: the finished rows by the same bulk load, key after, no secondary index".into(),
    );
    report.note("goals: postgres 1,000,000 events/s (at least 700,000), sqlite 300,000, mysql 150,000; wasm at least 0.7 of native, 0.2 of the rows alone".into());
    Ok(report)
}

async fn compare(
    rebuild: &Rebuild,
    (kind, from): (Kind, From),
    files: (&Path, &Path),
    report: &mut Report,
) -> Result<(), BenchError> {
    let mut rates = Vec::new();
    for runs in rebuild.runs() {
        let measured = in_a_process(rebuild, (kind, from, runs), None, files).await?;
        rates.push((runs, measured.rate()));
        report.row(row((kind, from, runs), None, &measured));
        let share = measured.rows_alone / measured.seconds;
        let what = format!("{} from {}, {}", kind.name(), from.name(), runs.name());
        report.note(format!("{what}: {share:.2} of the rows alone"));
        if let Some(only) = rebuild.only.as_deref() {
            let alone = in_a_process(rebuild, (kind, from, runs), Some(only), files).await?;
            report.row(row((kind, from, runs), Some(only), &alone));
            let times = measured.seconds / alone.seconds;
            report.note(format!("{what}: with {only} only, {times:.1} times as fast as with all kinds"));
        }
    }
    if let [(Runs::Native, native), (Runs::Wasm, wasm)] = rates[..] {
        report.note(format!("{} from {}: wasm runs at {:.2} of native", kind.name(), from.name(), wasm / native));
    }
    Ok(())
}

impl Rebuild {
    fn kinds(&self) -> Vec<Kind> {
        if !self.targets.is_empty() {
            return self.targets.clone();
        }
        self.databases.kinds()
    }

    fn runs(&self) -> Vec<Runs> {
        if self.runs.is_empty() { vec![Runs::Native, Runs::Wasm] } else { self.runs.clone() }
    }
}

async fn in_a_process(
    rebuild: &Rebuild,
    (kind, from, runs): (Kind, From, Runs),
    only: Option<&str>,
    (store, wasm): (&Path, &Path),
) -> Result<Measured, BenchError> {
    let program = std::env::current_exe().map_err(BenchError::doing("finding this program"))?;
    let mut command = tokio::process::Command::new(program);
    command.args(["rebuild-one", "--target", kind.name(), "--source", from.name(), "--runs", runs.name()]);
    command.arg("--store").arg(store).arg("--component").arg(wasm);
    let tuning = &rebuild.tuning;
    for (flag, value) in [("--batch", tuning.batch), ("--workers", tuning.workers), ("--memory-mib", tuning.memory_mib)]
    {
        if let Some(value) = value {
            command.arg(flag).arg(value.to_string());
        }
    }
    if let Some(only) = only {
        command.args(["--only", only]);
    }
    if tuning.without_indexes {
        command.arg("--without-indexes");
    }
    command.envs(rebuild.databases.environment());
    let output = command.stderr(Stdio::inherit()).output().await.map_err(BenchError::doing("starting a rebuild"))?;
    if !output.status.success() {
        return Err(BenchError::Failed(format!("the rebuild into {} ({}) failed", kind.name(), runs.name())));
    }
    serde_json::from_slice(&output.stdout).map_err(BenchError::doing("reading what a rebuild measured"))
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Sqlite => "sqlite",
            Kind::Postgres => "postgres",
            Kind::MySql => "mysql",
            Kind::SqlServer => "sqlserver",
        }
    }
}

impl From {
    fn name(self) -> &'static str {
        match self {
            From::Archive => "archive",
            From::Store => "store",
        }
    }
}

fn row((kind, from, runs): (Kind, From, Runs), only: Option<&str>, measured: &Measured) -> Vec<Value> {
    vec![
        kind.name().into(),
        from.name().into(),
        runs.name().into(),
        only.unwrap_or("all").into(),
        measured.rate().into(),
        measured.seconds.into(),
        measured.rows.into(),
        measured.peak_mib.into(),
        measured.cpu_seconds.into(),
        measured.read.into(),
        measured.plugin.into(),
        measured.folding.into(),
        measured.loading.into(),
        measured.indexing.into(),
        measured.rows_alone.into(),
    ]
}
