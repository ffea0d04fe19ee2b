//! The host reads changes out of a guest's memory by itself. Wasmtime's own conversions are the oracle: whatever lies in that
//! memory, both take it for the same changes, or both refuse it.

use std::sync::LazyLock;

use proptest::prelude::*;
use reel_projector::ports::SinkError;
use reel_projector::{Change, Plugin, Row, Sink, ValueRef};
use wasmtime::component::{Component, HasSelf, Linker};
use wasmtime::{Engine, Store};

use crate::fixture::{component, event, loaded};
use reel::projection::types::{ChangeBatch, Event, EventBatch, KeyBatch, Level, RowBatch, Span, Value};
use reel::projection::{log, rows, sink, types};

wasmtime::component::bindgen!({ world: "projection", path: "../../wit/v1", imports: { default: trappable } });

/// The changes of a call, as text: event, table, operation, and each cell's column and value.
type Told = Vec<(u32, u16, String, Vec<(u16, String)>)>;

/// What a guest calls `emit` with.
#[derive(Debug, Clone)]
struct Order {
    memory: Vec<u8>,
    arguments: [u32; 6],
}

impl Order {
    fn payload(&self) -> String {
        let numbers: Vec<_> = self.arguments.iter().map(u32::to_string).collect();
        let bytes: String = self.memory.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{} {bytes}", numbers.join(" "))
    }
}

/// What the host makes of it.
fn ours(payload: &str) -> Result<Told, String> {
    #[derive(Default)]
    struct Teller(Told);

    impl Sink for Teller {
        fn emit(&mut self, change: Change<'_>) -> Result<(), SinkError> {
            let cells = change.cells.iter().map(|cell| (cell.column, tell(cell.value))).collect();
            self.0.push((change.event as u32, change.table, format!("{:?}", change.operation), cells));
            Ok(())
        }

        fn read(&mut self, _: usize, _: u16, _: &[ValueRef<'_>]) -> Result<Vec<Option<Row>>, SinkError> {
            unreachable!("this guest reads nothing")
        }
    }

    let events = std::iter::once(event(1, "counted", ("thing-1", payload))).collect();
    let mut teller = Teller::default();
    let mut plugin = loaded().instantiate_plugin("\"emit-anything\"").unwrap();
    plugin.apply(&events, 0..1, &mut teller).map_err(|error| error.to_string())?;
    Ok(teller.0)
}

fn tell(value: ValueRef<'_>) -> String {
    match value {
        ValueRef::Double(number) => format!("Double({:x})", number.to_bits()),
        other => format!("{other:?}"),
    }
}

/// The other host: nothing but Wasmtime's conversions, and the contract's words on spans, counts and events.
#[derive(Default)]
struct Oracle(Told);

impl types::Host for Oracle {}

impl sink::Host for Oracle {
    fn emit(&mut self, batch: ChangeBatch) -> wasmtime::Result<()> {
        let mut cells = batch.cells.into_iter();
        for change in batch.changes {
            let own: Vec<_> = cells.by_ref().take(change.cells.into()).collect();
            wasmtime::ensure!(own.len() == usize::from(change.cells) && change.event == 0);
            let own = own.into_iter().map(|cell| Some((cell.column, spell(&cell.value, &batch.heap)?)));
            let own = own.collect::<Option<_>>().ok_or_else(|| wasmtime::format_err!("no such value"))?;
            let operation: String = format!("{:?}", change.operation).rsplit("::").next().unwrap().into();
            self.0.push((change.event, change.table, operation, own));
        }
        wasmtime::ensure!(cells.len() == 0);
        Ok(())
    }
}

impl rows::Host for Oracle {
    fn get(&mut self, _: KeyBatch) -> wasmtime::Result<RowBatch> {
        unreachable!("this guest reads nothing")
    }
}

impl log::Host for Oracle {
    fn write(&mut self, _: Level, _: String) -> wasmtime::Result<()> {
        Ok(())
    }
}

fn spell(value: &Value, heap: &[u8]) -> Option<String> {
    let bytes = |span: &Span| heap.get(span.offset as usize..)?.get(..span.length as usize);
    Some(tell(match value {
        Value::Null => ValueRef::Null,
        Value::Boolean(value) => ValueRef::Boolean(*value),
        Value::Int(value) => ValueRef::Int(*value),
        Value::Double(value) => ValueRef::Double(*value),
        Value::Decimal(span) => ValueRef::Decimal(bytes(span)?),
        Value::Text(span) => ValueRef::Text(bytes(span)?),
        Value::Bytes(span) => ValueRef::Bytes(bytes(span)?),
        Value::Json(span) => ValueRef::Json(bytes(span)?),
        Value::Uuid(span) => ValueRef::Uuid(bytes(span)?),
        Value::Date(value) => ValueRef::Date(*value),
        Value::Time(value) => ValueRef::Time(*value),
        Value::Timestamp(value) => ValueRef::Timestamp(*value),
        Value::Other(_) => return None,
    }))
}

fn theirs(payload: &str) -> Result<Told, String> {
    static PREPARED: LazyLock<(Engine, ProjectionPre<Oracle>)> = LazyLock::new(|| {
        let engine = Engine::default();
        let component = Component::new(&engine, component("")).unwrap();
        let mut linker = Linker::new(&engine);
        Projection::add_to_linker::<_, HasSelf<_>>(&mut linker, |oracle| oracle).unwrap();
        let prepared = ProjectionPre::new(linker.instantiate_pre(&component).unwrap()).unwrap();
        (engine, prepared)
    });
    let (engine, prepared) = &*PREPARED;
    let mut store = Store::new(engine, Oracle::default());
    let instance = prepared.instantiate(&mut store).unwrap();
    let projector = instance.reel_projection_projector();
    projector.call_init(&mut store, "\"emit-anything\"").unwrap().unwrap();
    let nothing = Span { offset: 0, length: 0 };
    let event = Event {
        position: 1,
        version: 1,
        recorded_at: 0,
        kind: 0,
        schema: 1,
        kind_name: nothing,
        id: nothing,
        stream_id: nothing,
        payload: Span { offset: 0, length: payload.len() as u32 },
        metadata: nothing,
    };
    let batch = EventBatch { events: vec![event], heap: payload.as_bytes().to_vec() };
    projector.call_apply(&mut store, &batch).map_err(|error| format!("{error:#}"))?.unwrap();
    Ok(store.into_data().0)
}

const CHANGES: usize = 0;
const CELLS: usize = 256;
const HEAP: usize = 1024;

/// A memory that makes sense: changes, cells and a heap, whose counts and spans fit.
fn sensible() -> impl Strategy<Value = Order> {
    let span = (0_u32..60, 0_u32..40).prop_map(|(offset, length)| u64::from(offset) | u64::from(length) << 32);
    let scalar = (prop_oneof![0_u8..4, 9_u8..12], any::<u64>());
    let cell = (any::<u16>(), prop_oneof![scalar, (4_u8..9, span)]);
    let change = (any::<u16>(), 0_u8..9, prop::collection::vec(cell, 0..3));
    let heap = prop::collection::vec(any::<u8>(), 100);
    (prop::collection::vec(change, 0..8), heap, any::<[u8; 4]>()).prop_map(|(changes, heap, padding)| {
        let mut memory = vec![padding[0]; HEAP + 100];
        memory[HEAP..].copy_from_slice(&heap);
        let mut count = 0;
        for (index, (table, operation, cells)) in changes.iter().enumerate() {
            let change = &mut memory[CHANGES + index * 12..][..12];
            change[0..4].copy_from_slice(&0_u32.to_le_bytes());
            change[4..6].copy_from_slice(&table.to_le_bytes());
            change[6] = *operation;
            change[8..10].copy_from_slice(&(cells.len() as u16).to_le_bytes());
            for (column, (case, payload)) in cells {
                let cell = &mut memory[CELLS + count * 24..][..24];
                cell[0..2].copy_from_slice(&column.to_le_bytes());
                cell[8] = *case;
                cell[16..24].copy_from_slice(&payload.to_le_bytes());
                count += 1;
            }
        }
        let arguments = [CHANGES as u32, changes.len() as u32, CELLS as u32, count as u32, HEAP as u32, 100];
        Order { memory, arguments }
    })
}

/// The same with a few bytes and arguments changed, where it hurts most.
fn broken() -> impl Strategy<Value = Order> {
    let place = prop_oneof![0_usize..96, CELLS..CELLS + 400];
    let bytes = prop::collection::vec((place, prop_oneof![0_u8..20, any::<u8>()]), 0..3);
    let argument = prop_oneof![
        4 => Just(None),
        1 => (0_usize..6, prop_oneof![0_u32..40, Just(CELLS as u32 + 8), any::<u32>()]).prop_map(Some),
    ];
    (sensible(), bytes, argument).prop_map(|(mut order, bytes, argument)| {
        bytes.into_iter().for_each(|(place, byte)| order.memory[place] = byte);
        if let Some((index, number)) = argument {
            order.arguments[index] = number;
        }
        order
    })
}

/// Whether both say the same; how it ended.
fn agree(order: &Order) -> Result<Told, String> {
    let payload = order.payload();
    let (ours, theirs) = (ours(&payload), theirs(&payload));
    match (&ours, &theirs) {
        (Ok(told), Ok(expected)) => assert_eq!(told, expected),
        (Err(_), Err(_)) => {}
        _ => panic!("we say {ours:?}, Wasmtime says {theirs:?}"),
    }
    ours
}

proptest! {
    #[test]
    fn what_is_well_laid_out_is_read_as_wasmtime_reads_it(order in sensible()) {
        prop_assert!(agree(&order).is_ok());
    }

    #[test]
    fn what_is_broken_is_read_or_refused_as_wasmtime_does(order in broken()) {
        let _ = agree(&order);
    }
}

#[test]
fn most_of_what_is_tried_is_taken_and_much_is_refused() {
    use proptest::{strategy::ValueTree, test_runner::TestRunner};
    let mut runner = TestRunner::deterministic();
    let mut endings = |count: usize| {
        let made = (0..count).map(|_| broken().new_tree(&mut runner).unwrap().current());
        made.filter(|order| agree(order).is_ok_and(|told| !told.is_empty())).count()
    };
    let taken = endings(200);
    assert!((20..180).contains(&taken), "{taken} of 200 were taken: the generator shows one side only");
}
