//! `cargo run -p reel-e2e --bin kills -- --seed 7 --kills 100 --target postgres`: see `reel_e2e::kills`.

use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use reel_e2e::dice::Dice;
use reel_e2e::kills::{Memory, kills};
use reel_e2e::place::Place;

/// A Reel that is killed again and again while generations are built, flipped, gone back to and dropped: it must go on by itself.
#[derive(Parser)]
struct Arguments {
    /// Decides what is done and when it is killed; by the clock unless given
    #[arg(long)]
    seed: Option<u64>,
    /// How often
    #[arg(long, default_value_t = 100)]
    kills: u32,
    /// Where the rows are
    #[arg(long, value_enum, default_value_t = Target::Sqlite)]
    target: Target,
    /// With so little memory for builds that they fold their rows part by part
    #[arg(long)]
    parts: bool,
}

/// Kinds of read databases.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Target {
    /// A file in the data directory.
    Sqlite,
    /// A database on the server that REEL_TEST_POSTGRES gives.
    Postgres,
    /// A database on the server that REEL_TEST_MYSQL gives.
    Mysql,
}

#[tokio::main]
#[expect(clippy::print_stdout, clippy::print_stderr, reason = "this is what the program is for")]
async fn main() -> ExitCode {
    let Arguments { seed, kills: times, target, parts } = Arguments::parse();
    let seed = seed.unwrap_or_else(|| Dice::new().seed);
    println!("--seed {seed}");
    let place = match target {
        Target::Sqlite => Some(Place::sqlite()),
        Target::Postgres => Place::postgres().await,
        Target::Mysql => Place::mysql().await,
    };
    let Some(place) = place else {
        eprintln!("no server is given: set REEL_TEST_POSTGRES or REEL_TEST_MYSQL");
        return ExitCode::FAILURE;
    };
    let memory = if parts { Memory::Parts } else { Memory::Enough };
    println!("--seed {seed} holds: {}", kills(&place, memory, (seed, times)).await);
    ExitCode::SUCCESS
}
