//! What the rows of `posts` and `posts-v2` must be: the exported log folded in plain Rust, event by event, as their tables are described.
//! It shares no code with the projections, the SDK or the host.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

/// Rows of one table, as the read API gives them, by key.
pub type Rows = Vec<Value>;

/// Everything that was ever said, by post.
#[derive(Debug, Default)]
pub struct Fold {
    posts: BTreeMap<String, Post>,
    authors: BTreeMap<String, [i64; 3]>,
}

#[derive(Debug, Default)]
struct Post {
    author: String,
    message: String,
    likes: i64,
    posted_at: Value,
    edited_at: Value,
    /// In the order in which they were made; removed ones stay.
    comments: Vec<Comment>,
}

#[derive(Debug)]
struct Comment {
    id: String,
    author: String,
    text: String,
    at: Value,
    edited_at: Value,
    removed: bool,
    /// The latest one that stood when this one was made.
    previous: Value,
}

impl Fold {
    /// Folds events as `reel export` prints them.
    ///
    /// # Panics
    /// Where one does not fit what came before it.
    #[must_use]
    pub fn of(export: &str) -> Fold {
        let mut fold = Fold::default();
        for line in export.lines() {
            let event: Value = serde_json::from_str(line).expect("an export is JSON Lines");
            let subject = event["subject"].as_str().expect("every event has a stream");
            if let Some(id) = subject.strip_prefix("post-") {
                fold.apply(id, &event);
            }
        }
        fold
    }

    fn apply(&mut self, id: &str, event: &Value) {
        let (data, at) = (&event["data"], event["time"].clone());
        let text = |member: &str| data[member].as_str().unwrap_or_else(|| panic!("{event} has no {member}")).to_owned();
        let kind = event["type"].as_str().expect("every event has a type");
        if kind == "post-created" {
            let post = Post { author: text("author"), message: text("message"), posted_at: at, ..Post::default() };
            self.authors.entry(post.author.clone()).or_default()[0] += 1;
            self.posts.insert(id.to_owned(), post);
            return;
        }
        if kind == "post-removed" {
            self.posts.remove(id);
            return;
        }
        let post = self.posts.get_mut(id).expect("only a post that is there is changed");
        match kind {
            "post-edited" => (post.message, post.edited_at) = (text("message"), at),
            "post-liked" => {
                post.likes += 1;
                self.authors.entry(post.author.clone()).or_default()[2] += 1;
            }
            "comment-added" => {
                let previous = post.standing().next_back().map_or(Value::Null, |last| json!(last.id));
                let author = text("author");
                self.authors.entry(author.clone()).or_default()[1] += 1;
                let (id, text) = (text("comment"), text("text"));
                post.comments.push(Comment { id, author, text, at, edited_at: Value::Null, removed: false, previous });
            }
            "comment-edited" => {
                let comment = post.comment(&text("comment"));
                (comment.text, comment.edited_at) = (text("text"), at);
            }
            "comment-removed" => post.comment(&text("comment")).removed = true,
            other => panic!("an event of kind {other}, which this fold does not know"),
        }
    }

    /// Table `posts` of the plugin `posts`.
    #[must_use]
    pub fn posts(&self) -> Rows {
        let row = |(id, post): (&String, &Post)| {
            json!({
                "id": id, "author": post.author, "message": post.message, "likes": post.likes,
                "comments": post.standing().count(), "posted_at": post.posted_at, "edited_at": post.edited_at,
            })
        };
        self.posts.iter().map(row).collect()
    }

    /// Table `comments` of the plugin `posts`.
    #[must_use]
    pub fn comments(&self) -> Rows {
        let of_post = |(id, post): (&String, &Post)| {
            let rows = post.standing().map(|comment| {
                json!({
                    "post": id, "id": comment.id, "author": comment.author, "text": comment.text,
                    "commented_at": comment.at, "edited_at": comment.edited_at,
                })
            });
            by_id(rows.collect())
        };
        self.posts.iter().flat_map(of_post).collect()
    }

    /// Table `posts` of the plugin `posts-v2`.
    #[must_use]
    pub fn scored_posts(&self) -> Rows {
        let row = |(id, post): (&String, &Post)| {
            let shown = post.standing().rev().take(10).map(|comment| {
                json!({ "comment": comment.id, "author": comment.author, "text": comment.text, "at": comment.at })
            });
            json!({
                "id": id, "author": post.author, "message": post.message,
                "score": post.likes + 2 * post.standing().count() as i64,
                "latest_comments": shown.collect::<Vec<_>>(), "posted_at": post.posted_at,
            })
        };
        self.posts.iter().map(row).collect()
    }

    /// Table `comments` of the plugin `posts-v2`.
    #[must_use]
    pub fn all_comments(&self) -> Rows {
        let of_post = |(id, post): (&String, &Post)| {
            let rows = post.comments.iter().map(|comment| {
                json!({
                    "post": id, "id": comment.id, "author": comment.author, "text": comment.text,
                    "commented_at": comment.at, "removed": comment.removed, "previous": comment.previous,
                })
            });
            by_id(rows.collect())
        };
        self.posts.iter().flat_map(of_post).collect()
    }

    /// Table `authors` of the plugin `posts-v2`.
    #[must_use]
    pub fn authors(&self) -> Rows {
        let row = |(name, [posts, comments, likes]): (&String, &[i64; 3])| json!({ "name": name, "posts": posts, "comments": comments, "likes": likes });
        self.authors.iter().map(row).collect()
    }
}

impl Post {
    fn standing(&self) -> impl DoubleEndedIterator<Item = &Comment> {
        self.comments.iter().filter(|comment| !comment.removed)
    }

    fn comment(&mut self, id: &str) -> &mut Comment {
        let found = self.comments.iter_mut().find(|comment| comment.id == id);
        found.expect("only a comment that is there is changed")
    }
}

fn by_id(mut rows: Rows) -> Rows {
    rows.sort_by(|a, b| a["id"].as_str().cmp(&b["id"].as_str()));
    rows
}

/// Holds rows against what they must be; says where they part, not all of both.
///
/// # Panics
/// Where they differ.
pub fn assert_rows(what: &str, actual: &[Value], expected: &[Value]) {
    let members = |row: &Value| row.as_object().map(Map::len);
    let parts = actual.iter().zip(expected).position(|(actual, expected)| actual != expected);
    if let Some(place) = parts {
        let (actual, expected) = (&actual[place], &expected[place]);
        panic!(
            "{what}, row {place}: {:?} members against {:?}\n  is      {actual}\n  must be {expected}",
            members(actual),
            members(expected)
        );
    }
    assert_eq!(actual.len(), expected.len(), "{what}: how many rows");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_removed_comment_is_gone_from_one_shape_and_marked_in_the_other() {
        let event = |kind: &str, data: Value| {
            json!({ "subject": "post-1", "type": kind, "time": "t", "data": data }).to_string()
        };
        let comment = |id: &str| event("comment-added", json!({ "comment": id, "author": "bob", "text": id }));
        let log = [
            event("post-created", json!({ "author": "ann", "message": "m" })),
            comment("b"),
            comment("a"),
            event("comment-removed", json!({ "comment": "a" })),
            comment("c"),
            event("post-liked", json!({})),
        ];
        let fold = Fold::of(&log.join("\n"));
        assert_eq!(fold.posts()[0]["comments"], 2);
        assert_eq!(fold.scored_posts()[0]["score"], 5);
        assert_eq!(fold.scored_posts()[0]["latest_comments"][0]["comment"], "c");
        let all = fold.all_comments();
        let named: Vec<_> =
            all.iter().map(|row| (row["id"].as_str().unwrap(), &row["previous"], &row["removed"])).collect();
        let (a, b, yes, no) = (json!("b"), Value::Null, json!(true), json!(false));
        assert_eq!(named, [("a", &a, &yes), ("b", &b, &no), ("c", &a, &no)]);
        assert_eq!(fold.authors()[1], json!({ "name": "bob", "posts": 0, "comments": 3, "likes": 0 }));
    }
}
