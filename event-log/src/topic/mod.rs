//! The topic: how readers are fed with events as they come. Kafka (`kafka`), or the embedded one (`tail`): the store itself, tailed
//! in this process. What a shard makes of a Kafka partition is decided in `shard`. Somebody else's topic, which has no store behind it:
//! `foreign`.

pub mod foreign;
pub mod kafka;
pub mod shard;
mod tail;

pub use tail::{Tail, Tailed, TopicError};
