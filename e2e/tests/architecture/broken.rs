//! Each rule of dependency made to fail, by one line in a made-up workspace that is otherwise right.

use super::{Crate, Dependency, NATIVE_TARGETS, banned_in, check, inherits_lints};
use cargo_metadata::DependencyKind::{self, Build, Development, Normal};

const NAMES: &[&str] = &[
    "reel-events",
    "reel-problem",
    "reel-projector",
    "reel-event-log",
    "reel-plugin",
    "reel-read-model",
    "reel-host",
    "reel-read-api",
    "reel-command-service",
    "reel",
    "reel-e2e",
    "reel-bench",
    "reel-sdk",
    "reel-sdk-macros",
    "reel-projection-posts",
];

/// What is said when `from` names `name`.
fn said(from: &str, name: &str, kind: DependencyKind, target: Option<&str>) -> Vec<String> {
    let dependency = Dependency { name: name.to_owned(), kind, target: target.map(str::to_owned) };
    let crates = NAMES.iter().map(|each| Crate {
        name: (*each).to_owned(),
        dependencies: if *each == from { vec![dependency.clone()] } else { vec![] },
        inherits_lints: true,
    });
    check(&crates.collect::<Vec<_>>())
}

#[track_caller]
fn refused(from: &str, name: &str, expected: &str) {
    for kind in [Normal, Build] {
        let said = said(from, name, kind, None);
        assert_eq!(said.len(), 1, "{from} → {name}: {said:?}");
        assert!(said[0].starts_with(&format!("{from} names {name}: ")), "{said:?}");
        assert!(said[0].contains(expected), "{said:?}");
    }
}

#[track_caller]
fn accepted(from: &str, name: &str) {
    assert_eq!(said(from, name, Normal, None), Vec::<String>::new());
}

#[test]
fn layers_point_down_only() {
    accepted("reel-projector", "reel-events");
    accepted("reel-host", "reel-plugin");
    accepted("reel-read-api", "reel-problem");
    accepted("reel-bench", "reel");
    refused("reel-projector", "reel-plugin", "against the direction");
    refused("reel-event-log", "reel-projector", "against the direction");
    refused("reel-read-api", "reel-host", "against the direction");
    refused("reel", "reel-e2e", "against the direction");
    assert_eq!(said("reel-projector", "reel-plugin", Development, None).len(), 1, "tests are no excuse");
}

#[test]
fn leaves_name_nothing_of_ours() {
    refused("reel-events", "reel-problem", "leaf");
    refused("reel-problem", "reel-events", "leaf");
    refused("reel-sdk-macros", "reel-sdk", "leaf");
}

#[test]
fn the_sdk_names_the_projector_natively_only() {
    accepted("reel-sdk", "reel-sdk-macros");
    refused("reel-sdk", "reel-projector", "native targets");
    refused("reel-sdk", "reel-event-log", "its macros");
    assert!(said("reel-sdk", "reel-projector", Normal, Some(NATIVE_TARGETS)).is_empty());
    assert_eq!(said("reel-sdk", "reel-projector", Normal, Some("cfg(unix)")).len(), 1);
}

#[test]
fn projections_and_the_host_meet_as_components() {
    accepted("reel-projection-posts", "reel-sdk");
    accepted("reel-bench", "reel-projection-posts");
    refused("reel-projection-posts", "reel-events", "names the SDK only");
    refused("reel-host", "reel-sdk", "as components");
    refused("reel", "reel-projection-posts", "as components");
    refused("reel-bench", "reel-sdk-macros", "through reel-sdk");
    assert!(said("reel-plugin", "reel-sdk", Development, None).is_empty());
}

#[test]
fn engines_and_drivers_have_owners() {
    accepted("reel-plugin", "wasmtime");
    accepted("reel-read-model", "sqlx");
    accepted("reel-event-log", "rusqlite");
    accepted("reel-e2e", "sqlx");
    refused("reel-host", "wasmtime", "only reel-plugin may");
    refused("reel-e2e", "wasmtime-wasi", "only reel-plugin may");
    refused("reel-projection-posts", "wit-bindgen", "only reel-sdk may");
    refused("reel-command-service", "mongodb", "only reel-event-log may");
    refused("reel-host", "rdkafka", "only reel-event-log may");
    refused("reel-read-api", "sqlx", "only reel-read-model may");
    refused("reel-event-log", "sqlx-core", "only reel-read-model may");
    refused("reel-host", "tiberius", "only reel-read-model may");
    refused("reel", "rusqlite", "only reel-event-log and reel-read-model may");
    assert_eq!(said("reel-read-api", "sqlx", Development, None).len(), 1, "tests are no excuse");
}

#[test]
fn pure_crates_name_no_network_server_or_database() {
    accepted("reel-projector", "serde_json");
    accepted("reel-host", "axum");
    refused("reel-projector", "axum", "pure logic");
    refused("reel-projector", "hyper-util", "pure logic");
    refused("reel-events", "reqwest", "pure logic");
    refused("reel-events", "rusqlite", "only reel-event-log and");
    assert!(said("reel-events", "tower", Development, None).is_empty());
}

#[test]
fn a_new_crate_needs_a_place_and_the_lints() {
    let stranger = Crate { name: "reel-stranger".to_owned(), dependencies: vec![], inherits_lints: false };
    let said = check(&[stranger]);
    assert_eq!(said.len(), 2, "{said:?}");
    assert!(said[0].contains("[lints]") && said[1].contains("LAYERS"), "{said:?}");
}

#[test]
fn lints_are_inherited_by_that_line_only() {
    assert!(inherits_lints("[lints]\nworkspace = true\n"));
    assert!(!inherits_lints("[lints]\nworkspace = false\n"));
    assert!(!inherits_lints("[lints.clippy]\nall = \"warn\"\n"));
    assert!(!inherits_lints("[package]\nname = \"a\"\n"));
}

#[test]
fn a_banned_package_is_found_by_its_whole_name() {
    let said = banned_in("serde v1.0.0\nring v0.17.14\n");
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].starts_with("ring is compiled in"), "{said:?}");
    assert!(banned_in("ring-buffer v0.1.0\nreel v0.1.0 (/somewhere/ring)\n").is_empty());
}
