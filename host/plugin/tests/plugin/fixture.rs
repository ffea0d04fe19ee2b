//! What the tests share: the component, built once; an engine with small limits; events; a sink that remembers.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{LazyLock, Mutex, OnceLock};

use reel_events::{EventBatch, EventRef};
use reel_plugin::{CallLimits, Engine, EngineConfig, LoadedComponent, WasmPlugin};
use reel_projector::ports::SinkError;
use reel_projector::{ApplyError, Change, Operation, Plugin, Refusal, Row, Sink, Value, ValueRef};
use uuid::Uuid;

/// Small enough that a test which uses one up is quick.
pub(crate) const LIMITS: CallLimits = CallLimits {
    fuel: 300_000_000,
    start_fuel: 20_000_000,
    memory: 256 << 20,
    table_elements: 10_000,
    output: 8 << 20,
    changes: 100_000,
    rows: 100_000,
    row_bytes: 8 << 20,
    log_lines: 1_000,
    log_line: 200,
};

pub(crate) fn engine() -> &'static Engine {
    static ENGINE: LazyLock<Engine> = LazyLock::new(|| {
        let config = EngineConfig { limits: LIMITS, instances: 8, ..EngineConfig::default() };
        Engine::new(config).unwrap()
    });
    &ENGINE
}

/// The naughty component with some of its features, as a component.
pub(crate) fn component(features: &str) -> Vec<u8> {
    reel_plugin::componentize(&core_module(features)).unwrap()
}

pub(crate) fn core_module(features: &str) -> Vec<u8> {
    // Features share one output file: one build at a time.
    static BUILT: Mutex<Option<HashMap<String, Vec<u8>>>> = Mutex::new(None);
    let mut built = BUILT.lock().unwrap();
    let built = built.get_or_insert_default();
    built.entry(features.to_owned()).or_insert_with(|| build(features)).clone()
}

fn build(features: &str) -> Vec<u8> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let target: PathBuf = here.join("../../target/fixtures");
    let status = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--release", "--target", "wasm32-unknown-unknown", "--features", features])
        .arg("--target-dir")
        .arg(&target)
        .current_dir(here.join("tests/fixtures/naughty"))
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env_remove("RUSTFLAGS")
        .status()
        .unwrap();
    assert!(status.success(), "the fixture does not build");
    std::fs::read(target.join("wasm32-unknown-unknown/release/naughty.wasm")).unwrap()
}

pub(crate) fn loaded() -> &'static LoadedComponent {
    static LOADED: OnceLock<LoadedComponent> = OnceLock::new();
    LOADED.get_or_init(|| engine().load(&component("")).unwrap())
}

pub(crate) fn plugin(mode: &str) -> WasmPlugin {
    loaded().instantiate_plugin(&format!("{mode:?}")).unwrap()
}

/// `count` events of kind `counted`, whose payload is `{"n":…}` from 0.
pub(crate) fn counted(count: u64) -> EventBatch {
    let payloads: Vec<_> = (0..count).map(|number| format!("{{\"n\":{number}}}")).collect();
    let streams: Vec<_> = (0..count).map(|number| format!("thing-{number}")).collect();
    (0..count as usize).map(|index| event(index as u64 + 1, "counted", (&streams[index], &payloads[index]))).collect()
}

pub(crate) fn event<'a>(position: u64, kind: &'a str, (stream, payload): (&'a str, &'a str)) -> EventRef<'a> {
    EventRef {
        position,
        version: 3,
        id: Uuid::from_u128(u128::from(position)),
        stream,
        kind,
        schema: 2,
        recorded_at: -5,
        payload,
        metadata: r#"{"actor":"ann"}"#,
    }
}

/// A change that arrived, owned.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Seen {
    pub(crate) event: usize,
    pub(crate) table: u16,
    pub(crate) operation: Operation,
    pub(crate) cells: Vec<(u16, String)>,
}

/// Takes every change, answers every read with `row`.
#[derive(Debug, Default)]
pub(crate) struct Recorder {
    pub(crate) seen: Vec<Seen>,
    pub(crate) reads: Vec<(usize, u16, usize)>,
    pub(crate) row: Option<Row>,
    pub(crate) refuse: bool,
}

impl Sink for Recorder {
    fn emit(&mut self, change: Change<'_>) -> Result<(), SinkError> {
        if self.refuse {
            return Err(SinkError::Refused(Refusal::of(change.event, "not-owned", "a test said so")));
        }
        let cells = change.cells.iter().map(|cell| (cell.column, shown(cell.value))).collect();
        self.seen.push(Seen { event: change.event, table: change.table, operation: change.operation, cells });
        Ok(())
    }

    fn read(&mut self, event: usize, table: u16, keys: &[ValueRef<'_>]) -> Result<Vec<Option<Row>>, SinkError> {
        self.reads.push((event, table, keys.len()));
        Ok(vec![self.row.clone(); keys.len()])
    }
}

fn shown(value: ValueRef<'_>) -> String {
    match value {
        ValueRef::Text(bytes) => String::from_utf8(bytes.to_vec()).unwrap(),
        other => format!("{other:?}"),
    }
}

pub(crate) fn apply(mode: &str, events: &EventBatch) -> (Result<(), ApplyError>, Recorder) {
    let mut sink = Recorder::default();
    let applied = plugin(mode).apply(events, 0..events.len(), &mut sink);
    (applied, sink)
}

pub(crate) fn row() -> Row {
    Box::new([Value::Text("thing-é".into()), Value::Int(-7)])
}
