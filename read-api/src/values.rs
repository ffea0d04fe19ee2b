//! Texts of a query → values of a column's type. What is accepted is the same on every database.
//! How values are written in answers is in `json`.

use reel_events::{CanonicalJson, Timestamp};
use reel_projector::{ColumnType, Value};
use rust_decimal::Decimal;
use uuid::Uuid;

use crate::query_error::shown;

/// Days from the Julian epoch to 1970-01-01.
const EPOCH_JULIAN_DAY: i32 = 2_440_588;
const MICROS_PER_DAY: i64 = 86_400_000_000;

/// A text that [`parse_value`] takes for this type.
#[must_use]
pub fn example(kind: ColumnType) -> &'static str {
    match kind {
        ColumnType::Boolean => "true",
        ColumnType::Int16 | ColumnType::Int32 | ColumnType::Int64 => "42",
        ColumnType::Double => "1.5",
        ColumnType::Decimal { precision: 1, scale: 1 } => "0.5",
        ColumnType::Decimal { scale: 0, .. } => "1",
        ColumnType::Decimal { precision, scale } if precision == scale => "0.25",
        ColumnType::Decimal { .. } => "1.5",
        ColumnType::Text { .. } => "some text",
        ColumnType::Bytes { .. } => "\\x00ff",
        ColumnType::Json => "{\"a\":1}",
        ColumnType::Uuid => "01932c07-1f0e-7a3c-8000-0123456789ab",
        ColumnType::Date => "2026-11-21",
        ColumnType::Time => "09:30:00",
        ColumnType::Timestamp => "2026-11-21T09:30:00Z",
    }
}

/// Reads a value of type `kind`: never NULL. Spaces around everything but text do not count. Lengths are not checked: a text
/// longer than its column is compared all the same.
///
/// # Errors
/// What is wrong with the text, and an example of what fits.
pub fn parse_value(kind: ColumnType, text: &str) -> Result<Value, String> {
    let trimmed = text.trim_matches(' ');
    let value = match kind {
        ColumnType::Boolean => boolean(trimmed),
        ColumnType::Int16 => integer(trimmed, i16::MIN.into(), i16::MAX.into()),
        ColumnType::Int32 => integer(trimmed, i32::MIN.into(), i32::MAX.into()),
        ColumnType::Int64 => integer(trimmed, i64::MIN, i64::MAX),
        ColumnType::Double => double(trimmed),
        ColumnType::Decimal { precision, scale } => decimal(trimmed, precision, scale),
        ColumnType::Text { .. } => (!text.contains('\0')).then(|| Value::Text(text.into())),
        ColumnType::Bytes { .. } => bytes(trimmed),
        ColumnType::Json => CanonicalJson::parse(trimmed).ok().map(|json| Value::Json(json.as_str().into())),
        ColumnType::Uuid => Uuid::try_parse(trimmed).ok().map(Value::Uuid),
        ColumnType::Date => date(trimmed).map(Value::Date),
        ColumnType::Time => time_of_day(trimmed).map(Value::Time),
        ColumnType::Timestamp => timestamp(trimmed),
    };
    value.ok_or_else(|| refusal(kind, text))
}

fn refusal(kind: ColumnType, text: &str) -> String {
    let hint = match kind {
        _ if text.eq_ignore_ascii_case("null") => "; for rows without a value write is.null",
        ColumnType::Timestamp if text.contains(' ') => "; a + in a URL is written %2B",
        ColumnType::Text { .. } => "; text holds no NUL",
        _ => "",
    };
    format!("{:?} is no {kind}, such as {}{hint}", shown(text), example(kind))
}

fn boolean(text: &str) -> Option<Value> {
    match text.to_ascii_lowercase().as_str() {
        "true" => Some(Value::Boolean(true)),
        "false" => Some(Value::Boolean(false)),
        _ => None,
    }
}

fn integer(text: &str, least: i64, most: i64) -> Option<Value> {
    let number: i64 = text.parse().ok()?;
    (least..=most).contains(&number).then_some(Value::Int(number))
}

fn double(text: &str) -> Option<Value> {
    let number: f64 = text.parse().ok()?;
    // Adding zero makes −0 the 0 that rows hold.
    number.is_finite().then_some(Value::Double(number + 0.0))
}

fn decimal(text: &str, precision: u8, scale: u8) -> Option<Value> {
    let given = Decimal::from_str_exact(text).ok()?;
    let mut number = given;
    number.rescale(scale.into());
    let fits = number == given && number.scale() == u32::from(scale);
    let in_range = number.mantissa().unsigned_abs() < 10_u128.pow(precision.into());
    if number.is_zero() {
        number.set_sign_positive(true);
    }
    (fits && in_range).then_some(Value::Decimal(number))
}

fn bytes(text: &str) -> Option<Value> {
    let digits = text.strip_prefix("\\x")?.as_bytes();
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let pair = |pair: &[u8]| u8::try_from(digit(pair[0])? * 16 + digit(pair[1])?).ok();
    if digits.len() % 2 != 0 {
        return None;
    }
    digits.chunks_exact(2).map(pair).collect::<Option<Vec<u8>>>().map(|bytes| Value::Bytes(bytes.into()))
}

/// `YYYY-MM-DD` of the years 1–9999, in days since 1970-01-01.
fn date(text: &str) -> Option<i32> {
    let (year, rest) = text.split_once('-')?;
    let (month, day) = rest.split_once('-')?;
    let month = time::Month::try_from(u8::try_from(digits(month, 2)?).ok()?).ok()?;
    let year = i32::try_from(digits(year, 4)?).ok().filter(|year| *year >= 1)?;
    let date = time::Date::from_calendar_date(year, month, u8::try_from(digits(day, 2)?).ok()?).ok()?;
    Some(date.to_julian_day() - EPOCH_JULIAN_DAY)
}

/// `HH:MM[:SS[.ffffff]]` below 24:00, in microseconds.
fn time_of_day(text: &str) -> Option<i64> {
    let (clock, fraction) = text.split_once('.').map_or((text, None), |(clock, fraction)| (clock, Some(fraction)));
    let parts: Vec<&str> = clock.split(':').collect();
    let (hour, minute) = (digits(parts.first()?, 2)?, digits(parts.get(1)?, 2)?);
    let second = parts.get(2).map_or(Some(0), |second| digits(second, 2))?;
    let micros = match fraction {
        Some(fraction) if parts.len() == 3 && (1..=6).contains(&fraction.len()) => {
            digits(fraction, fraction.len())? * 10_i64.pow(6 - fraction.len() as u32)
        }
        Some(_) => return None,
        None => 0,
    };
    let inside = hour < 24 && minute < 60 && second < 60 && parts.len() <= 3;
    inside.then_some(((hour * 60 + minute) * 60 + second) * 1_000_000 + micros)
}

/// RFC 3339, or a day: its first moment in UTC.
fn timestamp(text: &str) -> Option<Value> {
    let of_day = date(text).map(|days| i64::from(days) * MICROS_PER_DAY);
    of_day.or_else(|| Timestamp::parse(text).ok().map(Timestamp::micros)).map(Value::Timestamp)
}

/// A number written with exactly `count` digits.
fn digits(text: &str, count: usize) -> Option<i64> {
    let plain = text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit());
    if plain { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const DECIMAL: ColumnType = ColumnType::Decimal { precision: 5, scale: 2 };
    const TEXT: ColumnType = ColumnType::Text { length: Some(3) };
    const BYTES: ColumnType = ColumnType::Bytes { length: None };

    #[test]
    fn texts_that_fit() {
        let cases = [
            (ColumnType::Boolean, "TRUE", Value::Boolean(true)),
            (ColumnType::Int16, "-32768", Value::Int(-32768)),
            (ColumnType::Int32, " 7 ", Value::Int(7)),
            (ColumnType::Int64, "9223372036854775807", Value::Int(i64::MAX)),
            (ColumnType::Double, "-0", Value::Double(0.0)),
            (ColumnType::Double, "1e3", Value::Double(1000.0)),
            (DECIMAL, "1.5", Value::Decimal(Decimal::new(150, 2))),
            (DECIMAL, "-999.9900", Value::Decimal(Decimal::new(-99999, 2))),
            (TEXT, " longer than three ", Value::Text(" longer than three ".into())),
            (BYTES, "\\x00fF", Value::Bytes([0, 255].into())),
            (BYTES, "\\x", Value::Bytes([].into())),
            (ColumnType::Json, "{ \"a\" : 1 }", Value::Json("{\"a\":1}".into())),
            (ColumnType::Date, "1970-01-02", Value::Date(1)),
            (ColumnType::Date, "0001-01-01", Value::Date(-719_162)),
            (ColumnType::Time, "23:59:59.5", Value::Time(86_399_500_000)),
            (ColumnType::Time, "00:01", Value::Time(60_000_000)),
            (ColumnType::Timestamp, "1970-01-02", Value::Timestamp(MICROS_PER_DAY)),
            (ColumnType::Timestamp, "1970-01-01T01:00:00.000001+01:00", Value::Timestamp(1)),
        ];
        for (kind, text, value) in cases {
            assert_eq!(parse_value(kind, text), Ok(value), "{kind:?} {text}");
        }
    }

    #[test]
    fn texts_that_do_not_fit() {
        let cases = [
            (ColumnType::Boolean, "yes"),
            (ColumnType::Int16, "32768"),
            (ColumnType::Int32, "2147483648"),
            (ColumnType::Int64, "9223372036854775808"),
            (ColumnType::Int64, "1.0"),
            (ColumnType::Int64, ""),
            (ColumnType::Double, "NaN"),
            (ColumnType::Double, "inf"),
            (ColumnType::Double, "1e999"),
            (DECIMAL, "1.234"),
            (DECIMAL, "1000"),
            (DECIMAL, "1e2"),
            (TEXT, "a\0"),
            (BYTES, "00ff"),
            (BYTES, "\\x0"),
            (BYTES, "\\xgg"),
            (ColumnType::Json, "{a:1}"),
            (ColumnType::Uuid, "4711"),
            (ColumnType::Date, "2026-02-29"),
            (ColumnType::Date, "0000-01-01"),
            (ColumnType::Date, "26-1-1"),
            (ColumnType::Time, "24:00:00"),
            (ColumnType::Time, "12:60"),
            (ColumnType::Time, "12:00.5"),
            (ColumnType::Time, "12:00:00.1234567"),
            (ColumnType::Timestamp, "2026-11-21T09:30:00"),
        ];
        for (kind, text) in cases {
            let error = parse_value(kind, text).unwrap_err();
            assert!(error.contains(&kind.to_string()) && error.contains(example(kind)), "{error}");
        }
    }

    #[test]
    fn hints() {
        assert!(parse_value(ColumnType::Int64, "null").unwrap_err().ends_with("write is.null"));
        assert!(parse_value(ColumnType::Timestamp, "2026-11-21T09:30:00 01:00").unwrap_err().ends_with("%2B"));
    }

    fn kinds() -> Vec<ColumnType> {
        use ColumnType::{
            Boolean, Bytes, Date, Decimal, Double, Int16, Int32, Int64, Json, Text, Time, Timestamp, Uuid,
        };
        let mut kinds = vec![Boolean, Int16, Int32, Int64, Double, Json, Uuid, Date, Time, Timestamp];
        kinds.extend([
            Text { length: None },
            Text { length: Some(1) },
            Bytes { length: None },
            Bytes { length: Some(4) },
        ]);
        let decimals = (1..=18).flat_map(|precision| (0..=precision).map(move |scale| Decimal { precision, scale }));
        kinds.extend(decimals);
        kinds
    }

    #[test]
    fn every_example_fits_its_type() {
        for kind in kinds() {
            assert!(parse_value(kind, example(kind)).is_ok(), "{kind:?}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(kind in prop::sample::select(kinds()), text in any::<String>()) {
            let _ = parse_value(kind, &text);
        }

        #[test]
        fn any_number_like_text_is_read_or_refused(kind in prop::sample::select(kinds()), text in "[-+0-9.eT:Z \\\\x]{0,30}") {
            let _ = parse_value(kind, &text);
        }
    }
}
