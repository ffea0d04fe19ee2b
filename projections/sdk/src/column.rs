//! Columns as values: what changes name them by, so that the compiler checks table, column and type.

use std::marker::PhantomData;

use crate::{
    ColumnValue, IntoColumn,
    abi::{Cell, Value},
};

/// A column of table `T` that holds a `V`: `Post::LIKES`. `#[derive(Table)]` makes one for each field.
#[derive(Debug)]
pub struct Column<T, V> {
    index: u16,
    of: PhantomData<fn() -> (T, V)>,
}

impl<T, V> Clone for Column<T, V> {
    fn clone(&self) -> Column<T, V> {
        *self
    }
}

impl<T, V> Copy for Column<T, V> {}

impl<T, V: ColumnValue> Column<T, V> {
    /// The column at `index` of its table. For derived code.
    #[must_use]
    pub const fn at(index: u16) -> Column<T, V> {
        Column { index, of: PhantomData }
    }

    /// This column set to `value`, in a patch.
    #[inline]
    pub fn set<A: IntoColumn<V>>(self, value: A) -> Assignment<T, V, A> {
        Assignment { column: self, value }
    }

    /// Rows in which this column equals `value`, in [`crate::Rows::delete_where`].
    #[inline]
    pub fn eq<A: IntoColumn<V>>(self, value: A) -> Assignment<T, V, A> {
        self.set(value)
    }
}

impl<T, V: ColumnValue> Column<T, Option<V>> {
    /// This column set to NULL, in a patch.
    #[inline]
    #[must_use]
    pub fn null(self) -> Assignment<T, Option<V>, Option<V>> {
        Assignment { column: self, value: None }
    }
}

/// A column with a value for it: see [`Column::set`].
#[derive(Debug)]
pub struct Assignment<T, V, A> {
    column: Column<T, V>,
    value: A,
}

/// One or more columns of `T` with their values: one [`Assignment`], or a tuple of up to eight.
pub trait Assignments<T> {
    /// How many.
    const COUNT: u16;

    /// Writes them as cells.
    fn write(self, cells: &mut Vec<Cell>, heap: &mut Vec<u8>);
}

impl<T, V, A: IntoColumn<V>> Assignments<T> for Assignment<T, V, A> {
    const COUNT: u16 = 1;

    #[inline]
    fn write(self, cells: &mut Vec<Cell>, heap: &mut Vec<u8>) {
        let value: Value = self.value.write(heap);
        cells.push(Cell { column: self.column.index, value });
    }
}

macro_rules! tuples {
    ($($name:ident)+) => {
        impl<T, $($name: Assignments<T>),+> Assignments<T> for ($($name,)+) {
            const COUNT: u16 = 0 $(+ $name::COUNT)+;

            #[inline]
            #[expect(non_snake_case, reason = "the values are named as their types")]
            fn write(self, cells: &mut Vec<Cell>, heap: &mut Vec<u8>) {
                let ($($name,)+) = self;
                $($name.write(cells, heap);)+
            }
        }
    };
}

tuples!(A);
tuples!(A B);
tuples!(A B C);
tuples!(A B C D);
tuples!(A B C D E);
tuples!(A B C D E F);
tuples!(A B C D E F G);
tuples!(A B C D E F G H);

/// The primary key of one row of `T`, made by the function `key` of the table: `Post::key(id)`.
#[derive(Debug)]
pub struct Key<T, K> {
    pub(crate) columns: K,
    of: PhantomData<fn() -> T>,
}

impl<T, K: Assignments<T>> Key<T, K> {
    /// A key of all key columns, in order. For derived code.
    #[inline]
    pub fn of(columns: K) -> Key<T, K> {
        Key { columns, of: PhantomData }
    }
}
