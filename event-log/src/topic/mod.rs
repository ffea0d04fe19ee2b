//! The topic: how readers are fed with events as they come. Here the embedded one: the store itself, tailed in this process.

mod tail;

pub use tail::{Tail, Tailed, TopicError};
