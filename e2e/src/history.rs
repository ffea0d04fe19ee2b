//! The real events in `e2e/data`, what they must end with, and a fold of them that owes nothing to Reel.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::binary::repository;

/// How many events there are.
pub const EVENTS: u64 = 31_760;

/// The file of events, as `reel import` takes it.
#[must_use]
pub fn file() -> PathBuf {
    repository().join("e2e/data/git-history.jsonl.zst")
}

/// The events, one a line.
#[must_use]
pub fn lines() -> Vec<String> {
    unpacked("git-history.jsonl.zst").lines().map(str::to_owned).collect()
}

/// What a correct projection of all of them ends with, by git's own account: rows of path, blob and mode, by path.
#[must_use]
pub fn tree() -> Vec<Value> {
    let text = unpacked("git-history.tree.tsv.zst");
    let row = |line: &str| {
        let [path, blob, mode] = line.split('\t').collect::<Vec<_>>().try_into().expect("three columns a line");
        json!({ "path": path, "blob": blob, "mode": mode })
    };
    text.lines().map(row).collect()
}

/// The same rows after only some of the events.
#[must_use]
pub fn tree_after(lines: &[String]) -> Vec<Value> {
    let mut files = BTreeMap::new();
    for line in lines {
        let event: Value = serde_json::from_str(line).expect("the data is JSON");
        let path = event["data"]["path"].as_str().expect("every event has a path").to_owned();
        if event["type"] == "file-deleted" {
            files.remove(&path);
        } else {
            files.insert(path, (event["data"]["blob"].clone(), event["data"]["mode"].clone()));
        }
    }
    files.into_iter().map(|(path, (blob, mode))| json!({ "path": path, "blob": blob, "mode": mode })).collect()
}

fn unpacked(name: &str) -> String {
    let packed = std::fs::read(repository().join("e2e/data").join(name)).expect("the data is part of the repository");
    String::from_utf8(zstd::decode_all(&*packed).expect("it is zstd")).expect("it is UTF-8")
}
