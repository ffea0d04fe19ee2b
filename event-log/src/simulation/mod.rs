//! A seeded simulator: the pure protocols of the log, every actor of them, on modelled servers in virtual time. No I/O, no threads,
//! no clock: a seed is a run. Only compiled for tests.
//!
//! - `schedule`: virtual time and chance; for every simulation.
//! - `server`: a modelled MongoDB.
//! - `scenario`: what a seed stands for (commands and faults), and how a failing one is cut down to its shortest.
//! - `append`: the run: several writers of the append protocol, their clients, the faults.
//! - `judge`: what must hold, during the run and after it.
//! - `broken`: deliberately wrong protocols, each of which must be caught.
//!
//! More actors (a relay, a topic, consumers) get an event in a schedule of their own, or in `append`'s, and a part of the judge.

mod append;
mod broken;
mod judge;
mod scenario;
mod schedule;
mod server;

use self::{append::Protocol, scenario::Scenario};

/// Runs every seed; the first that fails is cut down and shown.
fn all_hold(seeds: std::ops::Range<u64>, protocol: Protocol) {
    if let Some((seed, violation)) = first_failure(seeds, protocol) {
        let shortest = scenario::shrink(Scenario::of(seed), |scenario| append::run(scenario, protocol).is_err());
        let of_shortest = append::run(&shortest, protocol).expect_err("it was kept because it fails");
        panic!("seed {seed}: {violation}\nshortest schedule: {of_shortest}\n{shortest}");
    }
}

fn first_failure(seeds: std::ops::Range<u64>, protocol: Protocol) -> Option<(u64, judge::Violation)> {
    seeds
        .into_iter()
        .find_map(|seed| append::run(&Scenario::of(seed), protocol).err().map(|violation| (seed, violation)))
}

/// `REEL_SIMULATION_SEEDS` is how many are run, from 0.
#[test]
fn no_commit_is_lost_or_doubled_and_positions_become_visible_in_order() {
    let seeds = std::env::var("REEL_SIMULATION_SEEDS").ok().and_then(|seeds| seeds.parse().ok()).unwrap_or(3_000);
    all_hold(0..seeds, Protocol::Ours);
}

#[test]
fn a_seed_is_a_run() {
    for seed in 0..20 {
        let run = || append::history(&Scenario::of(seed), Protocol::Ours);
        assert_eq!(run(), run(), "seed {seed}");
    }
}
