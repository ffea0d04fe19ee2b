//! What a seed stands for: which commits are sent when and to whom, and what goes wrong when. And the way from a scenario that
//! fails to a short one.

use std::fmt;

use reel_events::StreamId;
use uuid::Uuid;

use super::schedule::Dice;
use crate::store::{
    ExpectedVersion, IdOrigin,
    mongodb::protocol::{EventIds, Wanted},
};

pub(crate) const WRITERS: u64 = 3;
const STREAMS: u64 = 3;
/// When the last fault happens at the latest; afterwards everything must come to rest.
pub(crate) const FAULTS_END: u64 = 400_000;

/// A commit that a client sends.
#[derive(Debug, Clone)]
pub(crate) struct Command {
    pub(crate) at: u64,
    pub(crate) writer: usize,
    pub(crate) wanted: Wanted,
}

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Another primary, which holds this part (in percent) of what a majority does not.
    FailOver { keeps: u64 },
    /// A writer's process dies and starts again: it has forgotten everything.
    Crash { writer: usize },
    /// A writer does nothing for so many microseconds, and then goes on as if nothing were.
    Pause { writer: usize, lasts: u64 },
    /// Nothing is replicated for so many microseconds.
    NoMajority { lasts: u64 },
}

#[derive(Debug, Clone)]
pub(crate) struct Scenario {
    pub(crate) seed: u64,
    pub(crate) commands: Vec<Command>,
    pub(crate) faults: Vec<(u64, Fault)>,
    /// What the server's unique index does.
    pub(crate) event_ids: EventIds,
}

impl Scenario {
    pub(crate) fn of(seed: u64) -> Scenario {
        let mut dice = Dice::new(seed);
        let mut commands: Vec<Command> = Vec::new();
        for _ in 0..6 + dice.below(14) {
            let command = command(&mut dice, &commands);
            commands.push(command);
        }
        let faults = (0..dice.below(7)).map(|_| (dice.below(FAULTS_END), fault(&mut dice))).collect();
        let event_ids = if dice.chance(50) { EventIds::Indexed } else { EventIds::LookedUp };
        Scenario { seed, commands, faults, event_ids }
    }
}

fn command(dice: &mut Dice, earlier: &[Command]) -> Command {
    let (at, writer) = (dice.below(FAULTS_END / 2), dice.below(WRITERS) as usize);
    let again = (!earlier.is_empty()).then(|| earlier[dice.below(earlier.len() as u64) as usize].wanted.clone());
    let wanted = match again {
        // The same request once more; or another one under the same id.
        Some(wanted) if dice.chance(15) => wanted,
        Some(wanted) if dice.chance(5) => Wanted { digest: [1; 32], ..wanted },
        again => {
            let mut event_ids: Vec<Uuid> = (0..1 + dice.below(3)).map(|_| id(dice)).collect();
            let mut ids = if dice.chance(50) { IdOrigin::Fresh } else { IdOrigin::Given };
            // Fresh ids are told nobody.
            if let Some(again) = again.filter(|again| again.ids == IdOrigin::Given && dice.chance(12)) {
                (event_ids[0], ids) = (again.event_ids[0], IdOrigin::Given);
            }
            let stream = StreamId::new(&format!("s-{}", dice.below(STREAMS))).expect("it has a category and a key");
            let expected = if dice.chance(50) { ExpectedVersion::Any } else { ExpectedVersion::Exactly(dice.below(6)) };
            Wanted { id: id(dice), stream, expected, digest: [0; 32], ids, event_ids }
        }
    };
    Command { at, writer, wanted }
}

fn id(dice: &mut Dice) -> Uuid {
    Uuid::from_u64_pair(dice.next(), dice.next())
}

fn fault(dice: &mut Dice) -> Fault {
    let writer = dice.below(WRITERS) as usize;
    match dice.below(6) {
        0..=2 => Fault::FailOver { keeps: dice.below(101) },
        3 => Fault::Crash { writer },
        4 => Fault::Pause { writer, lasts: dice.below(100_000) },
        _ => Fault::NoMajority { lasts: dice.below(80_000) },
    }
}

/// Leaves out commands and faults as long as what is left still fails.
pub(crate) fn shrink(mut scenario: Scenario, fails: impl Fn(&Scenario) -> bool) -> Scenario {
    loop {
        let parts = scenario.commands.len() + scenario.faults.len();
        let shorter = (0..parts).map(|left_out| without(&scenario, left_out)).find(&fails);
        match shorter {
            Some(shorter) => scenario = shorter,
            None => return scenario,
        }
    }
}

fn without(scenario: &Scenario, left_out: usize) -> Scenario {
    let mut shorter = scenario.clone();
    match left_out.checked_sub(scenario.commands.len()) {
        Some(fault) => drop(shorter.faults.remove(fault)),
        None => drop(shorter.commands.remove(left_out)),
    }
    shorter
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "  event ids: {:?}", self.event_ids)?;
        for Command { at, writer, wanted } in &self.commands {
            let Wanted { id, stream, expected, event_ids, ids, .. } = wanted;
            writeln!(
                f,
                "  {at:>7} µs  writer {writer} is sent {id}: {} events on {stream}, {expected:?}, ids {ids:?}",
                event_ids.len()
            )?;
        }
        for (at, fault) in &self.faults {
            writeln!(f, "  {at:>7} µs  {fault:?}")?;
        }
        Ok(())
    }
}
