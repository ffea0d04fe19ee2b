//! Columns of Rust's own types, and `Bytes`.

use std::borrow::Cow;

use super::{Number, Ordered, column_value, fits_column};
use crate::{
    abi::{Value, bytes, store},
    manifest::ColumnType,
};

/// A column of bytes; `Vec<u8>` is as good.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Bytes(pub Vec<u8>);

column_value!([] bool, ColumnType::Boolean, |own, _heap| Value::Boolean(own), |value, _bytes| match value {
    Value::Boolean(flag) => Some(flag),
    _ => None,
});

column_value!([] f64, ColumnType::Double, |own, _heap| Value::Double(own), |value, _bytes| match value {
    Value::Double(number) => Some(number),
    _ => None,
});

macro_rules! integers {
    ($($type:ty => $column:ident),+) => {$(
        column_value!([] $type, ColumnType::$column, |own, _heap| Value::Int(i64::from(own)), |value, _bytes| match value {
            Value::Int(number) => <$type>::try_from(number).ok(),
            _ => None,
        });

        impl Number for $type {
            type Amount = $type;
        }

        impl Ordered for $type {}
    )+};
}

integers!(i16 => Int16, i32 => Int32, i64 => Int64);

column_value!([] String, ColumnType::Text, |own, heap| Value::Text(store(heap, own.as_bytes())), |value, heap| match value {
    Value::Text(span) => String::from_utf8(bytes(heap, span).to_vec()).ok(),
    _ => None,
});
fits_column!(String: &str, &String, Cow<'_, str>; |own, heap| Value::Text(store(heap, own.as_bytes())));

impl Ordered for String {}

column_value!([] Bytes, ColumnType::Bytes, |own, heap| Value::Bytes(store(heap, &own.0)), |value, heap| match value {
    Value::Bytes(span) => Some(Bytes(bytes(heap, span).to_vec())),
    _ => None,
});
fits_column!(Bytes: &[u8]; |own, heap| Value::Bytes(store(heap, own)));
fits_column!(Bytes: Vec<u8>; |own, heap| Value::Bytes(store(heap, &own)));

column_value!([] Vec<u8>, ColumnType::Bytes, |own, heap| Value::Bytes(store(heap, &own)), |value, heap| match value {
    Value::Bytes(span) => Some(bytes(heap, span).to_vec()),
    _ => None,
});
fits_column!(Vec<u8>: &[u8]; |own, heap| Value::Bytes(store(heap, own)));

impl From<Vec<u8>> for Bytes {
    fn from(bytes: Vec<u8>) -> Bytes {
        Bytes(bytes)
    }
}
