//! Memory that is handed out from one end. An instance lives for one batch, so nothing is searched for free blocks: what an event
//! leaves behind stays until the instance ends. But most events leave nothing: once all blocks that were handed out since the event
//! began have been given back, in whatever order, their memory is used again. So a batch touches little memory, and every page
//! that is touched for the first time costs more than the work that is done in it.
#![expect(unsafe_code, reason = "an allocator is an unsafe trait; the proof is at its implementation")]

use std::{
    alloc::{GlobalAlloc, Layout},
    arch::wasm32::{memory_grow, memory_size},
    cell::{Cell, UnsafeCell},
    mem::MaybeUninit,
    ptr,
};

#[global_allocator]
static ALLOCATOR: Bump = Bump { next: Cell::new(0), end: Cell::new(0), mark: Cell::new(0), live: Cell::new(0) };

/// What is handed out first: a batch of ordinary size needs no more. It is there from the start, so that the instance's memory need
/// not grow, which costs a call and, in the host, new access rights for its pages each time.
static ARENA: Arena = Arena(UnsafeCell::new(MaybeUninit::uninit()));

const ARENA_BYTES: usize = 2 << 20;

#[repr(align(16))]
struct Arena(UnsafeCell<MaybeUninit<[u8; ARENA_BYTES]>>);

// SAFETY: only the allocator uses it, and there is one thread.
unsafe impl Sync for Arena {}

/// An event begins: what is in use now is kept, and what is handed out from here on is used again as soon as all of it is back.
#[inline]
pub(super) fn begin_event() {
    ALLOCATOR.mark.set(ALLOCATOR.next.get());
    ALLOCATOR.live.set(0);
}

const PAGE: usize = 65_536;
/// Memory is taken from the host in steps of at least 1 MiB: each step is a call.
const STEP: usize = 16;

/// Hands out the arena, then the memory that grows behind everything else.
struct Bump {
    /// First free address; 0 before the first allocation.
    next: Cell<usize>,
    /// End of the memory that is ours.
    end: Cell<usize>,
    /// Blocks below this address are never used again.
    mark: Cell<usize>,
    /// How many blocks from `mark` on are in use.
    live: Cell<usize>,
}

const _: () =
    assert!(!cfg!(target_feature = "atomics"), "a projection has no threads: build it without the feature atomics");

// SAFETY: without atomics, as is asserted above, wasm32 has one thread.
unsafe impl Sync for Bump {}

impl Bump {
    /// The place of a new block, if there is one.
    #[inline]
    fn place(&self, layout: Layout) -> Option<(usize, usize)> {
        let fits = self.fit(layout);
        match fits {
            Some((_, end)) if end <= self.end.get() => fits,
            _ => self.fit_elsewhere(layout),
        }
    }

    #[inline]
    fn fit(&self, layout: Layout) -> Option<(usize, usize)> {
        let start = self.next.get().checked_next_multiple_of(layout.align())?;
        Some((start, start.checked_add(layout.size())?))
    }

    /// Before the first allocation: in the arena. After it: behind the memory's end, which then grows.
    #[cold]
    fn fit_elsewhere(&self, layout: Layout) -> Option<(usize, usize)> {
        if self.next.get() == 0 {
            self.begin(ARENA.0.get().expose_provenance(), ARENA_BYTES);
            return self.place(layout);
        }
        let memory_end = memory_size::<0>().checked_mul(PAGE)?;
        if self.end.get() != memory_end {
            self.begin(memory_end, 0);
        }
        let (start, end) = self.fit(layout)?;
        (end <= self.end.get() || self.grow(end)).then_some((start, end))
    }

    /// Goes on in other memory. Blocks elsewhere are below `mark` from now on: the arena lies below the memory's old end.
    fn begin(&self, start: usize, size: usize) {
        self.next.set(start);
        self.mark.set(start);
        self.live.set(0);
        self.end.set(start + size);
    }

    /// Whether memory up to `wanted` could be had from the host. Not where the arena is in use: what lies behind it is not ours.
    #[cold]
    fn grow(&self, wanted: usize) -> bool {
        let have = memory_size::<0>();
        if self.end.get() != have * PAGE {
            return false;
        }
        let missing = (wanted - self.end.get()).div_ceil(PAGE);
        let grown = memory_grow::<0>(missing.max(STEP));
        if grown == usize::MAX && memory_grow::<0>(missing) == usize::MAX {
            return false;
        }
        self.end.set(memory_size::<0>().saturating_mul(PAGE));
        true
    }
}

// SAFETY: `alloc` returns addresses from `next` upwards, aligned, inside memory that is ours alone (the arena, then what the host
// gave behind the memory's end), and moves `next` behind them, so a new block never overlaps a live one as long as no live block
// reaches beyond `next`. `next` goes back in two cases. To the start of the block that ends there, which its owner just gave up:
// nothing lies behind it. To `mark`, when `live` is 0: every block handed out since `mark` was set starts there or above and is
// counted in `live` until it is given back, so none of them is in use; and blocks from before end at or below `mark`, since one
// that grows in place takes `mark` along, and the arena lies below all memory that grows. Nothing here panics or unwinds; sums
// that would leave the address space give null.
unsafe impl GlobalAlloc for Bump {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let Some((start, end)) = self.place(layout) else {
            return ptr::null_mut();
        };
        self.next.set(end);
        self.live.set(self.live.get() + 1);
        ptr::with_exposed_provenance_mut(start)
    }

    #[inline]
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        let start = block.addr();
        if start < self.mark.get() {
            return;
        }
        let live = self.live.get() - 1;
        self.live.set(live);
        if live == 0 {
            self.next.set(self.mark.get());
        } else if start + layout.size() == self.next.get() {
            self.next.set(start);
        }
    }

    #[inline]
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        let start = block.addr();
        if start + layout.size() == self.next.get()
            && let Some(end) = start.checked_add(new_size)
            && (end <= self.end.get() || self.grow(end))
        {
            self.next.set(end);
            if start < self.mark.get() {
                self.mark.set(end);
            }
            return block;
        }
        if new_size <= layout.size() {
            return block;
        }
        // SAFETY: `layout` was valid, and the caller promises that `new_size` is with its alignment.
        let moved = unsafe { self.alloc(Layout::from_size_align_unchecked(new_size, layout.align())) };
        if !moved.is_null() {
            // SAFETY: both blocks are live, do not overlap, and hold at least the old size; the old one is given up by its owner.
            unsafe {
                ptr::copy_nonoverlapping(block, moved, layout.size());
                self.dealloc(block, layout);
            }
        }
        moved
    }
}
