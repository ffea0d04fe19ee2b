//! A projection that misbehaves as its settings say: things, a row each, and one event that goes wrong.

use std::sync::atomic::{AtomicI64, Ordering};

use reel_sdk::{Event, Events, Reject, Rows, Settings, Table, projection};

/// Outlives an event, which nothing of a projection may.
static SEEN: AtomicI64 = AtomicI64::new(0);

/// A thing.
#[derive(Debug, Clone, PartialEq, Table)]
#[table(name = "things", owner = id)]
struct Thing {
    #[key(length = 36)]
    id: String,
    /// The payload's number; in the mode `count` how many events were seen before.
    n: i64,
    /// How many events touched it.
    #[default(0)]
    touched: i64,
    #[length(10)]
    label: String,
}

#[derive(Events)]
enum ThingEvent {
    #[kind("thing-made")]
    Made { n: i64 },
    #[kind("thing-touched")]
    Touched { n: i64 },
}

/// How to misbehave, and at which events: those whose payload has the number `at`.
#[derive(serde::Deserialize)]
pub struct Mode {
    mode: Misbehaviour,
    #[serde(default)]
    at: i64,
}

#[derive(serde::Deserialize, Clone, Copy, PartialEq)]
#[serde(rename_all = "kebab-case")]
enum Misbehaviour {
    None,
    Loop,
    Panic,
    Reject,
    Count,
    Trespass,
    PatchMissing,
    LongText,
}

impl Settings for Mode {
    const SCHEMA: &'static str = r#"{"type": "object", "required": ["mode"], "additionalProperties": false, "properties": {
        "mode": {"enum": ["none", "loop", "panic", "reject", "count", "trespass", "patch-missing", "long-text"]},
        "at": {"type": "integer"}
    }}"#;
}

/// Things, with one event that goes wrong.
#[projection(name = "unruly", version = "1.0.0", tables(Thing), settings = Mode)]
pub fn unruly(event: Event<ThingEvent>, rows: &mut Rows, settings: &Mode) -> Result<(), Reject> {
    let id = event.stream_key().to_owned();
    let (ThingEvent::Made { n } | ThingEvent::Touched { n }) = event.payload;
    if n == settings.at {
        misbehave(settings.mode, n, rows)?;
    }
    let seen = SEEN.fetch_add(1, Ordering::Relaxed);
    match event.payload {
        ThingEvent::Made { n } => {
            let n = if settings.mode == Misbehaviour::Count { seen } else { n };
            rows.upsert(Thing { id, n, touched: 0, label: "new".into() });
        }
        ThingEvent::Touched { .. } => {
            rows.patch(Thing::key(&id), Thing::LABEL.set("touched"));
            rows.add(Thing::key(&id), Thing::TOUCHED, 1);
        }
    }
    Ok(())
}

fn misbehave(mode: Misbehaviour, n: i64, rows: &mut Rows) -> Result<(), Reject> {
    let thing = |id: &str, label: &str| Thing { id: id.into(), n, touched: 0, label: label.into() };
    match mode {
        Misbehaviour::None | Misbehaviour::Count => {}
        Misbehaviour::Loop => loop {
            std::hint::black_box(n);
        },
        Misbehaviour::Panic => panic!("thing number {n} is one too many"),
        Misbehaviour::Reject => return Err(Reject::new("too-many", format!("thing number {n} is one too many"))),
        Misbehaviour::Trespass => rows.upsert(thing("somebody-elses", "stolen")),
        Misbehaviour::PatchMissing => {
            rows.delete(Thing::key("1"));
            rows.patch(Thing::key("1"), Thing::LABEL.set("gone"));
        }
        Misbehaviour::LongText => rows.upsert(thing("1", "longer than ten characters")),
    }
    Ok(())
}
