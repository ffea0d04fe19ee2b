//! What a replay would do, without doing it: which events it would read, which tables it would make, and about how many rows and how
//! much time that is.
//!
//! Kinds are counted in windows spread over the whole log, all of it where it is short. Rows and time come from folding the beginning of
//! the log in memory, since only there everything that an event needs is known; they are estimates, and said to be.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use reel_event_log::history::{History, Sharing, Span, Wanted};
use reel_event_log::{ReadLimit, StoreError};
use reel_projector::bulk::merge;
use reel_projector::manifest::Order;
use reel_projector::{BulkShard, Manifest, RunSettings, Table, chain};
use serde::Serialize;

use crate::build::kinds;
use crate::deploy::{Deployment, Intended};
use crate::error::HostError;
use crate::host::Host;
use crate::reference::ProjectionRef;

/// Windows in which kinds are counted, and events in each.
const WINDOWS: u64 = 40;
const WINDOW: usize = 2_500;
/// How much of the log's beginning is folded: so many events, or for so long.
const FOLDED: u64 = 100_000;
const FOLDED_FOR: Duration = Duration::from_secs(3);
/// Events that are folded at once.
const BATCH: usize = 5_000;
/// Rows a second that a database is assumed to take.
const ASSUMED_ROWS_PER_SECOND: u64 = 200_000;

/// What a replay would do.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DryRun {
    /// `posts`
    pub projection: String,
    /// The read database.
    pub target: String,
    /// Digest of the component.
    pub digest: String,
    /// The component's own version.
    pub version: String,
    /// Events in the log.
    pub head: u64,
    /// About how many of them it would read.
    pub events: u64,
    /// By kind, the most frequent first.
    pub kinds: Vec<KindCount>,
    /// Whether all events were counted, or some.
    pub counted: Counted,
    /// The tables it would make.
    pub tables: Vec<PlannedTable>,
    /// How many events of the log's beginning were folded to estimate rows and time.
    pub folded: u64,
    /// Events a second that one worker folded.
    pub events_per_second: Option<f64>,
    /// About how long it would take, where the database takes `assumedRowsPerSecond`.
    pub seconds: Option<f64>,
    /// What the estimate assumes of the database.
    pub assumed_rows_per_second: u64,
    /// The failure that it would meet among the events that were folded.
    pub problem: Option<String>,
}

/// Whether all events were counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Counted {
    /// The numbers are exact.
    All,
    /// The numbers are scaled up.
    Sample,
}

/// How many events of a kind there are, about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KindCount {
    /// The kind.
    pub kind: String,
    /// How many.
    pub events: u64,
}

/// A table that would be made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PlannedTable {
    /// The table.
    pub table: String,
    /// Its columns.
    pub columns: Vec<String>,
    /// Its key.
    pub key: Vec<String>,
    /// About how many rows.
    pub rows: u64,
}

impl Host {
    /// What [`Host::replay`] would do. Nothing is written.
    ///
    /// # Errors
    /// Where a replay would be refused, or a database does not answer.
    pub async fn dry_run(&self, projection: &ProjectionRef, deployment: &Deployment) -> Result<DryRun, HostError> {
        self.needs_history("a dry run")?;
        let target = Arc::clone(self.inner.targets.get(deployment.target.as_deref())?);
        let intended = self.intended(&target, projection, deployment).await?;
        let manifest = Arc::clone(intended.loaded.manifest());
        (self.inner.config.check_manifest)(&manifest).map_err(|why| HostError::Refused(format!("manifest: {why}")))?;
        let log = self.inner.store.log_id();
        let decisions = target.decisions(log, intended.loaded.digest(), &intended.settings).await;
        let settings = RunSettings {
            on_failure: deployment.on_failure.unwrap_or(intended.model.on_failure),
            let_go: decisions.map_err(|error| HostError::catalog("reading decisions", error))?.into_iter().collect(),
            parked: HashSet::new(),
            most_events: self.inner.config.most_events,
        };
        let head = self.inner.store.head().await.map_err(not_read)?.position;
        let census = self.census(&manifest, head).await?;
        let sample = self.sample(&intended, settings).await?;
        let workers = if manifest.order == Order::Global { 1 } else { self.inner.config.build.workers.max(1) };
        Ok(estimated(&intended, target.name(), (head, census), sample, workers))
    }

    /// How many events of each kind that the projection handles there are.
    async fn census(&self, manifest: &Manifest, head: u64) -> Result<Census, HostError> {
        let all = head <= WINDOWS * WINDOW as u64;
        let mut census = Census { seen: 0, kinds: BTreeMap::new() };
        let (mut window, mut after) = (0, 0);
        while after < head && window < WINDOWS {
            let page = self.inner.store.read(after, ReadLimit::events(WINDOW)).await.map_err(not_read)?;
            for event in page.iter() {
                census.seen += 1;
                if manifest.kind_index(event.kind).is_some() {
                    *census.kinds.entry(event.kind.to_owned()).or_default() += 1;
                }
            }
            window += 1;
            let last = if page.is_empty() { head } else { page.get(page.len() - 1).position };
            after = if all { last } else { last.max(head / WINDOWS * window) };
        }
        Ok(census)
    }

    /// Folds the beginning of the log.
    async fn sample(&self, intended: &Intended, settings: RunSettings) -> Result<Sample, HostError> {
        let manifest = Arc::clone(intended.loaded.manifest());
        let plugin = intended.loaded.instantiate_plugin(&intended.settings);
        let plugin = plugin.map_err(|error| HostError::Refused(chain(&error)))?;
        let mut shard = BulkShard::new(Arc::clone(&manifest), Box::new(plugin), settings, 1);
        let span = Span { after: 0, until: Some(FOLDED), portion: ReadLimit { events: BATCH, bytes: 16 << 20 } };
        let wanted = Wanted { kinds: kinds(&manifest), sharing: Sharing::Whole };
        let (store, archive) = (Arc::clone(&self.inner.store), self.inner.config.archive.clone());
        let mut history = History::open(store, archive, span, wanted).await.map_err(not_read)?;
        let begun = Instant::now();
        let mut sample = Sample { growth: vec![(0, 0)], ..Sample::default() };
        while begun.elapsed() < FOLDED_FOR
            && let Some(portion) = history.next().await.map_err(not_read)?
        {
            let (through, began) = (portion.through, Instant::now());
            sample.events += portion.events() as u64;
            let folding = tokio::task::spawn_blocking(move || {
                let folded = portion.batches.into_iter().try_for_each(|batch| shard.apply(batch, through));
                folded.map(|()| shard)
            });
            match folding.await.expect("folding does not panic, and nobody aborts it") {
                Ok(folded) => shard = folded,
                Err(error) => return Ok(Sample { problem: Some(chain(&error)), ..sample }),
            }
            sample.took += began.elapsed();
            sample.growth.push((through.position, shard.rows() as u64));
        }
        let tables = merge(&manifest, vec![shard.finish().0]);
        sample.tables = tables.iter().map(|table| table.remaining() as u64).collect();
        Ok(sample)
    }
}

/// How often each kind was seen among so many events.
struct Census {
    seen: u64,
    kinds: BTreeMap<String, u64>,
}

/// What folding the log's beginning came to.
#[derive(Debug, Default)]
struct Sample {
    events: u64,
    took: Duration,
    /// How many rows there were when the log was folded up to a position.
    growth: Vec<(u64, u64)>,
    /// Rows of each table in the end.
    tables: Vec<u64>,
    problem: Option<String>,
}

impl Sample {
    /// How many times the rows of the sample there would be at `head`: they go on growing as in the sample's second half.
    fn growing(&self, head: u64) -> f64 {
        let Some((position, rows)) = self.growth.last().copied().filter(|(_, rows)| *rows > 0) else { return 1.0 };
        let (half, rows_then) = self.growth.iter().rfind(|(at, _)| *at <= position / 2).copied().unwrap_or((0, 0));
        let slope = rows.saturating_sub(rows_then) as f64 / (position - half).max(1) as f64;
        1.0 + slope * head.saturating_sub(position) as f64 / rows as f64
    }
}

fn estimated(
    intended: &Intended,
    target: &str,
    (head, census): (u64, Census),
    sample: Sample,
    workers: usize,
) -> DryRun {
    let manifest = intended.loaded.manifest();
    let scaled = |seen: u64| {
        if census.seen == 0 { 0 } else { (u128::from(seen) * u128::from(head) / u128::from(census.seen)) as u64 }
    };
    let mut kinds: Vec<KindCount> =
        census.kinds.iter().map(|(kind, seen)| KindCount { kind: kind.clone(), events: scaled(*seen) }).collect();
    kinds.sort_by(|one, other| other.events.cmp(&one.events).then_with(|| one.kind.cmp(&other.kind)));
    let events = kinds.iter().map(|kind| kind.events).sum();
    let growing = sample.growing(head);
    let rows = |number: usize| sample.tables.get(number).map_or(0, |rows| (*rows as f64 * growing) as u64);
    let tables: Vec<PlannedTable> =
        manifest.tables.iter().enumerate().map(|(number, table)| planned(table, rows(number))).collect();
    let rate = (!sample.took.is_zero() && sample.events > 0).then(|| sample.events as f64 / sample.took.as_secs_f64());
    let rows: u64 = tables.iter().map(|table| table.rows).sum();
    let seconds = rate
        .filter(|_| sample.problem.is_none())
        .map(|rate| events as f64 / (rate * workers as f64) + rows as f64 / ASSUMED_ROWS_PER_SECOND as f64);
    DryRun {
        projection: intended.model.projection.clone(),
        target: target.to_owned(),
        digest: intended.loaded.digest().to_owned(),
        version: manifest.version.clone(),
        head,
        events,
        kinds,
        counted: if census.seen >= head { Counted::All } else { Counted::Sample },
        tables,
        folded: sample.events,
        events_per_second: rate,
        seconds,
        assumed_rows_per_second: ASSUMED_ROWS_PER_SECOND,
        problem: sample.problem,
    }
}

fn planned(table: &Table, rows: u64) -> PlannedTable {
    PlannedTable {
        table: table.name.clone(),
        columns: table.columns.iter().map(|column| column.name.clone()).collect(),
        key: table.key_columns().map(|column| column.name.clone()).collect(),
        rows,
    }
}

fn not_read(error: StoreError) -> HostError {
    HostError::Unavailable { action: "reading the log", source: error.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_go_on_growing_as_in_the_second_half() {
        let sample = |growth: &[(u64, u64)]| Sample { growth: growth.to_vec(), ..Sample::default() };
        assert_eq!(sample(&[(0, 0), (100, 100)]).growing(1_000), 10.0, "each event makes a row");
        assert_eq!(sample(&[(0, 0), (50, 100), (100, 100)]).growing(1_000), 1.0, "no row came in the second half");
        assert_eq!(sample(&[(0, 0), (50, 80), (100, 100)]).growing(200), 1.4);
        assert_eq!(sample(&[(0, 0), (100, 100)]).growing(100), 1.0, "all was folded");
        assert_eq!(sample(&[(0, 0)]).growing(100), 1.0);
    }
}
