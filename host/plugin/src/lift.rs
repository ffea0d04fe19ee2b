//! What a guest sends, made whole: spans become bytes, counts are held against what is there. Pure; the guest is trusted with
//! nothing, and nothing here can panic or read outside the heap that the guest sent.

use reel_projector::ports::SinkError;
use reel_projector::{Cell, Operation, Refusal, ValueRef};

use crate::bindings::reel::projection::types::{self, ChangeBatch, Span, Value};
use crate::safe_integers::{IntegerRule, UnsafeInteger};
use crate::trap::Stop;

/// A change of a batch with its cells resolved; `event` still counts as the guest does.
pub(crate) struct Lifted<'c, 'a> {
    pub(crate) event: u32,
    pub(crate) table: u16,
    pub(crate) operation: Operation,
    pub(crate) cells: Result<&'c [Cell<'a>], UnsafeInteger>,
}

/// Gives the changes of `batch` one by one, in order, to `each`.
///
/// # Errors
/// Where a span leaves the heap, or the counts of cells do not add up to the cells that were sent; and what `each` says.
pub(crate) fn changes<'a>(
    batch: &'a ChangeBatch,
    rule: IntegerRule,
    mut each: impl for<'c> FnMut(Lifted<'c, 'a>) -> Result<(), Stop>,
) -> Result<(), Stop> {
    let mut rest = batch.cells.as_slice();
    let mut cells = Vec::new();
    for (index, change) in batch.changes.iter().enumerate() {
        let Some((own, behind)) = rest.split_at_checked(usize::from(change.cells)) else {
            let (wanted, left) = (change.cells, rest.len());
            return Err(Stop::malformed(format!(
                "change {index} takes {wanted} cells, but only {left} are left of the batch"
            )));
        };
        rest = behind;
        cells.clear();
        let mut broken = None;
        for cell in own {
            let value = value(&cell.value, &batch.heap)?;
            broken = broken.or(rule.check(&value).err());
            cells.push(Cell { column: cell.column, value });
        }
        let cells = broken.map_or(Ok(cells.as_slice()), Err);
        each(Lifted { event: change.event, table: change.table, operation: operation(change.operation), cells })?;
    }
    if rest.is_empty() {
        return Ok(());
    }
    Err(Stop::malformed(format!("{} cells of the batch belong to no change", rest.len())))
}

/// The values of a list of keys.
///
/// # Errors
/// Where a span leaves the heap; where an integer breaks the rule (told as the event's fault, `event` counting as the host does).
pub(crate) fn keys<'a>(
    values: &'a [Value],
    heap: &'a [u8],
    (rule, event): (IntegerRule, usize),
) -> Result<Vec<ValueRef<'a>>, Stop> {
    let mut keys = Vec::with_capacity(values.len());
    for sent in values {
        let key = value(sent, heap)?;
        rule.check(&key).map_err(|broken| refused(event, &broken))?;
        keys.push(key);
    }
    Ok(keys)
}

/// An integer beyond the safe range, as the fault of an event.
pub(crate) fn refused(event: usize, broken: &UnsafeInteger) -> Stop {
    Stop::Sink(SinkError::Refused(Refusal::of(event, "integer-not-safe", broken.to_string())))
}

/// Bytes that a batch of changes counts for in the budget of output.
pub(crate) fn weight(batch: &ChangeBatch) -> usize {
    batch
        .heap
        .len()
        .saturating_add(size_of_val(batch.cells.as_slice()))
        .saturating_add(size_of_val(batch.changes.as_slice()))
}

fn value<'a>(value: &Value, heap: &'a [u8]) -> Result<ValueRef<'a>, Stop> {
    Ok(match value {
        Value::Null => ValueRef::Null,
        Value::Boolean(value) => ValueRef::Boolean(*value),
        Value::Int(value) => ValueRef::Int(*value),
        Value::Double(value) => ValueRef::Double(*value),
        Value::Decimal(span) => ValueRef::Decimal(bytes(*span, heap)?),
        Value::Text(span) => ValueRef::Text(bytes(*span, heap)?),
        Value::Bytes(span) => ValueRef::Bytes(bytes(*span, heap)?),
        Value::Json(span) => ValueRef::Json(bytes(*span, heap)?),
        Value::Uuid(span) => ValueRef::Uuid(bytes(*span, heap)?),
        Value::Date(days) => ValueRef::Date(*days),
        Value::Time(micros) => ValueRef::Time(*micros),
        Value::Timestamp(micros) => ValueRef::Timestamp(*micros),
        Value::Other(_) => {
            return Err(Stop::malformed("sent a value of the reserved case `other`, which this host does not know"));
        }
    })
}

fn bytes(span: Span, heap: &[u8]) -> Result<&[u8], Stop> {
    let Span { offset, length } = span;
    let start = offset as usize;
    start.checked_add(length as usize).and_then(|end| heap.get(start..end)).ok_or_else(|| {
        let size = heap.len();
        Stop::malformed(format!("sent a span of {length} bytes from {offset}, outside its heap of {size} bytes"))
    })
}

fn operation(operation: types::Operation) -> Operation {
    match operation {
        types::Operation::Upsert => Operation::Upsert,
        types::Operation::InsertIfAbsent => Operation::InsertIfAbsent,
        types::Operation::Patch => Operation::Patch,
        types::Operation::PatchIfPresent => Operation::PatchIfPresent,
        types::Operation::Add => Operation::Add,
        types::Operation::Minimum => Operation::Minimum,
        types::Operation::Maximum => Operation::Maximum,
        types::Operation::Delete => Operation::Delete,
        types::Operation::DeleteWhere => Operation::DeleteWhere,
    }
}

#[cfg(test)]
mod tests;
