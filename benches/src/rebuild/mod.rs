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
use crate::workload::Chosen;
pub(crate) use one::{Measured, One, one};

/// A rebuild from history: events a second, WebAssembly against native
#[derive(Debug, Args)]
pub(crate) struct Rebuild {
    #[command(flatten)]
    workload: Chosen,
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
    /// Rebuilds of each sort, each by a process of its own; the fastest counts
    #[arg(long, default_value_t = 3)]
    times: usize,
    #[command(flatten)]
    databases: ReadDatabases,
    #[command(flatten)]
    tuning: Tuning,
    /// Where the files go; a log that was made there before is used again [default: a temporary directory]
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
    /// Leave out what is measured beside the rebuild: it keeps all rows in memory
    #[arg(long)]
    alone: bool,
}

/// Where history is read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum From {
    /// Sealed segments, which are written directly
    Archive,
    /// An event store, which is filled
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

const COLUMNS: [&str; 16] = [
    "target",
    "source",
    "runs",
    "kinds",
    "events_per_second",
    "seconds",
    "rows",
    "passes",
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
    let mut report = Report::new("rebuild", &COLUMNS);
    for from in &rebuild.sources {
        let log = made(*from, dir, rebuild.workload, &mut report).await?;
        for kind in rebuild.kinds() {
            compare(&rebuild, (kind, *from), (&log, &wasm), &mut report).await?;
        }
    }
    report.note(
        "the fastest of the rebuilds of each sort; read: history alone; plugin_and_fold: all workers' time together; rows_alone: the finished rows by the same bulk load, key after, no secondary index".into(),
    );
    report.note("goals: postgres 1,000,000 events/s (at least 700,000), sqlite 300,000, mysql 150,000; wasm at least 0.7 of native, 0.2 of the rows alone".into());
    Ok(report)
}

/// The log that is rebuilt from, and nothing of it open: the runs open it themselves.
async fn made(from: From, dir: &Path, workload: Chosen, report: &mut Report) -> Result<PathBuf, BenchError> {
    let (size, seed) = (workload.size(), workload.seed);
    let name = format!("social-{}-{}-{seed}", size.events, size.posts);
    let (log, rate) = match from {
        From::Archive => {
            let log = dir.join(name).with_extension("archive");
            let (_, took) = sealed::filled(&log, size, seed).await?;
            (log, took.map(|took| size.events as f64 / took.as_secs_f64()))
        }
        From::Store => {
            let log = dir.join(name).with_extension("db");
            let (_, rate) = store::filled(&log, size, seed).await?;
            (log, rate)
        }
    };
    if let Some(rate) = rate {
        report.note(format!("the {} was filled at {rate:.0} events/s", from.name()));
    }
    Ok(log)
}

async fn compare(
    rebuild: &Rebuild,
    (kind, from): (Kind, From),
    files: (&Path, &Path),
    report: &mut Report,
) -> Result<(), BenchError> {
    let mut rates = Vec::new();
    for runs in rebuild.runs() {
        let measured = fastest(rebuild, (kind, from, runs), None, files).await?;
        rates.push((runs, measured.rate()));
        report.row(row((kind, from, runs), None, &measured));
        let what = format!("{} from {}, {}", kind.name(), from.name(), runs.name());
        if let Some(rows_alone) = measured.rows_alone {
            report.note(format!("{what}: {:.2} of the rows alone", rows_alone / measured.seconds));
        }
        if let Some(only) = rebuild.only.as_deref() {
            let alone = fastest(rebuild, (kind, from, runs), Some(only), files).await?;
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

/// What the fastest of some rebuilds measured: the first one pays for memory that the machine has not given out yet.
async fn fastest(
    rebuild: &Rebuild,
    sort: (Kind, From, Runs),
    only: Option<&str>,
    files: (&Path, &Path),
) -> Result<Measured, BenchError> {
    let mut fastest = in_a_process(rebuild, sort, only, files).await?;
    for _ in 1..rebuild.times {
        let measured = in_a_process(rebuild, sort, only, files).await?;
        if measured.seconds < fastest.seconds {
            fastest = measured;
        }
    }
    Ok(fastest)
}

async fn in_a_process(
    rebuild: &Rebuild,
    (kind, from, runs): (Kind, From, Runs),
    only: Option<&str>,
    (log, wasm): (&Path, &Path),
) -> Result<Measured, BenchError> {
    let program = std::env::current_exe().map_err(BenchError::doing("finding this program"))?;
    let mut command = tokio::process::Command::new(program);
    command.args(["rebuild-one", "--target", kind.name(), "--source", from.name(), "--runs", runs.name()]);
    command.arg("--log").arg(log).arg("--component").arg(wasm);
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
    for (flag, given) in [("--without-indexes", tuning.without_indexes), ("--alone", tuning.alone)] {
        if given {
            command.arg(flag);
        }
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
        measured.passes.into(),
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
