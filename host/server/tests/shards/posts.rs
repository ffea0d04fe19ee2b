//! The posts example: its component, its events, and what its rows must be.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use reel_event_log::{ExpectedVersion, IdOrigin, NewCommit};
use reel_events::{CanonicalJson, EventKind, NewEvent, StreamId};
use uuid::Uuid;

/// The component, built once.
pub(crate) fn component() -> Vec<u8> {
    static BUILT: OnceLock<Vec<u8>> = OnceLock::new();
    BUILT.get_or_init(build).clone()
}

fn build() -> Vec<u8> {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let target: PathBuf = repository.join("target/fixtures");
    let status = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--profile", "plugin", "--target", "wasm32-unknown-unknown", "--target-dir"])
        .arg(&target)
        .current_dir(repository.join("projections/posts"))
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env_remove("RUSTFLAGS")
        .status()
        .unwrap();
    assert!(status.success(), "the posts example does not build");
    let module = target.join("wasm32-unknown-unknown/plugin/reel_projection_posts.wasm");
    reel_plugin::componentize(&std::fs::read(module).unwrap()).unwrap()
}

/// Author, likes and comments of each post, by its id.
pub(crate) type Posts = BTreeMap<String, (String, i64, i64)>;

/// Something happens to a post: number 0 makes it, then likes and comments follow.
pub(crate) fn happening(post: usize, nth: usize) -> NewCommit {
    let (kind, payload) = match nth {
        0 => ("post-created", format!("{{\"author\":\"author-{post}\",\"message\":\"hello\"}}")),
        _ if nth.is_multiple_of(3) => {
            ("comment-added", format!("{{\"comment\":\"c{nth}\",\"author\":\"ann\",\"text\":\"well\"}}"))
        }
        _ => ("post-liked", "{}".to_owned()),
    };
    NewCommit {
        id: Uuid::now_v7(),
        stream: StreamId::new(&format!("post-{post}")).unwrap(),
        expected: ExpectedVersion::Any,
        digest: [0; 32],
        ids: IdOrigin::Given,
        events: vec![NewEvent {
            id: Uuid::now_v7(),
            kind: EventKind::new(kind).unwrap(),
            schema: 1,
            recorded_at: None,
            payload: CanonicalJson::trusted(&payload),
            metadata: CanonicalJson::default(),
        }],
    }
}

/// What the rows must be after `rounds` happenings to each of `posts` posts.
pub(crate) fn expected(posts: usize, rounds: usize) -> Posts {
    let of = |post: usize| {
        let comments = (1..rounds).filter(|nth| nth.is_multiple_of(3)).count() as i64;
        (post.to_string(), (format!("author-{post}"), rounds as i64 - 1 - comments, comments))
    };
    (0..posts).map(of).collect()
}
