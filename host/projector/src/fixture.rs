//! For the tests of the fold and the loop: a projection whose changes are written in a script, and the plainest possible model of
//! what they come to — one row at a time, in order, sharing no code with the fold.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use proptest::prelude::*;
use reel_events::{EventBatch, EventRef};
use uuid::Uuid;

use crate::change::{Cell, Change, Operation, Row};
use crate::manifest::Manifest;
use crate::memory::MemoryTables;
use crate::ports::{ApplyError, FailurePolicy, Plugin, Sink};
use crate::value::{Value, ValueRef};

pub(crate) const ID: u16 = 0;
pub(crate) const GROUP: u16 = 1;
pub(crate) const NUMBER: u16 = 2;
pub(crate) const SMALL: u16 = 3;
pub(crate) const NOTE: u16 = 4;

/// One table with a column of each kind that the algebra knows, in order global: every operation is allowed.
pub(crate) fn manifest() -> Arc<Manifest> {
    let json = r#"{"manifest": 1, "name": "script", "version": "1", "kinds": ["*"], "order": "global", "tables": [{
        "name": "things", "key": ["id"], "indexes": [{"columns": ["grp"]}], "columns": [
            {"name": "id", "type": "int64"},
            {"name": "grp", "type": "int32"},
            {"name": "number", "type": "int64", "default": 0},
            {"name": "small", "type": "int16", "nullable": true},
            {"name": "note", "type": "text", "nullable": true}]}]}"#;
    Arc::new(Manifest::parse(json).unwrap())
}

/// What an event does.
#[derive(Debug, Clone)]
pub(crate) enum Act {
    Change(Operation, Vec<(u16, i64)>),
    Trap,
}

/// The plugin: event at position N does what the script says at N − 1.
pub(crate) struct Scripted(pub(crate) Arc<Vec<Vec<Act>>>);

impl Plugin for Scripted {
    fn apply(&mut self, batch: &EventBatch, range: Range<usize>, sink: &mut dyn Sink) -> Result<(), ApplyError> {
        for event in range {
            for act in &self.0[batch.get(event).position as usize - 1] {
                let Act::Change(operation, cells) = act else { return Err(ApplyError::Trapped("scripted".into())) };
                let texts: Vec<String> = cells.iter().map(|(_, value)| value.to_string()).collect();
                let cells: Vec<Cell<'_>> = cells
                    .iter()
                    .zip(&texts)
                    .map(|((column, value), text)| Cell {
                        column: *column,
                        value: if *column == NOTE { ValueRef::Text(text.as_bytes()) } else { ValueRef::Int(*value) },
                    })
                    .collect();
                sink.emit(Change { event, table: 0, operation: *operation, cells: &cells })?;
            }
        }
        Ok(())
    }
}

/// Events at positions from 1, one for each entry of the script, on three streams in turn.
pub(crate) fn events(number: usize) -> EventBatch {
    (1..=number as u64)
        .map(|position| EventRef {
            position,
            version: position,
            id: Uuid::from_u128(position.into()),
            stream: ["s-0", "s-1", "s-2"][position as usize % 3],
            kind: "scripted",
            schema: 1,
            recorded_at: 0,
            payload: "{}",
            metadata: "",
        })
        .collect()
}

/// The plainest model: rows by id.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Plain(pub(crate) BTreeMap<i64, [Option<i64>; 5]>);

impl Plain {
    /// Applies one event, all of it or nothing.
    pub(crate) fn event(&mut self, acts: &[Act]) -> Result<(), ()> {
        let mut after = self.clone();
        for act in acts {
            after.act(act)?;
        }
        *self = after;
        Ok(())
    }

    fn act(&mut self, act: &Act) -> Result<(), ()> {
        let Act::Change(operation, cells) = act else { return Err(()) };
        let named = |column: u16| cells.iter().find(|(own, _)| *own == column).map(|(_, value)| *value);
        if *operation == Operation::DeleteWhere {
            self.0.retain(|_, row| row[usize::from(GROUP)] != named(GROUP));
            return Ok(());
        }
        let id = named(ID).ok_or(())?;
        let mut fresh = [Some(id), named(GROUP), named(NUMBER).or(Some(0)), named(SMALL), named(NOTE)];
        let fits = |row: &[Option<i64>; 5]| {
            row[usize::from(GROUP)].is_some()
                && row[usize::from(SMALL)].is_none_or(|small| i16::try_from(small).is_ok())
        };
        match operation {
            Operation::Delete => drop(self.0.remove(&id)),
            Operation::Upsert | Operation::InsertIfAbsent if !fits(&fresh) => return Err(()),
            Operation::Upsert => drop(self.0.insert(id, fresh)),
            Operation::InsertIfAbsent => drop(self.0.entry(id).or_insert(fresh)),
            Operation::Patch | Operation::PatchIfPresent => match self.0.get_mut(&id) {
                Some(row) => cells.iter().for_each(|(column, value)| row[usize::from(*column)] = Some(*value)),
                None if *operation == Operation::Patch => return Err(()),
                None => {}
            },
            _ => {
                // The row is made from the defaults first; what the change names begins as nothing where there is no default.
                fresh[usize::from(NUMBER)] = Some(0);
                fresh[usize::from(SMALL)] = None;
                fresh[usize::from(NOTE)] = None;
                fresh[usize::from(GROUP)] = None;
                let row = match self.0.entry(id) {
                    Entry::Occupied(row) => row.into_mut(),
                    Entry::Vacant(_) if named(GROUP).is_none() => return Err(()),
                    Entry::Vacant(place) => place.insert(fresh),
                };
                for (column, value) in cells.iter().filter(|(column, _)| *column != ID) {
                    let slot = &mut row[usize::from(*column)];
                    *slot = Some(match (operation, *slot) {
                        (Operation::Add, old) => old.unwrap_or(0).checked_add(*value).ok_or(())?,
                        (_, None) => *value,
                        (Operation::Minimum, Some(old)) => old.min(*value),
                        (_, Some(old)) => old.max(*value),
                    });
                }
                if !fits(row) {
                    return Err(());
                }
            }
        }
        Ok(())
    }

    /// The same rows, as the host's tables hold them.
    pub(crate) fn equals(&self, tables: &MemoryTables) -> bool {
        self.equals_rows(tables.rows(0))
    }

    /// The same rows, in key order.
    pub(crate) fn equals_rows<'r>(&self, rows: impl Iterator<Item = &'r Row>) -> bool {
        let number = |value: &Value| match value {
            Value::Int(number) => Some(*number),
            Value::Text(text) => text.parse().ok(),
            _ => None,
        };
        let rows: Vec<Vec<Option<i64>>> = rows.map(|row| row.iter().map(number).collect()).collect();
        rows.iter().map(Vec::as_slice).eq(self.0.values().map(<[_; 5]>::as_slice))
    }
}

/// What each policy comes to, one event at a time: rows, dead letters, and where it halted.
pub(crate) fn one_by_one(script: &[Vec<Act>], policy: FailurePolicy) -> (Plain, BTreeSet<u64>, Option<u64>) {
    let (mut plain, mut dead, mut parked) = (Plain::default(), BTreeSet::new(), BTreeSet::new());
    for (index, acts) in script.iter().enumerate() {
        let (position, stream) = (index as u64 + 1, (index + 1) % 3);
        if parked.contains(&stream) {
            dead.insert(position);
        } else if plain.event(acts).is_err() {
            match policy {
                FailurePolicy::Halt => return (plain, dead, Some(position)),
                FailurePolicy::Skip => {}
                FailurePolicy::Park => drop(parked.insert(stream)),
            }
            dead.insert(position);
        }
    }
    (plain, dead, None)
}

pub(crate) fn policy() -> impl Strategy<Value = FailurePolicy> {
    prop_oneof![Just(FailurePolicy::Halt), Just(FailurePolicy::Skip), Just(FailurePolicy::Park)]
}

/// Anything that an event may do, legal or not: few keys and groups, so that changes meet.
pub(crate) fn act() -> impl Strategy<Value = Act> {
    let id = || (Just(ID), 0..5_i64);
    let group = || (Just(GROUP), 0..3_i64);
    let number = || (Just(NUMBER), prop_oneof![8 => -3..4_i64, 1 => Just(i64::MAX), 1 => Just(i64::MIN)]);
    let small = || (Just(SMALL), prop_oneof![6 => -3..4_i64, 1 => Just(32_767_i64), 1 => Just(-32_768_i64)]);
    let note = || (Just(NOTE), 0..3_i64);
    let whole =
        (id(), group(), proptest::option::of(number()), proptest::option::of(small()), proptest::option::of(note()));
    let whole = whole.prop_map(|(id, group, number, small, note)| {
        [Some(id), Some(group), number, small, note].into_iter().flatten().collect()
    });
    let part = (id(), proptest::option::of(group()), proptest::option::of(note()), proptest::option::of(small()));
    let part = part.prop_map(|(id, group, note, small)| [Some(id), group, note, small].into_iter().flatten().collect());
    let sum = (id(), proptest::option::of(group()), number(), proptest::option::of(small()));
    let sum = sum
        .prop_map(|(id, group, number, small)| [Some(id), group, Some(number), small].into_iter().flatten().collect());
    let change = |operations: &'static [Operation], cells: BoxedStrategy<Vec<(u16, i64)>>| {
        (proptest::sample::select(operations), cells).prop_map(|(operation, cells)| Act::Change(operation, cells))
    };
    prop_oneof![
        6 => change(&[Operation::Upsert, Operation::Upsert, Operation::InsertIfAbsent], whole.boxed()),
        4 => change(&[Operation::PatchIfPresent, Operation::PatchIfPresent, Operation::Patch], part.boxed()),
        6 => change(&[Operation::Add, Operation::Minimum, Operation::Maximum], sum.boxed()),
        2 => change(&[Operation::Delete], id().prop_map(|id| vec![id]).boxed()),
        2 => change(&[Operation::DeleteWhere], group().prop_map(|group| vec![group]).boxed()),
    ]
}
