//! The rules of dependency as data, and the check of a graph against them. Pure: where the graph comes from is `architecture.rs`'s.

use cargo_metadata::DependencyKind;
use std::collections::BTreeMap;

/// Our crates in the direction of dependencies: a crate names crates of the lines above its own, never of its own line or below.
const LAYERS: &[&[&str]] = &[
    &["reel-projector", "reel-event-log"],
    &["reel-plugin", "reel-read-model"],
    &["reel-host", "reel-read-api", "reel-command-service"],
    &["reel"],
    &["reel-e2e", "reel-bench"],
];
const DIRECTION: &str =
    "events → projector, event-log → plugin, read-model → host, read-api, command-service → cli → e2e, benches";

/// Depend on nothing of ours, so that any layer may name them.
const LEAVES: &[&str] = &["reel-events", "reel-problem"];

/// What projections are written with, and the projections: beside the layers, since the host meets them as components.
const SDK: &str = "reel-sdk";
const SDK_MACROS: &str = "reel-sdk-macros";
const PROJECTIONS: &str = "reel-projection-";

/// The native half of the SDK may name these of ours, on its native targets: a component is nothing but the projection.
const SDK_NATIVE: &[&str] = &["reel-events", "reel-projector"];
const NATIVE_TARGETS: &str = r#"cfg(not(target_arch = "wasm32"))"#;

/// Look at everything from outside: they may name any database's driver, to judge what it holds or to be compared with.
const JUDGES: &[&str] = &["reel-e2e", "reel-bench"];

/// Crates of the world with few owners. A name that ends in `*` stands for all that begin so.
const OWNED: &[Owned] = &[
    Owned {
        names: &["wasmtime", "wasmtime-*"],
        owners: &["reel-plugin"],
        others: &[],
        why: "there is one engine, set up in one place",
    },
    Owned {
        names: &["wit-bindgen"],
        owners: &["reel-sdk"],
        others: &[],
        why: "what a guest is bound to is the SDK's to settle",
    },
    Owned {
        names: &["rdkafka", "rdkafka-*", "mongodb", "bson"],
        owners: &["reel-event-log"],
        others: JUDGES,
        why: "the log's adapters stand behind event-log's ports",
    },
    Owned {
        names: &["sqlx", "sqlx-*", "tiberius", "tokio-postgres"],
        owners: &["reel-read-model"],
        others: JUDGES,
        why: "read databases stand behind read-model's port, and SQL text is its dialects' alone",
    },
    Owned {
        names: &["rusqlite", "libsqlite3-sys"],
        owners: &["reel-event-log", "reel-read-model"],
        others: JUDGES,
        why: "SQLite is the embedded store and a read database, and nothing else",
    },
];

struct Owned {
    names: &'static [&'static str],
    owners: &'static [&'static str],
    others: &'static [&'static str],
    why: &'static str,
}

/// Crates whose tests make databases and topics of their own.
const TEST_BEDS: &[&str] = &["reel-host"];

/// Crates of pure logic, and what they may name in their tests only: networks, servers, databases.
const PURE: &[&str] = &["reel-events", "reel-projector"];
const IMPURE: &[&str] = &[
    "axum",
    "axum-*",
    "h2",
    "http",
    "http-*",
    "hyper",
    "hyper-*",
    "mio",
    "redis",
    "reqwest",
    "rustls",
    "socket2",
    "tokio-net",
    "tokio-util",
    "tonic",
    "tower",
    "tower-*",
];

/// May not be compiled into anything.
const BANNED: &[(&str, &str)] = &[
    ("ring", "a second crypto provider beside aws-lc-rs makes rustls panic at run time"),
    ("openssl-sys", "TLS is rustls; OpenSSL must be found, linked and patched on every machine"),
    ("native-tls", "TLS is rustls, the same on every machine"),
];

/// One package of the workspace, as far as the rules look.
pub(super) struct Crate {
    /// Of the package, as in its manifest.
    pub(super) name: String,
    /// Direct ones, of all kinds.
    pub(super) dependencies: Vec<Dependency>,
    /// Whether it says `[lints] workspace = true`.
    pub(super) inherits_lints: bool,
}

/// One line of a `[dependencies]` table.
#[derive(Clone)]
pub(super) struct Dependency {
    /// Of the package, whatever it is renamed to.
    pub(super) name: String,
    /// Normal, for tests, or for the build script.
    pub(super) kind: DependencyKind,
    /// The `cfg` it stands under, if any.
    pub(super) target: Option<String>,
}

/// Every violation of every rule, each as a sentence that says what to do.
pub(super) fn check(crates: &[Crate]) -> Vec<String> {
    let places: BTreeMap<&str, Place> = crates.iter().map(|each| (&*each.name, Place::of(&each.name))).collect();
    let mut violations = Vec::new();
    for each in crates {
        let place = places[&*each.name];
        if !each.inherits_lints {
            violations.push(format!("{}: its Cargo.toml needs `[lints]` with `workspace = true`", each.name));
        }
        if place == Place::Unknown {
            violations
                .push(format!("{}: a new crate needs a place in LAYERS (e2e/tests/architecture/rules.rs)", each.name));
        }
        for dependency in &each.dependencies {
            violations.extend(match places.get(&*dependency.name) {
                Some(onto) => ours(&each.name, place, dependency, *onto),
                None => world(&each.name, dependency),
            });
        }
    }
    violations
}

/// What of `cargo tree`'s lines (`NAME vVERSION …`) is banned.
pub(super) fn banned_in(tree: &str) -> Vec<String> {
    let compiled = |name: &str| tree.lines().any(|line| line.split(' ').next() == Some(name));
    let banned = BANNED.iter().filter(|(name, _)| compiled(name));
    banned
        .map(|(name, why)| format!("{name} is compiled in (`cargo tree --invert {name}` says by whom): {why}"))
        .collect()
}

/// Whether a manifest takes the workspace's lints.
pub(super) fn inherits_lints(manifest: &str) -> bool {
    let manifest: toml::Table = manifest.parse().expect("cargo has read this manifest");
    let lints = manifest.get("lints").and_then(|lints| lints.get("workspace"));
    lints.and_then(toml::Value::as_bool).unwrap_or(false)
}

/// Where a crate stands.
#[derive(Clone, Copy, PartialEq)]
enum Place {
    Leaf,
    Layer(usize),
    SdkMacros,
    Sdk,
    Projection,
    Unknown,
}

impl Place {
    fn of(name: &str) -> Self {
        match name {
            SDK_MACROS => Self::SdkMacros,
            SDK => Self::Sdk,
            _ if LEAVES.contains(&name) => Self::Leaf,
            _ if name.starts_with(PROJECTIONS) => Self::Projection,
            _ => {
                let layer = LAYERS.iter().position(|layer| layer.contains(&name));
                layer.map_or(Self::Unknown, Self::Layer)
            }
        }
    }
}

/// What is wrong with one crate of ours naming another, if anything.
fn ours(from: &str, place: Place, dependency: &Dependency, onto: Place) -> Option<String> {
    let reason = match (place, onto) {
        (Place::Unknown, _) | (_, Place::Unknown) => return None, // said already
        (Place::Leaf | Place::SdkMacros, _) => "it is a leaf, which depends on nothing of ours".to_owned(),
        (Place::Sdk, _) => sdk(dependency, onto)?.to_owned(),
        (Place::Projection, Place::Sdk) => return None,
        (Place::Projection, _) => "a projection names the SDK only, as its authors elsewhere must".to_owned(),
        (Place::Layer(_), Place::SdkMacros) => "the macros are reached through reel-sdk".to_owned(),
        (Place::Layer(layer), Place::Sdk | Place::Projection) => {
            if dependency.kind == DependencyKind::Development || layer + 1 == LAYERS.len() {
                return None;
            }
            "projections reach Reel as components; only tests and benches may link them".to_owned()
        }
        (Place::Layer(_), Place::Leaf) => return None,
        (Place::Layer(from), Place::Layer(onto)) if onto < from => return None,
        (Place::Layer(_), Place::Layer(_)) => format!("that is against the direction {DIRECTION}"),
    };
    Some(format!("{from} names {}: {reason}", dependency.name))
}

fn sdk(dependency: &Dependency, onto: Place) -> Option<&'static str> {
    if onto == Place::SdkMacros {
        return None;
    }
    if !SDK_NATIVE.contains(&&*dependency.name) {
        return Some("of ours, the SDK names its macros and, natively, events and projector");
    }
    let native = dependency.target.as_deref() == Some(NATIVE_TARGETS);
    let fine = native || dependency.kind == DependencyKind::Development;
    (!fine).then_some("a component is nothing but the projection: put the line under the native targets")
}

/// What is wrong with a crate of ours naming one of the world, if anything.
fn world(from: &str, dependency: &Dependency) -> Option<String> {
    let name = &dependency.name;
    let for_tests = dependency.kind == DependencyKind::Development;
    let judges = for_tests && TEST_BEDS.contains(&from);
    let stranger = |owned: &&Owned| !owned.owners.contains(&from) && !owned.others.contains(&from) && !judges;
    if let Some(owned) = OWNED.iter().find(|owned| matches(owned.names, name)).filter(stranger) {
        let owners = owned.owners.join(" and ");
        return Some(format!("{from} names {name}: only {owners} may, for {}", owned.why));
    }
    if PURE.contains(&from) && !for_tests && matches(IMPURE, name) {
        return Some(format!(
            "{from} names {name}: it is pure logic, without network, server or database; put an adapter around it"
        ));
    }
    None
}

fn matches(names: &[&str], name: &str) -> bool {
    let one = |each: &&str| each.strip_suffix('*').map_or(*each == name, |start| name.starts_with(start));
    names.iter().any(one)
}

#[path = "broken.rs"]
mod broken;
