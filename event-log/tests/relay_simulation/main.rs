//! The relay, its topic and the shards that consume it under a seeded simulator with virtual time: the pure machines of the relay
//! and of a shard, and around them a log, a topic, and hosts that die, sleep and wake up as zombies.
//!
//! A run is a schedule of actions drawn from a seed (`schedule`), played in a `world`. In the end the faults stop, and within a
//! while every shard must stand at the log's head, and soon after every append. Every row is held against the fold whenever it is
//! written. `REEL_SIMULATION_SEEDS` is how many seeds are played; a failure prints its seed and the shortest schedule that fails.
//!
//! Not here: the store, which is taken for sound, and I/O.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::print_stdout, reason = "what catches a broken protocol is worth seeing")]

mod host;
mod read_model;
mod relay;
mod schedule;
mod topic;
mod world;

use schedule::{Action, draw, shortest};
use world::{Protocol, World};

/// Actions of one run.
const ACTIONS: usize = 400;
/// Seeds, where the variable does not say.
const SEEDS: u64 = 500;
/// Within so many seeds a broken protocol must be caught.
const BROKEN_SEEDS: u64 = 3_000;

fn play(protocol: Protocol, actions: &[Action]) -> Result<(), String> {
    let mut world = World::new(protocol);
    for action in actions {
        world.act(action)?;
    }
    world.settle()
}

/// The first seed that fails, its shortest schedule and why.
fn first_failure(protocol: Protocol, seeds: u64) -> Option<(u64, Vec<Action>, String)> {
    (0..seeds).find_map(|seed| {
        let actions = draw(seed, ACTIONS);
        play(protocol, &actions).err()?;
        let (actions, why) = shortest(actions, |actions| play(protocol, actions).err());
        Some((seed, actions, why))
    })
}

#[test]
fn no_schedule_breaks_the_protocol() {
    let seeds = std::env::var("REEL_SIMULATION_SEEDS").ok().map_or(SEEDS, |seeds| seeds.parse().unwrap());
    if let Some((seed, actions, why)) = first_failure(Protocol::Sound, seeds) {
        panic!("seed {seed}: {why}\n{} actions: {actions:#?}", actions.len());
    }
}

/// Each of them is caught: the simulator can fail.
fn is_caught(protocol: Protocol, expected: &[&str]) {
    let (seed, actions, why) = first_failure(protocol, BROKEN_SEEDS).expect("a seed that fails");
    println!("seed {seed}, {} actions: {why}", actions.len());
    assert!(expected.iter().any(|expected| why.contains(expected)), "seed {seed}: {why}\n{actions:#?}");
}

#[test]
fn previous_as_what_was_published_before_is_caught() {
    is_caught(Protocol::PreviousIsWhatWasPublished, &["is not the next of its stream", "differ from the fold"]);
}

#[test]
fn no_watermarks_are_caught() {
    is_caught(Protocol::NoWatermarks, &["does not follow"]);
}

#[test]
fn a_checkpoint_without_epoch_and_layout_is_caught() {
    is_caught(Protocol::CheckpointIsPositionOnly, &["is not the next of its stream"]);
}

#[test]
fn a_relay_record_without_fence_is_caught() {
    is_caught(Protocol::RecordIsNotFenced, &["does not follow", "is not the next of its stream"]);
}
