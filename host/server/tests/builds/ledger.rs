//! A projection that does everything that order by stream allows, and a log for it.

use std::ops::Range;
use std::sync::Arc;

use reel_event_log::{ExpectedVersion, IdOrigin, NewCommit};
use reel_events::{CanonicalJson, EventBatch, EventKind, EventRef, NewEvent, StreamId};
use reel_projector::ports::{ApplyError, Sink};
use reel_projector::{Cell, Change, Manifest, Operation, Plugin, Value, ValueRef};
use uuid::Uuid;

const ACCOUNTS: u16 = 0;
const ENTRIES: u16 = 1;
const TOTALS: u16 = 2;

/// Two owned tables, and one that all streams share.
pub(crate) const MANIFEST: &str = r#"{"manifest": 1, "name": "ledger", "version": "1", "kinds": ["*"], "tables": [
    {"name": "accounts", "key": ["id"], "owner": {"column": "id", "holds": "stream-key"}, "columns": [
        {"name": "id", "type": "text", "length": 40}, {"name": "total", "type": "int64", "default": 0},
        {"name": "note", "type": "text", "nullable": true}]},
    {"name": "entries", "key": ["account", "number"], "owner": {"column": "account", "holds": "stream-key"},
        "indexes": [{"columns": ["account", "grp"]}], "columns": [
        {"name": "account", "type": "text", "length": 40}, {"name": "number", "type": "int64"},
        {"name": "grp", "type": "int32"}, {"name": "total", "type": "int64", "nullable": true}]},
    {"name": "totals", "key": ["grp"], "shared": true, "columns": [
        {"name": "grp", "type": "int64"}, {"name": "sum", "type": "int64", "default": 0},
        {"name": "small", "type": "int16", "default": 0}, {"name": "most", "type": "int64", "nullable": true}]}]}"#;

pub(crate) fn manifest() -> Arc<Manifest> {
    Arc::new(Manifest::parse(MANIFEST).unwrap())
}

/// The payload's number decides what an event does.
#[derive(Clone)]
pub(crate) struct Ledger;

impl Plugin for Ledger {
    fn apply(&mut self, batch: &EventBatch, range: Range<usize>, sink: &mut dyn Sink) -> Result<(), ApplyError> {
        range.into_iter().try_for_each(|index| event(index, &batch.get(index), sink))
    }
}

fn event(event: usize, at: &EventRef<'_>, sink: &mut dyn Sink) -> Result<(), ApplyError> {
    let number: i64 = at.payload.parse().unwrap();
    let (id, group) = (cell(0, ValueRef::Text(at.stream_key().as_bytes())), number / 10 % 4);
    let mut emit = |table, operation, cells: &[Cell<'_>]| sink.emit(Change { event, table, operation, cells });
    let text = format!("note {number} {}", "x".repeat(number as usize % 50));
    match number % 100 {
        0..10 => emit(ACCOUNTS, Operation::Upsert, &[id, int(1, number), cell(2, ValueRef::Text(text.as_bytes()))])?,
        10..30 => emit(ACCOUNTS, Operation::Add, &[id, int(1, number)])?,
        30..60 => {
            let key = [cell(0, id.value), int(1, at.position as i64)];
            emit(ENTRIES, Operation::Upsert, &[key[0], key[1], int(2, group)])?;
            emit(TOTALS, Operation::Add, &[int(0, group), int(1, number)])?;
        }
        60..63 => emit(ENTRIES, Operation::DeleteWhere, &[cell(0, id.value), int(2, group)])?,
        63..75 => {
            let found = sink.read(event, ACCOUNTS, &[id.value])?.remove(0);
            let total = found.map_or(ValueRef::Null, |row| match row[1] {
                Value::Int(total) => ValueRef::Int(total),
                _ => ValueRef::Null,
            });
            let cells = [cell(0, id.value), int(1, at.position as i64), int(2, group), cell(3, total)];
            sink.emit(Change { event, table: ENTRIES, operation: Operation::Upsert, cells: &cells })?;
        }
        75..85 => emit(TOTALS, Operation::Maximum, &[int(0, group), int(3, number)])?,
        85..90 => emit(ACCOUNTS, Operation::PatchIfPresent, &[id, cell(2, ValueRef::Null)])?,
        90..93 => emit(ACCOUNTS, Operation::Delete, &[id])?,
        93..96 => emit(TOTALS, Operation::Add, &[int(0, group), int(2, number % 7)])?,
        // At fault where there is no such account.
        96 => emit(ACCOUNTS, Operation::Patch, &[id, int(1, 1)])?,
        // At fault where the sum of all streams leaves the column's range.
        97 => emit(TOTALS, Operation::Add, &[int(0, group), int(2, 9_000)])?,
        98 => {
            let (code, message) = ("scripted".to_owned(), "as it is written".to_owned());
            return Err(ApplyError::Rejected { event, code, message });
        }
        _ => return Err(ApplyError::Trapped("scripted".to_owned())),
    }
    Ok(())
}

fn cell(column: u16, value: ValueRef<'_>) -> Cell<'_> {
    Cell { column, value }
}

fn int(column: u16, value: i64) -> Cell<'static> {
    cell(column, ValueRef::Int(value))
}

/// So many commits on so many streams, drawn from a seed. What an event does is one of the first `kinds` of a hundred.
pub(crate) fn log(seed: u64, (commits, streams, kinds): (u64, u64, u64)) -> Vec<NewCommit> {
    let mut state = seed;
    let mut draw = |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    let mut commit = |_| {
        let number = draw(200) * 100 + draw(kinds);
        NewCommit {
            id: Uuid::now_v7(),
            stream: StreamId::new(&format!("account-{}", draw(streams))).unwrap(),
            expected: ExpectedVersion::Any,
            digest: [0; 32],
            ids: IdOrigin::Given,
            events: vec![NewEvent {
                id: Uuid::now_v7(),
                kind: EventKind::new("happened").unwrap(),
                schema: 1,
                recorded_at: None,
                payload: CanonicalJson::trusted(&number.to_string()),
                metadata: CanonicalJson::default(),
            }],
        }
    };
    (0..commits).map(&mut commit).collect()
}
