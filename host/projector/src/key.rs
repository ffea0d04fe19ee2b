//! Values as bytes whose order is the order of the values: what rows are hashed, sorted and compared by, the same on every
//! database. No format of anything stored.

use std::borrow::Cow;

use rust_decimal::Decimal;
use uuid::Uuid;

use crate::manifest::ColumnType;
use crate::value::{Taken, Value};

/// Appends the values of a key, one after the other.
///
/// Bytewise comparison of two encodings is the comparison of the keys, value by value: NULL first, then false before true,
/// numbers by size, text and bytes bytewise, the shorter first, UUIDs bytewise, days and times by size. No encoding of a key is
/// the beginning of another's. Keys to be compared have the same columns, so that types agree, and decimals have one scale.
pub fn encode_key(values: &[Value], into: &mut Vec<u8>) {
    for value in values {
        encode_value(value, into);
    }
}

/// The encoding of a key by itself.
#[must_use]
pub fn encoded(values: &[Value]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(48);
    encode_key(values, &mut bytes);
    bytes
}

/// Appends one value; see [`encode_key`].
pub fn encode_value(value: &Value, into: &mut Vec<u8>) {
    encode_taken(&Taken::from(value), into);
}

/// The same of a value that nobody owns.
pub(crate) fn encode_taken(value: &Taken<'_>, into: &mut Vec<u8>) {
    match value {
        Taken::Null => into.push(NULL),
        Taken::Boolean(value) => into.extend([BOOLEAN, u8::from(*value)]),
        Taken::Int(value) => encode_int(INT, *value, into),
        Taken::Double(value) => encode_double(*value, into),
        Taken::Decimal(value) => encode_decimal(*value, into),
        Taken::Text(text) => encode_bytes(TEXT, text.as_bytes(), into),
        Taken::Bytes(bytes) => encode_bytes(BYTES, bytes, into),
        Taken::Json(text) => encode_bytes(JSON, text.as_bytes(), into),
        Taken::Uuid(uuid) => encode_uuid(*uuid, into),
        Taken::Date(day) => encode_int(DATE, (*day).into(), into),
        Taken::Time(value) => encode_int(TIME, *value, into),
        Taken::Timestamp(value) => encode_int(TIMESTAMP, *value, into),
    }
}

/// Takes the first value off a key: what [`encode_taken`] made of one that a column of type `kind` has. Nothing where it made none of it.
pub(crate) fn decode_taken<'k>(kind: ColumnType, from: &mut &'k [u8]) -> Option<Taken<'k>> {
    let tag = *from.split_off_first()?;
    Some(match tag {
        NULL => Taken::Null,
        BOOLEAN => Taken::Boolean(*from.split_off_first()? != 0),
        INT => Taken::Int(decode_int(from)?),
        DOUBLE => Taken::Double(decode_double(from)?),
        DECIMAL => Taken::Decimal(decode_decimal(kind, from)?),
        TEXT => Taken::Text(decode_text(from)?),
        BYTES => Taken::Bytes(decode_bytes(from)?),
        JSON => Taken::Json(decode_text(from)?),
        UUID => Taken::Uuid(Uuid::from_slice(from.split_off(..16)?).ok()?),
        DATE => Taken::Date(decode_int(from)?.try_into().ok()?),
        TIME => Taken::Time(decode_int(from)?),
        TIMESTAMP => Taken::Timestamp(decode_int(from)?),
        _ => return None,
    })
}

/// What comes first of a value: keeps values of different types apart, and NULL in front.
const NULL: u8 = 0;
const BOOLEAN: u8 = 1;
const INT: u8 = 2;
const DOUBLE: u8 = 3;
const DECIMAL: u8 = 4;
const TEXT: u8 = 5;
const BYTES: u8 = 6;
const JSON: u8 = 7;
const UUID: u8 = 8;
const DATE: u8 = 9;
const TIME: u8 = 10;
const TIMESTAMP: u8 = 11;

fn encode_int(tag: u8, value: i64, into: &mut Vec<u8>) {
    into.push(tag);
    into.extend(ordered(value));
}

fn encode_double(value: f64, into: &mut Vec<u8>) {
    into.push(DOUBLE);
    into.extend(ordered_double(value));
}

fn encode_decimal(value: Decimal, into: &mut Vec<u8>) {
    into.push(DECIMAL);
    into.extend((value.mantissa() ^ i128::MIN).to_be_bytes());
}

fn encode_uuid(value: Uuid, into: &mut Vec<u8>) {
    into.push(UUID);
    into.extend(value.as_bytes());
}

/// Big-endian, with the sign turned round, as negative numbers come first.
fn ordered(value: i64) -> [u8; 8] {
    (value ^ i64::MIN).to_be_bytes()
}

/// The bits of a double rise with it where it is positive, and fall where it is negative.
fn ordered_double(value: f64) -> [u8; 8] {
    let bits = value.to_bits();
    let turned = if value.is_sign_negative() { !bits } else { bits | 1 << 63 };
    turned.to_be_bytes()
}

/// Zero bytes become `00 FF`, and `00 00` is the end: so a text sorts before one that goes on after it.
fn encode_bytes(tag: u8, bytes: &[u8], into: &mut Vec<u8>) {
    into.push(tag);
    let mut rest = bytes;
    // Most hold none, and that is found out fast.
    while rest.contains(&0)
        && let Some(at) = rest.iter().position(|byte| *byte == 0)
    {
        into.extend_from_slice(&rest[..at]);
        into.extend_from_slice(&[0, 0xff]);
        rest = &rest[at + 1..];
    }
    into.extend_from_slice(rest);
    into.extend_from_slice(&[0, 0]);
}

fn decode_int(from: &mut &[u8]) -> Option<i64> {
    Some(i64::from_be_bytes(array(from)?) ^ i64::MIN)
}

fn decode_double(from: &mut &[u8]) -> Option<f64> {
    let turned = u64::from_be_bytes(array(from)?);
    let bits = if turned >> 63 == 1 { turned & !(1 << 63) } else { !turned };
    Some(f64::from_bits(bits))
}

fn decode_decimal(kind: ColumnType, from: &mut &[u8]) -> Option<Decimal> {
    let mantissa = i128::from_be_bytes(array(from)?) ^ i128::MIN;
    let ColumnType::Decimal { scale, .. } = kind else { return None };
    Decimal::try_from_i128_with_scale(mantissa, scale.into()).ok()
}

fn decode_text<'k>(from: &mut &'k [u8]) -> Option<Cow<'k, str>> {
    match decode_bytes(from)? {
        Cow::Borrowed(bytes) => simdutf8::basic::from_utf8(bytes).ok().map(Cow::Borrowed),
        Cow::Owned(bytes) => String::from_utf8(bytes).ok().map(Cow::Owned),
    }
}

/// The way back from [`encode_bytes`].
fn decode_bytes<'k>(from: &mut &'k [u8]) -> Option<Cow<'k, [u8]>> {
    let mut joined: Vec<u8> = Vec::new();
    loop {
        let piece = from.split_off(..memchr::memchr(0, from)?)?;
        match from.split_off(..2)? {
            [0, 0] if joined.is_empty() => return Some(Cow::Borrowed(piece)),
            [0, 0] => {
                joined.extend_from_slice(piece);
                return Some(Cow::Owned(joined));
            }
            [0, 0xff] => {
                joined.extend_from_slice(piece);
                joined.push(0);
            }
            _ => return None,
        }
    }
}

fn array<const N: usize>(from: &mut &[u8]) -> Option<[u8; N]> {
    from.split_off(..N)?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use std::cmp::Ordering;

    use proptest::prelude::*;

    use super::*;

    fn encoded(values: &[Value]) -> Vec<u8> {
        let mut bytes = Vec::new();
        encode_key(values, &mut bytes);
        bytes
    }

    /// The order of two values of one type, as databases sort them.
    fn order(a: &Value, b: &Value) -> Ordering {
        match (a, b) {
            (Value::Boolean(a), Value::Boolean(b)) => a.cmp(b),
            (Value::Int(a), Value::Int(b))
            | (Value::Time(a), Value::Time(b))
            | (Value::Timestamp(a), Value::Timestamp(b)) => a.cmp(b),
            (Value::Double(a), Value::Double(b)) => a.partial_cmp(b).unwrap(),
            (Value::Decimal(a), Value::Decimal(b)) => a.cmp(b),
            (Value::Text(a), Value::Text(b)) | (Value::Json(a), Value::Json(b)) => a.as_bytes().cmp(b.as_bytes()),
            (Value::Bytes(a), Value::Bytes(b)) => a.cmp(b),
            (Value::Uuid(a), Value::Uuid(b)) => a.as_bytes().cmp(b.as_bytes()),
            (Value::Date(a), Value::Date(b)) => a.cmp(b),
            (Value::Null, Value::Null) => Ordering::Equal,
            (Value::Null, _) => Ordering::Less,
            (_, Value::Null) => Ordering::Greater,
            other => panic!("types differ: {other:?}"),
        }
    }

    fn order_of_keys(a: &[Value], b: &[Value]) -> Ordering {
        a.iter().zip(b).map(|(a, b)| order(a, b)).find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
    }

    /// Values of one type: of few different ones too, so that keys share beginnings.
    fn column(kind: usize) -> BoxedStrategy<Value> {
        let int = || prop_oneof![any::<i64>(), -2..=2_i64];
        let text =
            || prop_oneof![any::<String>(), "[ab]{0,3}", "[a\u{1}\u{ff}]{0,3}"].prop_map(|text| text.replace('\0', ""));
        let double = any::<f64>().prop_filter("finite", |number| number.is_finite()).prop_map(|number| number + 0.0);
        let bytes = prop::collection::vec(prop_oneof![Just(0_u8), Just(1), Just(255), any::<u8>()], 0..5);
        match kind {
            0 => any::<bool>().prop_map(Value::Boolean).boxed(),
            1 => int().prop_map(Value::Int).boxed(),
            2 => double.prop_map(Value::Double).boxed(),
            3 => (-999_999_999_999_999_999..=999_999_999_999_999_999_i64)
                .prop_map(|mantissa| Value::Decimal(Decimal::new(mantissa, 4)))
                .boxed(),
            4 => text().prop_map(|text| Value::Text(text.into())).boxed(),
            5 => bytes.prop_map(|bytes| Value::Bytes(bytes.into())).boxed(),
            6 => any::<[u8; 16]>().prop_map(|bytes| Value::Uuid(Uuid::from_bytes(bytes))).boxed(),
            7 => any::<i32>().prop_map(Value::Date).boxed(),
            8 => int().prop_map(Value::Time).boxed(),
            9 => int().prop_map(Value::Timestamp).boxed(),
            10 => prop_oneof![Just(Value::Null), int().prop_map(Value::Int)].boxed(),
            _ => text().prop_map(|text| Value::Json(text.into())).boxed(),
        }
    }

    /// Two keys of the same columns.
    fn keys() -> impl Strategy<Value = (Vec<Value>, Vec<Value>)> {
        prop::collection::vec(0..12_usize, 1..4).prop_flat_map(|kinds| {
            let key = || kinds.iter().map(|kind| column(*kind)).collect::<Vec<_>>();
            (key(), key())
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn bytes_are_ordered_as_keys_are((a, b) in keys()) {
            prop_assert_eq!(encoded(&a).cmp(&encoded(&b)), order_of_keys(&a, &b));
        }

        #[test]
        fn what_goes_in_comes_out((key, _) in keys()) {
            let (bytes, mut rest) = (encoded(&key), &encoded(&key)[..]);
            for value in &key {
                let kind = ColumnType::Decimal { precision: 18, scale: 4 };
                prop_assert_eq!(&Value::from(decode_taken(kind, &mut rest).unwrap()), value);
            }
            prop_assert!(rest.is_empty());
            for end in 0..bytes.len() {
                let mut cut = &bytes[..end];
                let values = key.iter().map_while(|_| decode_taken(ColumnType::Int64, &mut cut)).count();
                prop_assert!(values < key.len(), "an early end is seen");
            }
        }

        #[test]
        fn no_key_begins_another((a, b) in keys()) {
            let (x, y) = (encoded(&a), encoded(&b));
            prop_assert!(x == y || !x.starts_with(&y) && !y.starts_with(&x));
        }
    }

    #[test]
    fn the_edges_are_ordered() {
        let text = |text: &str| Value::Text(text.into());
        let bytes = |bytes: &[u8]| Value::Bytes(bytes.into());
        let rising: [&[Value]; 6] = [
            &[
                text(""),
                text("a"),
                text("a\u{1}"),
                text("a!"),
                text("aa"),
                text("b"),
                text("é"),
                text("\u{ffff}"),
                text("😀"),
            ],
            &[bytes(&[]), bytes(&[0]), bytes(&[0, 0]), bytes(&[0, 1]), bytes(&[1]), bytes(&[1, 0]), bytes(&[0xff])],
            &[Value::Null, Value::Int(i64::MIN), Value::Int(-1), Value::Int(0), Value::Int(1), Value::Int(i64::MAX)],
            &[
                Value::Double(f64::MIN),
                Value::Double(-5e-324),
                Value::Double(0.0),
                Value::Double(5e-324),
                Value::Double(f64::MAX),
            ],
            &[
                Value::Decimal(Decimal::new(-101, 2)),
                Value::Decimal(Decimal::new(0, 2)),
                Value::Decimal(Decimal::new(1, 2)),
            ],
            &[Value::Date(-719_162), Value::Date(-1), Value::Date(0), Value::Date(2_932_896)],
        ];
        for values in rising {
            for pair in values.windows(2) {
                assert!(encoded(&pair[..1]) < encoded(&pair[1..]), "{pair:?}");
            }
        }
    }
}
