//! Protocols that are wrong in one point each. A simulation that does not catch them would not catch ours either.

use super::{
    append::{self, Protocol},
    first_failure,
    scenario::{self, Scenario},
};

const SEEDS: u64 = 2_000;

/// The first violation is one of those named.
fn is_caught(protocol: Protocol, named: &[&str]) {
    let (seed, violation) = first_failure(0..SEEDS, protocol).expect("a wrong protocol passed all seeds");
    let scenario = scenario::shrink(Scenario::of(seed), |scenario| append::run(scenario, protocol).is_err());
    assert!(scenario.commands.len() <= Scenario::of(seed).commands.len(), "the shortest schedule is no longer");
    assert!(append::run(&scenario, protocol).is_err(), "the shortest schedule fails, too");
    assert!(named.iter().any(|named| violation.contains(named)), "{protocol:?}, seed {seed}: {violation}");
}

#[test]
fn a_counter_of_positions_with_a_later_insert_is_caught() {
    is_caught(Protocol::Counter, &["a hole"]);
}

#[test]
fn a_proposal_above_a_position_that_is_not_acknowledged_is_caught() {
    is_caught(Protocol::LocalReads, &["a hole", "but stands at None"]);
}

#[test]
fn a_lost_answer_that_is_taken_for_success_is_caught() {
    is_caught(Protocol::SilenceIsSuccess, &["a hole", "but stands at None"]);
}

#[test]
fn counting_on_after_a_duplicate_without_looking_is_caught() {
    is_caught(Protocol::CountsOn, &["a hole"]);
}

#[test]
fn given_ids_that_are_taken_for_fresh_ones_are_caught() {
    is_caught(Protocol::TakesIdsForFresh, &["in the log twice"]);
}
