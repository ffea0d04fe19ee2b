//! What crosses the boundary to the host, in the very layout that the Component Model gives it in memory: a batch of changes is
//! handed over without being written a second time. `wit/v1/projection.wit` says what each of these means.
//! Authors of projections see none of it.

/// `length` bytes of the batch's heap, from `offset`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub struct Span {
    /// First byte.
    pub offset: u32,
    /// Number of bytes.
    pub length: u32,
}

/// A value of a cell or a key. The order of the cases is the WIT's.
#[derive(Debug, Clone, Copy, PartialEq)]
#[repr(C, u8)]
pub enum Value {
    /// No value.
    Null,
    /// True or false.
    Boolean(bool),
    /// Any integer.
    Int(i64),
    /// A double.
    Double(f64),
    /// Base 10.
    Decimal(Span),
    /// UTF-8.
    Text(Span),
    /// Any bytes.
    Bytes(Span),
    /// JSON.
    Json(Span),
    /// 16 bytes.
    Uuid(Span),
    /// Days since 1970-01-01.
    Date(i32),
    /// Microseconds since midnight.
    Time(i64),
    /// Microseconds since the epoch, UTC.
    Timestamp(i64),
    /// Reserved by the contract; never made here.
    Other(Span),
}

/// What a change does. The order of the cases is the WIT's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
#[expect(missing_docs, reason = "each is described at the method of `Rows` that makes it")]
pub enum Operation {
    Upsert,
    InsertIfAbsent,
    Patch,
    PatchIfPresent,
    Add,
    Minimum,
    Maximum,
    Delete,
    DeleteWhere,
}

/// A column and its value.
#[derive(Debug, Clone, Copy, PartialEq)]
#[repr(C)]
pub struct Cell {
    /// Index in the table's columns.
    pub column: u16,
    /// What it holds.
    pub value: Value,
}

/// One change; takes the next `cells` cells of its batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub struct Change {
    /// Index in the event batch.
    pub event: u32,
    /// Index in the manifest's tables.
    pub table: u16,
    /// What it does.
    pub operation: Operation,
    /// How many cells.
    pub cells: u16,
}

/// Changes on their way to the host.
#[derive(Debug, Default)]
pub struct ChangeBatch {
    /// In the order they were made.
    pub changes: Vec<Change>,
    /// The cells of all changes, one after the other.
    pub cells: Vec<Cell>,
    /// What the cells' spans point into.
    pub heap: Vec<u8>,
}

impl ChangeBatch {
    /// How many bytes of heap are worth a call.
    pub const MOST_BYTES: usize = 64 << 10;
    /// How many changes are worth a call.
    pub const MOST_CHANGES: usize = 500;

    /// Whether it should be sent before more is put in: big enough to be worth a call, small enough that the memory of every batch
    /// is still in the processor's cache when it is used again.
    #[inline]
    #[must_use]
    pub fn is_big(&self) -> bool {
        self.heap.len() >= Self::MOST_BYTES || self.changes.len() >= Self::MOST_CHANGES
    }

    /// Empties it; the memory stays.
    pub fn clear(&mut self) {
        self.changes.clear();
        self.cells.clear();
        self.heap.clear();
    }
}

/// Rows that the host found.
#[derive(Debug, Default)]
pub struct RowBatch {
    /// A flag for each key that was asked for.
    pub found: Vec<bool>,
    /// The values of the rows that exist, row after row.
    pub values: Vec<Value>,
    /// What the values' spans point into.
    pub heap: Vec<u8>,
}

/// The bytes of `span`.
///
/// # Panics
/// Where it lies outside `heap`: neither side makes such a span.
#[inline]
#[must_use]
pub fn bytes(heap: &[u8], span: Span) -> &[u8] {
    &heap[span.offset as usize..][..span.length as usize]
}

/// Puts bytes at the end of a heap.
///
/// # Panics
/// Beyond 4 GiB, which no guest's memory holds.
#[inline]
pub fn store(heap: &mut Vec<u8>, bytes: &[u8]) -> Span {
    let offset = heap.len();
    heap.extend_from_slice(bytes);
    span_from(heap, offset)
}

/// What was written into the heap since it had `offset` bytes.
///
/// # Panics
/// Beyond 4 GiB, which no guest's memory holds.
#[inline]
#[must_use]
pub fn span_from(heap: &[u8], offset: usize) -> Span {
    let end = u32::try_from(heap.len()).expect("a batch is sent long before it has 4 GiB");
    let offset = offset as u32;
    Span { offset, length: end - offset }
}

// The layout that the Component Model prescribes; a difference would be a change of the contract.
const _: () = {
    assert!(size_of::<Span>() == 8 && size_of::<Value>() == 16 && align_of::<Value>() == 8);
    assert!(size_of::<Cell>() == 24 && std::mem::offset_of!(Cell, value) == 8);
    assert!(size_of::<Change>() == 12 && std::mem::offset_of!(Change, table) == 4);
    assert!(std::mem::offset_of!(Change, operation) == 6 && std::mem::offset_of!(Change, cells) == 8);
};
