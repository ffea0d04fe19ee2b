//! The fold comes to what applying the changes one by one comes to: whatever is at hand, and however the events are cut.

use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::fixture::{Act, Plain, Scripted, act, events, manifest};
use crate::memory::MemoryTables;
use crate::shard::fold_pieces;
use crate::value::Value;

/// A memory that has only some rows at hand: those whose key has an even sum of bytes, or all, or none.
struct Forgetful<'a> {
    tables: &'a mut MemoryTables,
    at_hand: AtHand,
}

#[derive(Debug, Clone, Copy)]
enum AtHand {
    All,
    Some,
    None,
}

impl Bases for Forgetful<'_> {
    fn take(&mut self, table: u16, key: &[u8]) -> Option<Base> {
        let even = key.iter().map(|byte| u32::from(*byte)).sum::<u32>().is_multiple_of(2);
        match self.at_hand {
            AtHand::None => None,
            AtHand::Some if !even => None,
            AtHand::Some | AtHand::All => self.tables.take(table, key),
        }
    }

    fn read(&mut self, table: u16, keys: &[KeyValues]) -> Result<Vec<Option<Row>>, ReadModelError> {
        self.tables.read(table, keys)
    }
}

fn fold_over(
    tables: &mut MemoryTables,
    script: &Arc<Vec<Vec<Act>>>,
    range: std::ops::Range<usize>,
    at_hand: AtHand,
) -> Result<(), Option<usize>> {
    let batch = events(script.len());
    let mut plugin = Scripted(Arc::clone(script));
    let fold = Fold::new(manifest(), Writers::One);
    let mut bases = Forgetful { tables, at_hand };
    match fold_pieces(fold, &mut plugin, &mut bases, (&batch, &[range])) {
        Ok(folded) => {
            tables.write(&folded.writes).unwrap();
            Ok(())
        }
        Err(crate::failure::Fault::Poison { event, .. }) => Err(event),
        Err(other) => panic!("{other:?}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn equals_one_by_one(
        script in proptest::collection::vec(proptest::collection::vec(act(), 1..4), 1..24),
        cut in 0..24_usize,
        at_hand in prop_oneof![Just(AtHand::All), Just(AtHand::Some), Just(AtHand::None)],
    ) {
        let cut = cut.min(script.len());
        let script = Arc::new(script);
        let mut tables = MemoryTables::new(manifest());
        let mut plain = Plain::default();
        for range in [0..cut, cut..script.len()] {
            let mut first_fault = None;
            let mut expected = plain.clone();
            for event in range.clone() {
                if expected.event(&script[event]).is_err() {
                    first_fault = Some(event);
                    break;
                }
            }
            match (first_fault, fold_over(&mut tables, &script, range, at_hand)) {
                (None, Ok(())) => plain = expected,
                // A fault may show behind a later one, as rows that were not at hand are looked at last: the loop applies what comes
                // before it first, and finds the earlier one then.
                (Some(first), Err(named)) => prop_assert!(named.is_none_or(|named| named >= first), "{first} {named:?}"),
                (first, came) => prop_assert!(false, "one by one: {:?}, folded: {:?}", first, came),
            }
            prop_assert!(plain.equals(&tables), "one by one: {:?}, folded: {:?}", plain, tables);
        }
    }
}

fn put(id: i64, group: i64, number: i64) -> Act {
    Act::Change(crate::Operation::Upsert, vec![(0, id), (1, group), (2, number)])
}

fn add(id: i64, number: i64) -> Act {
    Act::Change(crate::Operation::Add, vec![(0, id), (2, number)])
}

fn insert(id: i64) -> Act {
    Act::Change(crate::Operation::InsertIfAbsent, vec![(0, id), (1, 1), (2, 0)])
}

#[test]
fn an_overflow_on_the_way_counts_though_the_sum_fits() {
    let script = Arc::new(vec![vec![put(1, 1, i64::MAX - 1)], vec![add(1, 5)], vec![add(1, -5)]]);
    for at_hand in [AtHand::All, AtHand::None] {
        let mut tables = MemoryTables::new(manifest());
        fold_over(&mut tables, &script, 0..1, at_hand).unwrap();
        let fault = fold_over(&mut tables, &script, 1..3, at_hand).unwrap_err();
        assert!(fault.is_none_or(|event| event == 1));
    }
}

#[test]
fn what_does_not_change_is_not_written() {
    let script = Arc::new(vec![
        vec![put(1, 1, 7)],
        vec![add(1, 2), add(1, -2), Act::Change(crate::Operation::PatchIfPresent, vec![(0, 1), (1, 1)])],
    ]);
    let mut tables = MemoryTables::new(manifest());
    fold_over(&mut tables, &script, 0..1, AtHand::None).unwrap();
    let fold = Fold::new(manifest(), Writers::One);
    let mut bases = Forgetful { tables: &mut tables, at_hand: AtHand::None };
    let folded =
        fold_pieces(fold, &mut Scripted(script), &mut bases, (&events(2), std::slice::from_ref(&(1..2)))).unwrap();
    // The sum went up and down again within one batch: folded to nothing.
    assert!(folded.writes.tables[0].is_empty(), "{:?}", folded.writes);
}

#[test]
fn rows_that_were_there_come_behind_those_that_may_be_new() {
    let script = Arc::new(vec![
        vec![put(1, 1, 0), put(3, 1, 0), put(5, 1, 0)],
        vec![put(1, 2, 0), put(2, 1, 0), add(3, 1), insert(4), put(5, 2, 0)],
    ]);
    for (at_hand, new, others) in [(AtHand::All, vec![2, 4], vec![1, 3, 5]), (AtHand::None, vec![1, 2, 4, 5], vec![3])]
    {
        let mut tables = MemoryTables::new(manifest());
        fold_over(&mut tables, &script, 0..1, at_hand).unwrap();
        let fold = Fold::new(manifest(), Writers::One);
        let mut bases = Forgetful { tables: &mut tables, at_hand };
        let plugin = &mut Scripted(Arc::clone(&script));
        let folded = fold_pieces(fold, plugin, &mut bases, (&events(2), std::slice::from_ref(&(1..2)))).unwrap();
        let writes = &folded.writes.tables[0];
        let ids: Vec<_> = writes.upserts.iter().map(|row| row[0].clone()).collect();
        let expected: Vec<_> = new.iter().chain(&others).map(|id| Value::Int(*id)).collect();
        assert_eq!((ids, writes.likely_new), (expected, new.len()), "{at_hand:?}");
    }
}

#[test]
fn one_outcome_a_row_in_key_order() {
    let script = Arc::new(vec![
        vec![put(3, 1, 0), put(1, 1, 0), put(2, 1, 0)],
        vec![add(3, 1), add(1, 1)],
        vec![Act::Change(crate::Operation::Delete, vec![(0, 2)])],
    ]);
    let mut tables = MemoryTables::new(manifest());
    let fold = Fold::new(manifest(), Writers::One);
    let mut bases = Forgetful { tables: &mut tables, at_hand: AtHand::None };
    let folded =
        fold_pieces(fold, &mut Scripted(script), &mut bases, (&events(3), std::slice::from_ref(&(0..3)))).unwrap();
    let ids: Vec<_> = folded.writes.tables[0].upserts.iter().map(|row| row[0].clone()).collect();
    assert_eq!(ids, [Value::Int(1), Value::Int(3)]);
    assert_eq!(folded.writes.tables[0].deletes, [vec![Value::Int(2)].into_boxed_slice()]);
}
