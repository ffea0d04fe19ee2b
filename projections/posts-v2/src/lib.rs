//! The events of `posts` in another shape: posts with a score and their latest comments at hand, and what each author came to.
//! Deployed in the place of `posts`: `reel replay posts --with` this component.

use reel_sdk::{Event, Events, Json, Reject, Rows, Table, Timestamp, projection};
use serde::{Deserialize, Serialize};

/// How many comments a post shows.
const SHOWN: usize = 10;
/// What a like and a comment are worth.
const LIKE: i64 = 1;
const COMMENT: i64 = 2;

/// A post that was not removed.
#[derive(Debug, Clone, PartialEq, Table)]
#[table(name = "posts", owner = id, index(score), index(author))]
struct Post {
    #[key(length = 36)]
    id: String,
    #[length(64)]
    author: String,
    message: String,
    /// A point for each like, two for each comment that stands.
    score: i64,
    /// The ten latest comments that stand, the newest first.
    latest_comments: Json<Vec<Shown>>,
    posted_at: Timestamp,
}

/// A comment as the post's row shows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Shown {
    comment: String,
    author: String,
    text: String,
    at: Timestamp,
}

/// Every comment of a post that was not removed; a removed comment stays, marked, as a link to those before it.
#[derive(Debug, Clone, PartialEq, Table)]
#[table(name = "comments", owner = post, references(post => posts))]
struct Comment {
    #[key(length = 36)]
    post: String,
    #[key(length = 36)]
    id: String,
    #[length(64)]
    author: String,
    text: String,
    commented_at: Timestamp,
    removed: bool,
    /// The latest comment that stood when this one was made.
    #[length(36)]
    previous: Option<String>,
}

/// What an author wrote and received over time; what was removed later counts too.
#[derive(Debug, Clone, PartialEq, Table)]
#[table(name = "authors", shared)]
struct Author {
    #[key(length = 64)]
    name: String,
    #[default(0)]
    posts: i64,
    #[default(0)]
    comments: i64,
    #[default(0)]
    likes: i64,
}

#[derive(Events)]
#[rustfmt::skip]
enum PostEvent {
    #[kind("post-created")]    Created { author: String, message: String },
    #[kind("post-edited")]     Edited { message: String },
    #[kind("post-liked")]      Liked,
    #[kind("comment-added")]   CommentAdded { comment: String, author: String, text: String },
    #[kind("comment-edited")]  CommentEdited { comment: String, text: String },
    #[kind("comment-removed")] CommentRemoved { comment: String },
    #[kind("post-removed")]    Removed,
}

/// Posts by popularity with their latest comments, and the authors' totals.
#[projection(name = "posts", version = "2.0.0", tables(Post, Comment, Author), queries(
    popular(Post, "order=score.desc&limit={most}", most: i64 = 10),
    leaders(Author, "order=likes.desc&limit={most}", most: i64 = 10)
))]
pub fn posts(event: Event<PostEvent>, rows: &mut Rows) -> Result<(), Reject> {
    use PostEvent::*;
    let (id, at) = (event.stream_key(), event.recorded_at);
    match event.payload {
        Created { author, message } => {
            rows.add(Author::key(&author), Author::POSTS, 1);
            let latest_comments = Json(Vec::new());
            rows.upsert(Post { id: id.to_owned(), author, message, score: 0, latest_comments, posted_at: at });
        }
        Edited { message } => rows.patch(Post::key(id), Post::MESSAGE.set(message)),
        Liked => {
            let author = post(rows, id)?.author;
            rows.add(Author::key(author), Author::LIKES, 1);
            rows.add(Post::key(id), Post::SCORE, LIKE);
        }
        CommentAdded { comment, author, text } => add_comment(rows, id, Shown { comment, author, text, at })?,
        CommentEdited { comment, text } => edit_comment(rows, id, &comment, &text)?,
        CommentRemoved { comment } => remove_comment(rows, id, &comment)?,
        Removed => {
            rows.delete(Post::key(id));
            rows.delete_where(Comment::POST.eq(id));
        }
    }
    Ok(())
}

fn add_comment(rows: &mut Rows, id: &str, shown: Shown) -> Result<(), Reject> {
    let mut latest = post(rows, id)?.latest_comments;
    let Shown { comment, author, text, at } = shown.clone();
    rows.add(Author::key(&author), Author::COMMENTS, 1);
    let previous = latest.0.first().map(|newest| newest.comment.clone());
    rows.upsert(Comment { post: id.to_owned(), id: comment, author, text, commented_at: at, removed: false, previous });
    latest.0.insert(0, shown);
    latest.0.truncate(SHOWN);
    rows.patch(Post::key(id), Post::LATEST_COMMENTS.set(latest));
    rows.add(Post::key(id), Post::SCORE, COMMENT);
    Ok(())
}

fn edit_comment(rows: &mut Rows, id: &str, comment: &str, text: &str) -> Result<(), Reject> {
    rows.patch(Comment::key(id, comment), Comment::TEXT.set(text));
    let mut latest = post(rows, id)?.latest_comments;
    if let Some(shown) = latest.0.iter_mut().find(|shown| shown.comment == comment) {
        shown.text = text.to_owned();
        rows.patch(Post::key(id), Post::LATEST_COMMENTS.set(latest));
    }
    Ok(())
}

/// Where a comment that is shown goes, the one before the shown ones takes the free place.
fn remove_comment(rows: &mut Rows, id: &str, comment: &str) -> Result<(), Reject> {
    rows.patch(Comment::key(id, comment), Comment::REMOVED.set(true));
    rows.add(Post::key(id), Post::SCORE, -COMMENT);
    let mut latest = post(rows, id)?.latest_comments;
    let Some(place) = latest.0.iter().position(|shown| shown.comment == comment) else {
        return Ok(());
    };
    let oldest = latest.0.last().map(|oldest| oldest.comment.clone());
    let was_full = latest.0.len() == SHOWN;
    latest.0.remove(place);
    if was_full && let Some(before) = standing_before(rows, id, oldest) {
        latest.0.push(before);
    }
    rows.patch(Post::key(id), Post::LATEST_COMMENTS.set(latest));
    Ok(())
}

/// The latest comment before `comment` that was not removed.
fn standing_before(rows: &mut Rows, id: &str, comment: Option<String>) -> Option<Shown> {
    let mut earlier = rows.get(Comment::key(id, comment?))?.previous;
    loop {
        let found = rows.get(Comment::key(id, earlier?))?;
        if !found.removed {
            let Comment { id: comment, author, text, commented_at: at, .. } = found;
            return Some(Shown { comment, author, text, at });
        }
        earlier = found.previous;
    }
}

fn post(rows: &mut Rows, id: &str) -> Result<Post, Reject> {
    rows.get(Post::key(id)).ok_or_else(|| Reject::new("post-missing", format!("there is no post {id}")))
}

#[cfg(test)]
mod tests;
