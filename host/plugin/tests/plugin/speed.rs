//! What must not become slow: a component that was compiled once is loaded in a moment.

use std::time::{Duration, Instant};

use reel_plugin::{Engine, EngineConfig};

use crate::fixture::component;

fn load_millis(directory: &std::path::Path, bytes: &[u8]) -> Duration {
    let config = EngineConfig { cache_dir: Some(directory.to_owned()), instances: 2, ..EngineConfig::default() };
    let engine = Engine::new(config).unwrap();
    let start = Instant::now();
    engine.load(bytes).unwrap();
    start.elapsed()
}

fn files(directory: &std::path::Path) -> usize {
    let entries = std::fs::read_dir(directory).unwrap();
    entries.map(|entry| entry.unwrap()).map(|entry| if entry.path().is_dir() { files(&entry.path()) } else { 1 }).sum()
}

#[test]
fn a_component_is_compiled_once() {
    let directory = tempfile::tempdir().unwrap();
    let bytes = component("");
    let first = load_millis(directory.path(), &bytes);
    assert!(files(directory.path()) > 0, "nothing was cached");
    // The second engine is another process, as far as the cache is concerned.
    let second = load_millis(directory.path(), &bytes);
    assert!(second < first / 2 || second < Duration::from_millis(50), "first {first:?}, second {second:?}");
    assert!(second < Duration::from_secs(1), "{second:?}");
}
