//! What a build has put aside, in a record beside the files: whose rows they are, and which parts of the streams they hold. It is written anew with
//! each part, in one step, once the part's files are whole; so a part is there and named with its checksums, or it is not there.
//!
//! Not here: the files themselves (`spill`), when they go (`orphans`).

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::Path;

use reel_events::{LogId, LogPoint, Place};
use reel_projector::RunSettings;
use reel_projector::bulk::FORM;
use reel_projector::ports::{DeadLetter, DeadLetterReason, FailurePolicy};
use reel_read_model::Generation;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::passes::{Beyond, Part};

/// The record's name, and that of the next one while it is written.
pub(super) const RECORD: &str = "build.json";
const NEXT: &str = "build.json.next";

/// A generation as its catalog knows it. Numbers are never used again within a target, but a target of the same name may be another
/// database: then the moment tells them apart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Owner {
    pub(super) target: String,
    pub(super) id: i64,
    pub(super) projection: String,
    pub(super) number: u32,
    /// In microseconds.
    pub(super) created_at: i64,
}

/// All that decides what the rows are, beside the events.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Input {
    form: u32,
    reel: String,
    pub(super) log: LogId,
    digest: String,
    settings: String,
    on_failure: String,
    let_go: Vec<u64>,
}

/// What is put aside of one build.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) owner: Owner,
    pub(super) input: Input,
    pub(super) beyond: Beyond,
    /// How far the events are folded; the same for all parts.
    pub(super) through: LogPoint,
    /// In the order in which they were folded.
    pub(super) parts: Vec<Kept>,
    /// What is still to be folded; the last one is next.
    pub(super) left: Vec<Part>,
}

/// One part whose rows are put aside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Kept {
    pub(super) part: Part,
    pub(super) runs: Vec<Run>,
    /// The dead letters.
    pub(super) letters: Sealed,
}

/// Rows of one table in key order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Run {
    pub(super) table: usize,
    pub(super) rows: usize,
    pub(super) file: Sealed,
}

/// A file that is whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Sealed {
    pub(super) name: String,
    pub(super) bytes: u64,
    pub(super) checksum: String,
}

/// Why what was put aside is of no use.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct Unfit(pub(super) String);

impl Owner {
    pub(super) fn of(target: &str, generation: &Generation) -> Owner {
        let Generation { id, projection, number, created_at, .. } = generation;
        let (projection, created_at) = (projection.clone(), created_at.micros());
        Owner { target: target.to_owned(), id: id.0, projection, number: *number, created_at }
    }

    /// The name of its directory. Who has it is said by the record within.
    pub(super) fn directory(&self) -> String {
        let text = format!("{}\n{}\n{}\n{}", self.target, self.id, self.projection, self.created_at);
        blake3::hash(text.as_bytes()).to_hex()[..32].to_owned()
    }
}

impl Input {
    pub(super) fn of(generation: &Generation, settings: &RunSettings) -> Input {
        let mut let_go: Vec<u64> = settings.let_go.iter().map(|place| place.number()).collect();
        let_go.sort_unstable();
        let on_failure = match settings.on_failure {
            FailurePolicy::Halt => "halt",
            FailurePolicy::Skip => "skip",
            FailurePolicy::Park => "park",
        };
        Input {
            form: FORM,
            reel: env!("CARGO_PKG_VERSION").to_owned(),
            log: generation.log,
            digest: generation.digest.clone(),
            settings: generation.settings.clone(),
            on_failure: on_failure.to_owned(),
            let_go,
        }
    }
}

impl Record {
    /// One of nothing yet.
    pub(super) fn new(owner: Owner, input: Input, beyond: Beyond) -> Record {
        Record { owner, input, beyond, through: LogPoint::START, parts: Vec::new(), left: Vec::new() }
    }

    /// Whether a build that wants `wanted` may go on from this one.
    pub(super) fn check(&self, wanted: &Record) -> Result<(), Unfit> {
        let unfit = |why: &str| Err(Unfit(why.to_owned()));
        if self.owner != wanted.owner {
            return unfit("it is another generation's");
        }
        if self.input.log != wanted.input.log {
            return unfit("it is of another log");
        }
        if self.input != wanted.input {
            return unfit("the component, its settings, the policy or Reel itself were others");
        }
        // What one worker folded of all streams is as good as what several would, if it is all there is.
        let whole = self.beyond == Beyond::End && self.left.is_empty();
        if self.beyond != wanted.beyond && !whole {
            return unfit("it was shared out in another way");
        }
        Ok(())
    }

    /// Reads the record of a directory; nothing where there is none.
    pub(super) fn read(directory: &Path) -> Result<Option<Record>, Unfit> {
        let unread = |error: io::Error| Unfit(format!("its record cannot be read: {error}"));
        let mut text = String::new();
        match File::open(directory.join(RECORD)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened.and_then(|mut file| file.read_to_string(&mut text)).map_err(unread)?,
        };
        let torn = || Unfit("its record is not as it was written".to_owned());
        let (checksum, json) = text.split_once('\n').ok_or_else(torn)?;
        if blake3::hash(json.as_bytes()).to_hex().as_str() != checksum {
            return Err(torn());
        }
        serde_json::from_str(json).map(Some).map_err(|error| Unfit(format!("its record has another form: {error}")))
    }

    /// Puts this record in the place of the one that is there.
    pub(super) fn write(&self, directory: &Path) -> io::Result<()> {
        let json = serde_json::to_string(self)?;
        let mut file = File::create(directory.join(NEXT))?;
        write!(file, "{}\n{json}", blake3::hash(json.as_bytes()).to_hex())?;
        file.sync_all()?;
        fs::rename(directory.join(NEXT), directory.join(RECORD))?;
        sync_directory(directory)
    }

    /// Whether it names a file.
    pub(super) fn names(&self, name: &str) -> bool {
        let runs = self.parts.iter().flat_map(|part| part.runs.iter().map(|run| &run.file));
        name == RECORD || runs.chain(self.parts.iter().map(|part| &part.letters)).any(|file| file.name == name)
    }
}

/// A name that was given in a directory stays given.
fn sync_directory(directory: &Path) -> io::Result<()> {
    // Elsewhere a directory cannot be opened as a file.
    if cfg!(unix) { File::open(directory)?.sync_all() } else { Ok(()) }
}

/// A dead letter as it is put aside.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Letter {
    position: u64,
    event: Uuid,
    stream: String,
    kind: String,
    reason: Reason,
    code: String,
    message: String,
    original: Option<String>,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
enum Reason {
    Skipped,
    Parked,
    Held,
}

impl From<&DeadLetter> for Letter {
    fn from(letter: &DeadLetter) -> Letter {
        let reason = match letter.reason {
            DeadLetterReason::Skipped => Reason::Skipped,
            DeadLetterReason::Parked => Reason::Parked,
            DeadLetterReason::Held => Reason::Held,
        };
        Letter {
            position: letter.position.number(),
            event: letter.event,
            stream: letter.stream.clone(),
            kind: letter.kind.clone(),
            reason,
            code: letter.code.clone(),
            message: letter.message.clone(),
            original: letter.original.clone(),
        }
    }
}

impl From<Letter> for DeadLetter {
    fn from(letter: Letter) -> DeadLetter {
        let reason = match letter.reason {
            Reason::Skipped => DeadLetterReason::Skipped,
            Reason::Parked => DeadLetterReason::Parked,
            Reason::Held => DeadLetterReason::Held,
        };
        DeadLetter {
            position: Place::from_number(letter.position),
            event: letter.event,
            stream: letter.stream,
            kind: letter.kind,
            reason,
            code: letter.code,
            message: letter.message,
            original: letter.original,
        }
    }
}
