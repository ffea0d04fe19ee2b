//! Events as everybody sees them: the event itself, its identifiers, the packed batch that travels through the host, and
//! every format an event is written in (CloudEvents JSON, Kafka headers, the stored commit). Pure: no I/O, no clock.
//!
//! Not here: where events are kept (`event-log`), and what is made of them (`host/projector`).

mod batch;
pub mod canonical;
mod causes;
pub mod cloud_events;
mod event;
pub mod foreign;
mod place;
pub mod stored;
mod stream;
mod texts;
mod timestamp;
pub mod token;

pub use batch::{EventBatch, EventRef, Span};
pub use canonical::{CanonicalError, CanonicalJson};
pub use causes::chain;
pub use event::{Event, EventKind, KindError, LogId, LogPoint, NewEvent};
pub use place::{Place, PlaceError};
pub use stream::{StreamId, StreamIdError, key_hash, key_part, partition_of};
pub use texts::{TextPool, Texts};
pub use timestamp::{Timestamp, TimestampError};
