//! Values to and from SQL Server, as the driver has them.

use std::borrow::Cow;

use reel_projector::{Column, ColumnType, Value};
use rust_decimal::Decimal;
use tiberius::error::Error;
use tiberius::numeric::Numeric;
use tiberius::time::{Date, DateTime2, Time};
use tiberius::{ColumnData, FromSql, IntoSql, Row, TokenRow};

use super::error::SqlServerError;

/// Microseconds in a day.
const DAY: i64 = 24 * 60 * 60 * 1_000_000;

/// Days from 0001-01-01, from which SQL Server counts, to 1970-01-01.
const EPOCH: i64 = 719_162;

/// Digits of a second that a moment keeps.
const SCALE: u8 = 6;

/// Digits of a second that a time of day keeps, of which the last is 0: see `dialect::type_name`.
const CLOCK: u8 = 7;

/// A value of a column on its way to the server.
#[derive(Clone, Copy)]
pub(super) struct Bound<'a>(pub(super) ColumnType, pub(super) &'a Value);

impl<'a> IntoSql<'a> for Bound<'a> {
    fn into_sql(self) -> ColumnData<'a> {
        let Bound(kind, value) = self;
        match value {
            Value::Null => null(kind),
            Value::Boolean(truth) => ColumnData::Bit(Some(*truth)),
            // The width of an integer was checked against its column.
            Value::Int(number) => match kind {
                ColumnType::Int16 => ColumnData::I16(Some(*number as i16)),
                ColumnType::Int32 => ColumnData::I32(Some(*number as i32)),
                _ => ColumnData::I64(Some(*number)),
            },
            Value::Double(number) => ColumnData::F64(Some(*number)),
            Value::Decimal(decimal) => {
                ColumnData::Numeric(Some(Numeric::new_with_scale(decimal.mantissa(), decimal.scale() as u8)))
            }
            Value::Text(text) | Value::Json(text) => ColumnData::String(Some(Cow::Borrowed(text))),
            Value::Bytes(bytes) => ColumnData::Binary(Some(Cow::Borrowed(bytes))),
            Value::Uuid(uuid) => ColumnData::Guid(Some(*uuid)),
            Value::Date(day) => ColumnData::Date(Some(date(i64::from(*day)))),
            Value::Time(micros) => ColumnData::Time(Some(clock(*micros))),
            Value::Timestamp(micros) => {
                let (day, rest) = (micros.div_euclid(DAY), micros.rem_euclid(DAY));
                ColumnData::DateTime2(Some(DateTime2::new(date(day), time(rest))))
            }
        }
    }
}

fn null(kind: ColumnType) -> ColumnData<'static> {
    match kind {
        ColumnType::Boolean => ColumnData::Bit(None),
        ColumnType::Int16 => ColumnData::I16(None),
        ColumnType::Int32 => ColumnData::I32(None),
        ColumnType::Int64 => ColumnData::I64(None),
        ColumnType::Double => ColumnData::F64(None),
        ColumnType::Decimal { .. } => ColumnData::Numeric(None),
        ColumnType::Text { .. } | ColumnType::Json => ColumnData::String(None),
        ColumnType::Bytes { .. } => ColumnData::Binary(None),
        ColumnType::Uuid => ColumnData::Guid(None),
        ColumnType::Date => ColumnData::Date(None),
        ColumnType::Time => ColumnData::Time(None),
        ColumnType::Timestamp => ColumnData::DateTime2(None),
    }
}

/// Days since 1970-01-01, none before the year 1.
fn date(day: i64) -> Date {
    Date::new((day + EPOCH) as u32)
}

/// The clock's part of a moment.
fn time(micros: i64) -> Time {
    Time::new(micros.unsigned_abs(), SCALE)
}

/// A time of day.
fn clock(micros: i64) -> Time {
    Time::new(micros.unsigned_abs() * 10_u64.pow((CLOCK - SCALE).into()), CLOCK)
}

/// The arguments for values of some columns. What may be NULL is followed by whether it is there.
pub(super) fn arguments<'r>(columns: &[&Column], values: &'r [Value]) -> Vec<ColumnData<'r>> {
    let mut arguments = Vec::with_capacity(2 * columns.len());
    for (column, value) in columns.iter().zip(values) {
        let is_there = *value != Value::Null;
        arguments.push(if is_there { Bound(column.kind, value).into_sql() } else { any(column.kind) });
        if column.nullable {
            arguments.push(ColumnData::Bit(Some(is_there)));
        }
    }
    arguments
}

/// Some value of this type.
fn any(kind: ColumnType) -> ColumnData<'static> {
    match kind {
        ColumnType::Boolean => ColumnData::Bit(Some(false)),
        ColumnType::Int16 => ColumnData::I16(Some(0)),
        ColumnType::Int32 => ColumnData::I32(Some(0)),
        ColumnType::Int64 => ColumnData::I64(Some(0)),
        ColumnType::Double => ColumnData::F64(Some(0.0)),
        ColumnType::Decimal { scale, .. } => ColumnData::Numeric(Some(Numeric::new_with_scale(0, scale))),
        ColumnType::Text { .. } | ColumnType::Json => ColumnData::String(Some(Cow::Borrowed(""))),
        ColumnType::Bytes { .. } => ColumnData::Binary(Some(Cow::Borrowed(&[]))),
        ColumnType::Uuid => ColumnData::Guid(Some(tiberius::Uuid::nil())),
        ColumnType::Date => ColumnData::Date(Some(date(0))),
        ColumnType::Time => ColumnData::Time(Some(clock(0))),
        ColumnType::Timestamp => ColumnData::DateTime2(Some(DateTime2::new(date(0), time(0)))),
    }
}

/// A row of a bulk load as arguments, each followed by whether it is there.
pub(super) fn sent_as_arguments<'r>(kinds: &[ColumnType], row: TokenRow<'r>) -> Vec<ColumnData<'r>> {
    let mut arguments = Vec::with_capacity(2 * kinds.len());
    for (kind, data) in kinds.iter().zip(row) {
        let is_there = !is_null(&data);
        arguments.push(if is_there { data } else { any(*kind) });
        arguments.push(ColumnData::Bit(Some(is_there)));
    }
    arguments
}

/// A row of columns of these kinds for a bulk load into a table of such columns.
pub(super) fn loaded<'r>(kinds: &[ColumnType], values: &'r [Value]) -> TokenRow<'r> {
    let mut row = TokenRow::with_capacity(kinds.len());
    for (kind, value) in kinds.iter().zip(values) {
        row.push(Bound(*kind, value).into_sql());
    }
    row
}

/// The same for a stage, which keeps decimals as integers: the driver sends a decimal as short as it is, and Babelfish expects it as long
/// as its column.
pub(super) fn staged<'r>(kinds: &[ColumnType], values: &'r [Value]) -> TokenRow<'r> {
    let mut row = TokenRow::with_capacity(kinds.len());
    for (kind, value) in kinds.iter().zip(values) {
        row.push(match (kind, value) {
            (ColumnType::Decimal { .. }, Value::Null) => ColumnData::I64(None),
            // At most 18 digits.
            (_, Value::Decimal(decimal)) => ColumnData::I64(Some(decimal.mantissa() as i64)),
            _ => Bound(*kind, value).into_sql(),
        });
    }
    row
}

/// Reads a row of columns of these kinds.
pub(super) fn row(row: Row, kinds: &[ColumnType]) -> Result<Box<[Value]>, SqlServerError> {
    row.into_iter().zip(kinds).map(|(data, kind)| Ok(value(data, *kind)?)).collect()
}

fn value(data: ColumnData<'static>, kind: ColumnType) -> Result<Value, Error> {
    Ok(match (data, kind) {
        (ColumnData::Bit(Some(truth)), ColumnType::Boolean) => Value::Boolean(truth),
        (ColumnData::I16(Some(number)), ColumnType::Int16) => Value::Int(number.into()),
        (ColumnData::I32(Some(number)), ColumnType::Int32) => Value::Int(number.into()),
        (ColumnData::I64(Some(number)), ColumnType::Int64) => Value::Int(number),
        (ColumnData::F64(Some(number)), ColumnType::Double) => Value::Double(number),
        (ColumnData::Numeric(Some(number)), ColumnType::Decimal { .. }) => {
            Value::Decimal(Decimal::from_i128_with_scale(number.value(), number.scale().into()))
        }
        (ColumnData::String(Some(text)), ColumnType::Text { .. }) => Value::Text(text.into()),
        (ColumnData::String(Some(text)), ColumnType::Json) => Value::Json(text.into()),
        (ColumnData::Binary(Some(bytes)), ColumnType::Bytes { .. }) => Value::Bytes(bytes.into()),
        (ColumnData::Guid(Some(uuid)), ColumnType::Uuid) => Value::Uuid(uuid),
        (ColumnData::Date(Some(date)), ColumnType::Date) => Value::Date((i64::from(date.days()) - EPOCH) as i32),
        (ColumnData::Time(Some(time)), ColumnType::Time) => Value::Time(micros(time)),
        (ColumnData::DateTime2(Some(at)), ColumnType::Timestamp) => {
            Value::Timestamp((i64::from(at.date().days()) - EPOCH) * DAY + micros(at.time()))
        }
        (data, _) if is_null(&data) => Value::Null,
        (data, kind) => return Err(Error::Conversion(format!("{data:?} where {kind:?} was asked for").into())),
    })
}

/// Microseconds since midnight; the server may say it to more digits than the column keeps.
fn micros(time: Time) -> i64 {
    let scale = u32::from(time.scale());
    let increments = time.increments() as i64;
    match scale.checked_sub(SCALE.into()) {
        Some(more) => increments / 10_i64.pow(more),
        None => increments * 10_i64.pow(u32::from(SCALE) - scale),
    }
}

fn is_null(data: &ColumnData<'_>) -> bool {
    matches!(
        data,
        ColumnData::U8(None)
            | ColumnData::I16(None)
            | ColumnData::I32(None)
            | ColumnData::I64(None)
            | ColumnData::F32(None)
            | ColumnData::F64(None)
            | ColumnData::Bit(None)
            | ColumnData::String(None)
            | ColumnData::Guid(None)
            | ColumnData::Binary(None)
            | ColumnData::Numeric(None)
            | ColumnData::Date(None)
            | ColumnData::Time(None)
            | ColumnData::DateTime2(None)
    )
}

/// A value of the catalog's own, which is there.
pub(super) fn get<'r, T: FromSql<'r>>(row: &'r Row, place: usize) -> Result<T, SqlServerError> {
    let none = || Error::Conversion(format!("NULL in column {place}, which is never NULL").into());
    Ok(maybe(row, place)?.ok_or_else(none)?)
}

/// The same where there may be none.
pub(super) fn maybe<'r, T: FromSql<'r>>(row: &'r Row, place: usize) -> Result<Option<T>, SqlServerError> {
    Ok(row.try_get(place)?)
}

/// A text of the catalog's own, which is there.
pub(super) fn text(row: &Row, place: usize) -> Result<String, SqlServerError> {
    Ok(get::<&str>(row, place)?.to_owned())
}

/// The same where there may be none.
pub(super) fn maybe_text(row: &Row, place: usize) -> Result<Option<String>, SqlServerError> {
    Ok(maybe::<&str>(row, place)?.map(str::to_owned))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(kind: ColumnType, value: &Value) -> ColumnData<'_> {
        Bound(kind, value).into_sql()
    }

    #[test]
    fn moments_are_counted_from_the_year_one() {
        let (first, last) = (Value::Timestamp(-62_135_596_800_000_000), Value::Timestamp(253_402_300_799_999_999));
        let moment = |days, micros| ColumnData::DateTime2(Some(DateTime2::new(Date::new(days), Time::new(micros, 6))));
        assert_eq!(data(ColumnType::Timestamp, &first), moment(0, 0));
        assert_eq!(data(ColumnType::Timestamp, &last), moment(3_652_058, 86_399_999_999));
        assert_eq!(data(ColumnType::Timestamp, &Value::Timestamp(-1)), moment(719_161, 86_399_999_999));
        assert_eq!(data(ColumnType::Date, &Value::Date(-719_162)), ColumnData::Date(Some(Date::new(0))));
    }

    #[test]
    fn values_come_back() {
        for (kind, kept) in [
            (ColumnType::Timestamp, Value::Timestamp(-1)),
            (ColumnType::Date, Value::Date(2_932_896)),
            (ColumnType::Time, Value::Time(86_399_999_999)),
            (ColumnType::Decimal { precision: 4, scale: 2 }, Value::Decimal(Decimal::new(-1250, 2))),
            (ColumnType::Int16, Value::Int(-32_768)),
            (ColumnType::Int32, Value::Null),
        ] {
            let back = match Bound(kind, &kept).into_sql() {
                ColumnData::String(text) => ColumnData::String(text.map(|text| text.into_owned().into())),
                ColumnData::DateTime2(at) => ColumnData::DateTime2(at),
                ColumnData::Date(date) => ColumnData::Date(date),
                ColumnData::Time(time) => ColumnData::Time(time),
                ColumnData::Numeric(number) => ColumnData::Numeric(number),
                ColumnData::I16(number) => ColumnData::I16(number),
                ColumnData::I32(number) => ColumnData::I32(number),
                other => panic!("{other:?}"),
            };
            assert_eq!(value(back, kind).unwrap(), kept);
        }
        let seven = ColumnData::Time(Some(Time::new(864_000_000_000 - 10, 7)));
        assert_eq!(value(seven, ColumnType::Time).unwrap(), Value::Time(86_399_999_999));
        assert!(value(ColumnData::I32(Some(1)), ColumnType::Boolean).is_err());
    }
}
