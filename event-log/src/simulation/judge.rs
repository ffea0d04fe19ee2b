//! What must hold: while the run goes on, of what readers see; and in the end, of what clients were told.

use std::collections::{HashMap, HashSet};

use reel_events::StreamId;
use uuid::Uuid;

use super::{scenario::Command, server::Stored};
use crate::store::{AppendError, Appended, mongodb::protocol::Answer};

/// What did not hold.
pub(crate) type Violation = String;

/// A reader who looks at the log again and again.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    /// Commits in order of position.
    seen: Vec<(Uuid, u64)>,
    next: u64,
}

impl Reader {
    /// Reads what a majority holds. Who has seen a position never sees anything new at or below it, and no position is left out.
    pub(crate) fn read(&mut self, visible: &[Stored]) -> Result<(), Violation> {
        let mut log: Vec<&Stored> = visible.iter().collect();
        log.sort_by_key(|stored| stored.place.first_position);
        for (nth, (id, position)) in self.seen.iter().enumerate() {
            if log.get(nth).is_none_or(|stored| stored.id != *id || stored.place.first_position != *position) {
                return Err(format!("what was seen at position {position} is not there any more, or came later"));
            }
        }
        for stored in &log[self.seen.len()..] {
            let expected = self.next.max(1);
            if stored.place.first_position != expected {
                return Err(format!(
                    "a hole: position {} follows where {expected} should",
                    stored.place.first_position
                ));
            }
            self.next = stored.place.last_position() + 1;
            self.seen.push((stored.id, stored.place.first_position));
        }
        Ok(())
    }
}

/// Holds what clients were told against the log in the end.
pub(crate) fn judge(log: &[Stored], commands: &[Command], told: &[(usize, Answer)]) -> Result<(), Violation> {
    versions_follow_on(log)?;
    time_does_not_go_back(log)?;
    nothing_is_there_twice(log)?;
    let by_id: HashMap<Uuid, &Stored> = log.iter().map(|stored| (stored.id, stored)).collect();
    for (nth, answer) in told {
        let wanted = &commands[*nth].wanted;
        let stored = by_id.get(&wanted.id);
        match answer {
            Ok(appended) => {
                let place = stored.map(|stored| stored.place);
                if place != Some(Appended { repeated: false, ..*appended }) {
                    return Err(format!("{} was acknowledged at {appended:?}, but stands at {place:?}", wanted.id));
                }
                if stored.is_some_and(|stored| stored.digest != wanted.digest) {
                    return Err(format!("{} was acknowledged, but is another request", wanted.id));
                }
            }
            Err(AppendError::Conflict { expected, actual, .. }) if actual > expected && stored.is_some() => {
                return Err(format!("{} was refused for good, but is in the log", wanted.id));
            }
            Err(AppendError::CommitReused { .. }) if stored.is_none_or(|stored| stored.digest == wanted.digest) => {
                return Err(format!("{} was taken for another request, which is not there", wanted.id));
            }
            Err(_) => {}
        }
    }
    let answered: HashSet<usize> = told.iter().map(|(nth, _)| *nth).collect();
    match (0..commands.len()).find(|nth| !answered.contains(nth)) {
        Some(nth) => Err(format!("{} never got an answer", commands[nth].wanted.id)),
        None => Ok(()),
    }
}

fn versions_follow_on(log: &[Stored]) -> Result<(), Violation> {
    let mut log: Vec<&Stored> = log.iter().collect();
    log.sort_by_key(|stored| stored.place.first_position);
    let mut versions: HashMap<&StreamId, u64> = HashMap::new();
    for stored in log {
        let last = versions.entry(&stored.stream).or_default();
        if stored.place.first_version != *last + 1 {
            return Err(format!("version {} of {} follows {last}", stored.place.first_version, stored.stream));
        }
        *last = stored.place.last_version();
    }
    Ok(())
}

/// Whatever the writers' clocks say.
fn time_does_not_go_back(log: &[Stored]) -> Result<(), Violation> {
    let mut log: Vec<&Stored> = log.iter().collect();
    log.sort_by_key(|stored| stored.place.first_position);
    match log.windows(2).find(|pair| pair[1].place.recorded_at < pair[0].place.recorded_at) {
        Some(pair) => Err(format!("position {} is older than what is before it", pair[1].place.first_position)),
        None => Ok(()),
    }
}

fn nothing_is_there_twice(log: &[Stored]) -> Result<(), Violation> {
    let (mut commits, mut events) = (HashSet::new(), HashSet::new());
    for stored in log {
        if !commits.insert(stored.id) || !stored.events.iter().all(|event| events.insert(*event)) {
            return Err(format!("{}, or one of its events, is in the log twice", stored.id));
        }
    }
    Ok(())
}
