//! Which fault comes next. Pure: dice in, a fault out.

use std::fmt;

use crate::dice::Dice;

/// How often the partitions are doubled at most before the topic is made again: each shard is a task in every generation.
const DOUBLINGS: u32 = 3;

/// Something that goes wrong, or is changed by others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// A process or a server is hit.
    Hit(Victim, How),
    /// One more host.
    HostJoins,
    /// The host that joined is asked to end.
    HostLeaves,
    /// The topic is deleted; the relay makes it again.
    TopicDeleted,
    /// The topic's partitions are doubled.
    TopicDoubled,
}

/// Who is hit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Victim {
    Host(usize),
    CommandService(usize),
    /// The command service whose relay leads.
    Leader,
    Broker,
    MongoDb,
    ReadDatabase,
}

/// By what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum How {
    /// SIGKILL; started again after a moment.
    Killed,
    /// SIGSTOP for ten seconds.
    Stopped,
    /// SIGTERM; started again when it has ended.
    Restarted,
}

/// Draws faults.
#[derive(Debug, Default)]
pub(super) struct Planner {
    doublings: u32,
}

impl Planner {
    /// The next fault.
    pub(super) fn next(&mut self, dice: &mut Dice) -> Fault {
        let nth = dice.below(2) as usize;
        let victim = match dice.below(100) {
            0..20 => Victim::Host(nth),
            20..32 => Victim::CommandService(nth),
            32..46 => Victim::Leader,
            46..57 => Victim::Broker,
            57..68 => Victim::MongoDb,
            68..79 => Victim::ReadDatabase,
            79..86 => return Fault::HostJoins,
            86..91 => return Fault::HostLeaves,
            91..95 => {
                self.doublings = 0;
                return Fault::TopicDeleted;
            }
            _ if self.doublings < DOUBLINGS => {
                self.doublings += 1;
                return Fault::TopicDoubled;
            }
            _ => Victim::Host(nth),
        };
        let how = [How::Killed, How::Stopped, How::Restarted][dice.below(3) as usize];
        Fault::Hit(victim, how)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Hit(victim, how) => write!(f, "{victim} is {how}"),
            Fault::HostJoins => f.write_str("a host joins"),
            Fault::HostLeaves => f.write_str("a host leaves"),
            Fault::TopicDeleted => f.write_str("the topic is deleted"),
            Fault::TopicDoubled => f.write_str("the topic's partitions are doubled"),
        }
    }
}

impl fmt::Display for Victim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Victim::Host(nth) => write!(f, "host {}", nth + 1),
            Victim::CommandService(nth) => write!(f, "command service {}", nth + 1),
            Victim::Leader => f.write_str("the relay's leader"),
            Victim::Broker => f.write_str("the broker"),
            Victim::MongoDb => f.write_str("MongoDB's server"),
            Victim::ReadDatabase => f.write_str("the read database"),
        }
    }
}

impl fmt::Display for How {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            How::Killed => "killed",
            How::Stopped => "stopped for ten seconds",
            How::Restarted => "restarted",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(seed: u64) -> Vec<Fault> {
        let (mut planner, mut dice) = (Planner::default(), Dice::of(seed));
        (0..2_000).map(|_| planner.next(&mut dice)).collect()
    }

    #[test]
    fn a_seed_decides_every_fault_and_all_kinds_come() {
        assert_eq!(drawn(7), drawn(7));
        assert_ne!(drawn(7), drawn(8));
        let faults = drawn(7);
        for victim in [
            Victim::Host(0),
            Victim::Host(1),
            Victim::CommandService(0),
            Victim::CommandService(1),
            Victim::Leader,
            Victim::Broker,
            Victim::MongoDb,
            Victim::ReadDatabase,
        ] {
            for how in [How::Killed, How::Stopped, How::Restarted] {
                assert!(faults.contains(&Fault::Hit(victim, how)), "{victim} {how}");
            }
        }
        assert!(faults.contains(&Fault::HostJoins) && faults.contains(&Fault::HostLeaves));
    }

    #[test]
    fn partitions_are_doubled_three_times_at_most_between_deletions() {
        let (mut doubled, mut most) = (0, 0);
        for fault in drawn(3) {
            match fault {
                Fault::TopicDeleted => doubled = 0,
                Fault::TopicDoubled => doubled += 1,
                _ => {}
            }
            most = most.max(doubled);
        }
        assert_eq!(most, DOUBLINGS);
    }
}
