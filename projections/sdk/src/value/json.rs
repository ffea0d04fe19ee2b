//! Columns of JSON.

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{ColumnValue, IntoColumn};
use crate::{
    abi::{self, bytes, span_from},
    manifest::ColumnType,
};

/// A column of JSON that holds any type that serde reads and writes; without a type, any JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Json<T = serde_json::Value>(pub T);

impl<T: Serialize + DeserializeOwned> ColumnValue for Json<T> {
    const TYPE: ColumnType = ColumnType::Json;

    fn read(value: abi::Value, heap: &[u8]) -> Option<Json<T>> {
        match value {
            abi::Value::Json(span) => serde_json::from_slice(bytes(heap, span)).ok().map(Json),
            _ => None,
        }
    }
}

impl<T: Serialize> IntoColumn<Json<T>> for Json<T> {
    /// # Panics
    /// Where the type has no JSON: a map whose keys are no text, or an error of its own `Serialize`.
    fn write(self, heap: &mut Vec<u8>) -> abi::Value {
        let offset = heap.len();
        serde_json::to_writer(&mut *heap, &self.0).expect("the type of a JSON column can be written as JSON");
        abi::Value::Json(span_from(heap, offset))
    }
}

impl<T: Serialize> IntoColumn<Option<Json<T>>> for Json<T> {
    fn write(self, heap: &mut Vec<u8>) -> abi::Value {
        IntoColumn::<Json<T>>::write(self, heap)
    }
}
