//! The topic: how readers are fed with events as they come. Kafka (`kafka`), or the embedded one (`tail`): the store itself, tailed
//! in this process.

pub mod kafka;
mod tail;

pub use tail::{Tail, Tailed, TopicError};
