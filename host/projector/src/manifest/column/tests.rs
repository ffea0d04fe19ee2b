//! Every rule of the value domain, by example.

use proptest::prelude::*;
use rust_decimal::Decimal;

use super::*;
use crate::value::ValueRef as V;

const UUID: [u8; 16] = *b"0123456789abcdef";

fn column(kind: ColumnType) -> Column {
    Column { name: "c".to_owned(), kind, nullable: false, default: None, indexed: false }
}

fn decimal(precision: u8, scale: u8) -> ColumnType {
    ColumnType::Decimal { precision, scale }
}

fn bytes(length: u32) -> ColumnType {
    ColumnType::Bytes { length: Some(length) }
}

fn text(length: u32) -> ColumnType {
    ColumnType::Text { length: Some(length) }
}

fn takes(kind: ColumnType, given: V<'_>, expected: Value) {
    let taken = column(kind).accept(given).unwrap_or_else(|error| panic!("{kind} {given:?}: {error}"));
    if let (Value::Decimal(taken), Value::Decimal(expected)) = (&taken, &expected) {
        assert_eq!(taken.scale(), expected.scale(), "{kind} {given:?}");
    }
    assert_eq!(taken, expected, "{kind} {given:?}");
}

fn refuses(kind: ColumnType, given: V<'_>, part: &str) {
    let error = column(kind).accept(given).expect_err(part);
    assert_eq!(error.column, "c");
    assert!(error.reason.contains(part), "{kind} {given:?}: expected {part:?}: {error}");
}

#[test]
fn numbers_at_the_edges_are_taken() {
    takes(ColumnType::Boolean, V::Boolean(true), Value::Boolean(true));
    for (kind, least, most) in [
        (ColumnType::Int16, -32_768, 32_767),
        (ColumnType::Int32, -2_147_483_648, 2_147_483_647),
        (ColumnType::Int64, i64::MIN, i64::MAX),
    ] {
        takes(kind, V::Int(least), Value::Int(least));
        takes(kind, V::Int(most), Value::Int(most));
    }
    for double in [f64::MIN, f64::MAX, f64::MIN_POSITIVE, 0.1] {
        takes(ColumnType::Double, V::Double(double), Value::Double(double));
    }
    for (kind, given, expected) in [
        (decimal(18, 2), "-1.5", "-1.50"),
        (decimal(18, 2), "0001.50000000000000000000", "1.50"),
        (decimal(18, 0), "999999999999999999", "999999999999999999"),
        (decimal(18, 18), "-0.999999999999999999", "-0.999999999999999999"),
        (decimal(3, 3), "0", "0.000"),
    ] {
        takes(kind, V::Decimal(given.as_bytes()), Value::Decimal(expected.parse().unwrap()));
    }
}

#[test]
fn all_else_at_the_edges_is_taken() {
    let free = ColumnType::Text { length: None };
    takes(free, V::Text("ä\u{1f600} ".as_bytes()), Value::Text("ä\u{1f600} ".into()));
    takes(text(2), V::Text("ä\u{1f600}".as_bytes()), Value::Text("ä\u{1f600}".into()));
    takes(text(2), V::Text(b""), Value::Text("".into()));
    takes(bytes(2), V::Bytes(&[0, 255]), Value::Bytes([0, 255].into()));
    takes(ColumnType::Json, V::Json(b"{ \"b\": 1e2, \"a\": -0 }"), Value::Json(r#"{"b":100.0,"a":0}"#.into()));
    takes(ColumnType::Uuid, V::Uuid(&UUID), Value::Uuid(Uuid::from_bytes(UUID)));
    for day in [FIRST_DAY, LAST_DAY] {
        takes(ColumnType::Date, V::Date(day), Value::Date(day));
    }
    for micros in [0, 86_399_999_999] {
        takes(ColumnType::Time, V::Time(micros), Value::Time(micros));
    }
    for micros in [-62_135_596_800_000_000, 253_402_300_799_999_999] {
        takes(ColumnType::Timestamp, V::Timestamp(micros), Value::Timestamp(micros));
    }
}

#[test]
fn other_types_are_not_cast() {
    refuses(ColumnType::Boolean, V::Null, "NULL, but the column is not nullable");
    refuses(ColumnType::Boolean, V::Int(1), "the value is of type int, but the column is boolean");
    refuses(ColumnType::Double, V::Int(1), "type int, but the column is double");
    refuses(decimal(4, 2), V::Int(1), "type int, but the column is decimal(4,2)");
    refuses(text(3), V::Json(b"1"), "type json, but the column is text(3)");
    refuses(ColumnType::Json, V::Text(b"1"), "type text, but the column is json");
    refuses(ColumnType::Time, V::Timestamp(1), "type timestamp, but the column is time");
}

#[test]
fn numbers_beyond_the_edges_are_refused() {
    refuses(ColumnType::Int16, V::Int(32_768), "32768 does not fit int16, which takes -32768 to 32767");
    refuses(ColumnType::Int32, V::Int(-2_147_483_649), "does not fit int32");
    refuses(ColumnType::Double, V::Double(f64::NAN), "NaN is not a finite number");
    refuses(ColumnType::Double, V::Double(f64::NEG_INFINITY), "-inf is not a finite number");
    refuses(decimal(4, 2), V::Decimal(b"1.001"), "3 digits behind the point, but the column takes 2");
    refuses(decimal(4, 2), V::Decimal(b"100"), "3 digits before the point, but the column takes 2");
    refuses(decimal(2, 2), V::Decimal(b"1"), "1 digits before the point, but the column takes 0");
    refuses(decimal(18, 0), V::Decimal(&[b'9'; 41]), "41 digits before the point");
}

#[test]
fn all_else_beyond_the_edges_is_refused() {
    let free = ColumnType::Text { length: None };
    refuses(free, V::Text(b"ab\xff"), "not UTF-8: its byte 2");
    refuses(free, V::Text(b"\xed\xa0\x80"), "not UTF-8");
    refuses(free, V::Text(b"ab\0"), "NUL, at byte 2");
    refuses(text(2), V::Text("äöü".as_bytes()), "3 characters, but the column takes at most 2");
    refuses(bytes(3), V::Bytes(b"1234"), "4 bytes, but the column takes at most 3");
    refuses(ColumnType::Json, V::Json(b"{\"a\":1,\"a\":2}"), "a second time");
    refuses(ColumnType::Json, V::Json(b""), "the JSON cannot be stored");
    refuses(ColumnType::Json, V::Json(b"\"\\u0000\""), "the JSON cannot be stored");
    for lone in [r#""\ud800""#, r#"{"a":["\udc00"]}"#] {
        refuses(ColumnType::Json, V::Json(lone.as_bytes()), "lone surrogate");
    }
    refuses(ColumnType::Uuid, V::Uuid(b"0123"), "a UUID has 16 bytes, not 4");
    for day in [FIRST_DAY - 1, LAST_DAY + 1] {
        refuses(ColumnType::Date, V::Date(day), "outside the years 1 to 9999");
    }
    for micros in [-1, DAY] {
        refuses(ColumnType::Time, V::Time(micros), "not a time of day");
    }
    for micros in [-62_135_596_800_000_001, 253_402_300_800_000_000] {
        refuses(ColumnType::Timestamp, V::Timestamp(micros), "outside the years 1 to 9999");
    }
}

#[test]
fn only_plain_digits_are_a_decimal() {
    for text in
        ["", "-", ".", "1.", ".5", "-.5", "+1", "1e2", "1,5", " 1", "1 ", "--1", "1.2.3", "0x1", "NaN", "١", "1_0"]
    {
        let error = column(decimal(18, 4)).accept(ValueRef::Decimal(text.as_bytes())).expect_err(text);
        assert!(error.reason.contains("is not a decimal: write digits"), "{text}: {error}");
    }
    let zero = column(decimal(18, 4)).accept(ValueRef::Decimal(b"-0.0")).unwrap();
    assert_eq!(zero, Value::Decimal(Decimal::new(0, 4)));
    assert!(matches!(zero, Value::Decimal(zero) if zero.is_sign_positive()));
}

#[test]
fn negative_zero_is_zero() {
    let Ok(Value::Double(zero)) = column(ColumnType::Double).accept(ValueRef::Double(-0.0)) else { panic!("taken") };
    assert!(zero.is_sign_positive());
}

#[test]
fn columns_of_keys_and_indexes_take_what_every_database_tells_apart() {
    let indexed = |kind| Column { indexed: true, ..column(kind) };
    let padded = indexed(text(5)).accept(ValueRef::Text(b"ab ")).unwrap_err();
    assert!(padded.reason.contains("ends in a space"), "{padded}");
    assert!(indexed(text(5)).accept(ValueRef::Text(b" a\t")).is_ok());
    let bytes = ColumnType::Bytes { length: Some(3) };
    let short = indexed(bytes).accept(ValueRef::Bytes(&[1, 0])).unwrap_err();
    assert!(short.reason.contains("exactly its length, 3"), "{short}");
    assert!(indexed(bytes).accept(ValueRef::Bytes(&[1, 0, 0])).is_ok());
}

#[test]
fn null_and_defaults() {
    let plain = column(ColumnType::Int64);
    let nullable = Column { nullable: true, ..plain.clone() };
    let default = Column { default: Some(Value::Int(7)), ..nullable.clone() };
    assert_eq!(nullable.accept(ValueRef::Null), Ok(Value::Null));
    assert_eq!(plain.default_value(), None);
    assert_eq!(nullable.default_value(), Some(Value::Null));
    assert_eq!(default.default_value(), Some(Value::Int(7)));
}

proptest! {
    /// Against an implementation that is not ours.
    #[test]
    fn decimals_are_read_as_rust_decimal_reads_them(text in "-?[0-9]{1,12}(\\.[0-9]{1,12})?", precision in 1..=18_u8, scale in 0..=18_u8) {
        let scale = scale.min(precision);
        let exact: Decimal = text.parse().unwrap();
        let mut fitted = exact;
        fitted.rescale(scale.into());
        let fits = fitted == exact
            && fitted.scale() == u32::from(scale)
            && fitted.mantissa().unsigned_abs() < 10_u128.pow(precision.into());
        match column(decimal(precision, scale)).accept(ValueRef::Decimal(text.as_bytes())) {
            Ok(Value::Decimal(taken)) => {
                prop_assert!(fits, "{text} was taken");
                prop_assert_eq!((taken, taken.scale()), (fitted, scale.into()));
            }
            other => prop_assert!(!fits, "{text}: {other:?}"),
        }
    }

    #[test]
    fn any_bytes_are_judged_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..40), number in any::<i64>(), length in 1..10_u32) {
        let kinds = [
            ColumnType::Boolean, ColumnType::Int16, ColumnType::Int32, ColumnType::Int64, ColumnType::Double, decimal(9, 3), text(length),
            ColumnType::Bytes { length: Some(length) }, ColumnType::Json, ColumnType::Uuid, ColumnType::Date, ColumnType::Time,
            ColumnType::Timestamp,
        ];
        let values = [
            ValueRef::Null, ValueRef::Boolean(true), ValueRef::Int(number), ValueRef::Double(f64::from_bits(number as u64)),
            ValueRef::Decimal(&bytes), ValueRef::Text(&bytes), ValueRef::Bytes(&bytes), ValueRef::Json(&bytes), ValueRef::Uuid(&bytes),
            ValueRef::Date(number as i32), ValueRef::Time(number), ValueRef::Timestamp(number),
        ];
        for kind in kinds {
            for value in values {
                let _ = column(kind).accept(value);
            }
        }
    }
}
