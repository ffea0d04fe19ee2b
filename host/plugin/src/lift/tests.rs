
//! Whatever a guest sends, lifting it ends in a change or a refusal: never a panic, never a byte from outside the heap.
