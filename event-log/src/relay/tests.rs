//! The machine's decisions, one at a time, and chains over any log and layout held against the log itself.

use std::{collections::VecDeque, time::Duration};

use proptest::prelude::*;
use reel_events::{EventRef, LogId, LogPoint, partition_of};
use uuid::Uuid;

use super::{
    Do, Machine, Pace, Standing, Survey, Tail,
    chain::Chain,
    plan::Plan,
    state::{Known, Layout, Published, RelayRecord, Replaced, Stamp},
};

const LOG: LogId = LogId(Uuid::from_u128(9));
const QUIET: Duration = Duration::from_millis(100);

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn point(position: u64) -> LogPoint {
    LogPoint { position, event: Uuid::from_u128(u128::from(position)) }
}

fn layout(from: u64, partitions: u32) -> Layout {
    Layout { from, partitions }
}

fn known(through: u64, last: u64) -> Known {
    Known { through, last }
}

fn event(position: u64, stream: &str) -> EventRef<'_> {
    let id = point(position).event;
    let (kind, payload) = ("noted", "1");
    EventRef { position, version: 1, id, stream, kind, schema: 1, recorded_at: 0, payload, metadata: "" }
}

/// A stream of each partition of two.
fn streams() -> [&'static str; 2] {
    let of = |number| ["a-1", "a-2", "a-3", "a-4", "a-5"].into_iter().find(|id| partition_of(id, 2) == number).unwrap();
    [of(0), of(1)]
}

fn published(layout: u64, partitions: &[Known]) -> Published {
    Published { layout, passed: LogPoint::START, partitions: partitions.to_vec() }
}

fn record(layouts: &[Layout], published: Published) -> RelayRecord {
    RelayRecord { layouts: layouts.to_vec(), published, ..RelayRecord::default() }
}

fn survey(head: u64, tails: &[Option<(u64, Known)>]) -> Survey {
    let tails = tails.iter().map(|tail| tail.map(|(layout, known)| Tail { layout, known })).collect();
    Survey { tails, head: point(head), record: Standing::Stands }
}

/// What a plan makes of a record: its layouts, the one it goes on with, and what is known.
fn planned(record: &RelayRecord, survey: &Survey) -> (Vec<Layout>, u64, Vec<Known>) {
    let record = Plan::of(record, survey).record(record);
    (record.layouts, record.published.layout, record.published.partitions)
}

#[test]
fn the_first_leader_begins_at_the_first_event() {
    let plan = planned(&RelayRecord::default(), &survey(7, &[None, None]));
    assert_eq!(plan, (vec![layout(1, 2)], 1, vec![known(0, 0); 2]));
}

#[test]
fn what_is_written_down_is_raised_by_what_the_topic_holds() {
    let written = record(&[layout(1, 2)], published(1, &[known(5, 4), known(5, 5)]));
    let plan = planned(&written, &survey(9, &[Some((1, known(8, 8))), None]));
    assert_eq!(plan, (vec![layout(1, 2)], 1, vec![known(8, 8), known(5, 5)]));
    let plan = planned(&written, &survey(9, &[Some((1, known(3, 3))), Some((1, known(9, 7)))]));
    assert_eq!(plan.2, [known(5, 4), known(9, 7)]);
}

#[test]
fn another_number_of_partitions_is_a_new_layout_behind_the_head() {
    let written = record(&[layout(1, 2)], published(1, &[known(5, 4), known(5, 5)]));
    // More: the old layout goes on to its end.
    let plan = planned(&written, &survey(9, &[None; 4]));
    assert_eq!(plan, (vec![layout(1, 2), layout(10, 4)], 1, vec![known(5, 4), known(5, 5)]));
    // Fewer: its partitions are gone.
    let plan = planned(&written, &survey(9, &[None]));
    assert_eq!(plan, (vec![layout(1, 2), layout(10, 1)], 10, vec![known(9, 0)]));
    // One on the way whose partitions are gone is passed over, with what lies before it.
    let written = record(&[layout(1, 1), layout(5, 4), layout(8, 2)], published(1, &[known(2, 2)]));
    assert_eq!(planned(&written, &survey(9, &[None; 2])).1, 8);
    // Once more before anything was appended: no two layouts begin at one position.
    let written = record(&[layout(1, 2), layout(10, 4)], published(10, &[known(9, 0); 4]));
    assert_eq!(planned(&written, &survey(9, &[None; 8])).0[2], layout(11, 8));
}

#[test]
fn a_layout_that_the_topic_has_reached_is_not_gone_back_from() {
    let written = record(&[layout(1, 2), layout(6, 3)], published(1, &[known(5, 4), known(5, 5)]));
    let plan = planned(&written, &survey(9, &[Some((6, known(8, 8))), None, None]));
    assert_eq!((plan.1, plan.2), (6, vec![known(8, 8), known(5, 0), known(5, 0)]));
}

#[test]
fn a_layout_that_only_the_topic_knows_is_followed_by_a_new_one() {
    let plan = planned(&RelayRecord::default(), &survey(9, &[Some((4, known(8, 8))), None]));
    assert_eq!(plan, (vec![layout(10, 2)], 10, vec![known(9, 0); 2]));
}

#[test]
fn a_record_of_events_that_are_gone_begins_a_new_layout() {
    let written = record(&[layout(1, 2), layout(50, 2)], published(50, &[known(60, 60); 2]));
    let gone = Survey { record: Standing::Gone, ..survey(40, &[None, None]) };
    assert_eq!(planned(&written, &gone), (vec![layout(1, 2), layout(41, 2)], 41, vec![known(40, 0); 2]));
}

#[test]
fn a_silent_partition_gets_a_watermark_once() {
    let [zero, one] = streams();
    let mut chain = Chain::resume(LOG, VecDeque::from([layout(1, 2)]), &published(1, &[known(0, 0); 2]));
    assert_eq!(chain.reading(), Some((0, u64::MAX)));
    chain.place(&event(1, zero)).unwrap();
    assert_eq!(chain.watermarks(ms(10), QUIET), []);
    chain.place(&event(2, zero)).unwrap();
    assert_eq!(chain.watermarks(ms(109), QUIET), []);
    assert_eq!(chain.next_watermark(QUIET), Some(ms(110)));
    let [watermark] = chain.watermarks(ms(110), QUIET)[..] else { panic!("one") };
    assert_eq!((watermark.through, watermark.place.partition, watermark.place.placement.previous), (point(2), 1, 0));
    assert_eq!(chain.watermarks(ms(500), QUIET), []);
    assert_eq!(chain.next_watermark(QUIET), None);
    // An event is as good as a watermark.
    chain.place(&event(3, zero)).unwrap();
    chain.watermarks(ms(600), QUIET);
    chain.place(&event(4, one)).unwrap();
    assert_eq!(chain.watermarks(ms(650), QUIET), []);
    let [watermark] = chain.watermarks(ms(750), QUIET)[..] else { panic!("one, of the other partition, now") };
    assert_eq!((watermark.place.partition, watermark.place.placement.previous), (0, 3));
}

#[test]
fn a_layout_ends_once_all_of_it_has_arrived() {
    let [zero, one] = streams();
    let layouts = VecDeque::from([layout(1, 2), layout(3, 1)]);
    let mut chain = Chain::resume(LOG, layouts, &published(1, &[known(0, 0); 2]));
    assert_eq!(chain.reading(), Some((0, 2)));
    chain.place(&event(1, zero)).unwrap();
    chain.place(&event(2, one)).unwrap();
    assert_eq!(chain.reading(), None);
    chain.delivered(0, 1);
    assert_eq!(chain.reading(), None);
    chain.delivered(1, 2);
    assert_eq!(chain.reading(), Some((2, u64::MAX)));
    let place = chain.place(&event(3, one)).unwrap();
    assert_eq!((place.partition, place.placement.previous, place.placement.layout), (0, 0, 3));
    assert_eq!(chain.published(), Published { passed: point(3), ..published(3, &[known(2, 0)]) });
}

/// A machine that has taken the lease of an empty record, and surveyed.
fn leader() -> (Machine, RelayRecord) {
    let mut machine = Machine::new(LOG, "a".to_owned(), Pace::default());
    assert_eq!(machine.next(ms(0)), Do::Look);
    machine.looked(RelayRecord::default(), ms(0));
    let taken = written(&mut machine, ms(1));
    assert_eq!((taken.stamp, taken.holder.as_deref()), (Stamp { epoch: 1, beat: 0 }, Some("a")));
    assert_eq!(machine.next(ms(2)), Do::Survey { passed: LogPoint::START });
    machine.surveyed(&survey(0, &[None, None]));
    assert_eq!(machine.leading(), None, "the plan is stored first");
    let stored = written(&mut machine, ms(3));
    assert_eq!(stored.layouts, [layout(1, 2)]);
    assert_eq!(machine.leading(), Some(0));
    (machine, stored)
}

/// Takes the write that the machine asks for.
fn written(machine: &mut Machine, now: Duration) -> RelayRecord {
    let asked = machine.next(now);
    let Do::Write { record, .. } = asked else { panic!("{asked:?}") };
    machine.wrote(Replaced::Done, now);
    *record
}

#[test]
fn a_leader_renews_its_lease_and_writes_down_what_has_arrived() {
    let (mut machine, _) = leader();
    let [zero, _] = streams();
    assert!(matches!(machine.next(ms(4)), Do::Read { after: 0, .. }));
    machine.place(&event(1, zero)).unwrap();
    machine.delivered(0, 1);
    assert!(matches!(machine.next(ms(5)), Do::Read { after: 1, .. }));
    let renewed = written(&mut machine, ms(1003));
    assert_eq!((renewed.stamp.beat, renewed.published.partitions[0]), (2, known(1, 1)));
    assert_eq!(renewed.published.passed, point(1));
    let Do::Watermarks(due) = machine.next(ms(1200)) else { panic!("the other partition is silent") };
    assert_eq!(due.iter().map(|watermark| watermark.place.partition).collect::<Vec<_>>(), [1]);
}

#[test]
fn who_is_superseded_publishes_nothing() {
    let (mut machine, _) = leader();
    let [zero, _] = streams();
    assert!(matches!(machine.next(ms(1100)), Do::Write { .. }));
    machine.wrote(Replaced::Superseded, ms(1100));
    assert_eq!(machine.leading(), None);
    assert_eq!(machine.place(&event(1, zero)), None);
    assert_eq!(machine.next(ms(1101)), Do::Look);
}

#[test]
fn a_leader_that_slept_through_its_lease_asks_before_it_publishes() {
    let (mut machine, _) = leader();
    assert!(matches!(machine.next(ms(60_000)), Do::Write { .. }));
}

#[test]
fn who_fails_gives_the_lease_back_and_pauses_ever_longer() {
    let (mut machine, _) = leader();
    machine.failed(ms(10));
    let back = written(&mut machine, ms(11));
    assert_eq!(back.holder, None);
    assert_eq!(machine.next(ms(12)), Do::Wait(ms(110)));
    assert_eq!(machine.next(ms(110)), Do::Look);
    machine.failed(ms(120));
    assert_eq!(machine.next(ms(121)), Do::Wait(ms(320)));
}

#[test]
fn a_stop_awaits_what_is_on_its_way() {
    let (mut machine, _) = leader();
    let [zero, one] = streams();
    machine.place(&event(1, zero)).unwrap();
    machine.stop();
    assert!(matches!(machine.next(ms(20)), Do::Wait(_)));
    assert_eq!(machine.place(&event(2, one)).map(|place| place.partition), Some(1), "what was read may still go");
    machine.delivered(0, 1);
    assert!(matches!(machine.next(ms(21)), Do::Wait(_)));
    machine.delivered(1, 2);
    let back = written(&mut machine, ms(22));
    assert_eq!((back.holder, back.published.partitions), (None, vec![known(1, 1), known(2, 2)]));
    assert_eq!(machine.next(ms(23)), Do::End);
}

proptest! {
    /// Whoever resumes, and wherever: every message says the truth, and what is known at the end is true as well.
    #[test]
    fn a_chain_tells_facts(
        numbers in prop::collection::vec(0_u8..6, 1..60),
        partitions in 1_u32..5,
        resumes in prop::collection::vec((0_usize..20, 0_usize..60), 0..4),
    ) {
        let streams: Vec<String> = numbers.iter().map(|number| format!("s-{number}")).collect();
        let last = |partition: u32, through: u64| {
            let of_partition = |(_, stream): &(u64, &String)| partition_of(stream, partitions) == partition;
            (1..).zip(&streams).take(through as usize).filter(of_partition).last().map_or(0, |(position, _)| position)
        };
        let layouts = VecDeque::from([layout(1, partitions)]);
        let mut known = published(1, &vec![Known::default(); partitions as usize]);
        for (events, arrived) in resumes.into_iter().chain([(streams.len(), usize::MAX)]) {
            let mut chain = Chain::resume(LOG, layouts.clone(), &known);
            let (after, _) = chain.reading().unwrap();
            let mut sent = Vec::new();
            for position in after + 1..=(after + events as u64).min(streams.len() as u64) {
                let stream = &streams[position as usize - 1];
                if let Some(place) = chain.place(&event(position, stream)) {
                    prop_assert_eq!(place.partition, partition_of(stream, partitions));
                    prop_assert_eq!(place.placement.previous, last(place.partition, position - 1));
                    sent.push((place.partition, position));
                }
                chain.watermarks(ms(0), QUIET);
                for watermark in chain.watermarks(QUIET, QUIET) {
                    prop_assert_eq!(watermark.place.placement.previous, last(watermark.place.partition, position));
                    sent.push((watermark.place.partition, position));
                }
            }
            for (partition, position) in sent.into_iter().take(arrived) {
                chain.delivered(partition, position);
            }
            known = chain.published();
            for (partition, known) in (0..).zip(&known.partitions) {
                prop_assert_eq!(known.last, last(partition, known.through));
            }
        }
        prop_assert!(known.partitions.iter().all(|known| known.through == streams.len() as u64));
    }
}
