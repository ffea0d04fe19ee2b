//! What a projection does to its tables: every method of [`Rows`] is one of the contract's operations, typed.
//! Changes are collected and handed to the host in few calls; an author notices nothing of it.

use std::vec;

use crate::{
    Assignments, Column, ColumnValue, Declared, IntoColumn, Key, Table,
    abi::{Change, ChangeBatch, Operation, RowBatch, Value},
    manifest::Ownership,
    value::{Number, Ordered},
};

/// The projection's tables, while events are applied.
///
/// Nothing that is done here is visible to anyone until the whole batch was applied and committed with its checkpoint.
pub struct Rows<'host> {
    batch: ChangeBatch,
    event: u32,
    host: &'host mut dyn Host,
}

/// Who takes the changes and knows the rows: the Wasm host, or natively the projector's own sink.
pub trait Host {
    /// Takes changes, in order.
    fn emit(&mut self, batch: &ChangeBatch);

    /// The row of `table` under `key`, if there is one.
    fn get(&mut self, event: u32, table: u16, key: &[Value], heap: &[u8]) -> RowBatch;
}

impl<'host> Rows<'host> {
    /// Rows whose changes go to `host`. For derived code and the test kit.
    pub fn new(host: &'host mut dyn Host) -> Rows<'host> {
        Rows { batch: ChangeBatch::default(), event: 0, host }
    }

    /// The same, with room for what so many events with so many bytes of text may come to: memory that grows later is copied. For
    /// derived code.
    pub fn with_room_for(events: usize, bytes: usize, host: &'host mut dyn Host) -> Rows<'host> {
        let changes = (2 * events).min(ChangeBatch::MOST_CHANGES);
        let batch = ChangeBatch {
            changes: Vec::with_capacity(changes + 1),
            cells: Vec::with_capacity(4 * changes),
            heap: Vec::with_capacity((bytes + 64 * events).min(ChangeBatch::MOST_BYTES + ChangeBatch::MOST_BYTES / 8)),
        };
        Rows { batch, event: 0, host }
    }

    /// From here on changes belong to the event at `index` of the batch. For derived code.
    #[inline]
    pub fn begin_event(&mut self, index: u32) {
        self.event = index;
    }

    /// Sends what was collected. For derived code.
    pub fn flush(&mut self) {
        if !self.batch.changes.is_empty() {
            self.host.emit(&self.batch);
            self.batch.clear();
        }
    }

    /// Inserts the row, or replaces the one with its key.
    #[inline]
    pub fn upsert<T: Declared>(&mut self, row: T) {
        const { only_where_owned::<T>() };
        self.row(Operation::Upsert, row);
    }

    /// Inserts the row; where its key exists, nothing happens.
    #[inline]
    pub fn insert_if_absent<T: Declared>(&mut self, row: T) {
        const { only_where_owned::<T>() };
        self.row(Operation::InsertIfAbsent, row);
    }

    /// Sets columns of a row that must exist: where there is none, the event is at fault, as if it had been rejected.
    ///
    /// `rows.patch(Post::key(id), (Post::MESSAGE.set(message), Post::EDITED_AT.set(event.recorded_at)))`
    #[inline]
    pub fn patch<T: Declared>(&mut self, key: Key<T, impl Assignments<T>>, values: impl Assignments<T>) {
        const { only_where_owned::<T>() };
        self.change(Operation::Patch, (key.columns, values));
    }

    /// Sets columns of a row that may exist; where there is none, nothing happens.
    #[inline]
    pub fn patch_if_present<T: Declared>(&mut self, key: Key<T, impl Assignments<T>>, values: impl Assignments<T>) {
        const { only_where_owned::<T>() };
        self.change(Operation::PatchIfPresent, (key.columns, values));
    }

    /// Adds to a column. Where there is no row, it is created from the defaults of its columns first.
    #[inline]
    pub fn add<T, V>(&mut self, key: Key<T, impl Assignments<T>>, column: Column<T, V>, amount: V::Amount)
    where
        T: Declared,
        V: Number,
        V::Amount: IntoColumn<V>,
    {
        self.change(Operation::Add, (key.columns, column.set(amount)));
    }

    /// Lowers a column to `bound` where that is less. NULL counts as no value; a row that is missing is created as by [`Rows::add`].
    #[inline]
    pub fn minimum<T, V>(&mut self, key: Key<T, impl Assignments<T>>, column: Column<T, V>, bound: impl IntoColumn<V>)
    where
        T: Declared,
        V: Ordered,
    {
        self.change(Operation::Minimum, (key.columns, column.set(bound)));
    }

    /// Raises a column to `bound` where that is greater. NULL counts as no value; a row that is missing is created as by
    /// [`Rows::add`].
    #[inline]
    pub fn maximum<T, V>(&mut self, key: Key<T, impl Assignments<T>>, column: Column<T, V>, bound: impl IntoColumn<V>)
    where
        T: Declared,
        V: Ordered,
    {
        self.change(Operation::Maximum, (key.columns, column.set(bound)));
    }

    /// Deletes a row; where there is none, nothing happens.
    #[inline]
    pub fn delete<T: Declared>(&mut self, key: Key<T, impl Assignments<T>>) {
        const { only_where_owned::<T>() };
        self.change(Operation::Delete, key.columns);
    }

    /// Deletes every row whose columns equal the given values. The columns must be the first ones of a declared index, and in a
    /// table with an owner its column must be among them.
    ///
    /// `rows.delete_where(Comment::POST.eq(id))`
    #[inline]
    pub fn delete_where<T: Declared>(&mut self, values: impl Assignments<T>) {
        const { only_where_owned::<T>() };
        self.change(Operation::DeleteWhere, values);
    }

    /// The row under `key`, with all changes made so far; nothing where there is none. Each call asks the host, perhaps its
    /// database: what can be said with `add`, `maximum` or `patch` is faster.
    ///
    /// # Panics
    /// Where the host answers something else than a row of the table: a host's error.
    pub fn get<T: Declared>(&mut self, key: Key<T, impl Assignments<T>>) -> Option<T> {
        const { only_where_owned::<T>() };
        self.flush();
        key.columns.write(&mut self.batch.cells, &mut self.batch.heap);
        let key: Vec<Value> = self.batch.cells.iter().map(|cell| cell.value).collect();
        let answer = self.host.get(self.event, T::INDEX, &key, &self.batch.heap);
        self.batch.clear();
        let found = *answer.found.first().expect("the host answers with one flag for each key");
        found.then(|| T::read(&mut RowReader { values: answer.values.into_iter(), heap: &answer.heap }))
    }

    #[inline]
    fn row<T: Declared>(&mut self, operation: Operation, row: T) {
        row.write(&mut CellWriter { batch: &mut self.batch });
        self.push::<T>(operation, T::DESCRIPTION.columns.len() as u16);
    }

    #[inline]
    fn change<T: Declared, A: Assignments<T>>(&mut self, operation: Operation, values: A) {
        values.write(&mut self.batch.cells, &mut self.batch.heap);
        self.push::<T>(operation, A::COUNT);
    }

    #[inline]
    fn push<T: Declared>(&mut self, operation: Operation, cells: u16) {
        self.batch.changes.push(Change { event: self.event, table: T::INDEX, operation, cells });
        if self.batch.is_big() {
            self.flush();
        }
    }
}

impl std::fmt::Debug for Rows<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rows").field("event", &self.event).field("batch", &self.batch).finish_non_exhaustive()
    }
}

const fn only_where_owned<T: Table>() {
    assert!(
        !matches!(T::DESCRIPTION.ownership, Ownership::Shared),
        "a shared table takes only add, minimum and maximum: rows of a table that is changed or read otherwise need an owner, \
         #[table(owner = column)]"
    );
}

/// Writes a whole row, cell after cell. For derived code.
#[derive(Debug)]
pub struct CellWriter<'a> {
    batch: &'a mut ChangeBatch,
}

impl CellWriter<'_> {
    /// Writes the column at index `column`.
    #[inline]
    pub fn put<V: ColumnValue>(&mut self, column: u16, value: V) {
        let value = value.write(&mut self.batch.heap);
        self.batch.cells.push(crate::abi::Cell { column, value });
    }
}

/// Reads a whole row, value after value. For derived code.
#[derive(Debug)]
pub struct RowReader<'a> {
    values: vec::IntoIter<Value>,
    heap: &'a [u8],
}

impl<'a> RowReader<'a> {
    /// Reads the row that `values` are, whose spans point into `heap`.
    #[must_use]
    pub fn new(values: Vec<Value>, heap: &'a [u8]) -> RowReader<'a> {
        RowReader { values: values.into_iter(), heap }
    }

    /// The next column's value.
    ///
    /// # Panics
    /// Where the host sent too few values or one of another type.
    pub fn next<V: ColumnValue>(&mut self, column: &str) -> V {
        let value = self.values.next().unwrap_or_else(|| panic!("the host sent no value for column {column}"));
        V::read(value, self.heap).unwrap_or_else(|| panic!("the host sent {value:?} for column {column}"))
    }
}
