//! Columns of every type, and values from the corners of each.

use proptest::prelude::*;
use proptest::sample::select;
use reel_projector::{Value, ValueRef};
use rust_decimal::Decimal;
use serde_json::{Value as Json, json};
use uuid::Uuid;

/// A type of column, as the test draws them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Boolean,
    Int16,
    Int32,
    Int64,
    Double,
    Decimal,
    Text,
    ShortText,
    Bytes,
    Seal,
    Json,
    Uuid,
    Date,
    Time,
    Timestamp,
}

/// All of them.
pub(crate) const KINDS: [Kind; 15] = [
    Kind::Boolean,
    Kind::Int16,
    Kind::Int32,
    Kind::Int64,
    Kind::Double,
    Kind::Decimal,
    Kind::Text,
    Kind::ShortText,
    Kind::Bytes,
    Kind::Seal,
    Kind::Json,
    Kind::Uuid,
    Kind::Date,
    Kind::Time,
    Kind::Timestamp,
];

/// Those that a key or an index may have.
pub(crate) const OF_KEYS: [Kind; 10] = [
    Kind::Boolean,
    Kind::Int16,
    Kind::Int32,
    Kind::Int64,
    Kind::Decimal,
    Kind::ShortText,
    Kind::Seal,
    Kind::Uuid,
    Kind::Date,
    Kind::Timestamp,
];

const DAY: i64 = 86_400_000_000;
const FIRST_MOMENT: i64 = -62_135_596_800_000_000;
const LAST_MOMENT: i64 = 253_402_300_799_999_999;

impl Kind {
    /// What a manifest says of a column of this kind.
    pub(crate) fn declared(self, name: &str) -> Json {
        match self {
            Kind::Boolean => json!({"name": name, "type": "boolean"}),
            Kind::Int16 => json!({"name": name, "type": "int16"}),
            Kind::Int32 => json!({"name": name, "type": "int32"}),
            Kind::Int64 => json!({"name": name, "type": "int64"}),
            Kind::Double => json!({"name": name, "type": "double"}),
            Kind::Decimal => json!({"name": name, "type": "decimal", "precision": 18, "scale": 2}),
            Kind::Text => json!({"name": name, "type": "text"}),
            Kind::ShortText => json!({"name": name, "type": "text", "length": 24}),
            Kind::Bytes => json!({"name": name, "type": "bytes"}),
            Kind::Seal => json!({"name": name, "type": "bytes", "length": 3}),
            Kind::Json => json!({"name": name, "type": "json"}),
            Kind::Uuid => json!({"name": name, "type": "uuid"}),
            Kind::Date => json!({"name": name, "type": "date"}),
            Kind::Time => json!({"name": name, "type": "time"}),
            Kind::Timestamp => json!({"name": name, "type": "timestamp"}),
        }
    }

    /// Whether databases compare it the same way: JSON is only stored.
    pub(crate) fn is_compared(self) -> bool {
        self != Kind::Json
    }

    pub(crate) fn is_text(self) -> bool {
        matches!(self, Kind::Text | Kind::ShortText)
    }

    pub(crate) fn is_summed(self) -> bool {
        matches!(self, Kind::Int16 | Kind::Int32 | Kind::Int64 | Kind::Decimal)
    }

    /// Values from its corners, few enough for keys to meet.
    pub(crate) fn value(self) -> BoxedStrategy<Value> {
        let int = |numbers: Vec<i64>| select(numbers).prop_map(Value::Int).boxed();
        let bytes = |all: Vec<&'static [u8]>| select(all).prop_map(|bytes| Value::Bytes(bytes.into())).boxed();
        match self {
            Kind::Boolean => any::<bool>().prop_map(Value::Boolean).boxed(),
            Kind::Int16 => int(vec![i16::MIN.into(), -1, 0, 1, 2, i16::MAX.into()]),
            Kind::Int32 => int(vec![i32::MIN.into(), -1, 0, 1, i32::MAX.into()]),
            Kind::Int64 => int(vec![i64::MIN, -9_007_199_254_740_993, -1, 0, 1, i64::MAX]),
            Kind::Double => {
                select(vec![f64::MIN, -1.5, 0.0, 5e-324, 1e-7, 0.1, 3.0, 1e15, 123_456_789.123, 1e300, f64::MAX])
                    .prop_map(Value::Double)
                    .boxed()
            }
            Kind::Decimal => select(vec![-999_999_999_999_999_999_i64, -1, 0, 1, 1_250, 999_999_999_999_999_999])
                .prop_map(|digits| Value::Decimal(Decimal::new(digits, 2)))
                .boxed(),
            Kind::Text => text(&[LONG, " space before", "space behind ", "  "]),
            Kind::ShortText => text(&[]),
            Kind::Bytes => bytes(vec![b"", b"\0", b"\0\xff", b"'; --", b"\xff\xfe\xfd\xfc"]),
            Kind::Seal => bytes(vec![b"\0\0\0", b"abc", b"\xff\xff\xff", b"ab\0"]),
            Kind::Json => select(vec![
                "{}",
                "[]",
                "null",
                "true",
                "\"\"",
                "1",
                "1.5",
                "-0.001",
                "{\"a\":[1,{\"b\":null}],\"ä\":\"\u{1f600}\"}",
                "\"'; DROP TABLE things; --\"",
                "[\"\\u0001\\\\\\\"\"]",
            ])
            .prop_map(|json| Value::Json(json.into()))
            .boxed(),
            Kind::Uuid => {
                select(vec![0, 1, 1 << 64, 0x0123_4567_89ab_cdef_0123_4567_89ab_cdef, 0xff << 120, u128::MAX])
                    .prop_map(|number| Value::Uuid(Uuid::from_u128(number)))
                    .boxed()
            }
            Kind::Date => select(vec![-719_162, -1, 0, 1, 20_000, 2_932_896]).prop_map(Value::Date).boxed(),
            Kind::Time => select(vec![0, 1, 999_999, 1_000_000, 45_296_000_000, DAY - 1]).prop_map(Value::Time).boxed(),
            Kind::Timestamp => select(vec![FIRST_MOMENT, -1, 0, 1, 1_700_000_000_000_000, LAST_MOMENT])
                .prop_map(Value::Timestamp)
                .boxed(),
        }
    }
}

/// More than a kilobyte, so that it is stored apart where databases do that.
const LONG: &str = concat!(
    "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
    "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
    "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
);

/// Texts of at most 24 characters that do not end in a space, and `more`.
fn text(more: &[&'static str]) -> BoxedStrategy<Value> {
    let mut texts = vec![
        "",
        "a",
        "A",
        "b",
        "ab",
        "aB",
        "ä",
        "Ä",
        "a\u{308}",
        "ß",
        "\u{1f600}",
        "\u{ffff}",
        "a%b",
        "a_b",
        "a\\b",
        "a*b",
        "%",
        "null",
        "'",
        "''; DROP TABLE things",
        "\"quoted\"",
        "a,b",
        "(a)",
        "line\nbreak",
        "tab\there",
        "\u{1}",
        "\r",
        "{a}",
        "+",
        "&x=y",
        "0",
        "true",
    ];
    texts.extend(more);
    select(texts).prop_map(|text| Value::Text(text.into())).boxed()
}

/// The value as a plugin sends it; a decimal's digits are written into `digits`.
pub(crate) fn sent<'v>(value: &'v Value, digits: &'v mut String) -> ValueRef<'v> {
    match value {
        Value::Null => ValueRef::Null,
        Value::Boolean(value) => ValueRef::Boolean(*value),
        Value::Int(number) => ValueRef::Int(*number),
        Value::Double(number) => ValueRef::Double(*number),
        Value::Decimal(number) => {
            *digits = number.to_string();
            ValueRef::Decimal(digits.as_bytes())
        }
        Value::Text(text) => ValueRef::Text(text.as_bytes()),
        Value::Bytes(bytes) => ValueRef::Bytes(bytes),
        Value::Json(json) => ValueRef::Json(json.as_bytes()),
        Value::Uuid(uuid) => ValueRef::Uuid(uuid.as_bytes()),
        Value::Date(days) => ValueRef::Date(*days),
        Value::Time(micros) => ValueRef::Time(*micros),
        Value::Timestamp(micros) => ValueRef::Timestamp(*micros),
    }
}
