//! Posts and their comments, a row each.

use reel_sdk::{Event, Events, Reject, Rows, Table, Timestamp, projection};

/// A post that was not removed.
#[derive(Debug, Clone, PartialEq, Table)]
#[table(name = "posts", owner = id, index(author, posted_at), index(likes))]
#[rustfmt::skip]
struct Post {
    #[key(length = 36)] id: String,
    #[length(64)] author: String,
    message: String,
    likes: i64,
    comments: i64,
    posted_at: Timestamp,
    edited_at: Option<Timestamp>,
}

/// A comment that was not removed, of a post that was not removed.
#[derive(Debug, Clone, PartialEq, Table)]
#[table(name = "comments", owner = post, index(author), references(post => posts))]
#[rustfmt::skip]
struct Comment {
    #[key(length = 36)] post: String,
    #[key(length = 36)] id: String,
    #[length(64)] author: String,
    text: String,
    commented_at: Timestamp,
    edited_at: Option<Timestamp>,
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

/// Posts with their likes, and their comments.
#[projection(name = "posts", version = "1.0.0", tables(Post, Comment), queries(
    popular(Post, "order=likes.desc&limit={most}", most: i64 = 10),
    by_author(Post, "author=eq.{who}&order=posted_at.desc", who: String)
))]
#[rustfmt::skip]
pub fn posts(event: Event<PostEvent>, rows: &mut Rows) -> Result<(), Reject> {
    use PostEvent::*;
    let (id, at) = (event.stream_key(), event.recorded_at);
    match event.payload {
        Created { author, message } => {
            rows.upsert(Post { id: id.into(), author, message, likes: 0, comments: 0, posted_at: at, edited_at: None });
        }
        Edited { message } => rows.patch(Post::key(id), (Post::MESSAGE.set(message), Post::EDITED_AT.set(at))),
        Liked => rows.add(Post::key(id), Post::LIKES, 1),
        CommentAdded { comment, author, text } => {
            rows.upsert(Comment { post: id.into(), id: comment, author, text, commented_at: at, edited_at: None });
            rows.add(Post::key(id), Post::COMMENTS, 1);
        }
        CommentEdited { comment, text } => {
            rows.patch(Comment::key(id, comment), (Comment::TEXT.set(text), Comment::EDITED_AT.set(at)));
        }
        CommentRemoved { comment } => {
            rows.delete(Comment::key(id, comment));
            rows.add(Post::key(id), Post::COMMENTS, -1);
        }
        Removed => {
            rows.delete(Post::key(id));
            rows.delete_where(Comment::POST.eq(id));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
