//! Values to and from MySQL, in its binary protocol. Decimals, dates and moments go in as text, which the server reads as what the
//! column is.

use reel_projector::{ColumnType, Value};
use rust_decimal::Decimal;
use sqlx::encode::IsNull;
use sqlx::error::BoxDynError;
use sqlx::mysql::{MySqlRow, MySqlTypeInfo};
use sqlx::{Decode, Encode, Error, MySql, Row as _, Type, ValueRef as _};
use time::{Date, Duration, Month, OffsetDateTime, Time};
use uuid::Uuid;

/// Microseconds in a second, a minute, an hour, a day.
const SECOND: i64 = 1_000_000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// The day that we count from.
const EPOCH: Date = OffsetDateTime::UNIX_EPOCH.date();

/// A value on its way into a statement.
pub(super) struct Bound<'a>(pub(super) &'a Value);

impl Type<MySql> for Bound<'_> {
    fn type_info() -> MySqlTypeInfo {
        <str as Type<MySql>>::type_info()
    }
}

impl Encode<'_, MySql> for Bound<'_> {
    fn encode_by_ref(&self, into: &mut Vec<u8>) -> Result<IsNull, BoxDynError> {
        match self.0 {
            Value::Null => return Ok(IsNull::Yes),
            Value::Boolean(truth) => into.push(u8::from(*truth)),
            Value::Int(number) => into.extend_from_slice(&number.to_le_bytes()),
            Value::Double(number) => into.extend_from_slice(&number.to_le_bytes()),
            Value::Decimal(decimal) => return put_text(&decimal.to_string(), into),
            Value::Text(text) | Value::Json(text) => return put_text(text, into),
            Value::Bytes(bytes) => return <&[u8] as Encode<MySql>>::encode_by_ref(&&**bytes, into),
            Value::Uuid(uuid) => return <&[u8] as Encode<MySql>>::encode_by_ref(&&uuid.as_bytes()[..], into),
            Value::Date(day) => return put_text(&date_text(i64::from(*day))?, into),
            Value::Time(micros) => return put_text(&time_text(*micros), into),
            Value::Timestamp(micros) => {
                let (day, time) = (micros.div_euclid(DAY), micros.rem_euclid(DAY));
                return put_text(&format!("{} {}", date_text(day)?, time_text(time)), into);
            }
        }
        Ok(IsNull::No)
    }

    fn produces(&self) -> Option<MySqlTypeInfo> {
        Some(match self.0 {
            Value::Boolean(_) => <i8 as Type<MySql>>::type_info(),
            Value::Int(_) => <i64 as Type<MySql>>::type_info(),
            Value::Double(_) => <f64 as Type<MySql>>::type_info(),
            Value::Bytes(_) | Value::Uuid(_) => <[u8] as Type<MySql>>::type_info(),
            _ => <str as Type<MySql>>::type_info(),
        })
    }
}

fn put_text(text: &str, into: &mut Vec<u8>) -> Result<IsNull, BoxDynError> {
    <&str as Encode<MySql>>::encode_by_ref(&text, into)
}

fn date_text(day: i64) -> Result<String, BoxDynError> {
    let date = EPOCH.checked_add(Duration::days(day)).ok_or("a date beyond the year 9999")?;
    Ok(format!("{:04}-{:02}-{:02}", date.year(), u8::from(date.month()), date.day()))
}

/// The time of day, in microseconds since midnight.
fn time_text(micros: i64) -> String {
    let (hours, minutes) = (micros / HOUR, micros % HOUR / MINUTE);
    format!("{hours:02}:{minutes:02}:{:02}.{:06}", micros % MINUTE / SECOND, micros % SECOND)
}

/// Reads a row of columns of these kinds; further columns are left alone.
pub(super) fn row(row: &MySqlRow, kinds: &[ColumnType]) -> Result<Box<[Value]>, Error> {
    kinds.iter().enumerate().map(|(place, kind)| value(row, place, *kind)).collect()
}

fn value(row: &MySqlRow, place: usize, kind: ColumnType) -> Result<Value, Error> {
    let raw = row.try_get_raw(place)?;
    if raw.is_null() {
        return Ok(Value::Null);
    }
    let told = |source: BoxDynError| Error::ColumnDecode { index: place.to_string(), source };
    let bytes = <&[u8] as Decode<MySql>>::decode(raw).map_err(told)?;
    decode(bytes, kind).map_err(told)
}

fn decode(bytes: &[u8], kind: ColumnType) -> Result<Value, BoxDynError> {
    Ok(match kind {
        ColumnType::Boolean => Value::Boolean(bytes != [0]),
        ColumnType::Int16 => Value::Int(i64::from(i16::from_le_bytes(bytes.try_into()?))),
        ColumnType::Int32 => Value::Int(i64::from(i32::from_le_bytes(bytes.try_into()?))),
        ColumnType::Int64 => Value::Int(i64::from_le_bytes(bytes.try_into()?)),
        ColumnType::Double => Value::Double(f64::from_le_bytes(bytes.try_into()?)),
        ColumnType::Decimal { .. } => Value::Decimal(Decimal::from_str_exact(std::str::from_utf8(bytes)?)?),
        ColumnType::Text { .. } => Value::Text(std::str::from_utf8(bytes)?.into()),
        ColumnType::Json => Value::Json(std::str::from_utf8(bytes)?.into()),
        ColumnType::Bytes { .. } => Value::Bytes(bytes.into()),
        ColumnType::Uuid => Value::Uuid(Uuid::from_slice(bytes)?),
        ColumnType::Date => Value::Date(i32::try_from(decode_day(bytes)?)?),
        ColumnType::Time => Value::Time(decode_time(bytes)?),
        ColumnType::Timestamp => {
            Value::Timestamp(decode_day(bytes)? * DAY + decode_clock(bytes.get(5..).unwrap_or(&[]))?)
        }
    })
}

/// A length; year, month and day, which are left out only of a date that is none.
fn decode_day(bytes: &[u8]) -> Result<i64, BoxDynError> {
    let [_, low, high, month, day, ..] = bytes else {
        return Err("a date without a day".into());
    };
    let year = i32::from(u16::from_le_bytes([*low, *high]));
    let date = Date::from_calendar_date(year, Month::try_from(*month)?, *day)?;
    Ok((date - EPOCH).whole_days())
}

/// A length, the sign, days, then the time of day; nothing behind the length at midnight.
fn decode_time(bytes: &[u8]) -> Result<i64, BoxDynError> {
    match bytes {
        [0] => Ok(0),
        [_, 0, 0, 0, 0, 0, rest @ ..] => decode_clock(rest),
        _ => Err("a time that is no time of day".into()),
    }
}

/// Hour, minute, second and microseconds, of which what is 0 to the end may be missing.
fn decode_clock(bytes: &[u8]) -> Result<i64, BoxDynError> {
    let ([hour, minute, second], micros) = match bytes {
        [] => ([0; 3], 0),
        [hour, minute, second] => ([*hour, *minute, *second], 0),
        [hour, minute, second, micros @ ..] => ([*hour, *minute, *second], u32::from_le_bytes(micros.try_into()?)),
        _ => return Err("a time without seconds".into()),
    };
    let time = Time::from_hms_micro(hour, minute, second, micros)?;
    Ok((time - Time::MIDNIGHT).whole_microseconds() as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(value: Value) -> String {
        let mut bytes = Vec::new();
        assert!(!Bound(&value).encode_by_ref(&mut bytes).unwrap().is_null());
        assert_eq!(usize::from(bytes[0]), bytes.len() - 1);
        String::from_utf8(bytes[1..].to_vec()).unwrap()
    }

    #[test]
    fn moments_are_written_as_the_server_reads_them() {
        assert_eq!(text(Value::Timestamp(-62_135_596_800_000_000)), "0001-01-01 00:00:00.000000");
        assert_eq!(text(Value::Timestamp(-1)), "1969-12-31 23:59:59.999999");
        assert_eq!(text(Value::Timestamp(253_402_300_799_999_999)), "9999-12-31 23:59:59.999999");
        assert_eq!(text(Value::Date(-719_162)), "0001-01-01");
        assert_eq!(text(Value::Time(86_399_999_999)), "23:59:59.999999");
        assert_eq!(text(Value::Decimal(Decimal::new(-1250, 2))), "-12.50");
    }

    #[test]
    fn moments_are_read_however_short_they_are() {
        let moment = |bytes: &[u8]| decode(bytes, ColumnType::Timestamp).unwrap();
        assert_eq!(moment(&[4, 0xb2, 7, 1, 1]), Value::Timestamp(0));
        assert_eq!(moment(&[7, 0xb2, 7, 1, 1, 1, 2, 3]), Value::Timestamp(HOUR + 2 * MINUTE + 3 * SECOND));
        assert_eq!(moment(&[11, 0xb1, 7, 12, 31, 23, 59, 59, 0x3f, 0x42, 0x0f, 0]), Value::Timestamp(-1));
        assert_eq!(decode(&[0], ColumnType::Time).unwrap(), Value::Time(0));
        assert_eq!(decode(&[8, 0, 0, 0, 0, 0, 1, 0, 0], ColumnType::Time).unwrap(), Value::Time(HOUR));
        assert!(decode(&[8, 1, 0, 0, 0, 0, 1, 0, 0], ColumnType::Time).is_err());
    }
}
