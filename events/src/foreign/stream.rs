//! The stream that a message of somebody else's topic belongs to.

use std::fmt::Write as _;

use uuid::Uuid;

use super::NAMESPACE;
use crate::stream::is_stream_id;

/// Keys that are no text are written out up to this many bytes; longer ones are known by a UUID.
const WRITTEN_OUT: usize = 64;

/// `TOPIC-KEY`: the topic's name with `_` for `-`, so that it is the category whole, and the message's key, which is the stream's key
/// then. A key that is no text is written in hexadecimal digits, one that is too long is its UUIDv5. Messages without a key are the
/// partition's own stream: their producer puts them anywhere, and only within a partition they are in order.
#[must_use]
pub fn stream_of(topic: &str, partition: u32, key: Option<&[u8]>) -> String {
    let category = topic.replace(['-', ':'], "_");
    let Some(key) = key.filter(|key| !key.is_empty()) else {
        return format!("{category}:partition-{partition}");
    };
    if let Ok(text) = std::str::from_utf8(key) {
        let stream = format!("{category}-{text}");
        if is_stream_id(&stream) {
            return stream;
        }
    }
    if key.len() > WRITTEN_OUT {
        return format!("{category}:{}", Uuid::new_v5(&NAMESPACE, key));
    }
    let mut stream = format!("{category}:0x");
    for byte in key {
        // Writing into a string cannot fail.
        let _ = write!(stream, "{byte:02x}");
    }
    stream
}
