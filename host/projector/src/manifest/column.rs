//! What a column takes: the one place that decides, for all databases, whether a value is inside the domain.
//! Decimals are read in `decimal`; defaults written in a manifest in `literal`.

use std::fmt;

use reel_events::{CanonicalJson, Timestamp};
use uuid::Uuid;

use super::decimal;
use super::{Column, ColumnType};
use crate::value::{DomainError, Taken, Value, ValueRef};

/// 0001-01-01, in days since 1970-01-01.
pub(super) const FIRST_DAY: i32 = -719_162;
/// 9999-12-31, in days since 1970-01-01.
pub(super) const LAST_DAY: i32 = 2_932_896;
/// Microseconds of a day.
pub(super) const DAY: i64 = 86_400_000_000;

impl Column {
    /// Takes a value from a plugin: checks it against the column's type, length, width and nullability, and owns it.
    ///
    /// Types must be the column's own: nothing is cast. Decimals come back at the column's scale, JSON in canonical form, −0 as 0.
    ///
    /// # Errors
    /// Where the value is outside what the column takes; nothing is truncated, wrapped or rounded.
    pub fn accept(&self, value: ValueRef<'_>) -> Result<Value, DomainError> {
        self.take(value).map(Value::from)
    }

    /// The same, without owning it.
    pub(crate) fn take<'v>(&self, value: ValueRef<'v>) -> Result<Taken<'v>, DomainError> {
        self.taken(value).map_err(|reason| DomainError { column: self.name.clone(), reason })
    }

    /// What the column holds in a row that was created without naming it: its default, else NULL where it may be NULL.
    /// Nothing = every change that may create a row must name it.
    #[must_use]
    pub fn default_value(&self) -> Option<Value> {
        self.default.clone().or_else(|| self.nullable.then_some(Value::Null))
    }

    fn taken<'v>(&self, value: ValueRef<'v>) -> Result<Taken<'v>, String> {
        match (self.kind, value) {
            (_, ValueRef::Null) if self.nullable => Ok(Taken::Null),
            (ColumnType::Boolean, ValueRef::Boolean(value)) => Ok(Taken::Boolean(value)),
            (ColumnType::Int16, ValueRef::Int(value)) => integer(value, i16::MIN.into(), i16::MAX.into(), self.kind),
            (ColumnType::Int32, ValueRef::Int(value)) => integer(value, i32::MIN.into(), i32::MAX.into(), self.kind),
            (ColumnType::Int64, ValueRef::Int(value)) => Ok(Taken::Int(value)),
            (ColumnType::Double, ValueRef::Double(value)) => double(value),
            (ColumnType::Decimal { precision, scale }, ValueRef::Decimal(text)) => {
                decimal::read(text, precision, scale).map(Taken::Decimal)
            }
            (ColumnType::Text { length }, ValueRef::Text(bytes)) => self.text(bytes, length),
            (ColumnType::Bytes { length }, ValueRef::Bytes(bytes)) => self.bytes(bytes, length),
            (ColumnType::Json, ValueRef::Json(text)) => json(text),
            (ColumnType::Uuid, ValueRef::Uuid(bytes)) => uuid(bytes),
            (ColumnType::Date, ValueRef::Date(day)) => date(day),
            (ColumnType::Time, ValueRef::Time(micros)) => time_of_day(micros),
            (ColumnType::Timestamp, ValueRef::Timestamp(micros)) => timestamp(micros),
            (_, ValueRef::Null) => Err("NULL, but the column is not nullable".to_owned()),
            (kind, value) => Err(format!("the value is of type {}, but the column is {kind}", type_of(value))),
        }
    }

    fn text<'v>(&self, bytes: &'v [u8], length: Option<u32>) -> Result<Taken<'v>, String> {
        let text = simdutf8::basic::from_utf8(bytes).map_err(|_| not_utf8(bytes))?;
        if let Some(at) = memchr::memchr(0, bytes) {
            return Err(format!("the text holds NUL, at byte {at}, which databases do not store"));
        }
        if let Some(most) = length {
            self.fits(text, most)?;
        }
        if self.indexed && text.ends_with(' ') {
            return Err(
                "the text ends in a space, which text in a key or an index must not: trim it in the projection"
                    .to_owned(),
            );
        }
        Ok(Taken::Text(text.into()))
    }

    fn fits(&self, text: &str, most: u32) -> Result<(), String> {
        // A character has at least one byte, so most texts need not be counted.
        if text.len() <= most as usize {
            return Ok(());
        }
        let count = text.chars().count();
        if count <= most as usize {
            return Ok(());
        }
        Err(format!("the text has {count} characters, but the column takes at most {most}"))
    }

    fn bytes<'v>(&self, bytes: &'v [u8], length: Option<u32>) -> Result<Taken<'v>, String> {
        let found = bytes.len();
        match length {
            Some(exactly) if self.indexed && found != exactly as usize => Err(format!(
                "{found} bytes, but a column of bytes in a key or an index takes exactly its length, {exactly}"
            )),
            Some(most) if found > most as usize => Err(format!("{found} bytes, but the column takes at most {most}")),
            _ => Ok(Taken::Bytes(bytes.into())),
        }
    }
}

fn not_utf8(bytes: &[u8]) -> String {
    let valid = std::str::from_utf8(bytes).map_or_else(|error| error.valid_up_to(), str::len);
    format!("the text is not UTF-8: its byte {valid} is wrong")
}

fn integer(value: i64, least: i64, most: i64, kind: ColumnType) -> Result<Taken<'static>, String> {
    if (least..=most).contains(&value) {
        return Ok(Taken::Int(value));
    }
    Err(format!("{value} does not fit {kind}, which takes {least} to {most}"))
}

fn double(value: f64) -> Result<Taken<'static>, String> {
    if value.is_finite() {
        // Adding zero makes −0 the 0 that rows hold.
        return Ok(Taken::Double(value + 0.0));
    }
    Err(format!("{value} is not a finite number"))
}

fn json(text: &[u8]) -> Result<Taken<'static>, String> {
    CanonicalJson::parse(text)
        .map(|json| Taken::Json(json.as_str().to_owned().into()))
        .map_err(|error| format!("the JSON cannot be stored: {error}"))
}

fn uuid(bytes: &[u8]) -> Result<Taken<'static>, String> {
    Uuid::from_slice(bytes).map(Taken::Uuid).map_err(|_| format!("a UUID has 16 bytes, not {}", bytes.len()))
}

fn date(day: i32) -> Result<Taken<'static>, String> {
    if (FIRST_DAY..=LAST_DAY).contains(&day) {
        return Ok(Taken::Date(day));
    }
    Err(format!("day {day} since 1970-01-01 is outside the years 1 to 9999 ({FIRST_DAY} to {LAST_DAY})"))
}

fn time_of_day(micros: i64) -> Result<Taken<'static>, String> {
    if (0..DAY).contains(&micros) {
        return Ok(Taken::Time(micros));
    }
    Err(format!("{micros} microseconds since midnight are not a time of day, which is 0 to {}", DAY - 1))
}

fn timestamp(micros: i64) -> Result<Taken<'static>, String> {
    let (least, most) = (Timestamp::MIN.micros(), Timestamp::MAX.micros());
    if (least..=most).contains(&micros) {
        return Ok(Taken::Timestamp(micros));
    }
    Err(format!("{micros} microseconds since 1970-01-01 are outside the years 1 to 9999 ({least} to {most})"))
}

fn type_of(value: ValueRef<'_>) -> &'static str {
    match value {
        ValueRef::Null => "null",
        ValueRef::Boolean(_) => "boolean",
        ValueRef::Int(_) => "int",
        ValueRef::Double(_) => "double",
        ValueRef::Decimal(_) => "decimal",
        ValueRef::Text(_) => "text",
        ValueRef::Bytes(_) => "bytes",
        ValueRef::Json(_) => "json",
        ValueRef::Uuid(_) => "uuid",
        ValueRef::Date(_) => "date",
        ValueRef::Time(_) => "time",
        ValueRef::Timestamp(_) => "timestamp",
    }
}

impl ColumnType {
    /// The type's name in a manifest, without length, precision and scale: `text`, `int64`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            ColumnType::Boolean => "boolean",
            ColumnType::Int16 => "int16",
            ColumnType::Int32 => "int32",
            ColumnType::Int64 => "int64",
            ColumnType::Double => "double",
            ColumnType::Decimal { .. } => "decimal",
            ColumnType::Text { .. } => "text",
            ColumnType::Bytes { .. } => "bytes",
            ColumnType::Json => "json",
            ColumnType::Uuid => "uuid",
            ColumnType::Date => "date",
            ColumnType::Time => "time",
            ColumnType::Timestamp => "timestamp",
        }
    }
}

impl fmt::Display for ColumnType {
    /// For people: `decimal(10,2)`, `text(36)`, `int64`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())?;
        match self {
            ColumnType::Decimal { precision, scale } => write!(f, "({precision},{scale})"),
            ColumnType::Text { length: Some(length) } | ColumnType::Bytes { length: Some(length) } => {
                write!(f, "({length})")
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
