//! How far a consumer reads ahead of its shards. With the batches of the loops it is what bounds a host's memory: partitions share it,
//! so that a topic of many takes hardly more than one of few.

use rdkafka::config::ClientConfig;

use super::TopicUrl;

/// Messages and bytes that the client reads ahead, and that one piece holds: for all partitions together, and at most and at least for
/// each.
const MESSAGES: usize = 80_000;
const MOST_MESSAGES: usize = 20_000;
const FEWEST_MESSAGES: usize = 1_000;
const BYTES: usize = 32 << 20;
const MOST_BYTES: usize = 8 << 20;
const FEWEST_BYTES: usize = 1 << 20;

/// What one partition has of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ReadAhead {
    pub(crate) messages: usize,
    pub(crate) bytes: usize,
}

impl ReadAhead {
    /// Of each of so many partitions, all of which one host may have.
    pub(crate) fn of(partitions: u32) -> ReadAhead {
        let partitions = partitions.max(1) as usize;
        ReadAhead {
            messages: (MESSAGES / partitions).clamp(FEWEST_MESSAGES, MOST_MESSAGES),
            bytes: (BYTES / partitions).clamp(FEWEST_BYTES, MOST_BYTES),
        }
    }

    /// Settings of a client that reads so far ahead, in front of `others`; the topic's URL may say otherwise. It counts keys and payloads
    /// only; a message's headers and the client's own records are a kilobyte more, so that messages are limited, too. A fetch that was
    /// begun comes in whole: it has as many bytes as the partition's share, compressed.
    pub(crate) fn configure(self, url: &TopicUrl, others: &[(&str, &str)]) -> ClientConfig {
        let (messages, kilobytes, fetch) =
            (self.messages.to_string(), (self.bytes >> 10).to_string(), FEWEST_BYTES.to_string());
        let ahead = [
            ("queued.min.messages", messages.as_str()),
            ("queued.max.messages.kbytes", &kilobytes),
            ("fetch.message.max.bytes", &fetch),
            ("fetch.queue.backoff.ms", "2"),
        ];
        url.configure(&[&ahead, others].concat())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_share_it() {
        assert_eq!(ReadAhead::of(1), ReadAhead { messages: 20_000, bytes: 8 << 20 });
        assert_eq!(ReadAhead::of(4), ReadAhead::of(1), "few have as much as they can use");
        assert_eq!(ReadAhead::of(16), ReadAhead { messages: 5_000, bytes: 2 << 20 });
        assert_eq!(ReadAhead::of(1_000), ReadAhead { messages: 1_000, bytes: 1 << 20 });
    }
}
