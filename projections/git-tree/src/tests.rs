//! What becomes of files.

use super::{File, git_tree};
use reel_sdk::testing::{GivenEvent, event, given, json};

fn change(kind: &str, path: &str, blob: &str) -> GivenEvent {
    let stream = format!("file:{path}");
    let data =
        json!({"commit": format!("commit-of-{blob}"), "author": "ann", "path": path, "mode": "100644", "blob": blob});
    event(&stream, kind, data)
}

fn file(path: &str, blob: &str, changes: i64) -> File {
    let (author, mode) = ("ann".into(), "100644".into());
    File { path: path.into(), blob: blob.into(), mode, commit: format!("commit-of-{blob}"), author, changes }
}

#[test]
fn a_file_has_its_last_content_and_counts_its_changes() {
    given([
        change("file-added", "docs/a-b: ü.md", "1"),
        change("file-added", "lib.rs", "2"),
        change("file-modified", "docs/a-b: ü.md", "3"),
        change("file-modified", "docs/a-b: ü.md", "4"),
    ])
    .when(git_tree)
    .then([file("docs/a-b: ü.md", "4", 3), file("lib.rs", "2", 1)]);
}

#[test]
fn a_deleted_file_is_gone_and_begins_anew() {
    let deleted = || {
        [
            change("file-added", "lib.rs", "1"),
            change("file-modified", "lib.rs", "2"),
            change("file-deleted", "lib.rs", "2"),
        ]
    };
    given(deleted()).when(git_tree).then_none::<File>();
    given(deleted().into_iter().chain([change("file-added", "lib.rs", "3")]))
        .when(git_tree)
        .then([file("lib.rs", "3", 1)]);
}

#[test]
fn a_change_of_no_file_is_the_events_fault() {
    given([change("file-modified", "lib.rs", "1")]).when(git_tree).then_rejects("row-missing");
}

#[test]
fn the_beginning_of_a_real_history_is_followed() {
    let lines = include_str!("../data/history.jsonl")
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let mut expected = std::collections::BTreeMap::new();
    let mut events = Vec::new();
    for line in lines {
        let text = |name: &str| line[name].as_str().unwrap().to_owned();
        let data = |name: &str| line["data"][name].as_str().unwrap().to_owned();
        let (path, kind) = (data("path"), text("type"));
        if kind == "file-deleted" {
            expected.remove(&path);
        } else {
            expected.insert(path, (data("blob"), data("mode"), data("commit"), data("author")));
        }
        events.push(event(&text("subject"), &kind, line["data"].clone()).at(&text("time")));
    }
    let rows = given(events).when(git_tree).rows::<File>();
    let found = rows.into_iter().map(|file| (file.path, (file.blob, file.mode, file.commit, file.author)));
    assert_eq!(found.collect::<std::collections::BTreeMap<_, _>>(), expected);
}
