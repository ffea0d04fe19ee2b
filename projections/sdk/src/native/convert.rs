//! Values of the boundary as the projector's values, and back.

use reel_projector::{Row, Value, ValueRef};

use crate::abi::{self, RowBatch, bytes, store};

pub(super) fn value_ref(value: abi::Value, heap: &[u8]) -> ValueRef<'_> {
    match value {
        abi::Value::Null => ValueRef::Null,
        abi::Value::Boolean(flag) => ValueRef::Boolean(flag),
        abi::Value::Int(number) => ValueRef::Int(number),
        abi::Value::Double(number) => ValueRef::Double(number),
        abi::Value::Decimal(span) => ValueRef::Decimal(bytes(heap, span)),
        abi::Value::Text(span) => ValueRef::Text(bytes(heap, span)),
        abi::Value::Bytes(span) => ValueRef::Bytes(bytes(heap, span)),
        abi::Value::Json(span) => ValueRef::Json(bytes(heap, span)),
        abi::Value::Uuid(span) => ValueRef::Uuid(bytes(heap, span)),
        abi::Value::Date(days) => ValueRef::Date(days),
        abi::Value::Time(micros) => ValueRef::Time(micros),
        abi::Value::Timestamp(micros) => ValueRef::Timestamp(micros),
        abi::Value::Other(_) => unreachable!("the SDK never makes one"),
    }
}

pub(super) fn row_batch(rows: &[Option<Row>]) -> RowBatch {
    let mut batch = RowBatch::default();
    for row in rows {
        batch.found.push(row.is_some());
        for value in row.iter().flatten() {
            let value = abi_value(value, &mut batch.heap);
            batch.values.push(value);
        }
    }
    batch
}

/// A value as it crosses the boundary.
pub(crate) fn abi_value(value: &Value, heap: &mut Vec<u8>) -> abi::Value {
    match value {
        Value::Null => abi::Value::Null,
        Value::Boolean(flag) => abi::Value::Boolean(*flag),
        Value::Int(number) => abi::Value::Int(*number),
        Value::Double(number) => abi::Value::Double(*number),
        Value::Decimal(number) => abi::Value::Decimal(store(heap, number.to_string().as_bytes())),
        Value::Text(text) => abi::Value::Text(store(heap, text.as_bytes())),
        Value::Bytes(bytes) => abi::Value::Bytes(store(heap, bytes)),
        Value::Json(text) => abi::Value::Json(store(heap, text.as_bytes())),
        Value::Uuid(uuid) => abi::Value::Uuid(store(heap, uuid.as_bytes())),
        Value::Date(days) => abi::Value::Date(*days),
        Value::Time(micros) => abi::Value::Time(*micros),
        Value::Timestamp(micros) => abi::Value::Timestamp(*micros),
    }
}
