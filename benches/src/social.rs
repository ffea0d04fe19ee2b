//! `workload`: what the social workload consists of; or the workload itself, for `reel import`.

use std::collections::BTreeMap;
use std::io::{BufWriter, Write};
use std::time::Instant;

use clap::Args;
use reel_events::{LogId, cloud_events::json};
use uuid::Uuid;

use crate::error::BenchError;
use crate::report::Report;
use crate::workload::{Chosen, Social};

/// The social workload that the others use: its shares, or its events
#[derive(Debug, Args)]
pub(crate) struct Workload {
    #[command(flatten)]
    chosen: Chosen,
    /// Print the events themselves, as CloudEvents JSON Lines
    #[arg(long, conflicts_with = "json")]
    lines: bool,
}

/// Events in one batch.
const BATCH: usize = 1_000;

/// A report; nothing where the events themselves were printed.
pub(crate) fn run(workload: &Workload) -> Result<Option<Report>, BenchError> {
    let (size, seed) = (workload.chosen.size(), workload.chosen.seed);
    if workload.lines {
        lines(Social::new(size, seed)).map_err(BenchError::doing("writing to standard output"))?;
        return Ok(None);
    }
    let began = Instant::now();
    let mut kinds: BTreeMap<&str, (u64, usize)> = BTreeMap::new();
    for made in Social::new(size, seed) {
        let (count, bytes) = kinds.entry(made.kind).or_default();
        *count += 1;
        *bytes += made.payload.len();
    }
    let elapsed = began.elapsed();
    let mut report = Report::new("workload", &["kind", "events", "percent", "payload_bytes"]);
    let total = kinds.values().fold((0, 0), |(events, bytes), (more, longer)| (events + more, bytes + longer));
    for (kind, (count, bytes)) in kinds.into_iter().chain([("all", total)]) {
        let percent = count as f64 * 100.0 / size.events as f64;
        report.row(vec![kind.into(), count.into(), percent.into(), (bytes as f64 / count as f64).into()]);
    }
    let rate = size.events as f64 / elapsed.as_secs_f64();
    report.note(format!("{} posts, seed {seed}; made at {rate:.0} events/s", size.posts));
    Ok(Some(report))
}

fn lines(mut social: Social) -> std::io::Result<()> {
    let mut out = BufWriter::new(std::io::stdout().lock());
    let mut line = String::new();
    loop {
        let batch = social.batch(BATCH);
        if batch.is_empty() {
            return out.flush();
        }
        for event in batch.iter() {
            line.clear();
            json::write(event, LogId(Uuid::nil()), &mut line);
            line.push('\n');
            out.write_all(line.as_bytes())?;
        }
    }
}
