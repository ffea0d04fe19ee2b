//! The moments at which a Reel is killed, and how often it was killed at which.

use std::collections::BTreeMap;
use std::fmt;

use crate::place::Entry;

/// What a Reel is at when it is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Moment {
    /// A build reads and folds history.
    Reading,
    /// A build folds its second part of the streams, or a later one.
    LaterPart,
    /// A build writes rows.
    Loading,
    /// A build makes keys and indexes.
    Indexing,
    /// A generation applies what came during its build.
    CatchingUp,
    /// A generation that is ready is about to go live by itself.
    GoingLive,
    /// An operator's promote is not answered yet.
    Promote,
    /// A rollback is not answered yet.
    Rollback,
    /// A generation's drop is not answered yet.
    Drop,
    /// A build's cancel is not answered yet.
    Cancel,
    /// Whatever it is at.
    Anywhere,
}

impl Moment {
    /// All that every build has.
    pub const ALL: [Moment; 10] = [
        Moment::Reading,
        Moment::Loading,
        Moment::Indexing,
        Moment::CatchingUp,
        Moment::GoingLive,
        Moment::Promote,
        Moment::Rollback,
        Moment::Drop,
        Moment::Cancel,
        Moment::Anywhere,
    ];

    /// What builds are at that fold part by part.
    pub const IN_PARTS: [Moment; 6] =
        [Moment::LaterPart, Moment::Loading, Moment::Reading, Moment::LaterPart, Moment::Cancel, Moment::Anywhere];

    fn name(self) -> &'static str {
        match self {
            Moment::Reading => "reading",
            Moment::LaterPart => "reading a later part",
            Moment::Loading => "loading",
            Moment::Indexing => "indexing",
            Moment::CatchingUp => "catching up",
            Moment::GoingLive => "going live",
            Moment::Promote => "promote",
            Moment::Rollback => "rollback",
            Moment::Drop => "drop",
            Moment::Cancel => "cancel",
            Moment::Anywhere => "anywhere",
        }
    }
}

/// A kill: what the Reel was at as far as could be seen right before.
#[derive(Debug)]
pub(super) struct Hit {
    moment: Moment,
    /// The generation that it was about, by its number.
    of: i64,
    /// Its state, as the kill left it.
    left: Option<String>,
}

impl Hit {
    pub(super) fn new(moment: Moment, of: i64) -> Hit {
        Hit { moment, of, left: None }
    }

    /// With what the catalog says once it is killed, before anybody goes on.
    pub(super) fn settled(mut self, entries: &[Entry]) -> Hit {
        self.left = entries.iter().find(|entry| entry.number == self.of).map(|entry| entry.state.clone());
        self
    }

    /// Whether a build was killed that has put something aside, and is to go on.
    pub(super) fn left_parts(&self) -> bool {
        self.moment == Moment::LaterPart && self.left.as_deref() == Some("build")
    }

    /// Whether what was not answered had been done.
    fn had_effect(&self) -> bool {
        let left = self.left.as_deref();
        match self.moment {
            Moment::GoingLive | Moment::Promote => left == Some("live"),
            Moment::Rollback => left != Some("live"),
            Moment::Drop | Moment::Cancel => matches!(left, None | Some("dropped" | "cancelled")),
            _ => false,
        }
    }
}

impl fmt::Display for Hit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.moment.name())?;
        match &self.left {
            Some(state) => write!(f, " of posts@{}, left in state {state}", self.of),
            None => Ok(()),
        }
    }
}

/// How many kills fell into which moment.
#[derive(Debug, Default)]
pub struct Tally {
    /// And after how many of them what was not answered had been done.
    kills: BTreeMap<Moment, (u32, u32)>,
}

impl Tally {
    pub(super) fn count(&mut self, hit: &Hit) {
        let (kills, effects) = self.kills.entry(hit.moment).or_default();
        *kills += 1;
        *effects += u32::from(hit.had_effect());
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all: u32 = self.kills.values().map(|(kills, _)| kills).sum();
        write!(f, "{all} kills")?;
        for (moment, (kills, effects)) in &self.kills {
            write!(f, ", {kills} {}", moment.name())?;
            if *effects > 0 {
                write!(f, " ({effects} had taken effect)")?;
            }
        }
        Ok(())
    }
}
