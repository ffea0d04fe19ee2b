//! A build comes to what the loop and the plainest model come to: whatever the batches, shards, traps, refusals and policies.

use std::collections::{BTreeSet, HashSet};

use proptest::prelude::*;
use reel_events::{EventRef, Place, partition_of};

use super::*;
use crate::change::{Cell, Change, Operation, Row};
use crate::fixture::{Act, GROUP, ID, NOTE, Plain, Scripted, act, events, manifest, one_by_one, policy};
use crate::ports::{ApplyError, DeadLetterReason, FailurePolicy, Sink};
use crate::value::{Value, ValueRef};
use crate::work::end_of;

fn settings(on_failure: FailurePolicy) -> RunSettings {
    RunSettings { on_failure, let_go: HashSet::new(), parked: HashSet::new(), most_events: 1000 }
}

/// Gives a shard its events in pieces.
fn feed(shard: &mut BulkShard, batch: &EventBatch, cuts: &[usize]) -> Result<(), RunError> {
    let (mut at, mut cuts) = (0, cuts.iter());
    while at < batch.len() {
        let end = batch.len().min(at + cuts.next().copied().unwrap_or(usize::MAX / 2));
        shard.apply((at..end).map(|index| batch.get(index)).collect(), end_of(batch, end))?;
        at = end;
    }
    Ok(())
}

/// All rows of the one table, in pieces of three.
fn rows(manifest: &Arc<Manifest>, shards: Vec<FoldedShard>, table: usize) -> Vec<Row> {
    let mut merged = merge(manifest, shards).swap_remove(table);
    let mut all = Vec::new();
    loop {
        let some = merged.next(3).unwrap();
        if some.is_empty() {
            return all;
        }
        all.extend(some);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn every_policy_equals_one_by_one(
        script in proptest::collection::vec(proptest::collection::vec(prop_oneof![40 => act(), 1 => Just(Act::Trap)], 1..3), 1..40),
        cuts in proptest::collection::vec(1..12_usize, 0..8),
        policy in policy(),
    ) {
        let (plain, dead, halted): (Plain, BTreeSet<u64>, Option<u64>) = one_by_one(&script, policy);
        let batch = events(script.len());
        let plugin = Box::new(Scripted(Arc::new(script)));
        let mut shard = BulkShard::new(manifest(), plugin, settings(policy), 1);
        let ended = feed(&mut shard, &batch, &cuts);
        match (halted, ended) {
            (None, Ok(())) => {}
            (Some(position), Err(RunError::Halted(failure))) => {
                prop_assert_eq!(failure.position.map(Place::position), Some(position));
            }
            (halted, ended) => prop_assert!(false, "{:?} {:?}", halted, ended),
        }
        let (folded, letters) = shard.finish();
        prop_assert_eq!(letters.iter().map(|letter| letter.position.position()).collect::<BTreeSet<_>>(), dead);
        let rows = rows(&manifest(), vec![folded], 0);
        prop_assert!(plain.equals_rows(rows.iter()), "one by one: {:?}, built: {:?}", plain, rows);
    }
}

/// A table that streams own, and one that they share.
fn by_stream() -> Arc<Manifest> {
    let json = r#"{"manifest": 1, "name": "streams", "version": "1", "kinds": ["*"], "tables": [
        {"name": "own", "key": ["stream"], "owner": {"column": "stream", "holds": "stream-key"}, "columns": [
            {"name": "stream", "type": "text", "length": 40}, {"name": "total", "type": "int64", "default": 0}]},
        {"name": "all", "key": ["id"], "shared": true, "columns": [
            {"name": "id", "type": "int64"}, {"name": "sum", "type": "int16", "default": 0},
            {"name": "most", "type": "int64", "nullable": true}]}]}"#;
    Arc::new(Manifest::parse(json).unwrap())
}

/// Event N adds to its stream's row, and to a shared one, what the script says at N − 1.
struct Adding(Arc<Vec<i64>>);

impl Plugin for Adding {
    fn apply(
        &mut self,
        batch: &EventBatch,
        range: std::ops::Range<usize>,
        sink: &mut dyn Sink,
    ) -> Result<(), ApplyError> {
        for event in range {
            let at = batch.get(event);
            let number = ValueRef::Int(self.0[at.position as usize - 1]);
            let own = [cell(0, ValueRef::Text(at.stream_key().as_bytes())), cell(1, number)];
            sink.emit(Change { event, table: 0, operation: Operation::Add, cells: &own })?;
            let id = ValueRef::Int(at.position as i64 % 3);
            sink.emit(Change { event, table: 1, operation: Operation::Add, cells: &[cell(0, id), cell(1, number)] })?;
            let most = [cell(0, id), cell(2, number)];
            sink.emit(Change { event, table: 1, operation: Operation::Maximum, cells: &most })?;
        }
        Ok(())
    }
}

fn cell(column: u16, value: ValueRef<'_>) -> Cell<'_> {
    Cell { column, value }
}

/// Events of seven streams.
fn streams(number: usize) -> EventBatch {
    let streams: Vec<String> = (0..7).map(|stream| format!("s-{stream}")).collect();
    let base = events(number);
    let renamed = base.iter().enumerate().map(|(index, event)| EventRef { stream: &streams[index % 7], ..event });
    renamed.collect()
}

/// Builds with several shards, which share the events by their streams.
fn built(script: &Arc<Vec<i64>>, shards: u32, cuts: &[usize]) -> Vec<FoldedShard> {
    let batch = streams(script.len());
    let shard = |number: u32| {
        let own: EventBatch = batch.iter().filter(|event| partition_of(event.stream, shards) == number).collect();
        let plugin = Box::new(Adding(Arc::clone(script)));
        let mut shard = BulkShard::new(by_stream(), plugin, settings(FailurePolicy::Halt), shards as usize);
        feed(&mut shard, &own, cuts).unwrap();
        shard.finish().0
    };
    (0..shards).map(shard).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn shards_come_to_what_one_does(
        script in proptest::collection::vec(-100..100_i64, 1..60),
        shards in 2..5_u32,
        cuts in proptest::collection::vec(1..12_usize, 0..8),
    ) {
        let script = Arc::new(script);
        for table in 0..2 {
            let one = rows(&by_stream(), built(&script, 1, &[]), table);
            prop_assert_eq!(rows(&by_stream(), built(&script, shards, &cuts), table), one);
        }
    }
}

/// Builds the parts of the streams one after the other; all but the last are stored, and read again.
fn in_parts(script: &Arc<Vec<i64>>, parts: u32, table: usize) -> Vec<Row> {
    let batch = streams(script.len());
    let part = |number: u32| {
        let own: EventBatch = batch.iter().filter(|event| partition_of(event.stream, parts) == number).collect();
        let plugin = Box::new(Adding(Arc::clone(script)));
        let mut shard = BulkShard::new(by_stream(), plugin, settings(FailurePolicy::Halt), parts as usize);
        feed(&mut shard, &own, &[7, 1]).unwrap();
        merge(&by_stream(), vec![shard.finish().0]).swap_remove(table)
    };
    let mut last = part(parts - 1);
    for number in 0..parts - 1 {
        let mut bytes = Vec::new();
        let rows = part(number).store(&mut bytes).unwrap();
        last.add(StoredRun::new(Box::new(std::io::Cursor::new(bytes)), rows));
    }
    let (mut rows, to_come) = (Vec::new(), last.remaining());
    while let some @ 1.. = {
        let some = last.next(2).unwrap();
        rows.extend(some.iter().cloned());
        some.len()
    } {
        assert!(some <= 2);
    }
    assert!(rows.len() <= to_come && last.remaining() == 0);
    rows
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn parts_that_were_put_aside_come_to_what_one_does(
        script in proptest::collection::vec(-100..100_i64, 1..60),
        parts in 1..6_u32,
    ) {
        let script = Arc::new(script);
        for table in 0..2 {
            let one = rows(&by_stream(), built(&script, 1, &[]), table);
            prop_assert_eq!(in_parts(&script, parts, table), one);
        }
    }
}

#[test]
fn an_overflow_that_only_all_shards_reach_is_refused() {
    let script = Arc::new(vec![3_000; 42]);
    let mut merged = merge(&by_stream(), built(&script, 3, &[])).swap_remove(1);
    let Err(MergeError::Refused(refusal)) = merged.next(10) else { panic!("within the range") };
    assert_eq!(refusal.code, "value-out-of-domain");
    // One shard alone names the event.
    let plugin = Box::new(Adding(Arc::clone(&script)));
    let mut shard = BulkShard::new(by_stream(), plugin, settings(FailurePolicy::Skip), 1);
    feed(&mut shard, &streams(42), &[5]).unwrap();
    let (folded, letters) = shard.finish();
    assert_eq!(letters[0].position.position(), 31);
    assert!(letters.iter().all(|letter| letter.reason == DeadLetterReason::Skipped));
    let sums = rows(&by_stream(), vec![folded], 1);
    assert!(sums.iter().all(|row| row[1] == Value::Int(30_000)), "{sums:?}");
}

#[test]
fn an_overflow_on_the_way_is_refused_too() {
    // Up to the edge, over it, and back, each by another stream: in this order the second is at fault, in another none.
    let mut script = vec![0; 7];
    (script[0], script[3], script[6]) = (32_000, 1_000, -2_000);
    let script = Arc::new(script);
    let mut merged = merge(&by_stream(), built(&script, 4, &[])).swap_remove(1);
    assert!(matches!(merged.next(10), Err(MergeError::Refused(_))));
}

/// Keeps a counter in a call: what it writes depends on how events are cut.
struct Counting;

impl Plugin for Counting {
    fn apply(
        &mut self,
        batch: &EventBatch,
        range: std::ops::Range<usize>,
        sink: &mut dyn Sink,
    ) -> Result<(), ApplyError> {
        for (count, event) in range.enumerate() {
            let id = ValueRef::Int(batch.get(event).position as i64);
            let cells = [cell(0, id), cell(1, ValueRef::Int(0)), cell(2, ValueRef::Int(count as i64))];
            sink.emit(Change { event, table: 0, operation: Operation::Upsert, cells: &cells })?;
        }
        Ok(())
    }
}

#[test]
fn a_component_that_depends_on_batches_is_stopped() {
    let mut shard = BulkShard::new(manifest(), Box::new(Counting), settings(FailurePolicy::Skip), 1);
    let ended = feed(&mut shard, &events(4), &[]);
    let Err(RunError::Fatal(failure)) = ended else { panic!("{ended:?}") };
    assert_eq!(failure.code, "depends-on-batches");
    assert!(failure.message.contains("table things has (2, 0, 1"), "{}", failure.message);
}

#[test]
fn memory_is_counted_and_what_is_undone_counts_no_more() {
    let script: Vec<Vec<Act>> = (0..100)
        .map(|id| vec![Act::Change(Operation::Upsert, vec![(0, id % 10), (1, 0), (4, 1)])])
        .chain([vec![Act::Change(Operation::Upsert, vec![(0, 77), (1, 0)]), Act::Trap]])
        .collect();
    let plugin = Box::new(Scripted(Arc::new(script)));
    let mut shard = BulkShard::new(manifest(), plugin, settings(FailurePolicy::Skip), 1);
    let batch = events(101);
    feed(&mut shard, &(0..10).map(|index| batch.get(index)).collect(), &[]).unwrap();
    let (ten, rows) = (shard.bytes(), shard.rows());
    assert!(rows == 10 && ten > 10 * 100, "{ten} bytes in {rows} rows");
    feed(&mut shard, &(10..100).map(|index| batch.get(index)).collect(), &[]).unwrap();
    assert_eq!(shard.bytes(), ten, "the same rows again");
    feed(&mut shard, &std::iter::once(batch.get(100)).collect(), &[]).unwrap();
    assert!(shard.bytes() < ten + 200, "only the key that was touched is left of what was undone");
}

/// The script with rows that come and go: event N touches those from N on.
fn drifting(mut script: Vec<Vec<Act>>) -> Vec<Vec<Act>> {
    for (index, acts) in script.iter_mut().enumerate() {
        for act in acts {
            let Act::Change(_, cells) = act else { continue };
            cells.iter_mut().filter(|(column, _)| *column == ID).for_each(|(_, id)| *id += index as i64);
        }
    }
    script
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn keys_that_come_and_go_equal_one_by_one(
        script in proptest::collection::vec(proptest::collection::vec(prop_oneof![60 => act(), 1 => Just(Act::Trap)], 1..3), 200..400),
        cuts in proptest::collection::vec(1..40_usize, 0..30),
        policy in prop_oneof![Just(FailurePolicy::Skip), Just(FailurePolicy::Park)],
    ) {
        let script = drifting(script);
        let (plain, ..) = one_by_one(&script, policy);
        let batch = events(script.len());
        let mut shard = BulkShard::new(manifest(), Box::new(Scripted(Arc::new(script))), settings(policy), 1);
        feed(&mut shard, &batch, &cuts).unwrap();
        let rows = rows(&manifest(), vec![shard.finish().0], 0);
        prop_assert!(plain.equals_rows(rows.iter()), "one by one: {:?}, built: {:?}", plain, rows);
    }
}

#[test]
fn memory_is_that_of_the_rows_at_hand_however_many_came_and_went() {
    let one = |id: i64| {
        let stays = Act::Change(Operation::Upsert, vec![(ID, id), (GROUP, id % 7), (NOTE, 1)]);
        let goes = Act::Change(Operation::Delete, vec![(ID, id - 40)]);
        let some = Act::Change(Operation::DeleteWhere, vec![(GROUP, id % 7)]);
        if id % 50 == 0 { vec![some, stays] } else { vec![stays, goes] }
    };
    let script: Vec<Vec<Act>> = (0..20_000).map(one).collect();
    let batch = events(script.len());
    let plugin = Box::new(Scripted(Arc::new(script)));
    let mut shard = BulkShard::new(manifest(), plugin, settings(FailurePolicy::Halt), 1);
    let mut most = (0, 0);
    for start in (0..batch.len()).step_by(100) {
        let piece: EventBatch = (start..start + 100).map(|index| batch.get(index)).collect();
        shard.apply(piece, end_of(&batch, start + 100)).unwrap();
        most = (most.0.max(shard.rows()), most.1.max(shard.bytes()));
    }
    // 40 rows stand after each event; a batch touches 100, and a sweep waits for twice what the last one left.
    assert!(most.0 < 400 && most.1 < 400 * 500, "{most:?} rows and bytes");
}
