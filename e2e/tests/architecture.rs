//! Holds the workspace to the direction of dependencies that ARCHITECTURE.md describes: who may name which crate of ours, who
//! may name which crate of the world. Reads the manifests (`cargo metadata`), never the sources: for those see `tidy.rs`.

#[path = "architecture/rules.rs"]
mod rules;

use cargo_metadata::{MetadataCommand, Package};
use rules::{Crate, Dependency, banned_in, check};
use std::{fs, path::Path, process::Command};

#[test]
fn dependencies_point_in_one_direction() {
    let violations = check(&workspace());
    assert!(violations.is_empty(), "{}", violations.join("\n"));
}

#[test]
fn nothing_banned_is_compiled() {
    let banned = banned_in(&tree(&["--workspace"]));
    assert!(banned.is_empty(), "{}", banned.join("\n"));
}

/// The one exception (docs/decisions.md): the feature, and nothing else, brings OpenSSL, and for Kafka's client alone.
#[test]
fn openssl_is_compiled_for_kafkas_client_by_the_feature_only() {
    let feature = ["--workspace", "--features", "kafka-tls"];
    let banned = banned_in(&tree(&feature));
    assert!(matches!(&*banned, [openssl] if openssl.starts_with("openssl-sys ")), "{}", banned.join("\n"));
    let users = tree(&[&feature[..], &["--invert", "openssl-sys", "--depth", "1"]].concat());
    let users: Vec<&str> = users.lines().skip(1).filter_map(|line| line.split(' ').next()).collect();
    assert_eq!(users, ["rdkafka-sys"]);
}

/// What is compiled, a line a package.
fn tree(arguments: &[&str]) -> String {
    let tree = Command::new(env!("CARGO"))
        .args(["tree", "--prefix", "none", "--format", "{p}"])
        .args(arguments)
        .current_dir(root())
        .output()
        .expect("cargo runs");
    assert!(tree.status.success(), "cargo tree: {}", String::from_utf8_lossy(&tree.stderr));
    String::from_utf8_lossy(&tree.stdout).into_owned()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("e2e is a folder of the workspace")
}

fn workspace() -> Vec<Crate> {
    let metadata = MetadataCommand::new()
        .manifest_path(root().join("Cargo.toml"))
        .no_deps() // what the manifests say; nothing is resolved or downloaded
        .exec()
        .expect("cargo metadata reads the workspace");
    metadata.packages.iter().map(read).collect()
}

fn read(package: &Package) -> Crate {
    let dependencies = package.dependencies.iter().map(|dependency| Dependency {
        name: dependency.name.clone(),
        kind: dependency.kind,
        target: dependency.target.as_ref().map(ToString::to_string),
    });
    let manifest = fs::read_to_string(&package.manifest_path).expect("cargo has just read this manifest");
    Crate {
        name: package.name.to_string(),
        dependencies: dependencies.collect(),
        inherits_lints: rules::inherits_lints(&manifest),
    }
}
