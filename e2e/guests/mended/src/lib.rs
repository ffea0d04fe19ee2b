//! `unruly` as its author mended it: the same things, and no event goes wrong, whatever the settings ask for.

use reel_sdk::{Event, Events, Reject, Rows, Settings, Table, projection};

/// A thing.
#[derive(Debug, Clone, PartialEq, Table)]
#[table(name = "things", owner = id)]
struct Thing {
    #[key(length = 36)]
    id: String,
    /// The payload's number.
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
    Touched,
}

/// What `unruly` was deployed with: taken, and passed over.
#[derive(serde::Deserialize)]
pub struct Mode {}

impl Settings for Mode {
    const SCHEMA: &'static str = r#"{"type": "object", "properties": {"mode": {"type": "string"}, "at": {"type": "integer"}}}"#;
}

/// Things, all of them.
#[projection(name = "unruly", version = "1.0.1", tables(Thing), settings = Mode)]
pub fn unruly(event: Event<ThingEvent>, rows: &mut Rows, _settings: &Mode) -> Result<(), Reject> {
    let id = event.stream_key().to_owned();
    match event.payload {
        ThingEvent::Made { n } => rows.upsert(Thing { id, n, touched: 0, label: "new".into() }),
        ThingEvent::Touched => {
            rows.patch(Thing::key(&id), Thing::LABEL.set("touched"));
            rows.add(Thing::key(&id), Thing::TOUCHED, 1);
        }
    }
    Ok(())
}
