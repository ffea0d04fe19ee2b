//! CloudEvents 1.0 JSON, one event a text: reading for import (`read`), writing for export (`write`).
//!
//! What `write` wrote, `read` takes back as an equal event: same id, stream, kind, schema, time, payload and metadata. Only
//! the place in the log (position, version) is given anew by the log that takes it.

mod read;
mod write;

pub use read::{ReceivedEvent, read};
pub use write::write;
