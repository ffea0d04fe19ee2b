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

fn any_batch() -> impl Strategy<Value = ChangeBatch> {
    let change = (any::<u32>(), any::<u16>(), prop_oneof![0_u16..4, any::<u16>()]);
    let change = change.prop_map(|(event, table, cells)| types::Change {
        event,
        table,
        operation: types::Operation::Patch,
        cells,
    });
    let cell = (any::<u16>(), any_value()).prop_map(|(column, value)| types::Cell { column, value });
    let heap = prop::collection::vec(any::<u8>(), 0..40);
    (prop::collection::vec(change, 0..6), prop::collection::vec(cell, 0..8), heap)
        .prop_map(|(changes, cells, heap)| ChangeBatch { changes, cells, heap })
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
        let lifted = changes(&batch, rule, |change| {
            given += 1;
            let Ok(cells) = change.cells else { return Ok(()) };
            taken += cells.len();
            for bytes in cells.iter().filter_map(|cell| pointed(&cell.value)) {
                let inside = bytes.as_ptr_range();
                assert!(heap.start <= inside.start && inside.end <= heap.end);
            }
            Ok(())
        });
        let announced: usize = batch.changes.iter().map(|change| usize::from(change.cells)).sum();
        if lifted.is_ok() {
            prop_assert_eq!(announced, batch.cells.len());
            prop_assert_eq!(given, batch.changes.len());
            if !safe {
                prop_assert_eq!(taken, batch.cells.len());
            }
        }
    }

    #[test]
    fn what_is_sent_right_arrives(texts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..9), 0..20)) {
        let mut batch = ChangeBatch { changes: vec![], cells: vec![], heap: vec![] };
        for (index, text) in texts.iter().enumerate() {
            let span = Span { offset: batch.heap.len() as u32, length: text.len() as u32 };
            batch.heap.extend_from_slice(text);
            batch.cells.push(types::Cell { column: index as u16, value: Value::Text(span) });
            batch.changes.push(types::Change { event: index as u32, table: 0, operation: types::Operation::Add, cells: 1 });
        }
        let mut arrived = Vec::new();
        changes(&batch, IntegerRule::Any, |change| {
            arrived.extend(change.cells.unwrap().iter().filter_map(|cell| pointed(&cell.value)).map(<[u8]>::to_vec));
            Ok(())
        }).unwrap();
        prop_assert_eq!(arrived, texts);
    }

    #[test]
    fn keys_never_panic(values in prop::collection::vec(any_value(), 0..8), heap in prop::collection::vec(any::<u8>(), 0..40)) {
        let _ = keys(&values, &heap, (IntegerRule::Safe, 0));
    }
}
