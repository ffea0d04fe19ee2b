//! Values to and from SQLite. How each is kept is told in `dialect::tables`.

use reel_projector::{ColumnType, Value};
use rusqlite::types::{FromSqlError, ToSqlOutput, Type, ValueRef};
use rusqlite::{Error, Row, Statement, ToSql};
use rust_decimal::Decimal;
use uuid::Uuid;

use crate::sql::Argument;

/// A value on its way into a statement.
struct Bound<'a>(&'a Value);

impl ToSql for Bound<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        let kept = match self.0 {
            Value::Null => ValueRef::Null,
            Value::Boolean(truth) => ValueRef::Integer(i64::from(*truth)),
            Value::Int(number) | Value::Time(number) | Value::Timestamp(number) => ValueRef::Integer(*number),
            Value::Date(day) => ValueRef::Integer(i64::from(*day)),
            Value::Double(number) => ValueRef::Real(*number),
            Value::Decimal(decimal) => ValueRef::Integer(smallest_units(*decimal)?),
            Value::Text(text) | Value::Json(text) => ValueRef::Text(text.as_bytes()),
            Value::Bytes(bytes) => ValueRef::Blob(bytes),
            Value::Uuid(uuid) => ValueRef::Blob(uuid.as_bytes()),
        };
        Ok(ToSqlOutput::Borrowed(kept))
    }
}

fn smallest_units(decimal: Decimal) -> rusqlite::Result<i64> {
    i64::try_from(decimal.mantissa()).map_err(|error| Error::ToSqlConversionFailure(Box::new(error)))
}

/// Binds values to a statement's arguments, from the first.
pub(super) fn bind<'a>(
    statement: &mut Statement<'_>,
    values: impl IntoIterator<Item = &'a Value>,
) -> rusqlite::Result<()> {
    for (place, value) in values.into_iter().enumerate() {
        statement.raw_bind_parameter(place + 1, Bound(value))?;
    }
    Ok(())
}

/// Binds the arguments of a query.
pub(super) fn bind_arguments(statement: &mut Statement<'_>, arguments: &[Argument<'_>]) -> rusqlite::Result<()> {
    for (place, argument) in arguments.iter().enumerate() {
        match argument {
            Argument::Value(_, value) => statement.raw_bind_parameter(place + 1, Bound(value))?,
            Argument::Text(text) => statement.raw_bind_parameter(place + 1, text)?,
            Argument::Number(number) => statement.raw_bind_parameter(place + 1, number)?,
            Argument::Values(_) => unreachable!("this dialect writes lists as one argument a value"),
        }
    }
    Ok(())
}

/// Reads a row of columns of these kinds.
pub(super) fn row(row: &Row<'_>, kinds: &[ColumnType]) -> rusqlite::Result<Box<[Value]>> {
    kinds.iter().enumerate().map(|(place, kind)| value(row, place, *kind)).collect()
}

fn value(row: &Row<'_>, place: usize, kind: ColumnType) -> rusqlite::Result<Value> {
    let kept = row.get_ref(place)?;
    decode(kept, kind).map_err(|error| Error::FromSqlConversionFailure(place, kept.data_type(), Box::new(error)))
}

fn decode(kept: ValueRef<'_>, kind: ColumnType) -> Result<Value, FromSqlError> {
    if kept.data_type() == Type::Null {
        return Ok(Value::Null);
    }
    Ok(match kind {
        ColumnType::Boolean => Value::Boolean(kept.as_i64()? != 0),
        ColumnType::Int16 | ColumnType::Int32 | ColumnType::Int64 => Value::Int(kept.as_i64()?),
        ColumnType::Double => Value::Double(kept.as_f64()?),
        ColumnType::Decimal { scale, .. } => {
            Value::Decimal(Decimal::from_i128_with_scale(i128::from(kept.as_i64()?), u32::from(scale)))
        }
        ColumnType::Text { .. } => Value::Text(kept.as_str()?.into()),
        ColumnType::Json => Value::Json(kept.as_str()?.into()),
        ColumnType::Bytes { .. } => Value::Bytes(kept.as_blob()?.into()),
        ColumnType::Uuid => {
            Value::Uuid(Uuid::from_slice(kept.as_blob()?).map_err(|error| FromSqlError::Other(Box::new(error)))?)
        }
        ColumnType::Date => {
            let day = kept.as_i64()?;
            Value::Date(i32::try_from(day).map_err(|_| FromSqlError::OutOfRange(day))?)
        }
        ColumnType::Time => Value::Time(kept.as_i64()?),
        ColumnType::Timestamp => Value::Timestamp(kept.as_i64()?),
    })
}
