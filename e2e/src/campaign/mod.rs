//! The fault campaign: all processes on servers of their own, commands from many writers, and whatever can die dies, by a seed. Afterwards
//! everything that was acknowledged must be in the log exactly once, and every row as an independent fold of the log makes it; and nobody
//! did anything by hand. Or nothing dies: then generations are replayed and gone back to under readers, and nobody may be refused anything.
//!
//! | part | is |
//! |---|---|
//! | `plan` | which fault comes next (pure) |
//! | `faults` | carries a fault out, and mends it |
//! | `journey` | what is done instead where nothing is to fail |
//! | `servers` (with `target`), `processes`, `topic` | what faults happen to |
//! | `writers` | who gives commands, and remembers what was answered |
//! | `readers` | who reads while nothing fails, and believes nothing |
//! | `judge` | holds log and rows against what was answered |

mod chronicle;
mod faults;
mod journey;
mod judge;
mod plan;
mod processes;
mod readers;
mod servers;
mod target;
mod topic;
mod writers;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::task::{JoinSet, LocalSet, spawn_local};

use self::chronicle::Chronicle;
use self::faults::Field;
use self::plan::Planner;
use self::processes::Processes;
use self::readers::Readers;
use self::servers::Servers;
pub use self::target::Target;
use self::writers::Writers;
use crate::dice::Dice;

/// What a campaign is to do.
#[derive(Debug, Clone, Copy)]
pub struct Campaign {
    /// Decides which faults come when, and what is written.
    pub seed: u64,
    /// Where the rows are.
    pub target: Target,
    /// What happens to all of it,
    pub course: Course,
    /// and for how long at most.
    pub most: Duration,
    /// What becomes of everything where something does not hold.
    pub failed: Failed,
}

/// What happens in a campaign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Course {
    /// Faults, until there were so many.
    Faults(u32),
    /// None: replays and rollbacks, under sixteen readers.
    Journey,
}

/// What becomes of processes and servers when a campaign has failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failed {
    /// They end.
    Ends,
    /// They go on, to be looked at, until the campaign is interrupted.
    GoesOn,
}

/// What a campaign came to.
#[derive(Debug)]
pub struct Summary {
    /// What happened on its course.
    pub happened: Happened,
    /// Commands that were acknowledged.
    pub acknowledged: usize,
    /// Events in the log.
    pub events: u64,
    /// How long it took until all was current, once the last fault was mended.
    pub quiet_after: Duration,
}

/// What happened on the course of a campaign.
#[derive(Debug, Clone, Copy)]
pub enum Happened {
    /// So many faults.
    Faults(u32),
    /// So often another generation went live, and so many reads were answered.
    Journey {
        /// How often another generation went live.
        flips: u32,
        /// How many reads were answered.
        reads: u64,
    },
}

impl fmt::Display for Happened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Happened::Faults(faults) => write!(f, "{faults} faults"),
            Happened::Journey { flips, reads } => write!(f, "{flips} flips, {reads} reads"),
        }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Summary { happened, acknowledged, events, quiet_after } = self;
        let quiet = quiet_after.as_secs_f64();
        write!(f, "{happened}, {acknowledged} commands acknowledged, {events} events, quiet after {quiet:.1} s")
    }
}

impl Campaign {
    /// Runs to its end. What happens is told on stderr, with times.
    ///
    /// # Errors
    /// What did not hold, with the seed and the log of faults.
    pub async fn run(self) -> Result<Summary, String> {
        let chronicle = Arc::new(Chronicle::new());
        let told = Arc::clone(&chronicle);
        // A task of its own: whatever panics in it, the seed and the faults are told.
        let local = LocalSet::new();
        let ran = local.run_until(async move { spawn_local(self.go(told)).await }).await;
        let why = match ran {
            Ok(Ok(summary)) => return Ok(summary),
            Ok(Err(why)) => why,
            Err(panicked) => panicked.to_string(),
        };
        Err(format!("{why}\n\n--seed {} failed, after these faults:\n{}", self.seed, chronicle.whole()))
    }

    async fn go(self, chronicle: Arc<Chronicle>) -> Result<Summary, String> {
        let mut dice = Dice::of(self.seed);
        let servers = Arc::new(Servers::start(self.target, &mut dice).await);
        let processes = Arc::new(Processes::start(&servers, &chronicle, &mut dice).await);
        let writers = Writers::start(&processes, &mut dice);
        let field = Field {
            servers: Arc::clone(&servers),
            processes: Arc::clone(&processes),
            chronicle: Arc::clone(&chronicle),
        };
        let outcome = match self.course {
            Course::Faults(most) => self.rage(most, field, &writers, &mut dice).await.map(Happened::Faults),
            Course::Journey => self.journey(&processes, &writers, (&chronicle, &mut dice)).await,
        };
        let outcome = match outcome {
            Ok(happened) => self.judge(happened, &processes, (writers, &chronicle)).await,
            Err(why) => Err(why),
        };
        if let Err(why) = &outcome {
            chronicle.say(&format!("the processes' logs are in {}", processes.keep_logs().display()));
            if self.failed == Failed::GoesOn {
                chronicle.say(&format!("{why}\n{processes}\nall goes on until it is interrupted"));
                std::future::pending::<()>().await;
            }
        }
        // Only now are they gone.
        drop(servers);
        outcome
    }

    /// Lets faults happen until there were enough, and mends all of them; how many there were.
    async fn rage(self, most: u32, field: Field, writers: &Writers, dice: &mut Dice) -> Result<u32, String> {
        let (mut planner, began) = (Planner::default(), Instant::now());
        let field = Arc::new(field);
        let mut happening = JoinSet::new();
        let mut faults = 0;
        while faults < most && began.elapsed() < self.most {
            tokio::time::sleep(Duration::from_millis(500 + dice.below(5_500))).await;
            let fault = planner.next(dice);
            let (field, mut own) = (Arc::clone(&field), Dice::of(dice.below(u64::MAX)));
            if let Some(held) = field.hold(fault).await {
                faults += 1;
                field.chronicle.say(&format!("{faults}. {fault}"));
                happening.spawn_local(async move { field.happens(fault, held, &mut own).await });
            }
            while let Some(happened) = happening.try_join_next() {
                happened.map_err(|panicked| panicked.to_string())??;
            }
            writers.still_write()?;
        }
        while let Some(happened) = happening.join_next().await {
            happened.map_err(|panicked| panicked.to_string())??;
        }
        field.processes.assert_running().await?;
        Ok(faults)
    }

    /// Replays and goes back until the time is over; nobody may be refused anything meanwhile.
    async fn journey(
        self,
        processes: &Arc<Processes>,
        writers: &Writers,
        (chronicle, dice): (&Chronicle, &mut Dice),
    ) -> Result<Happened, String> {
        let readers = Readers::start(processes, dice);
        let went = journey::goes_on(processes, (writers, &readers), self.most, (chronicle, dice)).await;
        // What a reader saw says more than that it has given up.
        let reads = readers.stop().await?;
        let flips = went?;
        judge::judge_logs(processes)?;
        Ok(Happened::Journey { flips, reads })
    }

    async fn judge(
        self,
        happened: Happened,
        processes: &Processes,
        (writers, chronicle): (Writers, &Chronicle),
    ) -> Result<Summary, String> {
        chronicle.say("all is mended; waiting for quiet");
        let began = Instant::now();
        let ledger = writers.stop().await?;
        let events = judge::until_quiet(processes).await?;
        let quiet_after = began.elapsed();
        chronicle.say(&format!("quiet at position {events}, {} commands acknowledged", ledger.acknowledged()));
        judge::judge(processes, &ledger, events).await?;
        chronicle.say("everything holds");
        Ok(Summary { happened, acknowledged: ledger.acknowledged(), events, quiet_after })
    }
}

/// Becomes true when whoever holds a receiver is to end.
type Stop = watch::Receiver<bool>;
