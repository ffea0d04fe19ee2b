//! The host's functions, called with the SDK's own batches: these lie in memory as the Component Model wants them, so nothing is
//! written twice on the way out, and what comes back is taken over where the host put it.
#![expect(unsafe_code, reason = "calls across the boundary take addresses; each one states why they are right")]

use std::ptr;

use crate::{
    abi::{Cell, Change, ChangeBatch, RowBatch, Value},
    rows::Host,
};

#[link(wasm_import_module = "reel:projection/sink@1.0.0")]
unsafe extern "C" {
    /// `emit: func(changes: change-batch)`, flattened: address and length of each of the three lists.
    fn emit(
        changes: *const Change,
        changes_count: usize,
        cells: *const Cell,
        cells_count: usize,
        heap: *const u8,
        heap_length: usize,
    );
}

#[link(wasm_import_module = "reel:projection/rows@1.0.0")]
unsafe extern "C" {
    /// `get: func(keys: key-batch) -> row-batch`, flattened; the answer is written to `answer`.
    fn get(
        event: u32,
        table: u32,
        keys: *const Value,
        keys_count: usize,
        heap: *const u8,
        heap_length: usize,
        answer: *mut Answer,
    );
}

/// `row-batch` in memory: address and length of each of the three lists.
#[repr(C)]
struct Answer {
    found: *mut bool,
    found_count: usize,
    values: *mut Value,
    values_count: usize,
    heap: *mut u8,
    heap_length: usize,
}

/// The host of this component.
pub(super) struct ComponentHost;

impl Host for ComponentHost {
    fn emit(&mut self, batch: &ChangeBatch) {
        let ChangeBatch { changes, cells, heap } = batch;
        // SAFETY: each pair is a live vector of the layout that `abi` asserts; the host only reads, and only during the call.
        unsafe {
            emit(changes.as_ptr(), changes.len(), cells.as_ptr(), cells.len(), heap.as_ptr(), heap.len());
        };
    }

    fn get(&mut self, event: u32, table: u16, key: &[Value], heap: &[u8]) -> RowBatch {
        let mut answer = Answer {
            found: ptr::null_mut(),
            found_count: 0,
            values: ptr::null_mut(),
            values_count: 0,
            heap: ptr::null_mut(),
            heap_length: 0,
        };
        // SAFETY: both slices are live during the call, and `answer` is a place of 24 bytes for the six words that come back.
        unsafe {
            get(event, u32::from(table), key.as_ptr(), key.len(), heap.as_ptr(), heap.len(), &raw mut answer);
        };
        // SAFETY: the Component Model lowers each list into memory that it asked our `cabi_realloc` (the global allocator) for, of
        // exactly this length and alignment, and hands it over; flags are 0 or 1 and variants have a known case by its rules.
        unsafe {
            RowBatch {
                found: taken_over(answer.found, answer.found_count),
                values: taken_over(answer.values, answer.values_count),
                heap: taken_over(answer.heap, answer.heap_length),
            }
        }
    }
}

/// # Safety
/// `first` must be the address of `count` valid elements, allocated by the global allocator for exactly as many and owned by
/// nobody else; anything where `count` is 0.
unsafe fn taken_over<T>(first: *mut T, count: usize) -> Vec<T> {
    if count == 0 {
        return Vec::new();
    }
    // SAFETY: the caller's promise.
    unsafe { Vec::from_raw_parts(first, count, count) }
}
