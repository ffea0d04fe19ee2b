//! Values as a manifest writes them: the defaults of columns. Booleans, integers and doubles are JSON's own; all other types are
//! strings: a decimal `"1.50"`, bytes `"\x00ff"`, JSON as its text `"{}"`, a UUID, `"2026-11-21"`, `"09:30:00"`,
//! `"2026-11-21T09:30:00Z"`.

use reel_events::Timestamp;
use serde_json::Value as Json;
use uuid::Uuid;

use super::column::DAY;
use super::reader::Node;
use super::{Column, ColumnType, ManifestError};
use crate::value::{Value, ValueRef};

/// Reads the default of `column` at `node`. JSON's null says what is so without it: NULL is the default of a nullable column.
pub(super) fn read(node: &Node<'_>, column: &Column) -> Result<Option<Value>, ManifestError> {
    let accept = |value: ValueRef<'_>| column.accept(value).map(Some).map_err(|error| node.error(error.reason));
    let wrong = || node.expected(&format!("a default for {}: {}", column.kind, form(column.kind)));
    match (column.kind, node.value) {
        (_, Json::Null) if column.nullable => Ok(None),
        (_, Json::Null) => {
            Err(node.error("null, but the column is not nullable: remove the default, or make it nullable"))
        }
        (ColumnType::Boolean, Json::Bool(value)) => accept(ValueRef::Boolean(*value)),
        (ColumnType::Int16 | ColumnType::Int32 | ColumnType::Int64, Json::Number(number)) => {
            accept(ValueRef::Int(number.as_i64().ok_or_else(wrong)?))
        }
        (ColumnType::Double, Json::Number(number)) => accept(ValueRef::Double(number.as_f64().ok_or_else(wrong)?)),
        (kind, Json::String(text)) => match kind {
            ColumnType::Text { .. } => accept(ValueRef::Text(text.as_bytes())),
            ColumnType::Json => accept(ValueRef::Json(text.as_bytes())),
            ColumnType::Decimal { .. } => accept(ValueRef::Decimal(text.as_bytes())),
            ColumnType::Bytes { .. } => accept(ValueRef::Bytes(&bytes(text).ok_or_else(wrong)?)),
            ColumnType::Uuid => {
                Uuid::try_parse(text).map_err(|_| wrong()).and_then(|uuid| accept(ValueRef::Uuid(uuid.as_bytes())))
            }
            ColumnType::Date => accept(ValueRef::Date(day(text).ok_or_else(wrong)?)),
            ColumnType::Time => accept(ValueRef::Time(time_of_day(text).ok_or_else(wrong)?)),
            ColumnType::Timestamp => accept(ValueRef::Timestamp(Timestamp::parse(text).map_err(|_| wrong())?.micros())),
            _ => Err(wrong()),
        },
        _ => Err(wrong()),
    }
}

/// Writes a default as [`read`] reads it.
pub(super) fn write(value: &Value) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Boolean(value) => Json::Bool(*value),
        Value::Int(value) => Json::from(*value),
        Value::Double(value) => Json::from(*value),
        Value::Decimal(value) => Json::String(value.to_string()),
        Value::Text(text) | Value::Json(text) => Json::from(text.as_ref()),
        Value::Bytes(bytes) => {
            let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            Json::String(format!("\\x{digits}"))
        }
        Value::Uuid(uuid) => Json::String(uuid.to_string()),
        // A day and a time are the halves of a moment.
        Value::Date(day) => Json::from(&moment(i64::from(*day) * DAY)[..10]),
        Value::Time(micros) => Json::from(moment(*micros)[11..].trim_end_matches('Z')),
        Value::Timestamp(micros) => Json::String(moment(*micros)),
    }
}

/// `2026-11-21T09:30:00Z`
fn moment(micros: i64) -> String {
    Timestamp::from_micros(micros).to_string()
}

fn form(kind: ColumnType) -> &'static str {
    match kind {
        ColumnType::Boolean => "true or false",
        ColumnType::Int16 | ColumnType::Int32 | ColumnType::Int64 => "a whole number such as 0",
        ColumnType::Double => "a number such as 1.5",
        ColumnType::Decimal { .. } => "digits in a string, such as \"1.50\"",
        ColumnType::Text { .. } => "a string",
        ColumnType::Bytes { .. } => "hexadecimal digits in a string, such as \"\\\\x00ff\"",
        ColumnType::Json => "the JSON text in a string, such as \"{}\"",
        ColumnType::Uuid => "a UUID in a string, such as \"01932c07-1f0e-7a3c-8000-0123456789ab\"",
        ColumnType::Date => "a day in a string, such as \"2026-11-21\"",
        ColumnType::Time => "a time of day in a string, such as \"09:30:00\"",
        ColumnType::Timestamp => "a moment in a string, such as \"2026-11-21T09:30:00Z\"",
    }
}

/// `\x00ff`
fn bytes(text: &str) -> Option<Vec<u8>> {
    let digits = text.strip_prefix("\\x")?.as_bytes();
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let (pairs, rest) = digits.as_chunks::<2>();
    let byte = |pair: &[u8; 2]| u8::try_from(digit(pair[0])? * 16 + digit(pair[1])?).ok();
    if rest.is_empty() { pairs.iter().map(byte).collect() } else { None }
}

/// `2026-11-21`, in days since 1970-01-01.
fn day(text: &str) -> Option<i32> {
    let first_moment = (text.len() == 10).then(|| Timestamp::parse(&format!("{text}T00:00:00Z")).ok())??;
    i32::try_from(first_moment.micros().div_euclid(DAY)).ok()
}

/// `09:30:00` or `09:30:00.123456`, in microseconds since midnight.
fn time_of_day(text: &str) -> Option<i64> {
    let whole_microseconds = (8..=15).contains(&text.len());
    // RFC 3339 has leap seconds; a time of day has none.
    let leap = text.get(6..8) == Some("60");
    let moment = (whole_microseconds && !leap).then(|| Timestamp::parse(&format!("1970-01-01T{text}Z")).ok())??;
    Some(moment.micros())
}
