//! The rows of a generation held against a new fold of the log, made by its own component in memory; and against what its manifest
//! declares and no database enforces: unique indexes and references.
//!
//! The fold comes first, to about where the generation stands, so that the moment of its rows, which is taken then, is held for as short
//! as may be; the events between the two follow.

use std::collections::HashSet;
use std::sync::Arc;

use async_trait::async_trait;
use reel_event_log::history::{History, Portion, Sharing, Span, Wanted};
use reel_event_log::{ReadLimit, StoreError};
use reel_events::{EventBatch, LogPoint, partition_of};
use reel_projector::bulk::merge;
use reel_projector::change::Row;
use reel_projector::{BulkShard, Checkpoint, FoldedShard, Manifest, MergedTable, Progress, RunSettings, chain};
use reel_read_model::Snapshot;
use serde::Serialize;
use tokio::sync::watch;

use super::declared::{Declared, Keys};
use super::ordered::{Keyed, PAGE, Pages, Pair, Pairs, pages};
use super::report::{Ended, Lines, Writer};
use super::{Line, Report, ShardAt, Subject, Which, shards};
use crate::build::kinds;
use crate::error::HostError;
use crate::host::Host;
use crate::runner::{self, Run};

/// Events that are folded at once.
const EVENTS: usize = 20_000;

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Verified {
    /// `posts@2`
    pub generation: String,
    /// The read database.
    pub target: String,
    /// Where its shards stood.
    pub shards: Vec<ShardAt>,
    /// Whether the rows are what the log makes, and keep what the manifest declares.
    pub sound: bool,
    /// Its tables.
    pub tables: Vec<TableVerified>,
}

/// What was found in one table.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TableVerified {
    /// The table.
    pub table: String,
    /// Rows in the read database.
    pub rows: u64,
    /// Rows that are another than the log makes.
    pub changed: u64,
    /// Rows that the log makes, and that are not there.
    pub missing: u64,
    /// Rows that are there, and that the log does not make.
    pub surplus: u64,
    /// Rows that break a declared unique index or reference.
    pub broken: u64,
}

impl TableVerified {
    fn is_sound(&self) -> bool {
        self.changed + self.missing + self.surplus + self.broken == 0
    }
}

impl Host {
    /// Holds the rows of a generation against a new fold of the log. The report names what differs, and ends with a summary. What was
    /// folded is held in memory: no more than `memory_bytes` of the builds' configuration.
    ///
    /// # Errors
    /// Where there is no such generation, it is being built, the log is not the one that it was built from, or its component does not run.
    pub async fn verify(&self, which: &Which) -> Result<Report, HostError> {
        self.needs_history("verify")?;
        let subject = self.subject(which).await?;
        let holds = self.log_holds(&subject.target, &subject.generation).await;
        if !holds.map_err(|error| HostError::catalog("reading the checkpoints", error))? {
            let message = format!(
                "the event store does not hold the log that {} was built from: there is nothing to hold its rows against",
                subject.title()
            );
            return Err(HostError::Conflict(message));
        }
        let fold = Fold::begin(self, &subject).await?;
        let verification = Verification { host: self.clone(), subject };
        Ok(Report::of(|lines| verification.report(fold, lines)))
    }
}

struct Verification {
    host: Host,
    subject: Subject,
}

impl Verification {
    async fn report(self, mut fold: Fold, lines: Lines) -> Result<(), Ended> {
        let catalog = |error| HostError::catalog("reading the checkpoints", error);
        let checkpoints = self.subject.target.checkpoints(self.subject.generation.id).await.map_err(catalog)?;
        let lowest = checkpoints.iter().map(|at| at.point.position).min().unwrap_or_default();
        let all = vec![lowest; checkpoints.len()];
        fold.go_on(&self.host, &all, &lines).await?;
        let mut snapshot = self.subject.snapshot().await?;
        let until: Vec<u64> = snapshot.checkpoints().iter().map(|at: &Checkpoint| at.point.position).collect();
        fold.go_on(&self.host, &until, &lines).await?;
        let folded = fold.shard.take().expect("it is there between two calls").finish().0;
        let tables = self.compare(snapshot.as_mut(), folded, &lines).await?;
        let verified = Verified {
            generation: self.subject.title(),
            target: self.subject.target.name().to_owned(),
            shards: shards(snapshot.checkpoints()),
            sound: tables.iter().all(TableVerified::is_sound),
            tables,
        };
        lines.put(Line::Verified(verified)).await
    }

    async fn compare(
        &self,
        snapshot: &mut dyn Snapshot,
        folded: FoldedShard,
        lines: &Lines,
    ) -> Result<Vec<TableVerified>, Ended> {
        let manifest = &self.subject.generation.manifest;
        let keys = self.referred(snapshot).await?;
        let mut verified = Vec::new();
        for (number, folded) in merge(manifest, vec![folded]).into_iter().enumerate() {
            let stored = pages(&self.subject, snapshot, number as u16).await?;
            let folded = Keyed::new(Folded(folded), &manifest.tables[number]);
            let declared = Declared::of(manifest, number, &keys);
            verified.push(table((manifest, number), Pairs::new(stored, folded), declared, lines).await?);
        }
        Ok(verified)
    }

    /// The keys of all tables that others refer to.
    async fn referred(&self, snapshot: &mut dyn Snapshot) -> Result<Keys, HostError> {
        let manifest = &self.subject.generation.manifest;
        let referred: HashSet<u16> =
            manifest.tables.iter().flat_map(|table| &table.references).map(|reference| reference.table).collect();
        let mut keys = Keys::default();
        for number in referred {
            let mut pages = pages(&self.subject, snapshot, number).await?;
            loop {
                let rows = pages.page().await?;
                if rows.is_empty() {
                    break;
                }
                keys.add(number, &manifest.tables[usize::from(number)], &rows);
            }
        }
        Ok(keys)
    }
}

async fn table(
    (manifest, number): (&Manifest, usize),
    mut pairs: Pairs<'_>,
    mut declared: Declared<'_>,
    lines: &Lines,
) -> Result<TableVerified, Ended> {
    let table = &manifest.tables[number];
    let writer = Writer::of(table);
    let mut found = TableVerified { table: table.name.clone(), ..TableVerified::default() };
    while let Some(pair) = pairs.next().await? {
        let (stored, folded) = match &pair {
            Pair::Here(stored) => (Some(stored), None),
            Pair::There(folded) => (None, Some(folded)),
            Pair::Both(stored, folded) => (Some(stored), Some(folded)),
        };
        let columns = match (stored, folded) {
            (Some(stored), Some(folded)) => differing(manifest, number, stored, folded),
            _ => Vec::new(),
        };
        let count = match (stored, folded) {
            (None, _) => Some(&mut found.missing),
            (_, None) => Some(&mut found.surplus),
            _ if columns.is_empty() => None,
            _ => Some(&mut found.changed),
        };
        if let Some(count) = count {
            *count += 1;
            let key = writer.key(stored.or(folded).expect("a pair has a row"));
            let (stored, folded) = (stored.map(|row| writer.row(row)), folded.map(|row| writer.row(row)));
            lines.put(Line::Differs { table: table.name.clone(), key, stored, folded, columns }).await?;
        }
        let Some(stored) = stored else { continue };
        found.rows += 1;
        for rule in declared.broken_by(stored) {
            found.broken += 1;
            lines.put(Line::Broken { table: table.name.clone(), key: writer.key(stored), rule }).await?;
        }
    }
    Ok(found)
}

fn differing(manifest: &Manifest, number: usize, stored: &Row, folded: &Row) -> Vec<String> {
    let columns = manifest.tables[number].columns.iter().zip(stored.iter().zip(folded));
    columns.filter(|(_, (stored, folded))| stored != folded).map(|(column, _)| column.name.clone()).collect()
}

/// A table of the fold.
struct Folded(MergedTable);

#[async_trait]
impl Pages for Folded {
    async fn page(&mut self) -> Result<Vec<Row>, HostError> {
        self.0.next(PAGE).map_err(|error| HostError::Conflict(format!("the log cannot be folded: {error}")))
    }
}

/// A fold of the log on its way.
struct Fold {
    /// Nothing only while a thread has it.
    shard: Option<BulkShard>,
    manifest: Arc<Manifest>,
    /// How far each of the generation's shards is folded.
    at: Vec<u64>,
}

impl Fold {
    async fn begin(host: &Host, subject: &Subject) -> Result<Fold, HostError> {
        let generation = subject.generation.clone();
        let manifest = Arc::clone(&generation.manifest);
        let progress = Arc::new(Progress::new(0, watch::Sender::new(0)));
        let run =
            Run { host: host.clone(), target: Arc::clone(&subject.target), generation, progress, gate: Arc::default() };
        let told = |ended: runner::Ended| HostError::Conflict(format!("{} cannot be folded: {ended}", subject.title()));
        let plugin = run.plugin().await.map_err(told)?;
        let settings = RunSettings { parked: HashSet::new(), ..run.settings().await.map_err(told)? };
        let shard = BulkShard::new(Arc::clone(&manifest), plugin, settings, 1);
        Ok(Fold { shard: Some(shard), manifest, at: Vec::new() })
    }

    /// Folds on until each shard is where it is to be.
    async fn go_on(&mut self, host: &Host, until: &[u64], lines: &Lines) -> Result<(), Ended> {
        self.at.resize(until.len(), 0);
        let after = self.at.iter().copied().min().unwrap_or_default();
        let last = until.iter().copied().max().unwrap_or_default();
        if after >= last {
            return Ok(());
        }
        let span = Span { after, until: Some(last), portion: ReadLimit { events: EVENTS, bytes: 16 << 20 } };
        let wanted = Wanted { kinds: kinds(&self.manifest), sharing: Sharing::Whole };
        let (store, archive) = (Arc::clone(&host.inner.store), host.inner.config.archive.clone());
        let mut history = History::open(store, archive, span, wanted).await.map_err(not_read)?;
        while let Some(portion) = history.next().await.map_err(not_read)? {
            let position = portion.through.position;
            self.apply(portion, until).await?;
            lines.put(Line::Progress { position, until: last }).await?;
            let bytes = self.shard.as_ref().map_or(0, BulkShard::bytes);
            if bytes > host.inner.config.build.memory_bytes {
                return Err(HostError::Conflict(format!(
                    "the rows of the log up to position {position} take more than the {} MiB that builds may use (--memory): \
                     compare with a replay instead (reel replay --no-promote, reel diff)",
                    host.inner.config.build.memory_bytes >> 20
                ))
                .into());
            }
        }
        self.at = until.to_vec();
        Ok(())
    }

    /// Applies what no shard has behind it, and none has only in front of it.
    async fn apply(&mut self, portion: Portion, until: &[u64]) -> Result<(), HostError> {
        let at = std::mem::take(&mut self.at);
        let is_due = |shard: usize, position: u64| at[shard] < position && position <= until[shard];
        let shards = until.len() as u32;
        let mut events = EventBatch::new();
        for batch in &portion.batches {
            let due = batch.iter().filter(|event| is_due(partition_of(event.stream, shards) as usize, event.position));
            events.extend(due);
        }
        self.at = at;
        self.fold(events, portion.through).await
    }

    async fn fold(&mut self, events: EventBatch, through: LogPoint) -> Result<(), HostError> {
        let mut shard = self.shard.take().expect("it is there between two calls");
        let folded = tokio::task::spawn_blocking(move || shard.apply(events, through).map(|()| shard)).await;
        match folded.expect("folding does not panic, and nobody aborts it") {
            Ok(shard) => {
                self.shard = Some(shard);
                Ok(())
            }
            Err(error) => Err(HostError::Conflict(format!("the log cannot be folded: {}", chain(&error)))),
        }
    }
}

fn not_read(error: StoreError) -> HostError {
    HostError::Unavailable { action: "reading the log", source: error.into() }
}
