//! Values as JSON, and rows as objects: written by hand in one pass, the same bytes whatever the database.
//!
//! | type | JSON |
//! |---|---|
//! | boolean | `true`, `false` |
//! | int16, int32, int64 | number, exact: beyond ±(2⁵³−1) a JavaScript reader needs a big-integer parser |
//! | double | number, the fewest digits that read back as the same double, with a point or an exponent: `1.0`, `1e300` |
//! | decimal | number, exact, with all digits of its scale: `12.50` |
//! | text | string |
//! | bytes | string, `"\\x00ff"` as PostgreSQL writes it |
//! | json | itself, in canonical form |
//! | uuid | string, lower case with hyphens |
//! | date | `"2026-11-21"` |
//! | time | `"09:30:00"`, with six decimals where the microseconds are not zero |
//! | timestamp | `"2026-11-21T09:30:00.123456Z"`: UTC, decimals as for time |
//! | NULL | `null` |

use std::io::Write;

use crate::value::Value;
use reel_events::Timestamp;

const MICROS_PER_DAY: i64 = 86_400_000_000;

/// Writes rows as objects with the same members each.
#[derive(Debug)]
pub struct RowWriter {
    /// What stands in front of each value: `{"a":`, `,"b":`.
    fronts: Vec<Box<[u8]>>,
}

impl RowWriter {
    /// A writer for rows whose columns are called `labels`, at least one.
    #[must_use]
    pub fn new(labels: &[String]) -> RowWriter {
        let front = |(index, label): (usize, &String)| {
            let mut front = vec![if index == 0 { b'{' } else { b',' }];
            write_string(label, &mut front);
            front.push(b':');
            front.into_boxed_slice()
        };
        RowWriter { fronts: labels.iter().enumerate().map(front).collect() }
    }

    /// Writes one row, whose values are as many as the labels.
    pub fn write(&self, row: &[Value], out: &mut Vec<u8>) {
        for (front, value) in self.fronts.iter().zip(row) {
            out.extend_from_slice(front);
            write_value(value, out);
        }
        out.push(b'}');
    }
}

/// Writes one value as JSON.
pub fn write_value(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Text(text) => write_string(text, out),
        Value::Bytes(_) => {
            out.extend_from_slice(b"\"\\");
            write_plain(value, out);
            out.push(b'"');
        }
        Value::Uuid(_) | Value::Date(_) | Value::Time(_) | Value::Timestamp(_) => {
            out.push(b'"');
            write_plain(value, out);
            out.push(b'"');
        }
        Value::Boolean(_) | Value::Int(_) | Value::Double(_) | Value::Decimal(_) | Value::Json(_) => {
            write_plain(value, out);
        }
    }
}

/// Writes one value as bare text, without quotes or escapes; NULL is empty.
pub fn write_plain(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Null => {}
        Value::Boolean(value) => write_display(value, out),
        Value::Int(number) => write_display(number, out),
        Value::Double(number) => out.extend_from_slice(ryu::Buffer::new().format_finite(number + 0.0).as_bytes()),
        Value::Decimal(number) => write_display(number, out),
        Value::Text(text) | Value::Json(text) => out.extend_from_slice(text.as_bytes()),
        Value::Bytes(bytes) => write_hex(bytes, out),
        Value::Uuid(uuid) => write_display(uuid.hyphenated(), out),
        Value::Date(days) => {
            // The first ten characters of the day's first moment.
            let moment = Timestamp::from_micros(i64::from(*days) * MICROS_PER_DAY).to_string();
            out.extend_from_slice(&moment.as_bytes()[..10]);
        }
        Value::Time(micros) => write_time(*micros, out),
        Value::Timestamp(micros) => write_display(Timestamp::from_micros(*micros), out),
    }
}

fn write_display(value: impl std::fmt::Display, out: &mut Vec<u8>) {
    write!(out, "{value}").expect("a vector takes every byte");
}

fn write_time(micros: i64, out: &mut Vec<u8>) {
    let (seconds, micros) = (micros / 1_000_000, micros % 1_000_000);
    write_display(format_args!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60), out);
    if micros != 0 {
        write_display(format_args!(".{micros:06}"), out);
    }
}

const HEX: &[u8; 16] = b"0123456789abcdef";

/// `\x00ff`
fn write_hex(bytes: &[u8], out: &mut Vec<u8>) {
    out.reserve(2 + 2 * bytes.len());
    out.extend_from_slice(b"\\x");
    for byte in bytes {
        out.extend([HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
    }
}

/// Writes a JSON string: only `"`, `\` and control characters are escaped.
pub fn write_string(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    let mut rest = text.as_bytes();
    while let Some(at) = rest.iter().position(|byte| *byte < 0x20 || matches!(byte, b'"' | b'\\')) {
        out.extend_from_slice(&rest[..at]);
        match rest[at] {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            8 => out.extend_from_slice(b"\\b"),
            12 => out.extend_from_slice(b"\\f"),
            other => out.extend([b'\\', b'u', b'0', b'0', HEX[usize::from(other >> 4)], HEX[usize::from(other & 15)]]),
        }
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rust_decimal::Decimal;
    use uuid::Uuid;

    use super::*;

    fn json(value: &Value) -> String {
        let mut out = Vec::new();
        write_value(value, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn every_type() {
        let cases = [
            (Value::Null, "null"),
            (Value::Boolean(true), "true"),
            (Value::Int(i64::MIN), "-9223372036854775808"),
            (Value::Double(1.0), "1.0"),
            (Value::Double(-0.0), "0.0"),
            (Value::Double(1e300), "1e300"),
            (Value::Double(0.1), "0.1"),
            (Value::Decimal(Decimal::new(1250, 2)), "12.50"),
            (Value::Decimal(Decimal::new(-999_999_999_999_999_999, 18)), "-0.999999999999999999"),
            (
                Value::Text("a\"b\\c\n\r\t\u{8}\u{c}\u{1}é\u{2028}".into()),
                "\"a\\\"b\\\\c\\n\\r\\t\\b\\f\\u0001é\u{2028}\"",
            ),
            (Value::Bytes([0, 255].into()), "\"\\\\x00ff\""),
            (Value::Json("{\"a\":[1,2.0]}".into()), "{\"a\":[1,2.0]}"),
            (Value::Uuid(Uuid::from_u128(1)), "\"00000000-0000-0000-0000-000000000001\""),
            (Value::Date(0), "\"1970-01-01\""),
            (Value::Date(-719_162), "\"0001-01-01\""),
            (Value::Date(2_932_896), "\"9999-12-31\""),
            (Value::Time(86_399_000_000), "\"23:59:59\""),
            (Value::Time(1), "\"00:00:00.000001\""),
            (Value::Timestamp(1), "\"1970-01-01T00:00:00.000001Z\""),
            (Value::Timestamp(0), "\"1970-01-01T00:00:00Z\""),
        ];
        for (value, text) in cases {
            assert_eq!(json(&value), text, "{value:?}");
        }
    }

    #[test]
    fn a_row_is_an_object_with_its_labels() {
        let writer = RowWriter::new(&["a".to_owned(), "b\"".to_owned()]);
        let mut out = Vec::new();
        writer.write(&[Value::Int(1), Value::Null], &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), r#"{"a":1,"b\"":null}"#);
    }

    proptest! {
        #[test]
        fn any_text_is_read_back(text in any::<String>()) {
            let read: String = serde_json::from_str(&json(&Value::Text(text.as_str().into()))).unwrap();
            prop_assert_eq!(read, text);
        }

        #[test]
        fn any_double_is_read_back(number in prop::num::f64::NORMAL | prop::num::f64::SUBNORMAL | prop::num::f64::ZERO) {
            let read: f64 = json(&Value::Double(number)).parse().unwrap();
            prop_assert_eq!(read.to_bits(), (number + 0.0).to_bits());
        }
    }
}
