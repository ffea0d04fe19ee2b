//! The social workload: posts that are written, liked and commented on, in events as the command service writes them. The same
//! events for the same numbers, on every machine.
//!
//! Not here: what is measured with it.

mod random;
mod text;

use clap::Args;
use reel_event_log::{ExpectedVersion, IdOrigin, NewCommit};
use reel_events::{CanonicalJson, EventBatch, EventKind, EventRef, NewEvent, StreamId, Timestamp};
use uuid::{Builder, Uuid};

use random::Random;
use text::{author, words};

/// When the first event happened: 2026-01-01. One follows each millisecond.
const FIRST_MILLISECOND: u64 = 1_767_225_600_000;
/// How many people there are.
const PEOPLE: usize = 20_000;
/// How often a post with a comment is looked for, before a like is taken instead.
const TRIES: usize = 8;

/// How much of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Size {
    /// How many events.
    pub(crate) events: usize,
    /// How many posts they are about.
    pub(crate) posts: usize,
}

/// The workload that is asked for on the command line.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct Chosen {
    /// How many events
    #[arg(long, default_value_t = 1_000_000)]
    pub(crate) events: usize,
    /// Posts that they are about [default: one for each 20 events]
    #[arg(long)]
    pub(crate) posts: Option<usize>,
    /// Seed of the workload
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
}

impl Chosen {
    pub(crate) fn size(&self) -> Size {
        Size { events: self.events, posts: self.posts.unwrap_or(self.events.div_ceil(20)) }
    }
}

/// The workload as an endless supply of events, each legal behind those before it.
#[derive(Debug, Clone)]
pub(crate) struct Social {
    random: Random,
    size: Size,
    made: usize,
    posts: Vec<Post>,
    /// Posts that were not removed.
    live: Vec<u32>,
}

#[derive(Debug, Clone)]
struct Post {
    id: Uuid,
    version: u64,
    /// Comments that were not removed.
    comments: Vec<Uuid>,
}

/// One event, before it has a form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Made {
    pub(crate) id: Uuid,
    pub(crate) post: Uuid,
    pub(crate) version: u64,
    pub(crate) kind: &'static str,
    pub(crate) payload: String,
    /// Milliseconds since the epoch.
    pub(crate) at: u64,
}

impl Social {
    /// The workload of this size and seed.
    pub(crate) fn new(size: Size, seed: u64) -> Social {
        Social { random: Random::new(seed), size, made: 0, posts: Vec::new(), live: Vec::new() }
    }

    /// The next `count` events as commits of one event each, no more than there are.
    pub(crate) fn commits(&mut self, count: usize) -> Vec<NewCommit> {
        self.by_ref().take(count).map(commit).collect()
    }

    /// The next `count` events as a source hands them over, no more than there are.
    pub(crate) fn batch(&mut self, count: usize) -> EventBatch {
        let mut batch = EventBatch::new();
        for position in self.made as u64 + 1..=(self.made + count) as u64 {
            let Some(made) = self.next() else { break };
            push(&mut batch, position, &made);
        }
        batch
    }

    /// Kind and payload of the next event, and the post it belongs to.
    fn event(&mut self, at: u64) -> (usize, &'static str, String) {
        // Evenly spread: post number n is written once its part of all events is reached.
        let due = self.posts.len() * self.size.events <= self.made * self.size.posts;
        if (due && self.posts.len() < self.size.posts) || self.live.is_empty() {
            return self.create(at);
        }
        // Of what is no creation; with 20 events a post, likes are 60 % of all events and comments 25 %.
        let (share, place) = (self.random.below(95), self.random.below(self.live.len()));
        let post = self.live[place] as usize;
        match share {
            0..60 => like(post),
            60..85 => self.comment(post, at),
            85..89 => (post, "post-edited", format!(r#"{{"message":"{}"}}"#, self.message())),
            89..92 => self.edit_comment(),
            92..94 => self.remove_comment(),
            _ => {
                self.live.swap_remove(place);
                self.posts[post].comments = Vec::new();
                (post, "post-removed", "{}".into())
            }
        }
    }

    fn create(&mut self, at: u64) -> (usize, &'static str, String) {
        let post = self.posts.len();
        let id = self.id(at);
        self.posts.push(Post { id, version: 0, comments: Vec::new() });
        self.live.push(u32::try_from(post).expect("there are fewer posts than that"));
        let author = author(self.random.below(PEOPLE));
        (post, "post-created", format!(r#"{{"author":"{author}","message":"{}"}}"#, self.message()))
    }

    fn comment(&mut self, post: usize, at: u64) -> (usize, &'static str, String) {
        let id = self.id(at);
        self.posts[post].comments.push(id);
        let author = author(self.random.below(PEOPLE));
        (post, "comment-added", format!(r#"{{"comment":"{id}","author":"{author}","text":"{}"}}"#, self.comment_text()))
    }

    fn edit_comment(&mut self) -> (usize, &'static str, String) {
        let Some((post, place)) = self.commented() else { return self.like_any() };
        let comment = self.posts[post].comments[place];
        (post, "comment-edited", format!(r#"{{"comment":"{comment}","text":"{}"}}"#, self.comment_text()))
    }

    fn remove_comment(&mut self) -> (usize, &'static str, String) {
        let Some((post, place)) = self.commented() else { return self.like_any() };
        let comment = self.posts[post].comments.swap_remove(place);
        (post, "comment-removed", format!(r#"{{"comment":"{comment}"}}"#))
    }

    /// Some post with a comment, and the comment's place.
    fn commented(&mut self) -> Option<(usize, usize)> {
        (0..TRIES).find_map(|_| {
            let post = self.live[self.random.below(self.live.len())] as usize;
            let comments = self.posts[post].comments.len();
            (comments > 0).then(|| (post, self.random.below(comments)))
        })
    }

    fn like_any(&mut self) -> (usize, &'static str, String) {
        like(self.live[self.random.below(self.live.len())] as usize)
    }

    fn message(&mut self) -> String {
        words(&mut self.random, 200..680)
    }

    fn comment_text(&mut self) -> String {
        words(&mut self.random, 100..700)
    }

    fn id(&mut self, at: u64) -> Uuid {
        Builder::from_unix_timestamp_millis(at, &self.random.bytes()).into_uuid()
    }
}

impl Iterator for Social {
    type Item = Made;

    fn next(&mut self) -> Option<Made> {
        if self.made == self.size.events {
            return None;
        }
        let at = FIRST_MILLISECOND + self.made as u64;
        let (number, kind, payload) = self.event(at);
        let id = self.id(at);
        self.made += 1;
        let post = &mut self.posts[number];
        post.version += 1;
        Some(Made { id, post: post.id, version: post.version, kind, payload, at })
    }
}

fn like(post: usize) -> (usize, &'static str, String) {
    (post, "post-liked", "{}".into())
}

fn commit(made: Made) -> NewCommit {
    let event = NewEvent {
        id: made.id,
        kind: EventKind::new(made.kind).expect("our own kinds are kinds"),
        schema: 1,
        recorded_at: Some(Timestamp::from_micros(micros(made.at))),
        payload: CanonicalJson::trusted(&made.payload),
        metadata: CanonicalJson::default(),
    };
    NewCommit {
        id: made.id,
        stream: StreamId::new(&stream(made.post)).expect("a category and a UUID"),
        expected: ExpectedVersion::Exactly(made.version - 1),
        digest: [0; 32],
        ids: IdOrigin::Given,
        events: vec![event],
    }
}

fn push(batch: &mut EventBatch, position: u64, made: &Made) {
    batch.push(EventRef {
        position,
        version: made.version,
        id: made.id,
        stream: &stream(made.post),
        kind: made.kind,
        schema: 1,
        recorded_at: micros(made.at),
        payload: &made.payload,
        metadata: "",
    });
}

fn stream(post: Uuid) -> String {
    format!("post-{post}")
}

fn micros(milliseconds: u64) -> i64 {
    i64::try_from(milliseconds * 1000).expect("a time of this century")
}

#[cfg(test)]
mod tests;
