//! What a guest sends, made whole: spans become bytes, counts are held against what is there. Pure; the guest is trusted with
//! nothing, and nothing here can panic or read outside the heap that the guest sent.

use std::ops::Range;

use reel_projector::ports::SinkError;
use reel_projector::{Cell, Operation, Refusal, ValueRef};

use crate::bindings::reel::projection::types::{Span, Value};
use crate::safe_integers::{IntegerRule, UnsafeInteger};
use crate::trap::Stop;
use crate::wire::{CELL_BYTES, CHANGE_BYTES};

/// A batch of changes as it lies in the guest's memory.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sent<'a> {
    pub(crate) changes: &'a [[u8; CHANGE_BYTES]],
    pub(crate) cells: &'a [[u8; CELL_BYTES]],
    pub(crate) heap: &'a [u8],
}

/// How many changes are lifted at once: enough for a sink to make ready what they touch, few enough to stay in the cache.
const WINDOW: usize = 64;

/// The changes of a batch, in order, some at a time.
pub(crate) struct Changes<'a> {
    batch: Sent<'a>,
    rule: IntegerRule,
    /// How many changes were lifted, of all windows.
    lifted: usize,
    /// Cells behind those.
    rest: &'a [[u8; CELL_BYTES]],
    window: Vec<InWindow>,
    cells: Vec<Cell<'a>>,
}

/// A change whose cells lie beside it.
struct InWindow {
    event: u32,
    table: u16,
    operation: Operation,
    cells: Range<usize>,
    broken: Option<UnsafeInteger>,
}

/// A change of a batch with its cells resolved; `event` still counts as the guest does.
pub(crate) struct Lifted<'c, 'a> {
    pub(crate) event: u32,
    pub(crate) table: u16,
    pub(crate) operation: Operation,
    pub(crate) cells: &'c [Cell<'a>],
    /// The first of its integers that breaks the rule.
    pub(crate) broken: Option<&'c UnsafeInteger>,
}

impl<'a> Changes<'a> {
    /// Those of `batch`, whose integers obey `rule`.
    pub(crate) fn of(batch: Sent<'a>, rule: IntegerRule) -> Changes<'a> {
        Changes { batch, rule, lifted: 0, rest: batch.cells, window: Vec::new(), cells: Vec::new() }
    }

    /// The next changes; nothing behind the last.
    ///
    /// # Errors
    /// Where a span leaves the heap, or the counts of cells do not add up to the cells that were sent. What comes before that is given
    /// first.
    pub(crate) fn window(&mut self) -> Result<Option<impl Iterator<Item = Lifted<'_, 'a>> + Clone>, Stop> {
        self.window.clear();
        self.cells.clear();
        while self.window.len() < WINDOW && self.lifted < self.batch.changes.len() {
            match self.lift() {
                Ok(change) => self.window.push(change),
                Err(stop) if self.window.is_empty() => return Err(stop),
                // It is met again as the first of the next window.
                Err(_) => break,
            }
        }
        if !self.window.is_empty() {
            let cells = &self.cells;
            return Ok(Some(self.window.iter().map(move |change| Lifted {
                event: change.event,
                table: change.table,
                operation: change.operation,
                cells: &cells[change.cells.clone()],
                broken: change.broken.as_ref(),
            })));
        }
        if self.rest.is_empty() {
            return Ok(None);
        }
        Err(Stop::malformed(format!("{} cells of the batch belong to no change", self.rest.len())))
    }

    /// The next change; its cells are behind those of the window.
    fn lift(&mut self) -> Result<InWindow, Stop> {
        let change = &self.batch.changes[self.lifted];
        let wanted = u16_at::<8>(change);
        let Some((own, behind)) = self.rest.split_at_checked(usize::from(wanted)) else {
            let (index, left) = (self.lifted, self.rest.len());
            return Err(Stop::malformed(format!(
                "change {index} takes {wanted} cells, but only {left} are left of the batch"
            )));
        };
        let first = self.cells.len();
        let mut broken = None;
        for cell in own {
            let value = cell_value(cell, self.batch.heap)?;
            if let Err(unsafe_integer) = self.rule.check(&value) {
                broken.get_or_insert(unsafe_integer);
            }
            self.cells.push(Cell { column: u16_at::<0>(cell), value });
        }
        let (event, table, operation) = (u32_at::<0>(change), u16_at::<4>(change), operation(change[6])?);
        self.rest = behind;
        self.lifted += 1;
        Ok(InWindow { event, table, operation, cells: first..self.cells.len(), broken })
    }
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
pub(crate) fn weight(batch: Sent<'_>) -> usize {
    batch.heap.len() + batch.cells.as_flattened().len() + batch.changes.as_flattened().len()
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
        Value::Other(_) => return Err(reserved()),
    })
}

#[inline]
fn bytes(span: Span, heap: &[u8]) -> Result<&[u8], Stop> {
    let start = span.offset as usize;
    let end = start.checked_add(span.length as usize);
    end.and_then(|end| heap.get(start..end)).ok_or_else(|| outside(span, heap.len()))
}

#[cold]
fn outside(Span { offset, length }: Span, size: usize) -> Stop {
    Stop::malformed(format!("sent a span of {length} bytes from {offset}, outside its heap of {size} bytes"))
}

/// The value of a cell: its case at byte 8, what the case holds at byte 16.
#[inline]
fn cell_value<'a>(cell: &[u8; CELL_BYTES], heap: &'a [u8]) -> Result<ValueRef<'a>, Stop> {
    let span = || bytes(Span { offset: u32_at::<16>(cell), length: u32_at::<20>(cell) }, heap);
    Ok(match cell[8] {
        0 => ValueRef::Null,
        1 => ValueRef::Boolean(cell[16] != 0),
        2 => ValueRef::Int(i64_at::<16>(cell)),
        3 => ValueRef::Double(f64::from_bits(i64_at::<16>(cell).cast_unsigned())),
        4 => ValueRef::Decimal(span()?),
        5 => ValueRef::Text(span()?),
        6 => ValueRef::Bytes(span()?),
        7 => ValueRef::Json(span()?),
        8 => ValueRef::Uuid(span()?),
        9 => ValueRef::Date(u32_at::<16>(cell).cast_signed()),
        10 => ValueRef::Time(i64_at::<16>(cell)),
        11 => ValueRef::Timestamp(i64_at::<16>(cell)),
        12 => return Err(reserved()),
        case => return Err(unknown("a value of case", case, 12)),
    })
}

#[cold]
fn unknown(what: &str, number: u8, last: u8) -> Stop {
    Stop::malformed(format!("sent {what} {number}, where the last one is {last}"))
}

#[cold]
fn reserved() -> Stop {
    Stop::malformed("sent a value of the reserved case `other`, which this host does not know")
}

#[inline]
fn operation(number: u8) -> Result<Operation, Stop> {
    Ok(match number {
        0 => Operation::Upsert,
        1 => Operation::InsertIfAbsent,
        2 => Operation::Patch,
        3 => Operation::PatchIfPresent,
        4 => Operation::Add,
        5 => Operation::Minimum,
        6 => Operation::Maximum,
        7 => Operation::Delete,
        8 => Operation::DeleteWhere,
        number => return Err(unknown("operation", number, 8)),
    })
}

#[inline]
fn u16_at<const AT: usize>(bytes: &[u8]) -> u16 {
    u16::from_le_bytes([bytes[AT], bytes[AT + 1]])
}

#[inline]
fn u32_at<const AT: usize>(bytes: &[u8]) -> u32 {
    u32::from_le_bytes([bytes[AT], bytes[AT + 1], bytes[AT + 2], bytes[AT + 3]])
}

/// The eight bytes of a cell's value.
#[inline]
fn i64_at<const AT: usize>(cell: &[u8; CELL_BYTES]) -> i64 {
    let mut number = [0; 8];
    number.copy_from_slice(&cell[AT..AT + 8]);
    i64::from_le_bytes(number)
}

#[cfg(test)]
mod tests;
