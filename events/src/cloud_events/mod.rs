//! CloudEvents 1.0: JSON (structured mode) in `json`, Kafka headers (binary mode) in `kafka`. What both share is here: which
//! attribute carries what, and the errors.
//!
//! | attribute | in Reel |
//! |---|---|
//! | `id` | the event's id |
//! | `source` | `reel` for events made here; another one is kept in the metadata |
//! | `type` | kind |
//! | `subject` | stream |
//! | `time` | recorded_at |
//! | `schema` (extension) | version of the payload's schema, from 1; 1 where it is missing |
//! | `data` | payload |
//! | `position`, `version`, `previous`, `layout`, `log` (extensions) | the event's place in the log that it was written from |
//! | `event` (extension) | of a watermark only: the id of the event at `position` |
//! | `metadata` (extension) | all metadata as one JSON text, where it does not fit into attributes of its own |
//! | `dataschema` and every other extension | kept in the metadata under its own name |

pub mod json;
pub mod kafka;

use uuid::Uuid;

use crate::{CanonicalError, KindError, StreamIdError, TimestampError};

/// The `source` of events made by Reel.
pub const OUR_SOURCE: &str = "reel";

/// Where the metadata keeps the `id` of a foreign event whose id is no UUID.
pub const ORIGINAL_ID: &str = "originalid";

/// Attributes that say where the event stood in the log that it was written from.
const PLACE: [&str; 5] = ["position", "version", "previous", "layout", "log"];

/// What is wrong with a CloudEvent. All of them mean: this event can never be taken as it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CloudEventError {
    /// Not a JSON object at all.
    #[error("not a CloudEvent: {0}")]
    Malformed(String),
    /// A required attribute is not there.
    #[error("missing attribute \"{0}\"")]
    Missing(&'static str),
    /// An attribute stands there twice.
    #[error("attribute \"{0}\" stands there twice")]
    Repeated(String),
    /// An attribute is not what it has to be.
    #[error("{attribute} must be {expected}, found {found}")]
    Invalid {
        /// Its name.
        attribute: String,
        /// What would be taken.
        expected: &'static str,
        /// What stands there, shortened.
        found: String,
    },
    /// The type is no event kind.
    #[error("type: {0}")]
    Kind(KindError),
    /// The subject is no stream id.
    #[error("subject: {0}")]
    Stream(StreamIdError),
    /// The time is none.
    #[error("time: {0}")]
    Time(TimestampError),
    /// The data, or an extension attribute, cannot be made canonical JSON; the path begins with the attribute.
    #[error(transparent)]
    Json(#[from] CanonicalError),
}

fn invalid(attribute: &str, expected: &'static str, found: &str) -> CloudEventError {
    let shown =
        if found.len() <= 60 { found.to_owned() } else { found.chars().take(57).chain("…".chars()).collect() };
    CloudEventError::Invalid { attribute: attribute.to_owned(), expected, found: shown }
}

/// The id, if it is a UUID as everybody writes it; the nil UUID stands for "no event" and is not taken for one.
pub(crate) fn uuid_of(id: &str) -> Option<Uuid> {
    let hyphenated = id.len() == 36;
    hyphenated.then(|| Uuid::try_parse(id).ok()).flatten().filter(|uuid| !uuid.is_nil())
}

/// The event id of a foreign event whose id is no UUID: UUIDv5 of the source and the id, which only together are unique.
/// The zero byte between them occurs in neither.
pub(crate) fn derived_id(source: &str, id: &str) -> Uuid {
    /// Made once for this purpose; never to be changed.
    const NAMESPACE: Uuid = Uuid::from_u128(0x6b1d_4f0e_8c53_4b7a_9e26_d05f_71a8_c394);
    Uuid::new_v5(&NAMESPACE, format!("{source}\0{id}").as_bytes())
}

/// Whether a media type is JSON.
pub(crate) fn is_json(content_type: &str) -> bool {
    let media_type = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    media_type == "application/json" || media_type == "text/json" || media_type.ends_with("+json")
}
