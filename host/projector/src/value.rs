//! The values that rows are made of, owned and borrowed. What a column accepts is decided in `manifest::column`, in one place
//! for all databases.

use std::borrow::Cow;

use rust_decimal::Decimal;
use uuid::Uuid;

/// A value inside the domain that all databases share. Compares and hashes by content.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// No value.
    Null,
    /// True or false.
    Boolean(bool),
    /// Any of the integer types; the column's width was checked.
    Int(i64),
    /// Finite, never −0.
    Double(f64),
    /// At most 18 digits; carries exactly the column's scale.
    Decimal(Decimal),
    /// UTF-8 without NUL.
    Text(Box<str>),
    /// Any bytes.
    Bytes(Box<[u8]>),
    /// Canonical JSON.
    Json(Box<str>),
    /// A UUID.
    Uuid(Uuid),
    /// Days since 1970-01-01.
    Date(i32),
    /// Microseconds since midnight.
    Time(i64),
    /// Microseconds since the epoch, UTC.
    Timestamp(i64),
}

/// A value as a plugin sent it: nothing of it is checked yet but that its bytes exist.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum ValueRef<'a> {
    /// No value.
    Null,
    /// True or false.
    Boolean(bool),
    /// An integer of any width.
    Int(i64),
    /// May be NaN or infinite.
    Double(f64),
    /// Base 10, "-12.340"; may be anything.
    Decimal(&'a [u8]),
    /// May not be UTF-8.
    Text(&'a [u8]),
    /// Any bytes.
    Bytes(&'a [u8]),
    /// May not be JSON.
    Json(&'a [u8]),
    /// May not have 16 bytes.
    Uuid(&'a [u8]),
    /// Days since 1970-01-01, of any year.
    Date(i32),
    /// Microseconds since midnight, of any size.
    Time(i64),
    /// Microseconds since the epoch, of any year.
    Timestamp(i64),
}

/// A value that a column has taken, and that nobody need own: many are looked at once and added to a number.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Taken<'a> {
    Null,
    Boolean(bool),
    Int(i64),
    Double(f64),
    Decimal(Decimal),
    Text(Cow<'a, str>),
    Bytes(Cow<'a, [u8]>),
    /// In canonical form, which is seldom the one it came in.
    Json(Cow<'a, str>),
    Uuid(Uuid),
    Date(i32),
    Time(i64),
    Timestamp(i64),
}

impl From<Taken<'_>> for Value {
    fn from(taken: Taken<'_>) -> Value {
        match taken {
            Taken::Null => Value::Null,
            Taken::Boolean(value) => Value::Boolean(value),
            Taken::Int(value) => Value::Int(value),
            Taken::Double(value) => Value::Double(value),
            Taken::Decimal(value) => Value::Decimal(value),
            Taken::Text(text) => Value::Text(text.into()),
            Taken::Bytes(bytes) => Value::Bytes(bytes.into()),
            Taken::Json(text) => Value::Json(text.into()),
            Taken::Uuid(value) => Value::Uuid(value),
            Taken::Date(value) => Value::Date(value),
            Taken::Time(value) => Value::Time(value),
            Taken::Timestamp(value) => Value::Timestamp(value),
        }
    }
}

impl<'a> From<&'a Value> for Taken<'a> {
    fn from(value: &'a Value) -> Taken<'a> {
        match value {
            Value::Null => Taken::Null,
            Value::Boolean(value) => Taken::Boolean(*value),
            Value::Int(value) => Taken::Int(*value),
            Value::Double(value) => Taken::Double(*value),
            Value::Decimal(value) => Taken::Decimal(*value),
            Value::Text(text) => Taken::Text(Cow::Borrowed(text)),
            Value::Bytes(bytes) => Taken::Bytes(Cow::Borrowed(bytes)),
            Value::Json(text) => Taken::Json(Cow::Borrowed(text)),
            Value::Uuid(value) => Taken::Uuid(*value),
            Value::Date(value) => Taken::Date(*value),
            Value::Time(value) => Taken::Time(*value),
            Value::Timestamp(value) => Taken::Timestamp(*value),
        }
    }
}

impl From<Value> for Taken<'_> {
    fn from(value: Value) -> Self {
        match value {
            Value::Text(text) => Taken::Text(Cow::Owned(text.into())),
            Value::Bytes(bytes) => Taken::Bytes(Cow::Owned(bytes.into())),
            Value::Json(text) => Taken::Json(Cow::Owned(text.into())),
            Value::Null => Taken::Null,
            Value::Boolean(value) => Taken::Boolean(value),
            Value::Int(value) => Taken::Int(value),
            Value::Double(value) => Taken::Double(value),
            Value::Decimal(value) => Taken::Decimal(value),
            Value::Uuid(value) => Taken::Uuid(value),
            Value::Date(value) => Taken::Date(value),
            Value::Time(value) => Taken::Time(value),
            Value::Timestamp(value) => Taken::Timestamp(value),
        }
    }
}

/// Why a column does not take a value. The event that brought it is at fault, on every database alike.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("column {column}: {reason}")]
pub struct DomainError {
    /// The column's name.
    pub column: String,
    /// What was found, and what the column takes.
    pub reason: String,
}
