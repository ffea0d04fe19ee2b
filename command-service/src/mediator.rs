//! From a command to its answer: fold the stream, decide, append. Every kind of aggregate goes through the one [`Mediator`], as do
//! events that somebody else decided on.
//!
//! A command is decided on what is remembered of its stream, and the append proves that nothing is missing. Where nothing is to be
//! appended, the rest of the stream is read first, and it is decided again.
//!
//! Not here: the rules (`domain`), what is remembered (`turns`), and how commands come in (`http`).

use std::sync::Arc;

use reel_event_log::{
    AppendError, Appended, EventStore, ExpectedVersion, IdOrigin, NewCommit, ReadLimit, StoreError, store::FoundCommit,
};
use reel_events::{CanonicalJson, EventBatch, EventKind, NewEvent, StreamId};
use uuid::Uuid;

use crate::{
    domain::{Aggregate, DomainEvent, Rejection},
    turns::{Folded, Turn, Turns},
};

/// How often a command is decided anew because another process wrote the stream, before its sender is asked to try again: with
/// ten processes that never rest, one command in a thousand.
const ATTEMPTS: usize = 64;
/// How much of a stream is in memory at once while it is folded.
const PAGE: ReadLimit = ReadLimit { events: 1_000, bytes: 4 << 20 };

/// Dispatches commands to the aggregates that decide on them, and keeps what was decided.
#[derive(Clone)]
pub struct Mediator {
    store: Arc<dyn EventStore>,
    turns: Turns,
}

/// Events to keep, and the request that they stand for.
#[derive(Debug, Clone)]
pub struct Content {
    /// Digest of the request.
    pub digest: [u8; 32],
    /// Where the events' ids come from.
    pub ids: IdOrigin,
    /// At least one.
    pub events: Vec<NewEvent>,
}

/// A command, and all that came with it.
#[derive(Debug, Clone)]
pub struct Order<C> {
    /// The stream to act on.
    pub stream: StreamId,
    /// What is asked.
    pub command: C,
    /// How the order is kept.
    pub terms: Terms,
}

/// How an order is kept: once, on which version, with which metadata.
#[derive(Debug, Clone)]
pub struct Terms {
    /// The idempotency key.
    pub key: Key,
    /// The version that the sender has seen; the order is refused on any other.
    pub expected: Option<u64>,
    /// Kept with every event: a canonical object, or empty.
    pub metadata: CanonicalJson,
}

/// The idempotency key of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key {
    /// The sender's: it may come again.
    Given(Uuid),
    /// Made here: it cannot.
    Fresh(Uuid),
}

impl Key {
    /// The key itself.
    #[must_use]
    pub fn id(self) -> Uuid {
        match self {
            Key::Given(id) | Key::Fresh(id) => id,
        }
    }
}

/// What became of an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The stream acted on.
    pub stream: StreamId,
    /// Where it stands.
    pub version: u64,
    /// Position of the last event that matters to the sender.
    pub position: u64,
    /// How many events there are of it.
    pub events: u32,
    /// Whether this is the answer to an earlier sending of the same order.
    pub repeated: bool,
}

/// Why an order was not kept, by what its sender does next.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// Ask for something else.
    #[error(transparent)]
    Rejected(#[from] Rejection),
    /// As the store says.
    #[error(transparent)]
    Append(#[from] AppendError),
    /// Try again later.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Try again: others were faster, again and again.
    #[error("stream {stream} is written by others so often that {ATTEMPTS} attempts came too late")]
    Contended {
        /// The stream.
        stream: StreamId,
    },
    /// A person must look: an event in the stream is not what its kind says.
    #[error("event {version} of stream {stream}, a {kind}, has a payload that this kind does not have")]
    Unreadable {
        /// The stream.
        stream: StreamId,
        /// Version of the event.
        version: u64,
        /// Its kind.
        kind: String,
        /// What does not fit.
        #[source]
        source: serde_json::Error,
    },
}

impl Mediator {
    /// A mediator that keeps events in `store`.
    #[must_use]
    pub fn new(store: Arc<dyn EventStore>) -> Mediator {
        Mediator { store, turns: Turns::new() }
    }

    /// Decides on a command and keeps its events. Decided anew as long as others write the stream in between, unless the sender
    /// named the version it must stand at. A repeat of an order is answered as the first one was.
    ///
    /// # Errors
    /// Where a rule forbids it, the stream is not where the sender expects it, or the store fails.
    pub async fn dispatch<A: Aggregate>(&self, order: &Order<A::Command>) -> Result<Outcome, CommandError> {
        let digest = digest(&order.stream, order.terms.expected, &order.command);
        if let Some(first) = self.first_answer(&order.stream, &order.terms, &digest).await? {
            return Ok(first);
        }
        let mut turn = self.turns.of(&order.stream).await;
        match self.decide_and_append::<A>(&mut turn, order, digest).await {
            // The same order may have been on its way twice, and this one saw the effects of the other.
            Err(refused @ (CommandError::Rejected(_) | CommandError::Append(AppendError::Conflict { .. }))) => {
                let first = self.first_answer(&order.stream, &order.terms, &digest).await?;
                first.ok_or(refused)
            }
            other => other,
        }
    }

    /// Appends events that somebody else decided on.
    ///
    /// # Errors
    /// As [`EventStore::append`].
    pub async fn append(&self, stream: StreamId, terms: &Terms, content: Content) -> Result<Outcome, CommandError> {
        let commit = commit(stream.clone(), terms.key, expected(terms.expected), content);
        let appended = self.store.append(commit).await?;
        Ok(outcome(&stream, &appended))
    }

    async fn decide_and_append<A: Aggregate>(
        &self,
        turn: &mut Turn<'_>,
        order: &Order<A::Command>,
        digest: [u8; 32],
    ) -> Result<Outcome, CommandError> {
        let Order { stream, terms, .. } = order;
        let mut folded = turn.recall::<A>();
        for _ in 0..ATTEMPTS {
            let events = self.decide(order, &mut folded).await?;
            if events.is_empty() {
                let unchanged = unchanged(stream, &folded);
                turn.remember(folded);
                return Ok(unchanged);
            }
            let written = events.iter().map(|event| written(event, &terms.metadata)).collect();
            let content = Content { digest, ids: IdOrigin::Fresh, events: written };
            let at = ExpectedVersion::Exactly(folded.version);
            match self.store.append(commit(stream.clone(), terms.key, at, content)).await {
                Ok(appended) => {
                    if !appended.repeated {
                        turn.remember(folded.after(events, &appended));
                    }
                    return Ok(outcome(stream, &appended));
                }
                Err(AppendError::Conflict { .. }) if terms.expected.is_none() => {
                    self.catch_up(stream, &mut folded).await?;
                }
                Err(error) => return Err(error.into()),
            }
        }
        Err(CommandError::Contended { stream: stream.clone() })
    }

    /// What is to be appended behind the version that is folded; anything else is only concluded from the whole stream.
    async fn decide<A: Aggregate>(
        &self,
        order: &Order<A::Command>,
        folded: &mut Folded<A>,
    ) -> Result<Vec<A::Event>, CommandError> {
        if let Ok(events) = decided(order, folded)
            && !events.is_empty()
        {
            return Ok(events);
        }
        self.catch_up(&order.stream, folded).await?;
        decided(order, folded)
    }

    /// Folds what the stream has beyond what is folded already, page by page.
    async fn catch_up<A: Aggregate>(&self, stream: &StreamId, folded: &mut Folded<A>) -> Result<(), CommandError> {
        loop {
            let page = self.store.read_stream(stream, folded.version, PAGE).await?;
            if page.is_empty() {
                return Ok(());
            }
            fold_page(stream, &page, folded)?;
        }
    }

    /// What the order was answered with when it came before.
    async fn first_answer(
        &self,
        stream: &StreamId,
        terms: &Terms,
        digest: &[u8; 32],
    ) -> Result<Option<Outcome>, CommandError> {
        let Key::Given(id) = terms.key else { return Ok(None) };
        match self.store.find_commit(id).await? {
            None => Ok(None),
            Some(FoundCommit { appended, digest: first }) if first == *digest => Ok(Some(outcome(stream, &appended))),
            Some(_) => Err(AppendError::CommitReused { id }.into()),
        }
    }
}

/// Digest of a request: tells a repeat from another request under the same key.
pub fn digest(stream: &StreamId, expected: Option<u64>, request: &impl serde::Serialize) -> [u8; 32] {
    let bytes = serde_json::to_vec(&(stream.as_str(), expected, request)).expect("commands are plain data");
    *blake3::hash(&bytes).as_bytes()
}

/// What the rules say in the state that is folded, if the sender expects it.
fn decided<A: Aggregate>(order: &Order<A::Command>, folded: &Folded<A>) -> Result<Vec<A::Event>, CommandError> {
    let actual = folded.version;
    match order.terms.expected {
        Some(expected) if expected != actual => {
            Err(AppendError::Conflict { stream: order.stream.clone(), expected, actual }.into())
        }
        _ => Ok(folded.state.decide(&order.command)?),
    }
}

fn fold_page<A: Aggregate>(stream: &StreamId, page: &EventBatch, folded: &mut Folded<A>) -> Result<(), CommandError> {
    for event in page.iter() {
        let read = A::Event::read(event.kind, event.payload).map_err(|source| CommandError::Unreadable {
            stream: stream.clone(),
            version: event.version,
            kind: event.kind.to_owned(),
            source,
        })?;
        if let Some(read) = read {
            folded.state = std::mem::take(&mut folded.state).evolve(read);
        }
        (folded.version, folded.position) = (event.version, event.position);
    }
    Ok(())
}

fn written(event: &impl DomainEvent, metadata: &CanonicalJson) -> NewEvent {
    NewEvent {
        id: Uuid::now_v7(),
        kind: EventKind::new(event.kind()).expect("the domains' kinds are event kinds"),
        schema: 1,
        recorded_at: None,
        payload: CanonicalJson::from_serialize(&event.payload()).expect("the domains' texts hold no NUL"),
        metadata: metadata.clone(),
    }
}

fn commit(
    stream: StreamId,
    key: Key,
    expected: ExpectedVersion,
    Content { digest, ids, events }: Content,
) -> NewCommit {
    NewCommit { id: key.id(), stream, expected, digest, ids, events }
}

fn expected(version: Option<u64>) -> ExpectedVersion {
    version.map_or(ExpectedVersion::Any, ExpectedVersion::Exactly)
}

fn outcome(stream: &StreamId, appended: &Appended) -> Outcome {
    Outcome {
        stream: stream.clone(),
        version: appended.last_version(),
        position: appended.last_position(),
        events: appended.count,
        repeated: appended.repeated,
    }
}

fn unchanged<A>(stream: &StreamId, folded: &Folded<A>) -> Outcome {
    let (version, position) = (folded.version, folded.position);
    Outcome { stream: stream.clone(), version, position, events: 0, repeated: false }
}
