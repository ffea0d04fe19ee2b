//! `cargo run -p reel-e2e --bin campaign -- --seed 7 --faults 200 --minutes 30`: the fault campaign, see `reel_e2e::campaign`;
//! with `--journey --minutes 10 --target mysql` the same without faults.

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use reel_e2e::campaign::{Campaign, Course, Failed, Target};
use reel_e2e::dice::Dice;

/// Everything on servers of its own, while whatever can die dies: afterwards log and rows must be what was answered.
#[derive(Parser)]
struct Arguments {
    /// Decides what is written and which faults come; by the clock unless given
    #[arg(long)]
    seed: Option<u64>,
    /// Ends after so many faults
    #[arg(long, default_value_t = 50)]
    faults: u32,
    /// or after so many minutes, whichever comes first
    #[arg(long, default_value_t = 10)]
    minutes: u64,
    /// Where the rows are
    #[arg(long, value_enum, default_value_t = Target::Postgres)]
    target: Target,
    /// No faults: for so many minutes generations are replayed and gone back to, under sixteen readers, and nobody may be refused anything
    #[arg(long, conflicts_with = "faults")]
    journey: bool,
    /// Where something does not hold, leave all running to be looked at, until Ctrl-C
    #[arg(long)]
    keep_running: bool,
}

#[tokio::main]
#[expect(clippy::print_stdout, clippy::print_stderr, reason = "this is what the program is for")]
async fn main() -> ExitCode {
    let Arguments { seed, faults, minutes, target, journey, keep_running } = Arguments::parse();
    let seed = seed.unwrap_or_else(|| Dice::new().seed);
    println!("--seed {seed}");
    let failed = if keep_running { Failed::GoesOn } else { Failed::Ends };
    let course = if journey { Course::Journey } else { Course::Faults(faults) };
    let campaign = Campaign { seed, target, course, most: Duration::from_secs(60 * minutes), failed };
    let ran = tokio::select! {
        ran = campaign.run() => ran,
        // Whatever it began is dropped, and ends with that.
        _ = tokio::signal::ctrl_c() => Err("interrupted".to_owned()),
    };
    match ran {
        Ok(summary) => {
            println!("--seed {seed} holds: {summary}");
            ExitCode::SUCCESS
        }
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}
