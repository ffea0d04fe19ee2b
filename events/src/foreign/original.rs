//! A message as it is kept with the dead letter that it became: everything, as JSON that people can read.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Map, Value, json};

use super::{LARGEST, Message};

/// The message as JSON. Of a value beyond [`LARGEST`] only the beginning is kept, and how many bytes it had.
pub(super) fn write(message: &Message<'_>) -> String {
    let mut members = Map::new();
    members.insert("topic".into(), message.topic.into());
    members.insert("partition".into(), message.partition.into());
    members.insert("offset".into(), message.offset.into());
    members.insert("timestamp".into(), message.timestamp.into());
    bytes(&mut members, "key", message.key);
    let headers = message.headers.iter().map(|(name, value)| {
        let mut header = Map::new();
        header.insert("name".into(), (*name).into());
        bytes(&mut header, "value", *value);
        Value::Object(header)
    });
    members.insert("headers".into(), headers.collect());
    let kept = message.value.map(|value| &value[..value.len().min(LARGEST)]);
    bytes(&mut members, "value", kept);
    if let Some(value) = message.value.filter(|value| value.len() > LARGEST) {
        members.insert("valueBytes".into(), json!(value.len()));
    }
    Value::Object(members).to_string()
}

fn bytes(members: &mut Map<String, Value>, name: &str, bytes: Option<&[u8]>) {
    let Some(bytes) = bytes else {
        members.insert(name.into(), Value::Null);
        return;
    };
    match std::str::from_utf8(bytes) {
        Ok(text) => members.insert(name.into(), text.into()),
        Err(_) => members.insert(format!("{name}Base64"), STANDARD.encode(bytes).into()),
    };
}
