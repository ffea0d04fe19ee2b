//! Which Rust types columns are made of, and how they cross the boundary. The types of our own (`Uuid`, `Timestamp`, `Decimal`…)
//! are in the files beside this one.

mod decimal;
mod json;
mod scalar;
mod time;
mod uuid;

pub use decimal::{Decimal, DecimalError};
pub use json::Json;
pub use scalar::Bytes;
pub use time::{Date, MomentError, Time, Timestamp};
pub use uuid::{Uuid, UuidError};

use crate::{abi, manifest::ColumnType};

/// A type that a column holds: `bool`, `i16`, `i32`, `i64`, `f64`, `String`, [`Bytes`], [`Uuid`], [`Json`], [`Date`], [`Time`],
/// [`Timestamp`], [`Decimal`], and `Option` of each for a column that may be NULL.
#[diagnostic::on_unimplemented(
    message = "no column holds a `{Self}`",
    note = "columns hold bool, i16, i32, i64, f64, String, Bytes, Uuid, Date, Time, Timestamp, Decimal<P, S> and Option of each; \
            wrap any other type that serde knows: `Json<{Self}>`"
)]
pub trait ColumnValue: IntoColumn<Self> + Sized {
    /// What the manifest calls it.
    const TYPE: ColumnType;
    /// Whether it may be NULL.
    const NULLABLE: bool = false;

    /// Reads a value; nothing where it is of another type.
    fn read(value: abi::Value, heap: &[u8]) -> Option<Self>;
}

/// What can be given where a column holds a `V`: a `V`, and what is as good (`&str` for `String`, a value for an `Option` of it).
#[diagnostic::on_unimplemented(message = "a `{Self}` does not fit a column that holds `{V}`")]
pub trait IntoColumn<V> {
    /// Writes it: what varies in length goes to the heap.
    fn write(self, heap: &mut Vec<u8>) -> abi::Value;
}

/// What [`crate::Rows::add`] adds to.
pub trait Number: ColumnValue {
    /// What is added.
    type Amount;
}

/// What [`crate::Rows::minimum`] and [`crate::Rows::maximum`] compare.
pub trait Ordered: ColumnValue {}

impl<V: ColumnValue> ColumnValue for Option<V> {
    const TYPE: ColumnType = V::TYPE;
    const NULLABLE: bool = true;

    #[inline]
    fn read(value: abi::Value, heap: &[u8]) -> Option<Option<V>> {
        match value {
            abi::Value::Null => Some(None),
            value => V::read(value, heap).map(Some),
        }
    }
}

impl<V: ColumnValue> IntoColumn<Option<V>> for Option<V> {
    #[inline]
    fn write(self, heap: &mut Vec<u8>) -> abi::Value {
        match self {
            None => abi::Value::Null,
            Some(value) => value.write(heap),
        }
    }
}

impl<V: Number> Number for Option<V> {
    type Amount = V::Amount;
}

impl<V: Ordered> Ordered for Option<V> {}

/// `ColumnValue` and both `IntoColumn` of a type by one pattern: the type, its column type, how a value is written and read.
macro_rules! column_value {
    ([$($parameter:tt)*] $type:ty, $column:expr, |$own:ident, $heap:ident| $write:expr, |$value:ident, $bytes:ident| $read:expr) => {
        impl<$($parameter)*> $crate::value::ColumnValue for $type {
            const TYPE: $crate::manifest::ColumnType = $column;

            #[inline]
            fn read($value: $crate::abi::Value, $bytes: &[u8]) -> Option<$type> {
                $read
            }
        }

        impl<$($parameter)*> $crate::value::IntoColumn<$type> for $type {
            #[inline]
            fn write(self, $heap: &mut Vec<u8>) -> $crate::abi::Value {
                let $own = self;
                $write
            }
        }

        impl<$($parameter)*> $crate::value::IntoColumn<Option<$type>> for $type {
            #[inline]
            fn write(self, heap: &mut Vec<u8>) -> $crate::abi::Value {
                $crate::value::IntoColumn::<$type>::write(self, heap)
            }
        }
    };
}

/// More types that fit a column of a type: how each is written.
macro_rules! fits_column {
    ($column:ty: $($given:ty),+; |$own:ident, $heap:ident| $write:expr) => {$(
        impl $crate::value::IntoColumn<$column> for $given {
            #[inline]
            fn write(self, $heap: &mut Vec<u8>) -> $crate::abi::Value {
                let $own = self;
                $write
            }
        }

        impl $crate::value::IntoColumn<Option<$column>> for $given {
            #[inline]
            fn write(self, heap: &mut Vec<u8>) -> $crate::abi::Value {
                $crate::value::IntoColumn::<$column>::write(self, heap)
            }
        }

        impl $crate::value::IntoColumn<Option<$column>> for Option<$given> {
            #[inline]
            fn write(self, heap: &mut Vec<u8>) -> $crate::abi::Value {
                self.map_or($crate::abi::Value::Null, |value| $crate::value::IntoColumn::<$column>::write(value, heap))
            }
        }
    )+};
}

pub(crate) use {column_value, fits_column};
