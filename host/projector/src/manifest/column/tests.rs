//! Every rule of the value domain, by example.

use proptest::prelude::*;
use rust_decimal::Decimal;

use super::*;

const UUID: [u8; 16] = *b"0123456789abcdef";

fn column(kind: ColumnType) -> Column {
    Column {
        name: "c".to_owned(),
        kind,
        nullable: false,
        default: None,
        indexed: false,
    }
}

fn decimal(precision: u8, scale: u8) -> ColumnType {
    ColumnType::Decimal { precision, scale }
}

fn text(length: u32) -> ColumnType {
    ColumnType::Text { length: Some(length) }
}

#[test]
fn values_inside_the_domain_are_taken() {
    let number = |text: &str| Value::Decimal(text.parse().unwrap());
    let cases: Vec<(ColumnType, ValueRef<'_>, Value)> = vec![
        (ColumnType::Boolean, ValueRef::Boolean(true), Value::Boolean(true)),
        (ColumnType::Int16, ValueRef::Int(-32_768), Value::Int(-32_768)),
        (ColumnType::Int16, ValueRef::Int(32_767), Value::Int(32_767)),
        (
            ColumnType::Int32,
            ValueRef::Int(-2_147_483_648),
            Value::Int(-2_147_483_648),
        ),
        (ColumnType::Int64, ValueRef::Int(i64::MIN), Value::Int(i64::MIN)),
        (ColumnType::Double, ValueRef::Double(f64::MAX), Value::Double(f64::MAX)),
        (decimal(18, 2), ValueRef::Decimal(b"-1.5"), number("-1.50")),
        (
            decimal(18, 2),
            ValueRef::Decimal(b"0001.50000000000000000000"),
            number("1.50"),
        ),
        (
            decimal(18, 0),
            ValueRef::Decimal(b"999999999999999999"),
            number("999999999999999999"),
        ),
        (
            decimal(18, 18),
            ValueRef::Decimal(b"-0.999999999999999999"),
            number("-0.999999999999999999"),
        ),
        (decimal(3, 3), ValueRef::Decimal(b"0"), number("0.000")),
        (
            ColumnType::Text { length: None },
            ValueRef::Text("ä\u{1f600} ".as_bytes()),
            Value::Text("ä\u{1f600} ".into()),
        ),
        (
            text(2),
            ValueRef::Text("ä\u{1f600}".as_bytes()),
            Value::Text("ä\u{1f600}".into()),
        ),
        (text(2), ValueRef::Text(b""), Value::Text("".into())),
        (
            ColumnType::Bytes { length: Some(3) },
            ValueRef::Bytes(&[0, 255]),
            Value::Bytes([0, 255].into()),
        ),
        (
            ColumnType::Json,
            ValueRef::Json(b"{ \"b\": 1e2, \"a\": -0 }"),
            Value::Json(r#"{"b":100.0,"a":0}"#.into()),
        ),
        (
            ColumnType::Uuid,
            ValueRef::Uuid(&UUID),
            Value::Uuid(Uuid::from_bytes(UUID)),
        ),
        (ColumnType::Date, ValueRef::Date(FIRST_DAY), Value::Date(FIRST_DAY)),
        (ColumnType::Date, ValueRef::Date(LAST_DAY), Value::Date(LAST_DAY)),
        (
            ColumnType::Time,
            ValueRef::Time(86_399_999_999),
            Value::Time(86_399_999_999),
        ),
        (
            ColumnType::Timestamp,
            ValueRef::Timestamp(253_402_300_799_999_999),
            Value::Timestamp(253_402_300_799_999_999),
        ),
    ];
    for (kind, given, expected) in cases {
        let taken = column(kind)
            .accept(given)
            .unwrap_or_else(|error| panic!("{kind} {given:?}: {error}"));
        assert_eq!(taken, expected, "{kind} {given:?}");
        if let (Value::Decimal(taken), Value::Decimal(expected)) = (&taken, &expected) {
            assert_eq!(taken.scale(), expected.scale(), "{kind} {given:?}");
        }
    }
}

#[test]
fn values_outside_the_domain_are_refused() {
    let cases: Vec<(ColumnType, ValueRef<'_>, &str)> = vec![
        (
            ColumnType::Boolean,
            ValueRef::Null,
            "NULL, but the column is not nullable",
        ),
        (
            ColumnType::Boolean,
            ValueRef::Int(1),
            "the value is of type int, but the column is boolean",
        ),
        (
            ColumnType::Double,
            ValueRef::Int(1),
            "type int, but the column is double",
        ),
        (
            decimal(4, 2),
            ValueRef::Int(1),
            "type int, but the column is decimal(4,2)",
        ),
        (text(3), ValueRef::Json(b"1"), "type json, but the column is text(3)"),
        (
            ColumnType::Json,
            ValueRef::Text(b"1"),
            "type text, but the column is json",
        ),
        (
            ColumnType::Time,
            ValueRef::Timestamp(1),
            "type timestamp, but the column is time",
        ),
        (
            ColumnType::Int16,
            ValueRef::Int(32_768),
            "32768 does not fit int16, which takes -32768 to 32767",
        ),
        (ColumnType::Int32, ValueRef::Int(-2_147_483_649), "does not fit int32"),
        (
            ColumnType::Double,
            ValueRef::Double(f64::NAN),
            "NaN is not a finite number",
        ),
        (
            ColumnType::Double,
            ValueRef::Double(f64::NEG_INFINITY),
            "-inf is not a finite number",
        ),
        (
            decimal(4, 2),
            ValueRef::Decimal(b"1.001"),
            "3 digits behind the point, but the column takes 2",
        ),
        (
            decimal(4, 2),
            ValueRef::Decimal(b"100"),
            "3 digits before the point, but the column takes 2",
        ),
        (
            decimal(2, 2),
            ValueRef::Decimal(b"1"),
            "1 digits before the point, but the column takes 0",
        ),
        (
            decimal(18, 0),
            ValueRef::Decimal(b"99999999999999999999999999999999999999999"),
            "41 digits before the point",
        ),
        (
            ColumnType::Text { length: None },
            ValueRef::Text(b"ab\xff"),
            "not UTF-8: its byte 2",
        ),
        (
            ColumnType::Text { length: None },
            ValueRef::Text(b"\xed\xa0\x80"),
            "not UTF-8",
        ),
        (
            ColumnType::Text { length: None },
            ValueRef::Text(b"ab\0"),
            "NUL, at byte 2",
        ),
        (
            text(2),
            ValueRef::Text("äöü".as_bytes()),
            "3 characters, but the column takes at most 2",
        ),
        (
            ColumnType::Bytes { length: Some(3) },
            ValueRef::Bytes(b"1234"),
            "4 bytes, but the column takes at most 3",
        ),
        (ColumnType::Json, ValueRef::Json(b"{\"a\":1,\"a\":2}"), "a second time"),
        (ColumnType::Json, ValueRef::Json(b""), "the JSON cannot be stored"),
        (
            ColumnType::Json,
            ValueRef::Json(b"\"\\u0000\""),
            "the JSON cannot be stored",
        ),
        (ColumnType::Uuid, ValueRef::Uuid(b"0123"), "a UUID has 16 bytes, not 4"),
        (
            ColumnType::Date,
            ValueRef::Date(FIRST_DAY - 1),
            "outside the years 1 to 9999",
        ),
        (
            ColumnType::Date,
            ValueRef::Date(LAST_DAY + 1),
            "outside the years 1 to 9999",
        ),
        (ColumnType::Time, ValueRef::Time(-1), "not a time of day"),
        (ColumnType::Time, ValueRef::Time(DAY), "not a time of day"),
        (
            ColumnType::Timestamp,
            ValueRef::Timestamp(-62_135_596_800_000_001),
            "outside the years 1 to 9999",
        ),
        (
            ColumnType::Timestamp,
            ValueRef::Timestamp(i64::MAX),
            "outside the years 1 to 9999",
        ),
    ];
    for (kind, given, part) in cases {
        let error = column(kind).accept(given).expect_err(&format!("{kind} {given:?}"));
        assert_eq!(error.column, "c");
        assert!(error.reason.contains(part), "{kind} {given:?}: {error}");
    }
}

#[test]
fn only_plain_digits_are_a_decimal() {
    for text in [
        "", "-", ".", "1.", ".5", "-.5", "+1", "1e2", "1,5", " 1", "1 ", "--1", "1.2.3", "0x1", "NaN", "١", "1_0",
    ] {
        let error = column(decimal(18, 4))
            .accept(ValueRef::Decimal(text.as_bytes()))
            .expect_err(text);
        assert!(
            error.reason.contains("is not a decimal: write digits"),
            "{text}: {error}"
        );
    }
    let zero = column(decimal(18, 4)).accept(ValueRef::Decimal(b"-0.0")).unwrap();
    assert_eq!(zero, Value::Decimal(Decimal::new(0, 4)));
    assert!(matches!(zero, Value::Decimal(zero) if zero.is_sign_positive()));
}

#[test]
fn negative_zero_is_zero() {
    let Ok(Value::Double(zero)) = column(ColumnType::Double).accept(ValueRef::Double(-0.0)) else {
        panic!("taken")
    };
    assert!(zero.is_sign_positive());
}

#[test]
fn columns_of_keys_and_indexes_take_what_every_database_tells_apart() {
    let indexed = |kind| Column {
        indexed: true,
        ..column(kind)
    };
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
    let nullable = Column {
        nullable: true,
        ..plain.clone()
    };
    let default = Column {
        default: Some(Value::Int(7)),
        ..nullable.clone()
    };
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
