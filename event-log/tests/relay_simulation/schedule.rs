//! Schedules: drawn from a seed, and made as short as they still fail.

use crate::world::{HOSTS, RELAYS};

/// One thing that happens. What cannot happen does nothing, so that any part of a schedule is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    /// An event of this stream is appended.
    Append(u8),
    /// Time passes, in milliseconds.
    Pass(u16),
    /// A relay has its turn.
    Relay(usize),
    /// Messages of a relay arrive.
    Deliver { relay: usize, partition: usize, count: usize },
    /// Messages of a dead relay, or of an earlier term, arrive.
    Haunt { partition: usize, count: usize },
    /// A host has its turn.
    Host(usize),
    /// A relay dies; another starts in its place.
    KillRelay(usize),
    /// A relay sleeps for so many milliseconds.
    PauseRelay(usize, u16),
    /// A relay's producer fails.
    FailRelay(usize),
    /// Two messages of a relay change places.
    Reorder { relay: usize, partition: usize },
    /// A host dies, with what it had not committed.
    KillHost(usize),
    /// A host sleeps for so many milliseconds.
    PauseHost(usize, u16),
    /// The shards are shared out anew.
    Rebalance(u64),
    /// A partition loses its last messages.
    Lose { partition: usize, count: usize },
    /// The topic is deleted.
    Delete,
    /// The topic gets twice as many partitions.
    Double,
}

/// Numbers that only depend on a seed.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Dice {
        Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(1))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `limit`.
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }
}

/// The schedule of a seed. How many faults it has differs from seed to seed.
pub(crate) fn draw(seed: u64, length: usize) -> Vec<Action> {
    let mut dice = Dice::new(seed);
    let calm = 2 + dice.below(30);
    (0..length).map(|_| if dice.below(calm) == 0 { fault(&mut dice) } else { work(&mut dice) }).collect()
}

fn work(dice: &mut Dice) -> Action {
    match dice.below(16) {
        0 | 1 => Action::Append(dice.below(8) as u8),
        2 | 3 => Action::Pass(dice.below(200) as u16),
        4..=7 => Action::Relay(dice.below(RELAYS)),
        8..=11 => Action::Deliver { relay: dice.below(RELAYS), partition: dice.below(4), count: 1 + dice.below(4) },
        _ => Action::Host(dice.below(HOSTS)),
    }
}

fn fault(dice: &mut Dice) -> Action {
    match dice.below(15) {
        0 => Action::KillRelay(dice.below(RELAYS)),
        1 | 2 => Action::PauseRelay(dice.below(RELAYS), dice.below(6_000) as u16),
        3 => Action::FailRelay(dice.below(RELAYS)),
        4 => Action::Reorder { relay: dice.below(RELAYS), partition: dice.below(4) },
        5 | 6 => Action::Haunt { partition: dice.below(4), count: 1 + dice.below(5) },
        7 => Action::KillHost(dice.below(HOSTS)),
        8 => Action::PauseHost(dice.below(HOSTS), dice.below(6_000) as u16),
        9 | 10 => Action::Rebalance(dice.next()),
        11 => Action::Lose { partition: dice.below(4), count: 1 + dice.below(6) },
        12 => Action::Delete,
        13 => Action::Double,
        _ => Action::Pass(dice.below(5_000) as u16),
    }
}

/// Leaves out what is not needed for a failure: halves, quarters, at last single actions.
pub(crate) fn shortest(mut actions: Vec<Action>, fails: impl Fn(&[Action]) -> Option<String>) -> (Vec<Action>, String) {
    let mut why = fails(&actions).unwrap();
    let mut size = actions.len().div_ceil(2);
    while size > 0 {
        let (mut at, mut shortened) = (0, false);
        while at < actions.len() {
            let mut fewer = actions.clone();
            fewer.drain(at..(at + size).min(actions.len()));
            match fails(&fewer) {
                Some(reason) => (actions, why, shortened) = (fewer, reason, true),
                None => at += size,
            }
        }
        if !shortened || size > 1 {
            size /= 2;
        }
    }
    (actions, why)
}
