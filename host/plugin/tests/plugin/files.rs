//! Files that are no plugin: each is refused with what it is and what to do; looking into one works as far as it can.

use std::sync::Arc;

use reel_plugin::{CompileLimits, Engine, EngineConfig, PluginError, componentize, inspect};

use crate::fixture::{component, core_module, engine};

const COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";
const MODULE: &[u8] = b"\0asm\x01\0\0\0";

fn section(id: u8, content: &[u8]) -> Vec<u8> {
    let mut bytes = vec![id, u8::try_from(content.len()).unwrap()];
    bytes.extend_from_slice(content);
    bytes
}

fn named(name: &str, before: &[u8], behind: &[u8]) -> Vec<u8> {
    let mut bytes = before.to_vec();
    bytes.push(u8::try_from(name.len()).unwrap());
    bytes.extend_from_slice(name.as_bytes());
    bytes.extend_from_slice(behind);
    bytes
}

/// A component that imports an empty instance under `name`.
fn importing(name: &str) -> Vec<u8> {
    let import = named(name, &[1, 0], &[5, 0]);
    [COMPONENT, &section(7, &[1, 0x42, 0]), &section(10, &import)].concat()
}

/// A component that exports an empty instance under `name`.
fn exporting(name: &str) -> Vec<u8> {
    let export = named(name, &[1, 0], &[5, 0, 0]);
    [COMPONENT, &section(5, &[1, 1, 0]), &section(11, &export)].concat()
}

/// A core module that imports the function `f` of module `name`.
fn core_importing(name: &str) -> Vec<u8> {
    let import = [named(name, &[1], &[]), named("f", &[], &[0, 0])].concat();
    [MODULE, &section(1, &[1, 0x60, 0, 0]), &section(2, &import)].concat()
}

fn refusal(bytes: &[u8]) -> String {
    engine().load(bytes).unwrap_err().to_string()
}

#[track_caller]
fn assert_says(message: &str, words: &[&str]) {
    for word in words {
        assert!(message.contains(word), "{word:?} is not in: {message}");
    }
}

#[test]
fn what_is_no_component_is_told_apart() {
    assert_says(&refusal(b""), &["empty"]);
    assert_says(&refusal(b"\0as"), &["truncated"]);
    assert_says(&refusal(b"hello, this is text"), &["not WebAssembly at all", "reel plugin build"]);
    assert_says(&refusal(b"  (component)"), &["WebAssembly text"]);
    assert_says(&refusal(&core_module("")), &["core module", "reel plugin build"]);
    assert_says(&refusal(COMPONENT), &["reel:projection/projector@1.0.0", "nothing"]);
    assert_says(&refusal(&[COMPONENT, &[0xff, 1, 0]].concat()), &["damaged"]);
}

#[test]
fn a_truncated_component_is_called_that_wherever_it_ends() {
    let whole = component("");
    for kept in (8..whole.len()).step_by(whole.len() / 40) {
        let message = refusal(&whole[..kept]);
        let whole_sections = message.contains("does not export");
        assert!(message.contains("truncated") || whole_sections, "{kept} of {}: {message}", whole.len());
    }
}

#[test]
fn foreign_imports_are_named_with_the_remedy() {
    let wasi = importing("wasi:cli/environment@0.2.6");
    assert_says(&refusal(&wasi), &["wasi:cli/environment@0.2.6", "wasm32-wasip2", "wasm32-unknown-unknown"]);
    assert_eq!(inspect(&wasi).unwrap().imports, ["wasi:cli/environment@0.2.6"], "still can be looked into");
    assert_says(&refusal(&importing("acme:mail/send")), &["acme:mail/send", "nothing else"]);
    assert_says(&refusal(&importing("reel:projection/clock@1.1.0")), &["reel:projection/clock@1.1.0", "newer Reel"]);
    let core = componentize(&core_importing("wasi_snapshot_preview1")).unwrap_err();
    assert!(matches!(core, PluginError::ForbiddenImport { .. }));
    assert_says(&core.to_string(), &["wasi_snapshot_preview1.f", "wasm32-unknown-unknown"]);
}

#[test]
fn an_export_of_other_types_is_refused() {
    let error = engine().load(&exporting("reel:projection/projector@1.0.0")).unwrap_err();
    assert!(matches!(error, PluginError::Contract(_)), "{error}");
    assert_says(&error.to_string(), &["describe"]);
    assert_says(&refusal(&exporting("acme:other/thing")), &["acme:other/thing"]);
}

#[test]
fn only_a_core_module_with_the_contracts_types_becomes_a_component() {
    assert_says(&componentize(&component("")).unwrap_err().to_string(), &["component already"]);
    assert_says(&componentize(MODULE).unwrap_err().to_string(), &["projection` macro"]);
    assert_says(&componentize(b"x").unwrap_err().to_string(), &["not WebAssembly"]);
}

#[test]
fn a_good_component_says_what_it_is() {
    let bytes = component("");
    let loaded = engine().load(&bytes).unwrap();
    assert_eq!(loaded.digest(), blake3::hash(&bytes).to_hex().as_str());
    assert_eq!(loaded.manifest().name, "naughty");
    assert_says(loaded.manifest_json(), &["\"naughty\""]);
    let seen = loaded.inspection();
    assert_eq!(seen.size, bytes.len());
    assert_eq!(seen.exports, ["reel:projection/projector@1.0.0"]);
    assert!(seen.imports.iter().all(|import| import.starts_with("reel:projection/")), "{:?}", seen.imports);
}

#[test]
fn a_component_in_use_is_shared_by_all_who_load_it() {
    let bytes = component("");
    let engine = Engine::new(EngineConfig { instances: 2, ..EngineConfig::default() }).unwrap();
    let (first, second) = std::thread::scope(|scope| {
        let load = || engine.load(&bytes).unwrap();
        let (first, second) = (scope.spawn(load), scope.spawn(load));
        (first.join().unwrap(), second.join().unwrap())
    });
    assert!(Arc::ptr_eq(first.manifest(), second.manifest()));
    let before = Arc::downgrade(first.manifest());
    drop((first, second));
    assert!(before.upgrade().is_none(), "nobody uses it any more");
    assert_eq!(engine.load(&bytes).unwrap().manifest().name, "naughty");
}

#[test]
fn what_would_be_too_much_for_the_compiler_is_not_given_to_it() {
    let bytes = component("");
    for (limits, word) in [
        (CompileLimits { component: bytes.len() - 1, ..CompileLimits::default() }, "bytes"),
        (CompileLimits { function: 100, ..CompileLimits::default() }, "bytes in one function"),
        (CompileLimits { functions: 10, ..CompileLimits::default() }, "functions"),
    ] {
        let config = EngineConfig { compile_limits: limits, instances: 1, ..EngineConfig::default() };
        let error = Engine::new(config).unwrap().load(&bytes).unwrap_err();
        assert!(matches!(error, PluginError::TooLarge(_)), "{error}");
        assert_says(&error.to_string(), &[word]);
    }
}
