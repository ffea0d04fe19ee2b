//! The token that a command is answered with: where its last event stands, and which stream it belongs to, so that a reader can
//! wait for just the shard that this stream falls into. Opaque to clients: `v1.<position>.<stream hash in hex>`.

use std::{fmt, str::FromStr};

use crate::StreamId;

/// A place in the log to wait for, on behalf of one stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Token {
    /// Position of the event to wait for.
    pub position: u64,
    /// Kafka's murmur2 of the stream's key, sign bit dropped.
    pub stream_hash: u32,
}

/// A text that is no token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a token that a command was answered with (v1.POSITION.HASH)")]
pub struct TokenError(pub String);

impl Token {
    /// The token of an event of `stream` at `position`.
    #[must_use]
    pub fn new(position: u64, stream: &StreamId) -> Token {
        // Out of 2^31 partitions, the partition is the hash itself.
        Token { position, stream_hash: stream.partition(1 << 31) }
    }

    /// The partition that the stream's events go to, out of `partitions`: as [`StreamId::partition`] says.
    #[must_use]
    pub fn partition(self, partitions: u32) -> u32 {
        self.stream_hash % partitions.max(1)
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "v1.{}.{:08x}", self.position, self.stream_hash)
    }
}

impl FromStr for Token {
    type Err = TokenError;

    fn from_str(text: &str) -> Result<Token, TokenError> {
        parse(text).ok_or_else(|| TokenError(text.chars().take(60).collect()))
    }
}

fn parse(text: &str) -> Option<Token> {
    let (position, hash) = text.strip_prefix("v1.")?.split_once('.')?;
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let token = Token {
        position: position.parse().ok().filter(|_| digits(position))?,
        stream_hash: u32::from_str_radix(hash, 16).ok().filter(|hash_value| digits(hash) && *hash_value < 1 << 31)?,
    };
    Some(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_read_as_it_was_written() {
        let stream = StreamId::new("post-4711").unwrap();
        let token = Token::new(42, &stream);
        assert_eq!(token.to_string().parse::<Token>().unwrap(), token);
        for partitions in [0, 1, 3, 12, 1000] {
            assert_eq!(token.partition(partitions), stream.partition(partitions));
        }
    }

    #[test]
    fn its_form_is_kept_for_ever() {
        let token = Token { position: 18_446_744_073_709_551_615, stream_hash: 0x0000_abcd };
        assert_eq!(token.to_string(), "v1.18446744073709551615.0000abcd");
        assert_eq!(token.to_string().parse::<Token>().unwrap(), token);
    }

    #[test]
    fn other_texts_are_refused() {
        for text in
            ["", "v1", "v1.1", "v1..1", "v1.1.", "v2.1.1", "v1.+1.1", "v1.1.+1", "v1.-1.1", "v1.1.80000000", "v1.1.1.1"]
        {
            assert!(text.parse::<Token>().is_err(), "{text}");
        }
    }
}
