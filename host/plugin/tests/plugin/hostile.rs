//! Plugins that misbehave: each ends in an error that says what happened, in bounded time and memory, and the next call is fine.

use reel_plugin::PluginError;
use reel_projector::ports::SinkError;
use reel_projector::{ApplyError, Plugin};

use crate::fixture::{LIMITS, Recorder, apply, component, counted, engine, event, loaded, plugin, row};

#[test]
fn what_makes_no_sense_is_a_trap_that_says_so() {
    let cases = [
        ("span-outside", "a span of 5 bytes from 4, outside its heap of 8 bytes"),
        ("span-overflow", "outside its heap"),
        ("other", "reserved case `other`"),
        ("event-outside", "named event 3 of a batch of 3"),
        ("event-falls", "named event 0 after event 1"),
        ("event-falls-later", "named event 0 after event 1"),
        ("too-few-cells", "takes 2 cells, but only 1 are left"),
        ("too-many-cells", "1 cells of the batch belong to no change"),
        ("get-earlier", "named event 0 after event 1"),
        ("get-then-emit-earlier", "named event 0 after event 1"),
        ("get-outside", "named event 77 of a batch of 3"),
        ("get-span", "outside its heap"),
        ("reject-unknown", "rejected event 1000000 of a batch of 3"),
        ("list-claim", ""),
        ("bad-case", ""),
        ("bad-utf8", "utf-8"),
    ];
    for (mode, words) in cases {
        let (applied, _) = apply(mode, &counted(3));
        match applied {
            Err(ApplyError::Trapped(message)) => {
                assert!(message.contains(words) && !message.is_empty(), "{mode}: {message}");
            }
            other => panic!("{mode}: {other:?}"),
        }
    }
}

#[test]
fn every_budget_ends_the_call_by_its_name() {
    let cases = [
        ("loop", "fuel"),
        ("recurse", "stack"),
        ("eat-memory", "memory"),
        ("emit-gigabyte", "output"),
        ("emit-many-changes", "output"),
        ("emit-for-ever", "fuel"),
        ("list-bomb", "output"),
        ("log-flood", "log"),
        ("log-bomb", "output"),
        ("get-huge", "output"),
        ("get-for-ever", "reads"),
    ];
    for (mode, expected) in cases {
        let (applied, _) = apply(mode, &counted(3));
        match applied {
            Err(ApplyError::Exhausted { limit, message }) => assert_eq!(limit, expected, "{mode}: {message}"),
            other => panic!("{mode}: {other:?}"),
        }
    }
}

#[test]
fn what_is_well_formed_but_not_legal_is_for_the_sink_to_judge() {
    let (applied, sink) = apply("unknown-table", &counted(1));
    assert!(applied.is_ok());
    assert_eq!(sink.seen[0].table, 9);
    let (applied, sink) = apply("get-partial", &counted(1));
    assert!(applied.is_ok());
    assert_eq!(sink.reads, [(0, 1, 3)]);
}

#[test]
fn a_refusal_of_the_sink_stops_the_guest_and_comes_back_unchanged() {
    let mut sink = Recorder { refuse: true, ..Recorder::default() };
    let events = counted(3);
    match plugin("counter").apply(&events, 1..3, &mut sink) {
        Err(ApplyError::Sink(SinkError::Refused(refusal))) => {
            assert_eq!((refusal.event, refusal.code), (Some(1), "not-owned"));
        }
        other => panic!("{other:?}"),
    }
    assert!(sink.seen.is_empty());
}

#[test]
fn a_panic_shows_its_words_and_its_function() {
    let (applied, _) = apply("panic-on-7", &counted(100));
    let Err(ApplyError::Trapped(message)) = applied else { panic!("{applied:?}") };
    assert!(message.contains("panicked at src/lib.rs"), "{message}");
    assert!(message.contains("index out of bounds: the len is 3 but the index is 7"), "{message}");
    assert!(message.contains("unreachable"), "{message}");
    assert!(message.contains(" in <naughty::Naughty as"), "{message}");
}

#[test]
fn a_trap_harms_no_later_call() {
    let events = counted(100);
    let mut plugin = plugin("panic-on-7");
    let mut sink = Recorder::default();
    assert!(plugin.apply(&events, 0..100, &mut sink).is_err());
    assert!(plugin.apply(&events, 7..8, &mut sink).is_err());
    assert!(sink.seen.is_empty());
    plugin.apply(&events, 8..100, &mut sink).unwrap();
    assert_eq!(sink.seen.len(), 92);
}

#[test]
fn rejections_and_fatal_failures_keep_their_words() {
    let events = counted(5);
    let mut sink = Recorder::default();
    match plugin("reject").apply(&events, 1..4, &mut sink) {
        Err(ApplyError::Rejected { event, code, message }) => {
            assert_eq!((event, code.as_str(), message.as_str()), (3, "colour", "it is not red"));
        }
        other => panic!("{other:?}"),
    }
    match plugin("fatal").apply(&events, 1..4, &mut sink) {
        Err(ApplyError::Fatal(message)) => assert_eq!(message, "colour: it is not red"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn nothing_is_remembered_from_call_to_call() {
    let events = counted(2);
    let mut plugin = plugin("counter");
    for _ in 0..3 {
        let mut sink = Recorder::default();
        plugin.apply(&events, 0..2, &mut sink).unwrap();
        assert_eq!(sink.seen[0].cells, [(1, "Int(1)".to_owned())]);
        assert_eq!(sink.seen[1].cells, [(1, "Int(2)".to_owned())]);
    }
}

#[test]
fn settings_that_the_component_refuses_are_told() {
    for (mode, words) in [
        ("init-error", "the setting `colour` must be red"),
        ("init-panics", "no such colour"),
        ("init-loops", "fuel used up"),
        ("init-emits", "called sink.emit during init"),
    ] {
        match loaded().instantiate_plugin(&format!("{mode:?}")) {
            Err(PluginError::Settings(message)) => assert!(message.contains(words), "{mode}: {message}"),
            other => panic!("{mode}: {other:?}"),
        }
    }
}

#[test]
fn describing_itself_is_all_a_component_may_do_at_deploy() {
    for (feature, words) in
        [("describe-panics", "cannot describe myself"), ("describe-emits", "called sink.emit during describe")]
    {
        match engine().load(&component(feature)) {
            Err(PluginError::Describe(message)) => assert!(message.contains(words), "{feature}: {message}"),
            other => panic!("{feature}: {other:?}"),
        }
    }
    assert!(matches!(engine().load(&component("bad-manifest")), Err(PluginError::Manifest(_))));
}

#[test]
fn integers_that_the_language_would_round_are_the_events_fault() {
    let safe = engine().load(&component("safe")).unwrap();
    let refused = |mode: &str, payload: &str, row| {
        let events =
            [event(1, "counted", ("thing-1", "{}")), event(2, "counted", ("thing-1", payload))].into_iter().collect();
        let mut sink = Recorder { row, ..Recorder::default() };
        let mut plugin = safe.instantiate_plugin(&format!("{mode:?}")).unwrap();
        match plugin.apply(&events, 0..2, &mut sink) {
            Ok(()) => None,
            Err(ApplyError::Sink(SinkError::Refused(refusal))) => {
                assert_eq!(refusal.code, "integer-not-safe");
                refusal.event
            }
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(refused("echo", r#"{"n":9007199254740991}"#, Some(row())), None);
    assert_eq!(refused("echo", r#"{"n":9007199254740992}"#, None), Some(1));
    assert_eq!(refused("unsafe-integer", "{}", None), Some(0));
    let large = Box::new([row()[0].clone(), reel_projector::Value::Int(i64::MAX)]);
    assert_eq!(refused("echo", "{}", Some(large)), Some(0));
    let (applied, _) = apply("unsafe-integer", &counted(1));
    assert!(applied.is_ok(), "other manifests take 64 bits");
}

#[test]
fn a_row_budget_holds_for_the_bytes_of_rows_too() {
    let wide =
        vec![reel_projector::Value::Text("x".repeat(1 << 20).into()), reel_projector::Value::Null].into_boxed_slice();
    let mut sink = Recorder { row: Some(wide), ..Recorder::default() };
    let events = counted(20);
    match plugin("echo").apply(&events, 0..20, &mut sink) {
        Err(ApplyError::Exhausted { limit, .. }) => assert_eq!(limit, "reads"),
        other => panic!("{other:?}"),
    }
    assert!(sink.reads.len() <= LIMITS.row_bytes >> 20);
}
