//! Values to and from PostgreSQL, in its binary formats.

use reel_projector::{ColumnType, Value};
use rust_decimal::Decimal;
use sqlx::encode::IsNull;
use sqlx::error::BoxDynError;
use sqlx::postgres::types::Oid;
use sqlx::postgres::{PgArgumentBuffer, PgRow, PgTypeInfo};
use sqlx::{Encode, Error, Postgres, Row as _, Type, ValueRef as _};
use uuid::Uuid;

/// Days from 1970-01-01, where we count from, to 2000-01-01, where PostgreSQL does.
const EPOCH_DAYS: i32 = 10_957;

/// The same in microseconds.
const EPOCH_MICROS: i64 = EPOCH_DAYS as i64 * 86_400_000_000;

/// A value on its way into a statement.
pub(super) struct Bound<'a>(pub(super) &'a Value);

/// The values of one column of many rows, on their way into a statement as an array.
pub(super) struct ColumnArray<'a> {
    oids: Oids,
    values: Vec<&'a Value>,
}

/// PostgreSQL's numbers for a type and for arrays of it; those of built-in types never change.
#[derive(Debug, Clone, Copy)]
struct Oids {
    element: u32,
    array: u32,
}

impl Oids {
    fn of(kind: ColumnType) -> Oids {
        let (element, array) = match kind {
            ColumnType::Boolean => (16, 1000),
            ColumnType::Int16 | ColumnType::Int32 | ColumnType::Int64 => (20, 1016),
            ColumnType::Double => (701, 1022),
            ColumnType::Decimal { .. } => (1700, 1231),
            ColumnType::Text { .. } | ColumnType::Json => (25, 1009),
            ColumnType::Bytes { .. } => (17, 1001),
            ColumnType::Uuid => (2950, 2951),
            ColumnType::Date => (1082, 1182),
            ColumnType::Time => (1083, 1183),
            ColumnType::Timestamp => (1184, 1185),
        };
        Oids { element, array }
    }

    fn of_value(value: &Value) -> Oids {
        Oids::of(match value {
            Value::Boolean(_) => ColumnType::Boolean,
            Value::Int(_) => ColumnType::Int64,
            Value::Double(_) => ColumnType::Double,
            Value::Decimal(_) => ColumnType::Decimal { precision: 18, scale: 0 },
            Value::Null | Value::Text(_) | Value::Json(_) => ColumnType::Json,
            Value::Bytes(_) => ColumnType::Bytes { length: None },
            Value::Uuid(_) => ColumnType::Uuid,
            Value::Date(_) => ColumnType::Date,
            Value::Time(_) => ColumnType::Time,
            Value::Timestamp(_) => ColumnType::Timestamp,
        })
    }
}

impl<'a> ColumnArray<'a> {
    /// Values of a column of this kind.
    pub(super) fn of(kind: ColumnType, values: impl Iterator<Item = &'a Value>) -> ColumnArray<'a> {
        ColumnArray { oids: Oids::of(kind), values: values.collect() }
    }
}

impl Type<Postgres> for Bound<'_> {
    fn type_info() -> PgTypeInfo {
        PgTypeInfo::with_oid(Oid(25))
    }
}

impl Encode<'_, Postgres> for Bound<'_> {
    fn encode_by_ref(&self, into: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        if *self.0 == Value::Null {
            return Ok(IsNull::Yes);
        }
        encode(self.0, into)?;
        Ok(IsNull::No)
    }

    fn produces(&self) -> Option<PgTypeInfo> {
        Some(PgTypeInfo::with_oid(Oid(Oids::of_value(self.0).element)))
    }
}

impl Type<Postgres> for ColumnArray<'_> {
    fn type_info() -> PgTypeInfo {
        PgTypeInfo::with_oid(Oid(1009))
    }
}

impl Encode<'_, Postgres> for ColumnArray<'_> {
    fn encode_by_ref(&self, into: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        let nulls = self.values.iter().any(|value| **value == Value::Null);
        into.extend_from_slice(&1_i32.to_be_bytes());
        into.extend_from_slice(&i32::from(nulls).to_be_bytes());
        into.extend_from_slice(&self.oids.element.to_be_bytes());
        into.extend_from_slice(&i32::try_from(self.values.len())?.to_be_bytes());
        into.extend_from_slice(&1_i32.to_be_bytes());
        for value in &self.values {
            if **value == Value::Null {
                into.extend_from_slice(&(-1_i32).to_be_bytes());
                continue;
            }
            let place = into.len();
            into.extend_from_slice(&[0; 4]);
            encode(value, into)?;
            let length = i32::try_from(into.len() - place - 4)?;
            into[place..place + 4].copy_from_slice(&length.to_be_bytes());
        }
        Ok(IsNull::No)
    }

    fn produces(&self) -> Option<PgTypeInfo> {
        Some(PgTypeInfo::with_oid(Oid(self.oids.array)))
    }
}

fn encode(value: &Value, into: &mut Vec<u8>) -> Result<(), BoxDynError> {
    match value {
        Value::Null => return Err("a NULL has no bytes".into()),
        Value::Boolean(truth) => into.push(u8::from(*truth)),
        Value::Int(number) | Value::Time(number) => into.extend_from_slice(&number.to_be_bytes()),
        Value::Double(number) => into.extend_from_slice(&number.to_be_bytes()),
        Value::Decimal(decimal) => encode_decimal(*decimal, into)?,
        Value::Text(text) | Value::Json(text) => into.extend_from_slice(text.as_bytes()),
        Value::Bytes(bytes) => into.extend_from_slice(bytes),
        Value::Uuid(uuid) => into.extend_from_slice(uuid.as_bytes()),
        Value::Date(day) => into.extend_from_slice(&(day - EPOCH_DAYS).to_be_bytes()),
        Value::Timestamp(micros) => into.extend_from_slice(&(micros - EPOCH_MICROS).to_be_bytes()),
    }
    Ok(())
}

/// What rows in the binary format of `COPY` begin with: a signature, no flags, no extension.
pub(super) const COPY_BEGIN: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";

/// What they end with.
pub(super) const COPY_END: &[u8] = &(-1_i16).to_be_bytes();

/// Appends a row of columns of these kinds in the binary format of `COPY`: unlike in arrays, integers have their column's width.
pub(super) fn copy_row(row: &[Value], kinds: &[ColumnType], into: &mut Vec<u8>) {
    into.extend_from_slice(&(row.len() as i16).to_be_bytes());
    for (value, kind) in row.iter().zip(kinds) {
        match (value, kind) {
            (Value::Null, _) => into.extend_from_slice(&(-1_i32).to_be_bytes()),
            (Value::Int(number), ColumnType::Int16) => field(&(*number as i16).to_be_bytes(), into),
            (Value::Int(number), ColumnType::Int32) => field(&(*number as i32).to_be_bytes(), into),
            (value, _) => {
                let place = into.len();
                into.extend_from_slice(&[0; 4]);
                encode(value, into).expect("a value of the domain that is not NULL has its encoding");
                let length = (into.len() - place - 4) as i32;
                into[place..place + 4].copy_from_slice(&length.to_be_bytes());
            }
        }
    }
}

fn field(bytes: &[u8], into: &mut Vec<u8>) {
    into.extend_from_slice(&(bytes.len() as i32).to_be_bytes());
    into.extend_from_slice(bytes);
}

/// `numeric`: the number of digits in base 10,000, the power of the first, the sign, the digits behind the point, the digits.
fn encode_decimal(decimal: Decimal, into: &mut Vec<u8>) -> Result<(), BoxDynError> {
    let scale = decimal.scale();
    let behind = scale.div_ceil(4);
    let aligned = decimal.mantissa().unsigned_abs().checked_mul(10_u128.pow(behind * 4 - scale));
    let mut rest = aligned.ok_or("a decimal of more than 18 digits")?;
    let mut digits = Vec::with_capacity(8);
    while rest > 0 {
        digits.push((rest % 10_000) as i16);
        rest /= 10_000;
    }
    let weight = digits.len() as i16 - behind as i16 - 1;
    digits.reverse();
    while digits.last() == Some(&0) {
        digits.pop();
    }
    let sign: u16 = if decimal.is_sign_negative() && !digits.is_empty() { 0x4000 } else { 0 };
    into.extend_from_slice(&(digits.len() as i16).to_be_bytes());
    into.extend_from_slice(&weight.to_be_bytes());
    into.extend_from_slice(&sign.to_be_bytes());
    into.extend_from_slice(&(scale as i16).to_be_bytes());
    for digit in digits {
        into.extend_from_slice(&digit.to_be_bytes());
    }
    Ok(())
}

/// Reads a row of columns of these kinds; further columns are left alone.
pub(super) fn row(row: &PgRow, kinds: &[ColumnType]) -> Result<Box<[Value]>, Error> {
    kinds.iter().enumerate().map(|(place, kind)| value(row, place, *kind)).collect()
}

fn value(row: &PgRow, place: usize, kind: ColumnType) -> Result<Value, Error> {
    let raw = row.try_get_raw(place)?;
    if raw.is_null() {
        return Ok(Value::Null);
    }
    let told = |source: BoxDynError| Error::ColumnDecode { index: place.to_string(), source };
    decode(raw.as_bytes().map_err(told)?, kind).map_err(told)
}

fn decode(bytes: &[u8], kind: ColumnType) -> Result<Value, BoxDynError> {
    Ok(match kind {
        ColumnType::Boolean => Value::Boolean(bytes == [1]),
        ColumnType::Int16 => Value::Int(i64::from(i16::from_be_bytes(bytes.try_into()?))),
        ColumnType::Int32 => Value::Int(i64::from(i32::from_be_bytes(bytes.try_into()?))),
        ColumnType::Int64 => Value::Int(i64::from_be_bytes(bytes.try_into()?)),
        ColumnType::Double => Value::Double(f64::from_be_bytes(bytes.try_into()?)),
        ColumnType::Decimal { scale, .. } => Value::Decimal(decode_decimal(bytes, u32::from(scale))?),
        ColumnType::Text { .. } => Value::Text(std::str::from_utf8(bytes)?.into()),
        ColumnType::Json => Value::Json(std::str::from_utf8(bytes)?.into()),
        ColumnType::Bytes { .. } => Value::Bytes(bytes.into()),
        ColumnType::Uuid => Value::Uuid(Uuid::from_slice(bytes)?),
        ColumnType::Date => Value::Date(i32::from_be_bytes(bytes.try_into()?) + EPOCH_DAYS),
        ColumnType::Time => Value::Time(i64::from_be_bytes(bytes.try_into()?)),
        ColumnType::Timestamp => Value::Timestamp(i64::from_be_bytes(bytes.try_into()?) + EPOCH_MICROS),
    })
}

fn decode_decimal(bytes: &[u8], scale: u32) -> Result<Decimal, BoxDynError> {
    let numbers: Vec<i16> = bytes.chunks_exact(2).map(|pair| i16::from_be_bytes([pair[0], pair[1]])).collect();
    let [_, weight, sign, _, digits @ ..] = numbers.as_slice() else {
        return Err("a numeric without a head".into());
    };
    let mantissa =
        digits.iter().try_fold(0_i128, |sum, digit| sum.checked_mul(10_000)?.checked_add(i128::from(*digit)));
    let mantissa = mantissa.ok_or("a numeric of too many digits")?;
    // The last digit stands for 10,000 to this power.
    let power = 4 * (i32::from(*weight) + 1 - digits.len() as i32) + scale as i32;
    let factor = 10_i128.checked_pow(power.unsigned_abs()).ok_or("a numeric of too many digits")?;
    let mantissa = if power >= 0 { mantissa.checked_mul(factor) } else { Some(mantissa / factor) };
    let mantissa = mantissa.ok_or("a numeric of too many digits")?;
    let signed = if *sign == 0x4000 { -mantissa } else { mantissa };
    Ok(Decimal::try_from_i128_with_scale(signed, scale)?)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn decimals_round_trip(mantissa in -999_999_999_999_999_999_i128..=999_999_999_999_999_999, scale in 0_u32..=18) {
            let decimal = Decimal::from_i128_with_scale(mantissa, scale);
            let mut bytes = Vec::new();
            encode_decimal(decimal, &mut bytes).unwrap();
            let read = decode_decimal(&bytes, scale).unwrap();
            prop_assert_eq!((read.mantissa(), read.scale()), (mantissa, scale));
        }
    }
}
