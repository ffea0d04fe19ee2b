//! Whatever somebody did to the rows, and wherever history was folded to: rows that are made anew are those of the log, the others stay
//! as they were, and the loop goes on from them.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use proptest::prelude::*;
use reel_events::{EventRef, LogId};
use tokio::sync::{Mutex, mpsc, oneshot, watch};
use uuid::Uuid;

use super::*;
use crate::change::{Cell, Change, Operation, Row};
use crate::fixture::events;
use crate::memory::{MemoryReadModel, MemoryTables};
use crate::ports::{ApplyError, Checkpoint, Commit, Delivery, FailurePolicy, ReadModel, Sink, SourceError};
use crate::progress::Progress;
use crate::run::{Errand, Orders, Rederive, Request, run};
use crate::shard::ShardParts;
use crate::value::ValueRef;
use crate::work::end_of;

const START: Checkpoint = Checkpoint { log: LogId(Uuid::from_u128(1)), point: LogPoint::START, layout: 0, epoch: 1 };

/// A table owned by the streams' keys, and one by their ids.
fn manifest() -> Arc<Manifest> {
    let json = r#"{"manifest": 1, "name": "owned", "version": "1", "kinds": ["*"], "tables": [
        {"name": "totals", "key": ["key"], "owner": {"column": "key", "holds": "stream-key"}, "columns": [
            {"name": "key", "type": "text", "length": 40}, {"name": "total", "type": "int64", "default": 0}]},
        {"name": "entries", "key": ["number", "stream"], "owner": {"column": "stream", "holds": "stream-id"},
            "indexes": [{"columns": ["stream"]}], "columns": [
            {"name": "number", "type": "int64"}, {"name": "stream", "type": "text", "length": 40}]}]}"#;
    Arc::new(Manifest::parse(json).unwrap())
}

/// The event at position N adds what the script says at N − 1 to its key, and is an entry of its stream: 0 deletes those before it.
struct Summing(Arc<Vec<i64>>);

impl Plugin for Summing {
    fn apply(&mut self, batch: &EventBatch, range: Range<usize>, sink: &mut dyn Sink) -> Result<(), ApplyError> {
        for event in range {
            let at = batch.get(event);
            let number = self.0[at.position as usize - 1];
            let stream = Cell { column: 1, value: ValueRef::Text(at.stream.as_bytes()) };
            if number == 0 {
                sink.emit(Change { event, table: 1, operation: Operation::DeleteWhere, cells: &[stream] })?;
            }
            let entry = [Cell { column: 0, value: ValueRef::Int(at.position as i64) }, stream];
            sink.emit(Change { event, table: 1, operation: Operation::Upsert, cells: &entry })?;
            let key = Cell { column: 0, value: ValueRef::Text(at.stream_key().as_bytes()) };
            let sum = [key, Cell { column: 1, value: ValueRef::Int(number) }];
            sink.emit(Change { event, table: 0, operation: Operation::Add, cells: &sum })?;
        }
        Ok(())
    }
}

/// Two categories over three keys; the first five events are of five streams.
fn log(number: usize) -> EventBatch {
    const STREAMS: [&str; 5] = ["a-1", "a-2", "b-1", "b-3", "a-3"];
    events(number).iter().map(|event| EventRef { stream: STREAMS[event.position as usize % 5], ..event }).collect()
}

/// Delivers a batch up to where it may, then waits.
struct Gated {
    batch: EventBatch,
    at: usize,
    open: watch::Receiver<usize>,
}

#[async_trait]
impl Source for Gated {
    async fn next(&mut self, most: usize) -> Result<Delivery, SourceError> {
        let open = *self.open.wait_for(|open| *open > self.at).await.expect("the test holds the gate");
        let end = open.min(self.at.saturating_add(most));
        let events: EventBatch = (self.at..end).map(|index| self.batch.get(index)).collect();
        self.at = end;
        Ok(Delivery { events, through: end_of(&self.batch, end), head: self.batch.len() as u64 })
    }
}

fn settings() -> RunSettings {
    RunSettings { on_failure: FailurePolicy::Halt, let_go: HashSet::new(), parked: HashSet::new(), most_events: 7 }
}

/// What hands did: every row is gone, and there is one that never was for each stream.
async fn tamper(read_model: &MemoryReadModel) {
    let state = read_model.state();
    let key = |table: usize, row: &Row| {
        state.tables.manifest().tables[table].key.iter().map(|c| row[usize::from(*c)].clone()).collect()
    };
    let gone = |table: usize| state.tables.rows(table).map(|row| key(table, row)).collect();
    let surplus = ["a-1", "a-2", "a-3", "b-1", "b-3"].map(|stream| [Value::Int(-1), Value::Text(stream.into())].into());
    let writes = Writes {
        tables: vec![
            TableWrites { deletes: gone(0), ..TableWrites::default() },
            TableWrites { deletes: gone(1), upserts: surplus.to_vec(), ..TableWrites::default() },
        ],
    };
    let (from, to) = (state.checkpoint, state.checkpoint.point);
    let commit = Commit { shard: 0, from, to, writes: &writes, dead_letters: &[], settled: &[] };
    read_model.commit(commit).await.unwrap();
}

/// Rows of both tables whose key of a stream is one of these.
fn of_keys(tables: &MemoryTables, keys: &[String]) -> Vec<Row> {
    let of = |row: &Row, column: usize| {
        let Value::Text(owner) = &row[column] else { panic!("{row:?}") };
        keys.iter().any(|key| key == owner.rsplit('-').next().unwrap())
    };
    let totals = tables.rows(0).filter(|row| of(row, 0));
    totals.chain(tables.rows(1).filter(|row| of(row, 1))).cloned().collect()
}

/// Runs the loop to `stands`, tampers, has the rows of `keys` made anew from a fold up to `folded`, and runs the loop to the end.
async fn rederived(script: &Arc<Vec<i64>>, (folded, stands): (usize, usize), keys: &[String]) -> [MemoryTables; 2] {
    let batch = log(script.len());
    let read_model = Arc::new(MemoryReadModel::new(manifest(), START));
    let progress = Arc::new(Progress::new(0, watch::Sender::new(0)));
    let (gate, open) = watch::channel(stands);
    let (stop, stopped) = watch::channel(false);
    let (ask, requests) = mpsc::channel(1);
    let parts = ShardParts {
        manifest: manifest(),
        plugin: Box::new(Summing(Arc::clone(script))),
        read_model: read_model.clone(),
        number: 0,
        shards: 1,
        checkpoint: START,
        cache_bytes: 2_000,
        progress: Arc::clone(&progress),
    };
    let source = Gated { batch: batch.clone(), at: 0, open: open.clone() };
    let looped =
        tokio::spawn(
            async move { run(parts, Box::new(source), settings(), &mut Orders { stop: stopped, requests }).await },
        );
    progress.watch().wait_for(|position| *position == stands as u64).await.unwrap();
    tamper(&read_model).await;

    let all = watch::Sender::new(batch.len());
    let behind = Box::new(Gated { batch: batch.clone(), at: folded, open: all.subscribe() });
    let plugin = Box::new(Summing(Arc::clone(script)));
    let mut fold = Rederivation::begin(manifest(), plugin, settings(), keys.to_vec(), (folded as u64, behind));
    let history = (0..folded).map(|index| batch.get(index)).collect();
    fold.apply(&history, end_of(&batch, folded)).await.unwrap();
    let wanted = Rederive { fold: Arc::new(Mutex::new(fold)), keys: keys.to_vec(), shard: 0, shards: 1 };
    let (reply, answer) = oneshot::channel();
    let asked = ask.send(Request { errand: Errand::Rederive(wanted), reply }).await;
    assert!(asked.is_ok());
    answer.await.unwrap().unwrap();
    let anew = read_model.state();
    assert_eq!(anew.checkpoint.point.position, stands as u64, "the checkpoint stays");
    gate.send_replace(batch.len());
    progress.watch().wait_for(|position| *position == batch.len() as u64).await.unwrap();
    stop.send_replace(true);
    looped.await.unwrap().unwrap();
    [anew.tables, read_model.state().tables]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn rows_made_anew_are_those_of_the_log(
        script in proptest::collection::vec(-3..4_i64, 5..60),
        at in (0.0..=1.0_f64, 0.0..=1.0_f64),
        which in 1..8_u32,
    ) {
        let stands = 5 + ((script.len() - 5) as f64 * at.0) as usize;
        let folded = 5 + ((stands - 5) as f64 * at.1) as usize;
        let keys: Vec<String> = (0..3).filter(|bit| which & (1 << bit) != 0).map(|bit| (bit + 1).to_string()).collect();
        let script = Arc::new(script);
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let [anew, end] = runtime.block_on(rederived(&script, (folded, stands), &keys));
        let batch = log(script.len());
        for (tables, upto) in [(anew, stands), (end, script.len())] {
            let mut plain = MemoryTables::new(manifest());
            plain.project(&mut Summing(Arc::clone(&script)), &batch, std::slice::from_ref(&(0..upto))).unwrap();
            prop_assert_eq!(of_keys(&tables, &keys), of_keys(&plain, &keys));
            let others: Vec<String> = ["1", "2", "3"].map(String::from).into_iter().filter(|k| !keys.contains(k)).collect();
            let surplus = |row: &&Row| row[0] == Value::Int(-1);
            let left = of_keys(&tables, &others);
            let streams = others.iter().map(|key| if key == "2" { 1 } else { 2 }).sum::<usize>();
            prop_assert!(left.iter().filter(surplus).count() <= streams);
            if upto == stands {
                prop_assert_eq!(left.len(), streams, "rows of other streams are as hands left them: {:?}", left);
            }
        }
    }
}
