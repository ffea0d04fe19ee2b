//! The machine: one decision at a time, then whole topics that lose, double, reorder and invent.

use proptest::prelude::*;
use reel_events::{LogId, LogPoint, cloud_events::kafka::Placement};
use uuid::Uuid;

use super::{Carries, Heard, Invented, Mark, Passed, ShardMachine};

const LOG: LogId = LogId(Uuid::from_u128(9));

fn at(position: u64) -> LogPoint {
    if position == 0 { LogPoint::START } else { LogPoint { position, event: Uuid::from_u128(u128::from(position)) } }
}

fn forged(position: u64) -> LogPoint {
    LogPoint { position, event: Uuid::from_u128(1 << 100) }
}

fn mark(point: LogPoint, previous: u64, layout: u64) -> Mark {
    Mark { point, placement: Placement { log: LOG, previous, layout }, carries: Carries::Event }
}

fn watermark(position: u64, previous: u64, layout: u64) -> Mark {
    Mark { carries: Carries::Nothing, ..mark(at(position), previous, layout) }
}

fn machine(position: u64) -> ShardMachine {
    ShardMachine::new(LOG, 1, at(position))
}

#[test]
fn a_chain_is_taken_and_a_watermark_moves() {
    let mut shard = machine(0);
    assert_eq!(shard.hear(&mark(at(2), 0, 1)), Heard::Take);
    assert_eq!(shard.hear(&mark(at(5), 2, 1)), Heard::Take);
    assert_eq!(shard.hear(&watermark(8, 5, 1)), Heard::Move);
    assert_eq!(shard.hear(&mark(at(9), 5, 1)), Heard::Take);
    assert_eq!(shard.at(), at(9));
}

#[test]
fn what_was_seen_or_belongs_elsewhere_is_passed() {
    let mut shard = machine(6);
    for seen in [mark(at(6), 2, 1), mark(at(3), 0, 1), watermark(6, 2, 1)] {
        assert_eq!(shard.hear(&seen), Heard::Pass(Passed::Seen));
    }
    let mut later = ShardMachine::new(LOG, 40, at(50));
    assert_eq!(later.hear(&mark(at(60), 1, 1)), Heard::Pass(Passed::OlderLayout));
    let other = LogId(Uuid::from_u128(8));
    let placement = Placement { log: other, previous: 6, layout: 1 };
    assert_eq!(shard.hear(&Mark { placement, ..mark(at(7), 6, 1) }), Heard::Pass(Passed::OtherLog(other)));
    assert_eq!(shard.hear(&mark(at(7), 7, 1)), Heard::Pass(Passed::Absurd));
    assert_eq!(shard.at(), at(6));
}

#[test]
fn a_hole_is_filled_first() {
    let mut shard = machine(3);
    let message = mark(at(9), 7, 1);
    assert_eq!(shard.hear(&message), Heard::Fill { through: 7 });
    shard.filled(at(5), Some(at(4)));
    assert_eq!(shard.hear(&message), Heard::Fill { through: 7 });
    shard.filled(at(7), Some(at(7)));
    assert_eq!(shard.hear(&message), Heard::Take);
    assert_eq!(shard.silent(9), None);
    assert_eq!(shard.silent(12), Some(12));
}

#[test]
fn what_lies_before_a_layout_comes_from_history() {
    let mut shard = ShardMachine::new(LOG, 40, at(20));
    let first = mark(at(44), 0, 40);
    assert_eq!(shard.hear(&first), Heard::Fill { through: 39 });
    shard.filled(at(39), Some(at(31)));
    assert_eq!(shard.hear(&first), Heard::Take);
    assert_eq!(shard.hear(&mark(at(80), 60, 70)), Heard::End { through: 69 });
}

#[test]
fn an_invented_event_at_the_end_is_claimed_before_it_counts() {
    let mut shard = machine(4);
    assert_eq!(shard.claim(4), None);
    shard.hear(&mark(at(5), 4, 1));
    assert_eq!(shard.claim(5), None);
    shard.hear(&mark(forged(6), 5, 1));
    assert_eq!(shard.claim(5), Some(forged(6)));
    assert_eq!(shard.settle(forged(6), None), Err(Invented { claimed: forged(6), found: None }));
}

#[test]
fn an_invented_event_in_the_middle_breaks_the_chain() {
    let mut shard = machine(4);
    shard.hear(&mark(at(5), 4, 1));
    shard.hear(&mark(forged(6), 5, 1));
    assert_eq!(shard.hear(&mark(at(9), 5, 1)), Heard::Doubt(forged(6)));
    assert!(shard.settle(forged(6), Some(at(6))).is_err());
}

#[test]
fn two_events_for_one_position_are_never_both_believed() {
    let mut shard = machine(5);
    assert_eq!(shard.hear(&mark(forged(5), 4, 1)), Heard::Doubt(forged(5)));
    let mut other = shard.clone();
    assert!(shard.settle(forged(5), Some(at(5))).is_err(), "the message is wrong");
    assert!(other.settle(forged(5), Some(forged(5))).is_err(), "the checkpoint is");
}

#[test]
fn a_chain_that_is_wrong_about_true_events_begins_anew() {
    let mut shard = machine(4);
    shard.hear(&mark(at(6), 4, 1));
    let odd = mark(at(9), 5, 1);
    assert_eq!(shard.hear(&odd), Heard::Doubt(at(6)));
    shard.settle(at(6), Some(at(6))).unwrap();
    assert_eq!(shard.hear(&odd), Heard::Doubt(at(9)));
    shard.settle(at(9), Some(at(9))).unwrap();
    assert_eq!(shard.hear(&odd), Heard::Take);
}

#[test]
fn much_that_was_believed_is_held_against_the_store() {
    let mut shard = machine(0);
    for position in 1..=10_000 {
        assert_eq!(shard.claim(u64::MAX), None);
        assert_eq!(shard.hear(&mark(at(position), position - 1, 1)), Heard::Take);
    }
    assert_eq!(shard.claim(u64::MAX), Some(at(10_000)));
    shard.settle(at(10_000), Some(at(10_000))).unwrap();
    assert_eq!(shard.claim(u64::MAX), None);
}

/// Positions of one shard's events out of a log of `head` events.
fn own(events: &[bool]) -> Vec<u64> {
    (1..).zip(events).filter(|(_, own)| **own).map(|(position, _)| position).collect()
}

/// What a relay would have published up to `from`, from some point on, in order.
fn published(own: &[u64], head: u64) -> Vec<Mark> {
    let mut previous = 0;
    let mut marks: Vec<Mark> = Vec::new();
    for position in own {
        marks.push(mark(at(*position), previous, 1));
        previous = *position;
    }
    marks.push(watermark(head, previous, 1));
    marks
}

proptest! {
    /// Whatever the topic loses, doubles and reorders, a shard takes exactly its own events behind the checkpoint, in order.
    #[test]
    fn every_event_once_in_order(
        events in prop::collection::vec(any::<bool>(), 1..60),
        heard in prop::collection::vec(any::<prop::sample::Index>(), 0..120),
        start in any::<prop::sample::Index>(),
    ) {
        let head = events.len() as u64;
        let own = own(&events);
        let all = published(&own, head);
        let start = start.index(events.len() + 1) as u64;
        let mut shard = machine(start);
        let mut taken = Vec::new();
        let fill = |shard: &mut ShardMachine, taken: &mut Vec<u64>, through: u64| {
            let from = shard.at().position;
            let filled: Vec<u64> = own.iter().copied().filter(|p| *p > from && *p <= through).collect();
            taken.extend(&filled);
            shard.filled(at(through), filled.last().map(|last| at(*last)));
        };
        for index in heard {
            let message = index.get(&all);
            loop {
                match shard.hear(message) {
                    Heard::Take => taken.push(message.point.position),
                    Heard::Fill { through } => { fill(&mut shard, &mut taken, through); continue; }
                    Heard::Move | Heard::Pass(Passed::Seen) => {}
                    other => prop_assert!(false, "{other:?}"),
                }
                break;
            }
            prop_assert_eq!(shard.claim(head), None);
        }
        if let Some(through) = shard.silent(head) {
            fill(&mut shard, &mut taken, through);
        }
        let expected: Vec<u64> = own.iter().copied().filter(|position| *position > start).collect();
        prop_assert_eq!(taken, expected);
        prop_assert_eq!(shard.at(), at(head));
    }
}
