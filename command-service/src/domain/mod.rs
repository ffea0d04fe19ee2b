//! What the domains have in common: what an aggregate is, and why a command is refused. Pure: no I/O, no clock, no randomness.
//!
//! Not here: how a command gets here and its events into the log (`mediator`).

pub mod posts;
pub mod text;
pub mod todos;

use serde::Serialize;

/// One kind of thing that commands act on; its state is the fold of its stream's events.
pub trait Aggregate: Default + Send + Sync + 'static {
    /// The category of its streams: `post` of `post-4711`.
    const CATEGORY: &'static str;
    /// What can be asked of it. Serialized, it tells one request from another.
    type Command: Serialize + Send + Sync;
    /// What can happen to it.
    type Event: DomainEvent;

    /// The state after `event`. Total: an event that does not fit the state changes nothing.
    #[must_use]
    fn evolve(self, event: Self::Event) -> Self;

    /// What happens if `command` is given in this state; nothing where it changes nothing.
    ///
    /// # Errors
    /// Where a rule forbids it.
    fn decide(&self, command: &Self::Command) -> Result<Vec<Self::Event>, Rejection>;

    /// Roughly how much memory this state takes, in bytes.
    fn bytes(&self) -> usize {
        size_of::<Self>()
    }
}

/// An event of a domain, and its form in the log.
pub trait DomainEvent: Sized + Send {
    /// The payload, as it is written.
    type Payload<'a>: Serialize
    where
        Self: 'a;

    /// What happened: `post-created`.
    fn kind(&self) -> &'static str;

    /// What is written as JSON beside the kind.
    fn payload(&self) -> Self::Payload<'_>;

    /// Reads an event of the log; nothing where the kind is not one of this domain's, or its payload was redacted.
    ///
    /// # Errors
    /// Where the payload is not what this kind has.
    fn read(kind: &str, payload: &str) -> Result<Option<Self>, serde_json::Error>;
}

/// Why a command is refused, by what its sender can do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// Look for another one.
    #[error("there is no such {0}")]
    NotFound(&'static str),
    /// Nothing: it is gone for good.
    #[error("the {0} was removed")]
    Removed(&'static str),
    /// Choose another id.
    #[error("a {0} with this id exists already")]
    Exists(&'static str),
    /// Act as somebody else.
    #[error("only {who} may {what}")]
    Forbidden {
        /// "its author".
        who: &'static str,
        /// "edit a post".
        what: &'static str,
    },
}

/// Reads a payload; nothing where it was redacted.
fn payload_of<T: serde::de::DeserializeOwned>(payload: &str) -> Result<Option<T>, serde_json::Error> {
    if payload.is_empty() { Ok(None) } else { serde_json::from_str(payload).map(Some) }
}
