//! The id of a stream: its form, its two parts, and the hash that decides which partition (and shard) it falls into.

use std::fmt;

/// `post-4711`, `file:src/main.rs`: a category up to the first `-` or `:`, then the key. 1 to 512 bytes of UTF-8 without
/// control characters; both parts are non-empty.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamId(Box<str>);

/// A text that is no stream id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("stream id {0:?} must be CATEGORY-KEY or CATEGORY:KEY, at most 512 bytes, without control characters")]
pub struct StreamIdError(pub String);

impl StreamId {
    /// The longest id, in bytes.
    pub const MAX_BYTES: usize = 512;

    /// Checks `text`.
    ///
    /// # Errors
    /// Where it is not of the form that the type's documentation gives.
    pub fn new(text: &str) -> Result<StreamId, StreamIdError> {
        if is_stream_id(text) { Ok(StreamId(text.into())) } else { Err(StreamIdError(text.chars().take(80).collect())) }
    }

    /// The whole id.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// `post` of `post-4711`.
    #[must_use]
    pub fn category(&self) -> &str {
        &self.0[..separator(&self.0).expect("checked in new")]
    }

    /// `4711` of `post-4711`.
    #[must_use]
    pub fn key(&self) -> &str {
        key_part(&self.0)
    }

    /// The partition that this stream's events go to, out of `partitions`: see [`partition_of`].
    #[must_use]
    pub fn partition(&self, partitions: u32) -> u32 {
        partition_of(&self.0, partitions)
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether this text is a stream id.
pub(crate) fn is_stream_id(text: &str) -> bool {
    text.len() <= StreamId::MAX_BYTES
        && !text.chars().any(char::is_control)
        && separator(text).is_some_and(|at| at > 0 && at + 1 < text.len())
}

fn separator(text: &str) -> Option<usize> {
    // Most categories are shorter than what a search for either would look at first.
    text.bytes().position(|byte| matches!(byte, b'-' | b':'))
}

/// The key part of a stream id that was checked before; the whole text where it has no separator.
#[must_use]
pub fn key_part(stream: &str) -> &str {
    separator(stream).map_or(stream, |at| &stream[at + 1..])
}

/// The partition that the events of a stream go to, given its id, and so the shard that applies them: Kafka's own hash (murmur2, sign
/// bit dropped) of the *key* part. Not of the whole id: a table may be owned by the stream's key, and then `post-1` and `todo-1` touch
/// the same rows and must meet in one shard. The same for ever: checkpoints depend on it.
#[must_use]
pub fn partition_of(stream: &str, partitions: u32) -> u32 {
    key_hash(stream) % partitions.max(1)
}

/// What [`partition_of`] divides by the number of partitions: the hash of the key part of a stream's id. It is kept where streams are
/// shared out often, so that it is not computed anew for every number of partitions.
#[must_use]
pub fn key_hash(stream: &str) -> u32 {
    murmur2(key_part(stream).as_bytes()) & 0x7fff_ffff
}

/// Kafka's murmur2 (`org.apache.kafka.common.utils.Utils.murmur2`): seed 0x9747b28c, little-endian words.
fn murmur2(data: &[u8]) -> u32 {
    const M: u32 = 0x5bd1_e995;
    let mut hash = 0x9747_b28c_u32 ^ data.len() as u32;
    let mut words = data.chunks_exact(4);
    for word in &mut words {
        let mut k = u32::from_le_bytes(word.try_into().expect("chunks of four")).wrapping_mul(M);
        k ^= k >> 24;
        hash = hash.wrapping_mul(M) ^ k.wrapping_mul(M);
    }
    let tail = words.remainder();
    if !tail.is_empty() {
        for (i, byte) in tail.iter().enumerate() {
            hash ^= u32::from(*byte) << (8 * i);
        }
        hash = hash.wrapping_mul(M);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(M);
    hash ^ (hash >> 15)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn murmur2_is_kafkas() {
        let known = [
            ("21", -973_932_308),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
            ("abc", 479_470_107),
        ];
        for (text, hash) in known {
            assert_eq!(murmur2(text.as_bytes()) as i32, hash, "{text}");
        }
    }

    #[test]
    fn a_partition_is_the_hash_of_the_key_without_its_sign() {
        let stream = StreamId::new("text:a-little-bit-long-string").unwrap();
        assert_eq!(stream.partition(8), (-985_981_536_i32 & 0x7fff_ffff) as u32 % 8);
        assert_eq!(stream.partition(0), 0);
        assert_eq!(partition_of("post-4711", 64), partition_of("todo:4711", 64));
    }

    #[test]
    fn ids_have_two_parts() {
        for (text, category, key) in [("post-4711", "post", "4711"), ("file:a-b", "file", "a-b"), ("a-:", "a", ":")] {
            let id = StreamId::new(text).unwrap();
            assert_eq!((id.category(), id.key()), (category, key));
        }
        let longest = format!("a-{}", "x".repeat(510));
        assert!(StreamId::new(&longest).is_ok());
        for bad in ["", "post", "-x", "x-", "a-\0", "a-\u{85}", &format!("{longest}x")] {
            assert!(StreamId::new(bad).is_err(), "{bad:?}");
        }
    }
}
