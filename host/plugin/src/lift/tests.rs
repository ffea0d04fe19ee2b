//! Whatever a guest sends, lifting it ends in changes or in a refusal: never a panic, never a byte from outside its heap.

use proptest::prelude::*;

use super::*;

fn any_span() -> impl Strategy<Value = Span> {
    let edge = prop_oneof![0_u32..40, Just(u32::MAX), Just(u32::MAX - 1), any::<u32>()];
    (edge.clone(), edge).prop_map(|(offset, length)| Span { offset, length })
}

fn any_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Boolean),
        any::<i64>().prop_map(Value::Int),
        any::<f64>().prop_map(Value::Double),
        any_span().prop_map(Value::Decimal),
        any_span().prop_map(Value::Text),
        any_span().prop_map(Value::Bytes),
        any_span().prop_map(Value::Json),
        any_span().prop_map(Value::Uuid),
        any::<i32>().prop_map(Value::Date),
        any::<i64>().prop_map(Value::Time),
        any::<i64>().prop_map(Value::Timestamp),
        any_span().prop_map(Value::Other),
    ]
}

/// A batch as its guest laid it out.
#[derive(Debug, Default)]
struct Batch {
    changes: Vec<[u8; CHANGE_BYTES]>,
    cells: Vec<[u8; CELL_BYTES]>,
    heap: Vec<u8>,
}

impl Batch {
    fn sent(&self) -> Sent<'_> {
        Sent { changes: &self.changes, cells: &self.cells, heap: &self.heap }
    }

    fn change(&mut self, event: u32, operation: u8, cells: u16) {
        let mut bytes = [0; CHANGE_BYTES];
        bytes[..4].copy_from_slice(&event.to_le_bytes());
        bytes[6] = operation;
        bytes[8..10].copy_from_slice(&cells.to_le_bytes());
        self.changes.push(bytes);
    }

    fn cell(&mut self, column: u16, case: u8, payload: u64) {
        let mut bytes = [0; CELL_BYTES];
        bytes[..2].copy_from_slice(&column.to_le_bytes());
        bytes[8] = case;
        bytes[16..].copy_from_slice(&payload.to_le_bytes());
        self.cells.push(bytes);
    }

    fn text(&mut self, column: u16, text: &[u8]) {
        let (offset, length) = (self.heap.len() as u64, text.len() as u64);
        self.heap.extend_from_slice(text);
        self.cell(column, 5, offset | length << 32);
    }

    /// What arrives, and how it ends.
    fn lifted(&self) -> Result<Vec<(u32, u16, Operation)>, Stop> {
        let mut arrived = Vec::new();
        each(self.sent(), IntegerRule::Any, |change| arrived.push((change.event, change.table, change.operation)))?;
        Ok(arrived)
    }
}

/// Gives all changes, of whichever window.
fn each(batch: Sent<'_>, rule: IntegerRule, mut take: impl FnMut(Lifted<'_, '_>)) -> Result<(), Stop> {
    let mut changes = Changes::of(batch, rule);
    while let Some(window) = changes.window()? {
        window.for_each(&mut take);
    }
    Ok(())
}

/// Any bytes, but cases, operations, counts and spans that make sense more often than chance would have it.
fn any_batch() -> impl Strategy<Value = Batch> {
    let change = (any::<u32>(), prop_oneof![9 => 0_u8..9, 1 => any::<u8>()], prop_oneof![0_u16..4, any::<u16>()]);
    let payload =
        prop_oneof![any_span().prop_map(|span| u64::from(span.offset) | u64::from(span.length) << 32), any::<u64>()];
    let cell = (any::<u16>(), prop_oneof![9 => 0_u8..12, 1 => any::<u8>()], payload);
    let heap = prop::collection::vec(any::<u8>(), 0..40);
    (prop::collection::vec(change, 0..6), prop::collection::vec(cell, 0..8), heap).prop_map(|(changes, cells, heap)| {
        let mut batch = Batch { heap, ..Batch::default() };
        changes.into_iter().for_each(|(event, operation, cells)| batch.change(event, operation, cells));
        cells.into_iter().for_each(|(column, case, payload)| batch.cell(column, case, payload));
        batch
    })
}

/// The bytes that a value points at.
fn pointed<'a>(value: &ValueRef<'a>) -> Option<&'a [u8]> {
    match value {
        ValueRef::Decimal(bytes) | ValueRef::Text(bytes) | ValueRef::Bytes(bytes) => Some(bytes),
        ValueRef::Json(bytes) | ValueRef::Uuid(bytes) => Some(bytes),
        _ => None,
    }
}

proptest! {
    #[test]
    fn lifting_never_panics_and_never_leaves_the_heap(batch in any_batch(), safe in any::<bool>()) {
        let rule = if safe { IntegerRule::Safe } else { IntegerRule::Any };
        let heap = batch.heap.as_ptr_range();
        let (mut taken, mut given) = (0, 0);
        let lifted = each(batch.sent(), rule, |change| {
            given += 1;
            taken += change.cells.len();
            for bytes in change.cells.iter().filter_map(|cell| pointed(&cell.value)) {
                let inside = bytes.as_ptr_range();
                assert!(heap.start <= inside.start && inside.end <= heap.end);
            }
        });
        let announced: usize = batch.changes.iter().map(|change| usize::from(u16_at::<8>(change))).sum();
        if lifted.is_ok() {
            prop_assert_eq!(announced, batch.cells.len());
            prop_assert_eq!(given, batch.changes.len());
            prop_assert_eq!(taken, batch.cells.len());
        }
    }

    #[test]
    fn what_is_sent_right_arrives(texts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..9), 0..3 * WINDOW)) {
        let mut batch = Batch::default();
        for (index, text) in texts.iter().enumerate() {
            batch.text(index as u16, text);
            batch.change(index as u32, 4, 1);
        }
        let mut arrived = Vec::new();
        each(batch.sent(), IntegerRule::Any, |change| {
            arrived.extend(change.cells.iter().filter_map(|cell| pointed(&cell.value)).map(<[u8]>::to_vec));
        }).unwrap();
        prop_assert_eq!(arrived, texts);
    }

    #[test]
    fn keys_never_panic(values in prop::collection::vec(any_value(), 0..8), heap in prop::collection::vec(any::<u8>(), 0..40)) {
        let _ = keys(&values, &heap, (IntegerRule::Safe, 0));
    }
}

#[test]
fn what_no_guest_may_say_is_refused_by_name() {
    let cases: [(u8, u8, &str); 4] = [
        (0, 13, "sent a value of case 13, where the last one is 12"),
        (0, 255, "sent a value of case 255, where the last one is 12"),
        (0, 12, "sent a value of the reserved case `other`, which this host does not know"),
        (9, 0, "sent operation 9, where the last one is 8"),
    ];
    for (operation, case, said) in cases {
        let mut batch = Batch::default();
        batch.change(0, operation, 1);
        batch.cell(0, case, 0);
        assert_eq!(batch.lifted().unwrap_err().to_string(), said);
    }
}

#[test]
fn what_comes_before_nonsense_arrives() {
    for before in [0, 1, WINDOW - 1, WINDOW, WINDOW + 1] {
        let mut batch = Batch::default();
        for event in 0..before as u32 {
            batch.text(1, b"a text");
            batch.change(event, 0, 1);
        }
        batch.cell(0, 12, 0);
        batch.change(before as u32, 0, 1);
        let mut arrived = 0;
        let ended = each(batch.sent(), IntegerRule::Any, |change| {
            arrived += 1;
            assert_eq!(pointed(&change.cells[0].value), Some(&b"a text"[..]));
        });
        assert_eq!(arrived, before);
        assert!(ended.is_err());
    }
}
