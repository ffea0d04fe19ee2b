//! Passes over history: one, where the rows fit into memory; else one for each of several parts of the streams, by their keys' hash. The
//! rows of each part but the last are put aside in key order, and merged when they are loaded. So memory is bounded by the largest part,
//! and each row is written once whatever there are of them.
//!
//! How many parts is found out: a part that turns out to be too large is cut, and what was folded of it is given up. What an earlier attempt
//! put aside is not folded again.

use std::sync::Arc;
use std::time::Duration;

use reel_event_log::StoreError;
use reel_event_log::history::{History, Portion, Sharing, Span, Wanted};
use reel_events::{LogPoint, Place};
use reel_projector::bulk::merge;
use reel_projector::ports::DeadLetter;
use reel_projector::{RunError, chain};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::budget::Budget;
use super::record::{Input, Owner, Record};
use super::spill::{Done, Spill, discard};
use super::thread::Writing;
use super::workers::{Worked, Workers, place};
use super::{Build, BuildError, Folded, Keeping, NotBuilt, kinds};

/// Most parts, and most files of all tables together.
const MOST_PARTS: u32 = 64;
const MOST_FILES: u32 = 512;

/// What is left of the memory budget when a part is cut so that each piece should fit.
const FILLED: f64 = 0.8;

/// What becomes of rows beyond the memory budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Beyond {
    /// The streams are cut into parts.
    Split,
    /// The build ends with the rows it has, where it stands: the loop applies the rest. So it is where the order of all streams together
    /// counts.
    End,
}

/// One part of the streams: those whose key's hash leaves `part` when it is divided by `of`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Part {
    pub(super) part: u32,
    pub(super) of: u32,
}

/// All streams.
const ALL: Part = Part { part: 0, of: 1 };

/// What a pass came to.
enum Pass {
    Whole(Worked, LogPoint, Worth),
    /// The rows do not fit: about how many times the memory there is they would take.
    TooLarge(f64),
}

/// What it would take to fold a part again, and to put it aside.
#[derive(Debug, Clone, Copy)]
struct Worth {
    took: Duration,
    bytes: usize,
}

/// The passes of one attempt.
pub(super) struct Passes<'a> {
    build: &'a Build,
    writing: &'a Writing,
    workers: usize,
    beyond: Beyond,
    /// Where history ends; the same for all passes, once the first one knows.
    until: Option<u64>,
    /// The first event at fault: later passes only look whether there is an earlier one.
    failed: Option<RunError>,
    spill: Spill,
    aside: Vec<DeadLetter>,
}

impl<'a> Passes<'a> {
    pub(super) fn new(build: &'a Build, writing: &'a Writing, (workers, beyond): (usize, Beyond)) -> Passes<'a> {
        let (until, spill) = (build.generation.promotion.until(), empty(build, writing, beyond));
        Passes { build, writing, workers, beyond, until, failed: None, spill, aside: Vec::new() }
    }

    /// Folds all of history, or as far as memory reaches; but for what an earlier attempt put aside.
    pub(super) async fn fold(mut self) -> Result<Folded, NotBuilt> {
        let (mut parts, mut folded) = self.go_on().await?;
        while let Some(part) = parts.pop() {
            self.build.progress.enter_pass(folded + 1, folded + 1 + parts.len() as u32);
            let pass = self.pass(part).await;
            folded += u32::from(!matches!(pass, Ok(Pass::TooLarge(_))));
            match pass {
                Ok(Pass::TooLarge(times)) => parts.extend(self.cut(part, times)?),
                Ok(Pass::Whole(worked, through, worth)) if parts.is_empty() && self.failed.is_none() => {
                    return Ok(self.finish(part, worked, (through, worth)).await);
                }
                Ok(Pass::Whole(worked, through, _)) => self.put_aside((part, &parts), worked, through).await?,
                Err(NotBuilt::For(BuildError::Run(error))) => self.fail(error)?,
                Err(error) => return Err(error),
            }
        }
        if let Some(error) = self.failed {
            return Err(error.into());
        }
        let (_, _, through) = self.spill.stands().expect("without a failure the last pass ends it, or was taken over");
        Ok(self.folded(Worked::default(), through))
    }

    /// Takes over what an earlier attempt put aside; what is left to fold, the next part last, and how many parts are done.
    async fn go_on(&mut self) -> Result<(Vec<Part>, u32), NotBuilt> {
        let mut spill = std::mem::replace(&mut self.spill, empty(self.build, self.writing, self.beyond));
        let (taken, spill) = self.writing.done(move || (spill.take_over(), spill)).await;
        let aside = match taken {
            Ok(aside) if self.log_holds(&spill).await? => aside,
            Ok(_) => return Ok(self.begin_anew("the log does not hold the event up to which it was folded").await),
            Err(unfit) => return Ok(self.begin_anew(&unfit.0).await),
        };
        self.spill = spill;
        let Some((left, folded, through)) = self.spill.stands() else { return Ok((vec![ALL], 0)) };
        let (left, of) = (left.to_vec(), folded + left.len() as u32);
        (self.aside, self.until) = (aside, Some(through.position));
        let (progress, position) = (&self.build.progress, through.position);
        progress.took_over(folded);
        progress.saw_head(position);
        if left.is_empty() {
            progress.begin(position);
            tracing::info!(position, "went on from rows that were folded before");
        } else {
            tracing::info!(position, "went on from part {} of {of}", folded + 1);
        }
        Ok((left, folded))
    }

    async fn begin_anew(&self, why: &str) -> (Vec<Part>, u32) {
        tracing::warn!(%why, "what an earlier attempt put aside is of no use: history is read from its beginning");
        discard(self.build.put_aside_in()).await;
        (vec![ALL], 0)
    }

    /// Whether the log still is the one that was folded.
    async fn log_holds(&self, spill: &Spill) -> Result<bool, NotBuilt> {
        let Some((_, _, through)) = spill.stands() else { return Ok(true) };
        loop {
            match self.build.store.point(through.position).await {
                Ok(found) => return Ok(found == Some(through)),
                Err(error) => self.wait_for_store(&error).await,
            }
        }
    }

    /// An event is at fault. What other parts have before it counts more.
    fn fail(&mut self, error: RunError) -> Result<(), NotBuilt> {
        match place(&error).map(Place::position) {
            Some(position) if position > 1 => {
                self.until = Some(position - 1);
                self.failed = Some(error);
                Ok(())
            }
            _ => Err(error.into()),
        }
    }

    fn cut(&self, part: Part, times: f64) -> Result<Vec<Part>, NotBuilt> {
        let tables = self.build.generation.manifest.tables.len() as u32;
        let most = MOST_PARTS.min(MOST_FILES / tables.max(1)).max(2);
        let pieces = ((times / FILLED).ceil() as u32).clamp(2, most);
        let memory_mib = self.build.config.memory_bytes >> 20;
        if part.of * 2 > most {
            tracing::warn!(
                memory_mib,
                "rows of {} parts of the streams do not fit into memory: the loop applies the rest",
                part.of
            );
            return Err(NotBuilt::TooLarge);
        }
        let pieces = pieces.min(most / part.of);
        tracing::info!(
            memory_mib,
            parts = part.of * pieces,
            "rows do not fit into memory: history is read for each part of the streams"
        );
        Ok((0..pieces).rev().map(|piece| Part { part: part.part + piece * part.of, of: part.of * pieces }).collect())
    }

    async fn put_aside(
        &mut self,
        (part, left): (Part, &[Part]),
        worked: Worked,
        through: LogPoint,
    ) -> Result<(), NotBuilt> {
        if self.failed.is_some() {
            return Ok(());
        }
        let Worked { shards, mut aside } = worked;
        let done = Done { part, through, left: left.to_vec(), aside: aside.clone() };
        self.aside.append(&mut aside);
        let mut spill = std::mem::replace(&mut self.spill, empty(self.build, self.writing, self.beyond));
        let manifest = Arc::clone(&self.build.generation.manifest);
        let put = self.writing.done(move || spill.put(&manifest, shards, done).map(|()| spill)).await;
        self.spill = put.map_err(|why| NotBuilt::For(BuildError::Passing(why)))?;
        Ok(())
    }

    /// The last part is folded. Where folding it again would take much longer than writing it down, that is done before it is loaded.
    async fn finish(mut self, part: Part, mut worked: Worked, (through, worth): (LogPoint, Worth)) -> Folded {
        if self.build.config.keeping.is_worth(worth) {
            let done = Done { part, through, left: Vec::new(), aside: worked.aside.clone() };
            let mut spill = std::mem::replace(&mut self.spill, empty(self.build, self.writing, self.beyond));
            let kept = self.writing.done(move || {
                let kept = spill.keep(&worked.shards, done);
                (kept, spill, worked)
            });
            let (kept, spill, unchanged) = kept.await;
            (self.spill, worked) = (spill, unchanged);
            if let Err(error) = kept {
                let directory = self.build.put_aside_in();
                tracing::warn!(%error, directory = %directory.display(), "a build that is killed now folds again: its rows cannot be kept");
            }
        }
        self.folded(worked, through)
    }

    fn folded(self, worked: Worked, through: LogPoint) -> Folded {
        let Passes { build, spill, mut aside, .. } = self;
        let Worked { shards, aside: mut last } = worked;
        aside.append(&mut last);
        aside.sort_by_key(|letter| letter.position);
        let mut tables = merge(&build.generation.manifest, shards);
        spill.give_back(&mut tables);
        Folded { tables, aside, through }
    }

    /// Reads history and gives one part of it to workers.
    async fn pass(&mut self, part: Part) -> Result<Pass, NotBuilt> {
        let budget = Arc::new(Budget::new(&self.build.config, self.beyond, Arc::clone(&self.build.progress)));
        let mut workers = Workers::start(self.build, (self.workers, self.workers * part.of as usize), &budget)?;
        let begun = Instant::now();
        let mut pace = Pace { per_second: self.build.config.throttle, begun, events: 0 };
        let mut through = LogPoint::START;
        let ended = 'read: loop {
            let mut history = match self.history(part, through.position).await {
                Ok(history) => history,
                Err(error) => {
                    self.wait_for_store(&error).await;
                    continue;
                }
            };
            let end = history.end();
            self.until = Some(end.position);
            loop {
                match history.next().await {
                    Ok(Some(portion)) => {
                        (through, pace.events) = (portion.through, pace.events + portion.events() as u64);
                        if let Some(ended) = self.take((&mut workers, &budget), portion, end).await {
                            break 'read ended;
                        }
                        pace.keep().await;
                    }
                    Ok(None) => break 'read Ending::At(end),
                    Err(error) => {
                        self.wait_for_store(&error).await;
                        continue 'read;
                    }
                }
            }
        };
        match ended {
            Ending::At(through) => {
                let worked = workers.finish().await;
                // Then some events were left alone: a failure may not be the first one.
                match budget.full_at().filter(|_| self.beyond == Beyond::Split) {
                    Some(full_at) => Ok(Pass::TooLarge(expected(&budget, full_at, through))),
                    None => Ok(Pass::Whole(worked?, through, Worth { took: begun.elapsed(), bytes: budget.held() })),
                }
            }
            Ending::TooLarge(times) => {
                workers.give_up().await;
                Ok(Pass::TooLarge(times))
            }
        }
    }

    /// Gives a portion to the workers; how the pass ends, where it does.
    async fn take(
        &self,
        (workers, budget): (&mut Workers, &Budget),
        portion: Portion,
        end: LogPoint,
    ) -> Option<Ending> {
        let through = portion.through;
        if !workers.take(portion).await {
            return Some(Ending::At(through));
        }
        match self.beyond {
            // Well before it is full, it shows that it will be.
            Beyond::Split => {
                let expected = expected(budget, budget.full_at().unwrap_or(through.position), end);
                let too_large = budget.full_at().is_some() || (budget.filled() > 0.5 && expected > 2.0);
                too_large.then_some(Ending::TooLarge(expected))
            }
            // All workers end here, and with no more than this.
            Beyond::End => {
                workers.settle().await;
                budget.full_at().map(|_| Ending::At(through))
            }
        }
    }

    async fn history(&self, part: Part, after: u64) -> Result<History, StoreError> {
        let Build { store, archive, generation, config, progress, .. } = self.build;
        let portion = Budget::portion(config, self.workers);
        let span = Span { after, until: self.until, portion };
        let sharing = Sharing::Part { part: part.part, of: part.of, shards: self.workers as u32 };
        let wanted = Wanted { kinds: kinds(&generation.manifest), sharing };
        let history = History::open(store.clone(), archive.clone(), span, wanted).await?;
        progress.saw_head(history.end().position);
        Ok(history)
    }

    async fn wait_for_store(&self, error: &StoreError) {
        self.build.progress.waiting(&chain(error));
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// Nothing that was put aside.
fn empty(build: &Build, writing: &Writing, beyond: Beyond) -> Spill {
    let owner = Owner::of(build.target.name(), &build.generation);
    let record = Record::new(owner, Input::of(&build.generation, &build.settings), beyond);
    Spill::new(&build.put_aside_in(), record, writing.given_up())
}

impl Keeping {
    fn is_worth(self, Worth { took, bytes }: Worth) -> bool {
        took >= self.at_least && bytes as f64 <= took.as_secs_f64() * self.bytes_a_second as f64
    }
}

/// How many times the room there is the rows would take at the end, where they take what they take at `position`.
fn expected(budget: &Budget, position: u64, end: LogPoint) -> f64 {
    budget.filled() * end.position as f64 / position.max(1) as f64
}

/// How a pass ends.
enum Ending {
    /// Behind this event.
    At(LogPoint),
    /// Before its end: see [`Pass::TooLarge`].
    TooLarge(f64),
}

/// Keeps to a number of events a second.
struct Pace {
    per_second: Option<u64>,
    begun: Instant,
    events: u64,
}

impl Pace {
    async fn keep(&self) {
        if let Some(per_second) = self.per_second {
            let due = Duration::from_secs_f64(self.events as f64 / per_second.max(1) as f64);
            tokio::time::sleep_until(self.begun + due).await;
        }
    }
}
