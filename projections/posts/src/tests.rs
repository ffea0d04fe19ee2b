//! What becomes of posts and comments.

use super::{Comment, Post, posts};
use reel_sdk::testing::{GivenEvent, event, given, json, second};

fn created() -> GivenEvent {
    event("post-1", "post-created", json!({"author": "ann", "message": "Hello"}))
}

fn commented(comment: &str) -> GivenEvent {
    event(
        "post-1",
        "comment-added",
        json!({"comment": comment, "author": "bob", "text": "Hi"}),
    )
}

fn post() -> Post {
    let (id, author, message) = ("1".into(), "ann".into(), "Hello".into());
    Post {
        id,
        author,
        message,
        likes: 0,
        comments: 0,
        posted_at: second(1),
        edited_at: None,
    }
}

fn comment(id: &str, at: i64) -> Comment {
    let (post, author, text) = ("1".into(), "bob".into(), "Hi".into());
    Comment {
        post,
        id: id.into(),
        author,
        text,
        commented_at: second(at),
        edited_at: None,
    }
}

#[test]
fn likes_are_counted() {
    given([
        created(),
        event("post-1", "post-liked", json!({})),
        event("post-1", "post-liked", json!({"by": "bob"})),
        event("post-1", "post-edited", json!({"message": "Hello, all"})),
    ])
    .when(posts)
    .then([Post {
        likes: 2,
        message: "Hello, all".into(),
        edited_at: Some(second(4)),
        ..post()
    }])
    .then_none::<Comment>();
}

#[test]
fn comments_come_change_and_go() {
    given([
        created(),
        commented("a"),
        commented("b"),
        event("post-1", "comment-edited", json!({"comment": "b", "text": "Ho"})),
        event("post-1", "comment-removed", json!({"comment": "a"})),
    ])
    .when(posts)
    .then([Post { comments: 1, ..post() }])
    .then([Comment {
        text: "Ho".into(),
        edited_at: Some(second(4)),
        ..comment("b", 3)
    }]);
}

#[test]
fn a_removed_post_takes_its_comments_along() {
    let other = event("post-2", "post-created", json!({"author": "eve", "message": "Mine"}));
    given([
        created(),
        commented("a"),
        other,
        event("post-1", "post-removed", json!({})),
    ])
    .when(posts)
    .then([Post {
        id: "2".into(),
        author: "eve".into(),
        message: "Mine".into(),
        posted_at: second(3),
        ..post()
    }])
    .then_none::<Comment>();
}

#[test]
fn editing_what_is_not_there_is_the_events_fault() {
    given([event("post-1", "post-edited", json!({"message": "?"}))])
        .when(posts)
        .then_rejects("row-missing");
}
