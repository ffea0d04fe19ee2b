//! What becomes of posts in their second shape.

use super::{Author, Comment, Post, Shown, posts};
use reel_sdk::{
    Json,
    testing::{GivenEvent, event, given, json, second},
};

fn created() -> GivenEvent {
    event("post-1", "post-created", json!({"author": "ann", "message": "Hello"}))
}

fn commented(number: usize) -> GivenEvent {
    event("post-1", "comment-added", json!({"comment": format!("c{number}"), "author": "bob", "text": "Hi"}))
}

fn removed(number: usize) -> GivenEvent {
    event("post-1", "comment-removed", json!({"comment": format!("c{number}")}))
}

fn author(name: &str, posts: i64, comments: i64, likes: i64) -> Author {
    Author { name: name.into(), posts, comments, likes }
}

/// The numbers of the comments that the one post shows, and its score.
fn shown(events: impl IntoIterator<Item = GivenEvent>) -> (Vec<usize>, i64) {
    let rows = given(events).when(posts).rows::<Post>();
    let number = |shown: &Shown| shown.comment[1..].parse().unwrap();
    (rows[0].latest_comments.0.iter().map(number).collect(), rows[0].score)
}

#[test]
fn a_post_has_a_score_and_authors_have_totals() {
    let shown = Shown { comment: "c1".into(), author: "bob".into(), text: "Ho".into(), at: second(2) };
    given([
        created(),
        commented(1),
        event("post-1", "post-liked", json!({})),
        event("post-1", "comment-edited", json!({"comment": "c1", "text": "Ho"})),
        event("post-1", "post-edited", json!({"message": "Hello, all"})),
        event("post-2", "post-created", json!({"author": "bob", "message": "Mine"})),
        event("post-2", "post-removed", json!({})),
    ])
    .when(posts)
    .then([Post {
        id: "1".into(),
        author: "ann".into(),
        message: "Hello, all".into(),
        score: 3,
        latest_comments: Json(vec![shown]),
        posted_at: second(1),
    }])
    .then([author("ann", 1, 0, 1), author("bob", 1, 1, 0)]);
}

#[test]
fn the_ten_latest_comments_are_shown_newest_first() {
    let events = [created()].into_iter().chain((1..=12).map(commented));
    assert_eq!(shown(events), ((3..=12).rev().collect(), 24));
}

#[test]
fn an_older_comment_takes_the_place_of_a_removed_one() {
    let events = || [created()].into_iter().chain((1..=12).map(commented));
    assert_eq!(shown(events().chain([removed(7)])).0, [12, 11, 10, 9, 8, 6, 5, 4, 3, 2]);
    assert_eq!(shown(events().chain([removed(2), removed(3)])).0, [12, 11, 10, 9, 8, 7, 6, 5, 4, 1]);
    let rest = events().chain((2..=12).rev().map(removed));
    assert_eq!(shown(rest), (vec![1], 2));
}

#[test]
fn a_comment_after_all_were_removed_stands_alone() {
    assert_eq!(shown([created(), commented(1), removed(1), commented(2), removed(2), commented(3)]), (vec![3], 2));
}

#[test]
fn a_removed_post_takes_its_comments_along() {
    given([created(), commented(1), event("post-1", "post-removed", json!({}))])
        .when(posts)
        .then_none::<Post>()
        .then_none::<Comment>();
}

#[test]
fn a_like_of_no_post_is_rejected() {
    given([event("post-1", "post-liked", json!({}))]).when(posts).then_rejects("post-missing");
}
