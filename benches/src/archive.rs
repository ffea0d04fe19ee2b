//! `archive`: how fast segments are written and read, whole and by kind, and how much faster than the store that they are made of.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;
use reel_event_log::ReadLimit;
use reel_event_log::archive;
use reel_event_log::history::{History, Kinds, Sharing, Span, Wanted};

use crate::error::BenchError;
use crate::report::Report;
use crate::sealed::{self, LOG};
use crate::store;
use crate::workload::{Chosen, Size};

/// Segments of the social workload: written, read whole, read for a kind that 1 % of the events have; and the store for comparison
#[derive(Debug, Args)]
pub(crate) struct Archive {
    #[command(flatten)]
    workload: Chosen,
    /// Reads of each sort; the fastest counts
    #[arg(long, default_value_t = 3)]
    runs: usize,
    /// Only write and read segments; no store is filled
    #[arg(long)]
    without_store: bool,
    /// Where archive and store are kept, and found again [default: a directory that goes away]
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
}

const ALL: Span = Span { after: 0, until: None, portion: ReadLimit { events: 20_000, bytes: 16 << 20 } };
/// About 1 % of the events are of this kind.
const RARE: &str = "post-removed";

pub(crate) async fn run(bench: Archive) -> Result<Report, BenchError> {
    let temporary = tempfile::tempdir().map_err(BenchError::doing("making a directory"))?;
    let place = bench.keep.clone().unwrap_or_else(|| temporary.path().to_owned());
    let (size, seed) = (bench.workload.size(), bench.workload.seed);
    let mut report =
        Report::new("archive", &["what", "wanted_events", "seconds", "log_events_per_second", "times_the_store"]);
    let (archive, written) = sealed::filled(&place.join("archive"), size, seed).await?;
    let stored = match bench.without_store {
        true => None,
        false => Some(store_time(&place.join("store"), (size, seed), bench.runs).await?),
    };
    let mut row = |what: &str, wanted: usize, time: Duration| {
        let times = stored.map_or(serde_json::Value::Null, |stored| (stored.as_secs_f64() / time.as_secs_f64()).into());
        let rate = size.events as f64 / time.as_secs_f64();
        report.row(vec![what.into(), wanted.into(), time.as_secs_f64().into(), rate.into(), times]);
    };
    if let Some(written) = written {
        row("segments written", size.events, written);
    }
    if let Some(stored) = stored {
        row("store read", size.events, stored);
    }
    let rare = Kinds::Matching(Arc::new(|kind: &str| kind == RARE));
    for (what, wanted) in [
        ("archive read, all kinds", Wanted::default()),
        ("archive read, for two shards", Wanted { sharing: Sharing::Each(2), ..Wanted::default() }),
        ("archive read, a kind of 1 %", Wanted { kinds: rare, ..Wanted::default() }),
    ] {
        let (events, time) = fastest(bench.runs, || archived(&archive, wanted.clone())).await?;
        row(what, events, time);
    }
    let segments = archive.segments(LOG).await.map_err(BenchError::doing("listing the archive"))?;
    let bytes: u64 = segments.iter().map(|stored| stored.bytes).sum();
    report.note(format!(
        "{} segments, {} MiB, {:.1} bytes an event",
        segments.len(),
        bytes >> 20,
        bytes as f64 / size.events as f64
    ));
    Ok(report)
}

/// How long the store takes to be read.
async fn store_time(path: &Path, (size, seed): (Size, u64), runs: usize) -> Result<Duration, BenchError> {
    let (store, _) = store::filled(path, size, seed).await?;
    let open = || async {
        let history = History::open(Arc::clone(&store), None, ALL, Wanted::default()).await;
        read(history.map_err(BenchError::doing("reading the store"))?).await
    };
    Ok(fastest(runs, open).await?.1)
}

async fn archived(archive: &archive::Archive, wanted: Wanted) -> Result<usize, BenchError> {
    let history = History::of_archive(archive.clone(), LOG, ALL, wanted).await;
    read(history.map_err(BenchError::doing("reading the archive"))?).await
}

async fn read(mut history: History) -> Result<usize, BenchError> {
    let mut events = 0;
    while let Some(portion) = history.next().await.map_err(BenchError::doing("reading history"))? {
        events += portion.events();
    }
    Ok(events)
}

/// The shortest of `runs` times, and what was read.
async fn fastest<F: Future<Output = Result<usize, BenchError>>>(
    runs: usize,
    read: impl Fn() -> F,
) -> Result<(usize, Duration), BenchError> {
    let mut best = (0, Duration::MAX);
    for _ in 0..runs.max(1) {
        let began = Instant::now();
        let events = read().await?;
        best = (events, best.1.min(began.elapsed()));
    }
    Ok(best)
}
