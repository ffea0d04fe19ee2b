//! The workload is what it is said to be: the shares, the sizes, legal, and the same every time.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::*;

const SIZE: Size = Size { events: 100_000, posts: 5_000 };

#[test]
fn the_shares_are_those_of_the_issue() {
    let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
    let (mut bytes, mut posts) = (0, HashSet::new());
    for made in Social::new(SIZE, 7) {
        *kinds.entry(made.kind).or_default() += 1;
        bytes += made.payload.len();
        posts.insert(made.post);
    }
    let percent = |kind: &str| kinds[kind] as f64 * 100.0 / SIZE.events as f64;
    assert_eq!((kinds.values().sum::<usize>(), posts.len()), (SIZE.events, SIZE.posts));
    assert!((59.0..61.0).contains(&percent("post-liked")), "{kinds:?}");
    assert!((24.0..26.0).contains(&percent("comment-added")), "{kinds:?}");
    for (kind, most) in [
        ("post-created", 5.1),
        ("post-edited", 4.5),
        ("comment-edited", 3.5),
        ("comment-removed", 2.5),
        ("post-removed", 1.5),
    ] {
        assert!((most - 1.0..most).contains(&percent(kind)), "{kind}: {kinds:?}");
    }
    let mean = bytes as f64 / SIZE.events as f64;
    assert!((166.0..186.0).contains(&mean), "{mean} bytes a payload");
}

#[test]
fn the_same_numbers_make_the_same_events_in_either_form() {
    let size = Size { events: 3_000, posts: 150 };
    let batch = Social::new(size, 7).batch(size.events);
    let mut in_pieces = Social::new(size, 7);
    let pieces: Vec<EventBatch> = (0..4).map(|_| in_pieces.batch(1_000)).collect();
    assert_eq!(pieces.iter().map(EventBatch::len).collect::<Vec<_>>(), [1_000, 1_000, 1_000, 0]);
    assert!(batch.iter().eq(pieces.iter().flat_map(EventBatch::iter)));
    for (commit, event) in Social::new(size, 7).commits(size.events + 1).iter().zip(batch.iter()) {
        assert_eq!((commit.stream.as_str(), commit.events[0].payload.as_str()), (event.stream, event.payload));
        assert_eq!(commit.expected, ExpectedVersion::Exactly(event.version - 1));
        assert_eq!(CanonicalJson::parse(event.payload).unwrap().as_str(), event.payload);
    }
    assert_ne!(Social::new(size, 8).next(), Social::new(size, 7).next());
}

/// What is known of a post while its events are checked.
#[derive(Default)]
struct Known {
    version: u64,
    there: bool,
    comments: HashSet<String>,
}

#[test]
fn every_event_is_legal_behind_those_before_it() {
    let mut posts: HashMap<Uuid, Known> = HashMap::new();
    for made in Social::new(Size { events: 20_000, posts: 300 }, 7) {
        let post = posts.entry(made.post).or_default();
        post.version += 1;
        assert_eq!(made.version, post.version);
        let payload: serde_json::Value = serde_json::from_str(&made.payload).unwrap();
        let comment = || payload["comment"].as_str().unwrap().to_owned();
        assert_eq!(post.there, made.kind != "post-created", "{made:?}");
        match made.kind {
            "post-created" => post.there = true,
            "post-removed" => post.there = false,
            "comment-added" => assert!(post.comments.insert(comment())),
            "comment-edited" => assert!(post.comments.contains(&comment())),
            "comment-removed" => assert!(post.comments.remove(&comment())),
            other => assert!(["post-liked", "post-edited"].contains(&other)),
        }
        if made.kind == "post-created" {
            assert_eq!(post.version, 1, "a post is written once");
        }
    }
    assert_eq!(posts.len(), 300);
}
