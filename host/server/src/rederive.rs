//! Rows of some streams made anew in the live generation, which goes on meanwhile: `reel replay --stream`. History is folded for these
//! streams alone; then the generation's own loop puts the rows in the place of those that are there, in its turn, some streams at a time.
//! Its checkpoint stays where it is.
//!
//! Not here: what such a fold is (`projector`), whole replays (`deploy`).

mod owners;

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;
use std::time::Duration;

use reel_event_log::history::{History, Sharing, Span, Wanted};
use reel_event_log::topic::Tail;
use reel_event_log::{ReadLimit, StoreError};
use reel_events::{EventBatch, EventRef, key_hash, key_part};
use reel_projector::manifest::Ownership;
use reel_projector::{Checkpoint, Errand, Failure, Progress, Rederivation, Rederive, Request, RunSettings};
use reel_read_model::{Condition, GenerationState};
use serde::Serialize;
use tokio::sync::{Mutex, oneshot, watch};

use crate::build::kinds;
use crate::error::HostError;
use crate::host::Host;
use crate::inspect::report::{Ended, Lines};
use crate::inspect::{Line, Report, Subject, Which};
use crate::runner::{self, Run};
use crate::source::LogSource;

use owners::Owners;

/// Events that are looked at, or folded, at once.
const EVENTS: usize = 20_000;

/// Keys whose rows are written in one transaction.
const KEYS: usize = 1_000;

/// How often a generation's loop is asked that does not answer, and how long it is left alone in between.
const TRIES: u32 = 40;
const PAUSE: Duration = Duration::from_millis(250);

/// What was made anew.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Rederived {
    /// `posts@2`
    pub generation: String,
    /// The read database.
    pub target: String,
    /// How many streams; those that share their key with one that was meant are among them.
    pub streams: u64,
    /// How many events they have that the projection handles.
    pub events: u64,
    /// How many owners of rows had no events, and so have no rows any more.
    pub surplus: u64,
    /// How many rows were written.
    pub rows: u64,
}

impl Host {
    /// Makes the rows of all streams anew whose ids begin with one of `prefixes`, in the live generation. The report says how far
    /// history is read, and ends with [`Rederived`]. Whoever drops it before leaves the rows of some streams as they were.
    ///
    /// # Errors
    /// Where there is no such generation, it is not live or does not run, a table is not owned by streams, or the log is another one.
    pub async fn rederive(&self, which: &Which, prefixes: Vec<String>) -> Result<Report, HostError> {
        if prefixes.is_empty() || prefixes.iter().any(String::is_empty) {
            return Err(HostError::Refused("name the streams, or how their ids begin: post-4711".to_owned()));
        }
        self.needs_history("making the rows of single streams anew")?;
        let subject = self.subject(which).await?;
        refuse(&subject)?;
        let holds = self.log_holds(&subject.target, &subject.generation).await;
        if !holds.map_err(|error| HostError::catalog("reading the checkpoints", error))? {
            let message = format!("the event store does not hold the log that {} was built from", subject.title());
            return Err(HostError::Conflict(message));
        }
        let rederiving = Rederiving { host: self.clone(), subject, prefixes };
        Ok(Report::of(|lines| rederiving.report(lines)))
    }
}

/// Says why rows of single streams cannot be made anew, where that is so.
fn refuse(subject: &Subject) -> Result<(), HostError> {
    let (generation, title) = (&subject.generation, subject.title());
    let not_owned = |ownership| !matches!(ownership, Ownership::Owned { .. });
    let tables = generation.manifest.tables.iter().filter(|table| not_owned(table.ownership));
    let tables: Vec<_> = tables.map(|table| table.name.as_str()).collect();
    if !tables.is_empty() {
        return Err(HostError::Conflict(format!(
            "rows of {} in {title} are not one stream's alone, so they cannot be made anew for some streams: replay {} as a whole",
            tables.join(", "),
            generation.projection
        )));
    }
    if generation.state != GenerationState::Live {
        let state = generation.state.as_str();
        return Err(HostError::Conflict(format!(
            "{title} is in state {state}: only what is live is made anew in part"
        )));
    }
    if generation.condition != Condition::Running {
        return Err(HostError::Conflict(format!("{title} does not run: resume it first")));
    }
    Ok(())
}

struct Rederiving {
    host: Host,
    subject: Subject,
    prefixes: Vec<String>,
}

/// The fold of one shard's streams; nothing where it has none of them.
type Folds = Vec<Option<Rederivation>>;

impl Rederiving {
    async fn report(self, lines: Lines) -> Result<(), Ended> {
        let mut snapshot = self.subject.snapshot().await?;
        let checkpoints = snapshot.checkpoints().to_vec();
        // Of the same moment: what is behind the checkpoints has no rows among these.
        let mut owners = Owners::read(&self.subject, snapshot.as_mut(), &self.prefixes).await?;
        drop(snapshot);
        let mut keys = self.keys(&checkpoints, &mut owners, &lines).await?;
        let shards = keys.len();
        let surplus = owners.len() as u64;
        for key in owners.keys {
            // A stream of that key, whichever: its category does not count.
            keys[key_hash(&format!("any-{key}")) as usize % shards].insert(key);
        }
        for id in &owners.ids {
            keys[key_hash(id) as usize % shards].insert(key_part(id).to_owned());
        }
        let mut folds = self.begin(keys, &checkpoints).await?;
        for id in &owners.ids {
            let fold = folds[key_hash(id) as usize % shards].as_mut();
            fold.expect("it has the key").stands_for(id);
        }
        self.fold(&mut folds, &checkpoints, &lines).await?;
        let met = folds.iter().flatten().map(Rederivation::met);
        let (streams, events) = met.fold((0, 0), |sum, met| (sum.0 + met.0, sum.1 + met.1));
        let (streams, mut rows, shards) = (streams - owners.ids.len() as u64, 0, folds.len() as u32);
        for (shard, fold) in folds.into_iter().enumerate() {
            let Some(fold) = fold else { continue };
            rows += self.write(fold, (shard as u32, shards)).await?;
        }
        let (generation, target) = (self.subject.title(), self.subject.target.name().to_owned());
        tracing::info!(generation, streams, events, surplus, rows, "rows of some streams made anew");
        lines.put(Line::Rederived(Rederived { generation, target, streams, events, surplus, rows })).await
    }

    /// The keys of the streams that are meant, for each shard. `owners` is left with those that have no events.
    async fn keys(
        &self,
        checkpoints: &[Checkpoint],
        owners: &mut Owners,
        lines: &Lines,
    ) -> Result<Vec<BTreeSet<String>>, Ended> {
        let mut history = self.history(checkpoints, Sharing::Whole).await?;
        let until = history.end().position;
        let mut seen: HashSet<String> = HashSet::new();
        let mut keys = vec![BTreeSet::new(); checkpoints.len()];
        while let Some(portion) = history.next().await.map_err(not_read)? {
            for event in portion.batches.iter().flat_map(EventBatch::iter) {
                owners.has_events(&event);
                if self.is_meant(&event) && seen.insert(event.stream_key().to_owned()) {
                    let shard = key_hash(event.stream) as usize % keys.len();
                    keys[shard].insert(event.stream_key().to_owned());
                }
            }
            lines.put(Line::Progress { position: portion.through.position, until }).await?;
        }
        if seen.is_empty() && owners.len() == 0 {
            let message = format!(
                "no stream with events for {} begins with {}, and no row is of one: its rows are as they were",
                self.subject.title(),
                self.prefixes.join(", nor with ")
            );
            return Err(HostError::NotFound(message).into());
        }
        Ok(keys)
    }

    fn is_meant(&self, event: &EventRef<'_>) -> bool {
        self.prefixes.iter().any(|prefix| event.stream.starts_with(prefix))
    }

    async fn begin(&self, keys: Vec<BTreeSet<String>>, checkpoints: &[Checkpoint]) -> Result<Folds, HostError> {
        let (host, subject) = (self.host.clone(), &self.subject);
        let (target, generation) = (Arc::clone(&subject.target), subject.generation.clone());
        let manifest = Arc::clone(&generation.manifest);
        let progress = Arc::new(Progress::new(0, watch::Sender::new(0)));
        let run = Run { host, target, generation, progress, gate: Arc::default() };
        let told = |ended: runner::Ended| HostError::Conflict(format!("{} cannot be folded: {ended}", subject.title()));
        let settings = RunSettings { parked: HashSet::new(), ..run.settings().await.map_err(told)? };
        let mut folds = Vec::with_capacity(keys.len());
        for (keys, at) in keys.into_iter().zip(checkpoints) {
            if keys.is_empty() {
                folds.push(None);
                continue;
            }
            let plugin = run.plugin().await.map_err(told)?;
            let tail = Tail::new(Arc::clone(&self.host.inner.store), at.log, at.point);
            let behind = (at.point.position, Box::new(LogSource::new(tail)) as Box<_>);
            folds.push(Some(Rederivation::begin(Arc::clone(&manifest), plugin, settings.clone(), keys, behind)));
        }
        Ok(folds)
    }

    /// Folds history, each shard's streams up to where it stood.
    async fn fold(&self, folds: &mut Folds, checkpoints: &[Checkpoint], lines: &Lines) -> Result<(), Ended> {
        let mut history = self.history(checkpoints, Sharing::Each(checkpoints.len() as u32)).await?;
        let (until, limit) = (history.end().position, self.host.inner.config.build.memory_bytes);
        while let Some(portion) = history.next().await.map_err(not_read)? {
            for ((fold, events), at) in folds.iter_mut().zip(&portion.batches).zip(checkpoints) {
                let Some(fold) = fold else { continue };
                let due = events.iter().take_while(|event| event.position <= at.point.position).collect();
                fold.apply(&due, portion.through).await.map_err(|failure| not_folded(&failure))?;
            }
            let bytes: usize = folds.iter().flatten().map(Rederivation::bytes).sum();
            if bytes > limit {
                let message = format!(
                    "the rows of these streams take more than the {} MiB that builds may use (--memory): name fewer at a time, or replay {} \
                     as a whole",
                    limit >> 20,
                    self.subject.generation.projection
                );
                return Err(HostError::Conflict(message).into());
            }
            lines.put(Line::Progress { position: portion.through.position, until }).await?;
        }
        Ok(())
    }

    async fn history(&self, checkpoints: &[Checkpoint], sharing: Sharing) -> Result<History, HostError> {
        let until = checkpoints.iter().map(|at| at.point.position).max();
        let span = Span { after: 0, until, portion: ReadLimit { events: EVENTS, bytes: 16 << 20 } };
        let wanted = Wanted { kinds: kinds(&self.subject.generation.manifest), sharing };
        let (store, archive) = (Arc::clone(&self.host.inner.store), self.host.inner.config.archive.clone());
        History::open(store, archive, span, wanted).await.map_err(not_read)
    }

    /// Has one shard put the rows in place, some keys at a time; how many there were.
    async fn write(&self, fold: Rederivation, (shard, shards): (u32, u32)) -> Result<u64, HostError> {
        let keys: Vec<String> = fold.keys().map(str::to_owned).collect();
        let fold = Arc::new(Mutex::new(fold));
        let mut rows = 0;
        for some in keys.chunks(KEYS) {
            let wanted = || Rederive { fold: Arc::clone(&fold), keys: some.to_vec(), shard, shards };
            rows += self.through_the_loop(wanted).await?;
        }
        Ok(rows)
    }

    /// Asks the generation's loop, again where it is about to start or changes hands: what it is asked for may be done twice.
    async fn through_the_loop(&self, wanted: impl Fn() -> Rederive) -> Result<u64, HostError> {
        let Subject { target, generation } = &self.subject;
        for _ in 0..TRIES {
            let (reply, answer) = oneshot::channel();
            self.host.hand_over(target, generation, Request { errand: Errand::Rederive(wanted()), reply }).await;
            if let Ok(answer) = answer.await {
                return answer.map_err(|failure| not_folded(&failure));
            }
            tokio::time::sleep(PAUSE).await;
        }
        Err(HostError::Conflict(format!("{} does not run: resume it first", self.subject.title())))
    }
}

fn not_folded(failure: &Failure) -> HostError {
    HostError::Conflict(format!("the rows of these streams cannot be made anew: {failure}"))
}

fn not_read(error: StoreError) -> HostError {
    HostError::Unavailable { action: "reading the log", source: error.into() }
}
