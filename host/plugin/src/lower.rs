//! Rows on their way into a guest: owned values become values with spans into one heap.

use std::fmt::Write as _;

use reel_projector::{Row, Value, ValueRef};

use crate::bindings::reel::projection::types::{self, RowBatch, Span};
use crate::lift;
use crate::safe_integers::IntegerRule;
use crate::trap::Stop;

/// The answer to a `get`.
///
/// # Errors
/// Where it would not fit a heap, or an integer breaks the rule (told as the fault of `event`, counting as the host does).
pub(crate) fn rows(rows: &[Option<Row>], (rule, event): (IntegerRule, usize)) -> Result<RowBatch, Stop> {
    let mut batch = RowBatch { found: Vec::with_capacity(rows.len()), values: Vec::new(), heap: Vec::new() };
    for row in rows {
        batch.found.push(row.is_some());
        for value in row.iter().flatten() {
            let lowered = lower(value, &mut batch.heap)?;
            rule.check(&borrowed(value)).map_err(|broken| lift::refused(event, &broken))?;
            batch.values.push(lowered);
        }
    }
    Ok(batch)
}

/// Bytes that an answer counts for in the budget of rows.
pub(crate) fn weight(batch: &RowBatch) -> usize {
    batch.heap.len() + size_of_val(batch.values.as_slice()) + batch.found.len()
}

fn lower(value: &Value, heap: &mut Vec<u8>) -> Result<types::Value, Stop> {
    Ok(match value {
        Value::Null => types::Value::Null,
        Value::Boolean(value) => types::Value::Boolean(*value),
        Value::Int(value) => types::Value::Int(*value),
        Value::Double(value) => types::Value::Double(*value),
        Value::Decimal(value) => {
            let mut text = String::new();
            write!(text, "{value}").expect("writing to a string does not fail");
            types::Value::Decimal(store(text.as_bytes(), heap)?)
        }
        Value::Text(text) => types::Value::Text(store(text.as_bytes(), heap)?),
        Value::Bytes(bytes) => types::Value::Bytes(store(bytes, heap)?),
        Value::Json(text) => types::Value::Json(store(text.as_bytes(), heap)?),
        Value::Uuid(uuid) => types::Value::Uuid(store(uuid.as_bytes(), heap)?),
        Value::Date(days) => types::Value::Date(*days),
        Value::Time(micros) => types::Value::Time(*micros),
        Value::Timestamp(micros) => types::Value::Timestamp(*micros),
    })
}

/// The view of a value that the rule for integers judges.
fn borrowed(value: &Value) -> ValueRef<'_> {
    match value {
        Value::Int(number) => ValueRef::Int(*number),
        Value::Time(number) => ValueRef::Time(*number),
        Value::Timestamp(number) => ValueRef::Timestamp(*number),
        Value::Json(text) => ValueRef::Json(text.as_bytes()),
        _ => ValueRef::Null,
    }
}

/// Puts `bytes` behind what is in the heap.
///
/// # Errors
/// Where the heap would pass 4 GiB.
pub(crate) fn store(bytes: &[u8], heap: &mut Vec<u8>) -> Result<Span, Stop> {
    let span = u32::try_from(heap.len()).ok().zip(u32::try_from(bytes.len()).ok());
    let Some((offset, length)) = span.filter(|(offset, length)| offset.checked_add(*length).is_some()) else {
        return Err(Stop::exhausted("memory", "a batch's heap holds less than 4 GiB; use smaller batches".to_owned()));
    };
    heap.extend_from_slice(bytes);
    Ok(Span { offset, length })
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn rows_are_laid_out_one_after_the_other() {
        let row: Row = Box::new([
            Value::Text("né".into()),
            Value::Null,
            Value::Decimal("-12.340".parse().unwrap()),
            Value::Uuid(Uuid::from_u128(7)),
        ]);
        let batch = super::rows(&[None, Some(row)], (IntegerRule::Any, 0)).unwrap();
        assert_eq!(batch.found, [false, true]);
        assert_eq!(batch.values.len(), 4);
        assert!(matches!(batch.values[0], types::Value::Text(Span { offset: 0, length: 3 })));
        assert!(matches!(batch.values[2], types::Value::Decimal(Span { offset: 3, length: 7 })));
        assert_eq!(&batch.heap[..10], "né-12.340".as_bytes());
        assert_eq!(batch.heap.len(), 26);
    }

    #[test]
    fn an_integer_beyond_the_safe_range_is_the_events_fault() {
        let row: Row = Box::new([Value::Int(1 << 60)]);
        assert!(super::rows(&[Some(row.clone())], (IntegerRule::Any, 3)).is_ok());
        let refused = super::rows(&[Some(row)], (IntegerRule::Safe, 3)).unwrap_err();
        assert!(
            matches!(refused, Stop::Sink(reel_projector::ports::SinkError::Refused(refusal)) if refusal.event == Some(3))
        );
    }
}
