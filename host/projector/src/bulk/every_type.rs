//! For tests: a table that has a column of each type, some of them in its key, and rows of it.

use proptest::prelude::*;
use rust_decimal::Decimal;
use uuid::Uuid;

use crate::change::Row;
use crate::key::encode_key;
use crate::manifest::{ColumnType, Manifest, Table};
use crate::value::Value;

/// Text, bytes and a decimal are its key; all other columns may be NULL.
pub(super) fn table() -> Table {
    let json = r#"{"manifest": 1, "name": "every", "version": "1", "kinds": ["*"], "order": "global", "tables": [
        {"name": "every", "key": ["place", "name", "code"], "columns": [
            {"name": "number", "type": "int64", "nullable": true}, {"name": "note", "type": "text", "nullable": true},
            {"name": "name", "type": "text", "length": 40}, {"name": "done", "type": "boolean", "nullable": true},
            {"name": "code", "type": "bytes", "length": 4}, {"name": "small", "type": "int16", "nullable": true},
            {"name": "share", "type": "double", "nullable": true}, {"name": "data", "type": "bytes", "nullable": true},
            {"name": "place", "type": "decimal", "precision": 18, "scale": 4}, {"name": "doc", "type": "json", "nullable": true},
            {"name": "price", "type": "decimal", "precision": 18, "scale": 2, "nullable": true},
            {"name": "day", "type": "date", "nullable": true}, {"name": "at", "type": "timestamp", "nullable": true},
            {"name": "hour", "type": "time", "nullable": true}, {"name": "id", "type": "uuid", "nullable": true}]}]}"#;
    Manifest::parse(json).unwrap().tables.swap_remove(0)
}

/// A value for each column.
pub(super) fn row() -> impl Strategy<Value = Row> {
    let table = table();
    let columns: Vec<_> = (0..table.columns.len()).map(|number| cell(&table, number)).collect();
    columns.prop_map(Row::from)
}

/// A value for column `number` of the table.
pub(super) fn cell(table: &Table, number: usize) -> BoxedStrategy<Value> {
    let column = &table.columns[number];
    let value = value(column.kind);
    if column.nullable { prop_oneof![1 => Just(Value::Null), 4 => value].boxed() } else { value }
}

/// The encoding of a row's key.
pub(super) fn key(table: &Table, row: &Row) -> Vec<u8> {
    let (values, mut bytes) = (crate::check::key_of(table, row), Vec::new());
    encode_key(&values, &mut bytes);
    bytes
}

fn value(kind: ColumnType) -> BoxedStrategy<Value> {
    let text = || any::<String>().prop_map(|text| Box::from(text.replace('\0', "")));
    match kind {
        ColumnType::Boolean => any::<bool>().prop_map(Value::Boolean).boxed(),
        ColumnType::Int16 => any::<i16>().prop_map(|value| Value::Int(value.into())).boxed(),
        ColumnType::Int32 => any::<i32>().prop_map(|value| Value::Int(value.into())).boxed(),
        ColumnType::Int64 => any::<i64>().prop_map(Value::Int).boxed(),
        ColumnType::Double => (-1e300..1e300).prop_map(|value| Value::Double(value + 0.0)).boxed(),
        ColumnType::Decimal { scale, .. } => (-999_999_999_999_999_999..=999_999_999_999_999_999_i64)
            .prop_map(move |mantissa| Value::Decimal(Decimal::new(mantissa, scale.into())))
            .boxed(),
        ColumnType::Text { .. } => text().prop_map(Value::Text).boxed(),
        ColumnType::Bytes { length: Some(_) } => {
            let byte = prop_oneof![Just(0), Just(255), any::<u8>()];
            prop::collection::vec(byte, 4).prop_map(|bytes| Value::Bytes(bytes.into())).boxed()
        }
        ColumnType::Bytes { length: None } => any::<Vec<u8>>().prop_map(|bytes| Value::Bytes(bytes.into())).boxed(),
        ColumnType::Json => text().prop_map(Value::Json).boxed(),
        ColumnType::Uuid => any::<[u8; 16]>().prop_map(|bytes| Value::Uuid(Uuid::from_bytes(bytes))).boxed(),
        ColumnType::Date => any::<i32>().prop_map(Value::Date).boxed(),
        ColumnType::Time => any::<i64>().prop_map(Value::Time).boxed(),
        ColumnType::Timestamp => any::<i64>().prop_map(Value::Timestamp).boxed(),
    }
}
