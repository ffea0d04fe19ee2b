//! What becomes of posts and comments.

use super::{Comment, Post, posts};
use reel_sdk::testing::{GivenEvent, event, given, json, second};

fn created() -> GivenEvent {
    event("post-1", "post-created", json!({"author": "ann", "message": "Hello"}))
}

fn commented(id: &str) -> GivenEvent {
    event("post-1", "comment-added", json!({"comment": id, "author": "bob", "text": "Hi"}))
}

fn post(message: &str, likes: i64, comments: i64, edited: Option<i64>) -> Post {
    let (id, author, message) = ("1".into(), "ann".into(), message.into());
    let (posted_at, edited_at) = (second(1), edited.map(second));
    Post { id, author, message, likes, comments, posted_at, edited_at }
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
    .then([post("Hello, all", 2, 0, Some(4))]);
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
    .then([post("Hello", 0, 1, None)])
    .then([Comment {
        post: "1".into(),
        id: "b".into(),
        author: "bob".into(),
        text: "Ho".into(),
        commented_at: second(3),
        edited_at: Some(second(4)),
    }]);
}

#[test]
fn a_removed_post_takes_its_comments_along() {
    let removed = event("post-1", "post-removed", json!({}));
    given([created(), commented("a"), removed]).when(posts).then_none::<Post>().then_none::<Comment>();
}

#[test]
fn editing_what_is_not_there_is_the_events_fault() {
    let edited = event("post-1", "post-edited", json!({"message": "?"}));
    given([edited]).when(posts).then_rejects("row-missing");
}
