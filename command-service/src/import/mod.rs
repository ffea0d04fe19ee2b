//! Importing CloudEvents JSON Lines: one commit an event, in the order of the lines, in groups of many; while one group is being
//! stored the next is read. An event that is in the log already is not taken twice, so a file can be sent again from its start.
//!
//! Not here: HTTP, and the form of a CloudEvent (`events`).

mod lines;

use std::sync::Arc;

use reel_event_log::{AppendError, Appended, EventStore, ExpectedVersion, IdOrigin, Limits, NewCommit};
use reel_events::{
    NewEvent, StreamId,
    cloud_events::{CloudEventError, json},
};
use tokio::task::JoinHandle;
use uuid::Uuid;

use lines::{Lines, TooLong};

/// Commits that are stored together.
const GROUP_COMMITS: usize = 2_000;
/// Bytes that are stored together, but for one event more.
const GROUP_BYTES: usize = 4 << 20;
/// How much is read before a look at whether the group is full.
const PIECE_BYTES: usize = 64 << 10;
/// Turns an event's id into the id of the commit it is imported with, so that it clashes with no idempotency key. Never to be
/// changed: what was imported before would be unknown.
const COMMITS: Uuid = Uuid::from_u128(0x9d0b_61c7_2f34_4e58_b7a1_50c8_e66d_1432);

/// How far an import came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Progress {
    /// Events that are in the log now and were not before.
    pub(crate) imported: u64,
    /// Events that were in the log before.
    pub(crate) already: u64,
    /// Lines read and kept, empty ones included.
    pub(crate) lines: u64,
    /// The greatest position of those events, as far as the store told it; else 0.
    pub(crate) last_position: u64,
}

/// Where an import ended early, and why. All lines before it are kept.
#[derive(Debug)]
pub(crate) struct Fault {
    /// Number of the line.
    pub(crate) line: u64,
    /// What is wrong with it.
    pub(crate) reason: Reason,
}

/// What is wrong with a line.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Reason {
    /// It cannot be read in bounded memory.
    #[error("the line is longer than the {limit} bytes that are taken")]
    TooLong {
        /// The most bytes that are taken.
        limit: usize,
    },
    /// It is no event.
    #[error(transparent)]
    NoEvent(#[from] CloudEventError),
    /// The store did not take it.
    #[error(transparent)]
    Append(#[from] AppendError),
}

/// Takes bytes, keeps events. After a fault it takes no more.
pub(crate) struct Importer {
    store: Arc<dyn EventStore>,
    first_line: u64,
    line_bytes: usize,
    lines: Lines,
    group: Group,
    in_flight: Option<InFlight>,
    progress: Progress,
}

/// Commits that are stored together, and the lines they come from.
struct Group {
    commits: Vec<NewCommit>,
    lines: Vec<u64>,
    bytes: usize,
    limits: Limits,
}

struct InFlight {
    lines: Vec<u64>,
    answers: JoinHandle<Vec<Result<Appended, AppendError>>>,
}

impl Importer {
    /// An import whose first line has the number `first_line`; none may be longer than `line_bytes`.
    pub(crate) fn new(store: Arc<dyn EventStore>, first_line: u64, line_bytes: usize) -> Importer {
        let group = Group::new(store.limits());
        let (lines, progress) = (Lines::new(first_line, line_bytes), Progress::default());
        Importer { store, first_line, line_bytes, lines, group, in_flight: None, progress }
    }

    /// How far it came; complete after [`Importer::finish`].
    pub(crate) fn progress(&self) -> Progress {
        self.progress
    }

    /// Takes the next bytes.
    pub(crate) async fn take(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        for piece in bytes.chunks(PIECE_BYTES) {
            let group = &mut self.group;
            let taken = self.lines.feed(piece, |number, line| group.add(number, line));
            self.end_on_fault(taken).await?;
            if self.group.is_full() {
                self.send().await?;
            }
        }
        Ok(())
    }

    /// Keeps what has come so far, and what it was is told by [`Importer::progress`].
    pub(crate) async fn finish(&mut self) -> Result<(), Fault> {
        let group = &mut self.group;
        let taken = self.lines.finish(|number, line| group.add(number, line));
        self.end_on_fault(taken).await?;
        self.keep_all().await?;
        self.progress.lines = self.lines.next_number() - self.first_line;
        Ok(())
    }

    /// Keeps all complete lines; a line that has no end yet is forgotten.
    pub(crate) async fn keep_all(&mut self) -> Result<(), Fault> {
        self.send().await?;
        self.settle().await?;
        self.progress.lines = self.lines.next_number() - self.first_line;
        Ok(())
    }

    /// Before a line at fault is told of, all lines before it are kept; one of them that is not comes first.
    async fn end_on_fault(&mut self, taken: Result<(), LineFault>) -> Result<(), Fault> {
        let Err(fault) = taken else { return Ok(()) };
        self.keep_all().await?;
        Err(match fault {
            LineFault::TooLong(TooLong { line }) => Fault { line, reason: Reason::TooLong { limit: self.line_bytes } },
            LineFault::Refused(fault) => *fault,
        })
    }

    /// Sends the group to the store as soon as the one before is there.
    async fn send(&mut self) -> Result<(), Fault> {
        self.settle().await?;
        if self.group.commits.is_empty() {
            return Ok(());
        }
        let Group { commits, lines, .. } = self.group.replace();
        let store = Arc::clone(&self.store);
        let answers = tokio::spawn(async move { store.append_all(commits).await });
        self.in_flight = Some(InFlight { lines, answers });
        Ok(())
    }

    /// Waits for the group that is on its way, and counts.
    async fn settle(&mut self) -> Result<(), Fault> {
        let Some(InFlight { lines, answers }) = self.in_flight.take() else {
            return Ok(());
        };
        let answers = answers.await.expect("the store neither panics nor is it cancelled while it runs");
        let (mut first_fault, before) = (None, self.progress.imported);
        for (line, answer) in lines.into_iter().zip(answers) {
            if let Err(error) = self.count(answer) {
                let reason = error.into();
                first_fault.get_or_insert(Fault { line, reason });
            }
        }
        metrics::counter!("reel_events_appended_total").increment(self.progress.imported - before);
        let Some(fault) = first_fault else { return Ok(()) };
        self.progress.lines = fault.line - self.first_line;
        Err(fault)
    }

    fn count(&mut self, answer: Result<Appended, AppendError>) -> Result<(), AppendError> {
        match answer {
            Ok(appended) => {
                let counter = if appended.repeated { &mut self.progress.already } else { &mut self.progress.imported };
                *counter += 1;
                self.progress.last_position = self.progress.last_position.max(appended.last_position());
                Ok(())
            }
            // It came in by another way than import, perhaps in a commit with others: exported from here, and sent back.
            Err(AppendError::EventExists { .. }) => {
                self.progress.already += 1;
                Ok(())
            }
            Err(error) => Err(error),
        }
    }
}

enum LineFault {
    TooLong(TooLong),
    Refused(Box<Fault>),
}

impl From<TooLong> for LineFault {
    fn from(fault: TooLong) -> LineFault {
        LineFault::TooLong(fault)
    }
}

impl Group {
    fn new(limits: Limits) -> Group {
        let (commits, lines) = (Vec::with_capacity(GROUP_COMMITS), Vec::with_capacity(GROUP_COMMITS));
        Group { commits, lines, bytes: 0, limits }
    }

    fn replace(&mut self) -> Group {
        std::mem::replace(self, Group::new(self.limits))
    }

    fn is_full(&self) -> bool {
        self.commits.len() >= GROUP_COMMITS || self.bytes >= GROUP_BYTES
    }

    fn add(&mut self, number: u64, line: &[u8]) -> Result<(), LineFault> {
        let text = line.trim_ascii();
        if text.is_empty() {
            return Ok(());
        }
        let refused = |reason: Reason| LineFault::Refused(Box::new(Fault { line: number, reason }));
        let received = json::read(text).map_err(|error| refused(error.into()))?;
        // The store would refuse it as well, but might by then have taken later events of its stream.
        let bytes = self.size(&received.event).map_err(|error| refused(error.into()))?;
        self.commits.push(commit(received.stream, received.event));
        self.lines.push(number);
        self.bytes += bytes;
        Ok(())
    }

    fn size(&self, event: &NewEvent) -> Result<usize, AppendError> {
        let bytes = event.payload.as_str().len() + event.metadata.as_str().len();
        let limit = self.limits.event_bytes.min(self.limits.commit_bytes);
        if bytes <= limit {
            Ok(bytes)
        } else {
            Err(AppendError::TooLarge { what: "the event".to_owned(), bytes, limit })
        }
    }
}

fn commit(stream: StreamId, event: NewEvent) -> NewCommit {
    let id = Uuid::new_v5(&COMMITS, event.id.as_bytes());
    let digest = digest(&stream, &event);
    NewCommit { id, stream, expected: ExpectedVersion::Any, digest, ids: IdOrigin::Given, events: vec![event] }
}

/// Of what an event says. Time and metadata are left out: an event without a time has got one when it comes back from an
/// export.
fn digest(stream: &StreamId, event: &NewEvent) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    for part in [stream.as_str(), event.kind.as_str()] {
        // Neither can hold a control character.
        hasher.update(part.as_bytes()).update(b"\0");
    }
    hasher.update(&event.schema.to_le_bytes()).update(event.payload.as_str().as_bytes());
    *hasher.finalize().as_bytes()
}
