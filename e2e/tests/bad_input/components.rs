//! Files that are no plugins, settings that do not fit, names that cannot be.

use std::path::PathBuf;

use reel_e2e::components::{CORE_MODULE, example, imports_wasi, unruly};
use reel_e2e::reel::{Reel, Up};
use serde_json::Value;
use tempfile::TempDir;

async fn fresh() -> (TempDir, Reel) {
    let data = tempfile::tempdir().unwrap();
    let reel = Up::on(data.path()).start().await;
    (data, reel)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_plugin_is_refused_by_name() {
    let (data, reel) = fresh().await;
    let good = std::fs::read(example("todos")).unwrap();
    let file = |name: &str, bytes: &[u8]| -> PathBuf {
        let path = data.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    };
    let cases = [
        (file("text.wasm", b"#!/bin/sh\necho hello\n"), &["not a plugin component"][..]),
        (file("empty.wasm", b""), &["WebAssembly component"][..]),
        (file("truncated.wasm", &good[..good.len() / 2]), &["not a plugin component", "truncated"][..]),
        (file("short.wasm", &good[..6]), &["not a plugin component"][..]),
        (file("core.wasm", CORE_MODULE), &["core module", "reel plugin build"][..]),
        (file("wasi.wasm", &imports_wasi()), &["wasi:cli/environment@0.2.0", "which no plugin may"][..]),
    ];
    for (path, parts) in &cases {
        let ran = reel.deploy_only(path, &[]).await;
        assert_eq!(ran.code, 1, "{}: {}", path.display(), ran.stderr);
        for part in *parts {
            assert!(ran.stderr.contains(part), "{}: no {part:?} in: {}", path.display(), ran.stderr);
        }
    }
    // Nothing of it is left, and what is good is still taken.
    assert_eq!(reel.json(&["list"]).await, Vec::<Value>::new());
    assert_eq!(reel.deploy(&example("todos"), &[]).await["state"], "live");
    for (path, _) in &cases {
        let with = ["replay", "todos", "--with", path.to_str().unwrap()];
        let ran = reel.run(&with).await;
        // An empty body is no component; it must not be taken for a replay of what is deployed.
        assert_ne!(ran.code, 0, "{}: {}", path.display(), ran.stdout);
    }
    assert_eq!(reel.json(&["list"]).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_that_miss_the_schema_are_refused_by_place() {
    let (_data, reel) = fresh().await;
    let unruly = unruly();
    for (settings, parts) in [
        (&["--settings", "{}"][..], &["settings", "mode"][..]),
        (&[][..], &["settings", "mode"][..]),
        (&["--settings", r#"{"mode":"dance"}"#][..], &["settings: mode:", "dance"][..]),
        (&["--settings", r#"{"mode":"none","at":"seven"}"#][..], &["settings: at:", "seven", "integer"][..]),
        (&["--settings", r#"{"mode":"none","colour":"red"}"#][..], &["colour"][..]),
        (&["--settings", "{mode: none}"][..], &["settings"][..]),
    ] {
        let ran = reel.deploy_only(&unruly, settings).await;
        assert_eq!(ran.code, 1, "{settings:?}: {}", ran.stderr);
        for part in parts {
            assert!(ran.stderr.contains(part), "{settings:?}: no {part:?} in: {}", ran.stderr);
        }
    }
    assert_eq!(reel.json(&["list"]).await, Vec::<Value>::new());
    let ran = reel.deploy_only(&example("todos"), &["--settings", r#"{"a":1}"#]).await;
    assert_eq!(ran.code, 1, "a plugin without settings takes none: {}", ran.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn names_and_targets_that_cannot_be() {
    let (_data, reel) = fresh().await;
    let todos = example("todos");
    let ran = reel.deploy_only(&todos, &["--name", "To Do"]).await;
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    assert!(ran.stderr.contains("To Do") && ran.stderr.contains("lower-case"), "{}", ran.stderr);
    let ran = reel.deploy_only(&todos, &["--target", "elsewhere"]).await;
    assert_eq!(ran.code, 3, "{}", ran.stderr);
    assert!(ran.stderr.contains("there are: default"), "{}", ran.stderr);
    let ran = reel.deploy_only(&todos, &["--on-failure", "shrug"]).await;
    assert_eq!(ran.code, 2, "{}", ran.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crate_that_does_not_compile_shows_the_compilers_words() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("src")).unwrap();
    let manifest = "[package]\nname = \"broken\"\nversion = \"0.0.0\"\nedition = \"2024\"\n[workspace]\n[lib]\ncrate-type = [\"cdylib\"]\n";
    std::fs::write(folder.path().join("Cargo.toml"), manifest).unwrap();
    std::fs::write(folder.path().join("src/lib.rs"), "pub fn f() -> u8 { \"text\" }\n").unwrap();
    let mut build = reel_e2e::reel::reel();
    build.args(["plugin", "build"]).arg(folder.path()).env("CARGO_TARGET_DIR", folder.path().join("target"));
    let ran = reel_e2e::reel::finish(&mut build, b"").await;
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    assert!(ran.stderr.contains("mismatched types"), "{}", ran.stderr);
}
