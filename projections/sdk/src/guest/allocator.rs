//! Memory that is handed out from one end and never collected: an instance lives for one batch, so freeing would be work for
//! nobody. Only the block handed out last is taken back or grown in place, which is what growing vectors and temporaries do.
#![expect(
    unsafe_code,
    reason = "an allocator is an unsafe trait; the proof is at its implementation"
)]

use std::{
    alloc::{GlobalAlloc, Layout},
    arch::wasm32::{memory_grow, memory_size},
    cell::Cell,
    ptr,
};

#[global_allocator]
static ALLOCATOR: Bump = Bump {
    next: Cell::new(0),
    end: Cell::new(0),
};

const PAGE: usize = 65_536;
/// Memory is taken from the host in steps of at least 1 MiB: each step is a call.
const STEP: usize = 16;

struct Bump {
    /// First free address; 0 before the first allocation.
    next: Cell<usize>,
    /// End of the memory that is ours.
    end: Cell<usize>,
}

// SAFETY: this module is compiled for wasm32 without threads only: there is one thread.
unsafe impl Sync for Bump {}

impl Bump {
    /// Whether memory up to `wanted` is ours, growing it if need be.
    #[inline]
    fn reach(&self, wanted: usize) -> bool {
        wanted <= self.end.get() || self.grow(wanted)
    }

    #[cold]
    fn grow(&self, wanted: usize) -> bool {
        let have = memory_size::<0>();
        let missing = (wanted - self.end.get()).div_ceil(PAGE);
        // Grown by somebody else in between, our end would no longer be the memory's: nobody else does.
        let grown = memory_grow::<0>(missing.max(STEP));
        let before = if grown == usize::MAX {
            memory_grow::<0>(missing)
        } else {
            grown
        };
        if before != have {
            return false;
        }
        self.end.set(memory_size::<0>().saturating_mul(PAGE));
        true
    }

    /// The first free address. Before the first allocation that is the first page behind the module's own data and stack.
    #[inline]
    fn first_free(&self) -> usize {
        if self.next.get() == 0 {
            let end = memory_size::<0>() * PAGE;
            self.next.set(end);
            self.end.set(end);
        }
        self.next.get()
    }
}

// SAFETY: `alloc` returns addresses from `next` upwards, aligned, inside memory that the host gave to us alone, and moves `next`
// behind them: no two live blocks overlap. `next` goes back only over the block that ends there, which its owner just gave up.
// A block is only ever grown in place when it is the last one. Nothing here panics or unwinds; sums that would leave the address
// space give null.
unsafe impl GlobalAlloc for Bump {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let Some(start) = self.first_free().checked_next_multiple_of(layout.align()) else {
            return ptr::null_mut();
        };
        let Some(end) = start.checked_add(layout.size()) else {
            return ptr::null_mut();
        };
        if !self.reach(end) {
            return ptr::null_mut();
        }
        self.next.set(end);
        ptr::with_exposed_provenance_mut(start)
    }

    #[inline]
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if block.addr() + layout.size() == self.next.get() {
            self.next.set(block.addr());
        }
    }

    #[inline]
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        let start = block.addr();
        if start + layout.size() == self.next.get() {
            let Some(end) = start.checked_add(new_size) else {
                return ptr::null_mut();
            };
            if !self.reach(end) {
                return ptr::null_mut();
            }
            self.next.set(end);
            return block;
        }
        if new_size <= layout.size() {
            return block;
        }
        // SAFETY: `layout` was valid, and the caller promises that `new_size` is with its alignment.
        let moved = unsafe { self.alloc(Layout::from_size_align_unchecked(new_size, layout.align())) };
        if !moved.is_null() {
            // SAFETY: both blocks are live, do not overlap, and hold at least the old size.
            unsafe { ptr::copy_nonoverlapping(block, moved, layout.size()) };
        }
        moved
    }
}
