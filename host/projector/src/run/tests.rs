//! The loop under every policy, against the plainest model: whatever the batches, traps and refusals, the rows, the dead letters and
//! the checkpoint are those of applying the events one by one.

use std::collections::{BTreeSet, HashSet};
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use proptest::prelude::*;
use reel_events::foreign::Unreadable;
use reel_events::{EventBatch, EventRef, LogId, LogPoint, Place};
use tokio::sync::{mpsc, watch};
use uuid::Uuid;

use super::*;
use crate::change::{KeyValues, Row};
use crate::fixture::{Act, Scripted, act, events, manifest, one_by_one, policy};
use crate::memory::{MemoryReadModel, MemoryState};
use crate::ports::{
    Checkpoint, Commit, CommitError, DeadLetterReason, FailurePolicy, Plugin, ReadModel, ReadModelError,
};
use crate::progress::Progress;
use crate::work::end_of;

const START: Checkpoint = Checkpoint { log: LogId(Uuid::from_u128(1)), point: LogPoint::START, layout: 0, epoch: 1 };

/// Delivers a batch in pieces; tells the loop to stop when it has none left.
struct Pieces {
    batch: EventBatch,
    cuts: VecDeque<usize>,
    at: usize,
    done: watch::Sender<bool>,
}

#[async_trait]
impl Source for Pieces {
    async fn next(&mut self, most: usize) -> Result<Delivery, SourceError> {
        if self.at == self.batch.len() {
            self.done.send_replace(true);
            std::future::pending::<()>().await;
        }
        let size = self.cuts.pop_front().unwrap_or(usize::MAX).clamp(1, most);
        let end = self.batch.len().min(self.at.saturating_add(size));
        let mut events = self.batch.like();
        events.append(&self.batch, self.at..end);
        self.at = end;
        Ok(Delivery { events, through: end_of(&self.batch, end), head: self.batch.len() as u64 })
    }
}

struct Ran {
    state: MemoryState,
    end: Result<(), RunError>,
}

/// Runs a script over `batch`, which has an event for each of its lines.
fn run_over(
    batch: EventBatch,
    script: &[Vec<Act>],
    cuts: &[usize],
    (on_failure, let_go): (FailurePolicy, &[Place]),
) -> Ran {
    let script = Arc::new(script.to_vec());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    runtime.block_on(async {
        let read_model = Arc::new(MemoryReadModel::new(manifest(), START));
        let (done, stop) = watch::channel(false);
        let (_requests, requests) = mpsc::channel(1);
        let source = Pieces { batch, cuts: cuts.iter().copied().collect(), at: 0, done };
        let parts = ShardParts {
            manifest: manifest(),
            plugin: Box::new(Scripted(script)),
            read_model: read_model.clone(),
            number: 0,
            shards: 1,
            checkpoint: START,
            cache_bytes: 2_000,
            progress: Arc::new(Progress::new(0, watch::Sender::new(0))),
        };
        let settings = RunSettings {
            on_failure,
            let_go: let_go.iter().copied().collect(),
            parked: HashSet::new(),
            most_events: 1000,
        };
        let end = run(parts, Box::new(source), settings, &mut Orders { stop, requests }).await;
        Ran { state: read_model.state(), end }
    })
}

fn run_script(script: &[Vec<Act>], cuts: &[usize], on_failure: FailurePolicy, let_go: &[Place]) -> Ran {
    run_over(events(script.len()), script, cuts, (on_failure, let_go))
}

fn at(position: u64) -> Place {
    Place::global(position).unwrap()
}

fn positions(ran: &Ran) -> BTreeSet<u64> {
    ran.state.dead_letters.keys().map(|place| place.position()).collect()
}

/// The same events as those of one partition of a foreign topic; some of them are none.
fn with_unreadable(events: &EventBatch, is_unreadable: impl Fn(usize) -> bool) -> EventBatch {
    let mut batch = EventBatch::of_partition(7);
    for (index, event) in events.iter().enumerate() {
        if is_unreadable(index) {
            let why =
                Unreadable { code: "not-json", reason: "it is broken".into(), original: format!("message {index}") };
            batch.push_unreadable(EventRef { kind: "", payload: "", ..event }, why);
        } else {
            batch.push(event);
        }
    }
    batch
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    /// A message that is no event is as an event that can never be applied, and the plugin does not see it.
    #[test]
    fn what_is_no_event_follows_the_policy(
        script in proptest::collection::vec((proptest::collection::vec(act(), 1..3), 0..5_u8), 1..40),
        cuts in proptest::collection::vec(1..12_usize, 0..8),
        policy in policy(),
    ) {
        let broken: Vec<bool> = script.iter().map(|(_, number)| *number == 0).collect();
        let script: Vec<Vec<Act>> = script.into_iter().map(|(acts, _)| acts).collect();
        let model: Vec<Vec<Act>> =
            script.iter().zip(&broken).map(|(acts, broken)| if *broken { vec![Act::Trap] } else { acts.clone() }).collect();
        let (plain, dead, halted) = one_by_one(&model, policy);
        let ran = run_over(with_unreadable(&events(script.len()), |index| broken[index]), &script, &cuts, (policy, &[]));
        prop_assert!(plain.equals(&ran.state.tables), "{:?} {:?}", plain, ran.state);
        prop_assert_eq!(positions(&ran), dead);
        for (place, letter) in &ran.state.dead_letters {
            let index = place.position() as usize - 1;
            prop_assert_eq!(place.partition(), Some(7));
            prop_assert_eq!(letter.original.clone(), broken[index].then(|| format!("message {index}")));
        }
        match (halted, ran.end) {
            (None, Ok(())) => prop_assert_eq!(ran.state.checkpoint.point.position, script.len() as u64),
            (Some(position), Err(RunError::Halted(failure))) => {
                prop_assert_eq!(failure.position, Place::in_partition(7, position));
            }
            (halted, end) => prop_assert!(false, "{:?} {:?}", halted, end),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn every_policy_equals_one_by_one(
        script in proptest::collection::vec(proptest::collection::vec(prop_oneof![40 => act(), 1 => Just(Act::Trap)], 1..3), 1..40),
        cuts in proptest::collection::vec(1..12_usize, 0..8),
        policy in policy(),
    ) {
        let (plain, dead, halted) = one_by_one(&script, policy);
        let ran = run_script(&script, &cuts, policy, &[]);
        prop_assert!(plain.equals(&ran.state.tables), "{:?} {:?}", plain, ran.state);
        prop_assert_eq!(positions(&ran), dead);
        match (halted, ran.end) {
            (None, Ok(())) => prop_assert_eq!(ran.state.checkpoint.point.position, script.len() as u64),
            (Some(position), Err(RunError::Halted(failure))) => {
                prop_assert_eq!(failure.position.map(Place::position), Some(position));
                prop_assert_eq!(ran.state.checkpoint.point.position, position - 1);
            }
            (halted, end) => prop_assert!(false, "{:?} {:?}", halted, end),
        }
    }
}

#[test]
fn an_event_that_was_let_go_is_passed_and_noted() {
    let script = vec![vec![], vec![Act::Trap], vec![]];
    let halted = run_script(&script, &[], FailurePolicy::Halt, &[]);
    assert!(
        matches!(halted.end, Err(RunError::Halted(failure)) if failure.position == Place::global(2) && failure.code == "trapped")
    );
    let passed = run_script(&script, &[], FailurePolicy::Halt, &[at(2)]);
    assert!(passed.end.is_ok());
    assert_eq!(passed.state.checkpoint.point.position, 3);
    assert_eq!(passed.state.dead_letters[&at(2)].reason, DeadLetterReason::Skipped);
}

/// Keeps a counter between events: what it writes depends on how they are cut.
struct Counting(u64);

impl crate::ports::Plugin for Counting {
    fn apply(
        &mut self,
        batch: &EventBatch,
        range: Range<usize>,
        sink: &mut dyn crate::ports::Sink,
    ) -> Result<(), crate::ports::ApplyError> {
        let mut in_this_call = 0;
        for event in range {
            in_this_call += 1;
            let id = batch.get(event).position as i64;
            let cells = [(0, id), (1, 0), (2, in_this_call)]
                .map(|(column, value)| crate::Cell { column, value: crate::ValueRef::Int(value) });
            sink.emit(crate::Change { event, table: 0, operation: crate::Operation::Upsert, cells: &cells })?;
        }
        self.0 += 1;
        Ok(())
    }
}

/// A read model of a shard that another host has taken over.
struct TakenOver(MemoryReadModel);

#[async_trait]
impl ReadModel for TakenOver {
    async fn checkpoint(&self, shard: u32) -> Result<Option<Checkpoint>, ReadModelError> {
        let found = self.0.checkpoint(shard).await?;
        Ok(found.map(|checkpoint| Checkpoint { epoch: checkpoint.epoch + 1, ..checkpoint }))
    }

    async fn read(&self, table: u16, keys: &[KeyValues]) -> Result<Vec<Option<Row>>, ReadModelError> {
        self.0.read(table, keys).await
    }

    async fn commit(&self, commit: Commit<'_>) -> Result<(), CommitError> {
        self.0.commit(commit).await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn what_looks_like_a_fault_to_a_host_that_lost_its_shard_stops_nobody_else() {
    let plugins: [Box<dyn Plugin>; 2] =
        [Box::new(Counting(0)), Box::new(Scripted(Arc::new(vec![vec![Act::Trap], vec![], vec![], vec![]])))];
    for plugin in plugins {
        let read_model = Arc::new(TakenOver(MemoryReadModel::new(manifest(), START)));
        let end = run_on(read_model, plugin, FailurePolicy::Halt).await;
        assert!(matches!(end, Err(RunError::Superseded(_))), "{end:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_component_that_depends_on_batches_is_stopped() {
    let read_model = Arc::new(MemoryReadModel::new(manifest(), START));
    let end = run_on(read_model.clone(), Box::new(Counting(0)), FailurePolicy::Skip).await;
    let Err(RunError::Fatal(failure)) = end else { panic!("{end:?}") };
    assert_eq!(failure.code, "depends-on-batches");
    assert!(failure.message.contains("table things has (2, 0, 2"), "{}", failure.message);
    assert_eq!(read_model.state().checkpoint, START);
}

/// Runs a plugin over four events in one batch.
async fn run_on(
    read_model: Arc<dyn ReadModel>,
    plugin: Box<dyn Plugin>,
    on_failure: FailurePolicy,
) -> Result<(), RunError> {
    let (done, stop) = watch::channel(false);
    let (_requests, requests) = mpsc::channel(1);
    let source = Pieces { batch: events(4), cuts: VecDeque::new(), at: 0, done };
    let parts = ShardParts {
        manifest: manifest(),
        plugin,
        read_model,
        number: 0,
        shards: 1,
        checkpoint: START,
        cache_bytes: 2_000,
        progress: Arc::new(Progress::new(0, watch::Sender::new(0))),
    };
    let settings = RunSettings { on_failure, let_go: HashSet::new(), parked: HashSet::new(), most_events: 1000 };
    run(parts, Box::new(source), settings, &mut Orders { stop, requests }).await
}
