//! What reaches the guest and what comes back: only the events that the manifest names, whole, under the host's own indices.

use reel_events::EventBatch;
use reel_projector::Plugin;

use crate::fixture::{Recorder, apply, component, counted, engine, event, plugin, row};

fn mixed() -> EventBatch {
    [
        event(10, "unknown", ("thing-0", "{}")),
        event(11, "counted", ("thing-é", r#"{"a":"é"}"#)),
        event(12, "unknown", ("thing-0", "{}")),
        event(13, "thing-made", ("thing-2", "")),
    ]
    .into_iter()
    .collect()
}

#[test]
fn only_what_the_manifest_names_is_delivered_and_indices_are_the_hosts() {
    let mut sink = Recorder::default();
    plugin("good").apply(&mixed(), 0..4, &mut sink).unwrap();
    let seen: Vec<_> =
        sink.seen.iter().map(|change| (change.event, change.cells[0].1.as_str(), change.cells[1].1.as_str())).collect();
    assert_eq!(seen, [(1, "thing-é", "Int(11)"), (3, "thing-2", "Int(13)")]);
}

#[test]
fn a_range_without_a_delivered_event_is_no_call() {
    // The plugin would loop for ever, if it were called.
    let mut sink = Recorder::default();
    plugin("loop").apply(&mixed(), 0..1, &mut sink).unwrap();
    plugin("loop").apply(&mixed(), 4..4, &mut sink).unwrap();
}

#[test]
fn an_event_arrives_whole_and_a_row_comes_back_as_it_was_read() {
    let mut sink = Recorder { row: Some(row()), ..Recorder::default() };
    plugin("echo").apply(&mixed(), 0..4, &mut sink).unwrap();
    let id = |last: u8| format!("[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, {last}]");
    assert_eq!(sink.seen[0].cells[0].1, format!("11|3|-5|0|2||{}|thing-é|{{\"a\":\"é\"}}|", id(11)));
    assert_eq!(sink.seen[2].cells[0].1, format!("13|3|-5|1|2|thing-made|{}|thing-2||", id(13)));
    assert_eq!(sink.reads, [(1, 0, 1), (3, 0, 1)]);
    assert_eq!(sink.seen[1].cells, [(9, "thing-é".to_owned()), (9, "Int(-7)".to_owned())]);
}

#[test]
fn metadata_comes_to_those_who_ask() {
    let wants = engine().load(&component("safe")).unwrap();
    let mut sink = Recorder::default();
    wants.instantiate_plugin("\"echo\"").unwrap().apply(&mixed(), 1..2, &mut sink).unwrap();
    assert!(sink.seen[0].cells[0].1.ends_with(r#"|{"actor":"ann"}"#), "{:?}", sink.seen[0]);
}

#[test]
fn a_batch_gives_the_same_whole_and_split() {
    let events = counted(50);
    let (applied, whole) = apply("good", &events);
    applied.unwrap();
    let mut split = Recorder::default();
    let mut plugin = plugin("good");
    for start in (0..50).step_by(7) {
        plugin.apply(&events, start..(start + 7).min(50), &mut split).unwrap();
    }
    assert_eq!(whole.seen, split.seen);
}

#[test]
fn many_threads_share_one_pool() {
    let events = counted(100);
    std::thread::scope(|scope| {
        for _ in 0..20 {
            scope.spawn(|| {
                for _ in 0..10 {
                    let mut sink = Recorder::default();
                    plugin("good").apply(&events, 0..100, &mut sink).unwrap();
                    assert_eq!(sink.seen.len(), 100);
                }
            });
        }
    });
}
