//! Somebody who reads one table again and again, and believes nothing: every answer must be whole, of one shape, and no smaller than the last.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use reel_e2e::reel::{Reel, answer};
use reqwest::Method;
use serde_json::Value;
use tokio::sync::watch;

/// How long between two reads.
const PAUSE: Duration = Duration::from_millis(3);

/// A reader of one table of `posts`, whichever plugin makes it.
pub(crate) struct Reader {
    reel: Arc<Reel>,
    table: &'static str,
    last: usize,
    generation: String,
    seen: Seen,
}

/// What a reader saw.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    table: &'static str,
    /// How often it read.
    pub(crate) reads: u32,
    /// How often another generation answered than before.
    pub(crate) flips: u32,
    rows: usize,
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} reads, {} flips, {} rows in the end", self.table, self.reads, self.flips, self.rows)
    }
}

impl Reader {
    pub(crate) fn new(reel: Arc<Reel>, table: &'static str) -> Reader {
        Reader { reel, table, last: 0, generation: "posts@1".into(), seen: Seen { table, ..Seen::default() } }
    }

    /// Reads until it is told to stop.
    pub(crate) async fn reads_until(mut self, stopped: watch::Receiver<bool>) -> Seen {
        while !*stopped.borrow() {
            self.reads().await;
            tokio::time::sleep(PAUSE).await;
        }
        self.seen.rows = self.last;
        self.seen
    }

    async fn reads(&mut self) {
        let request =
            self.reel.request(Method::GET, &format!("/read/v1/posts/{}", self.table)).header("prefer", "count=exact");
        let answer = answer(request).await;
        assert_eq!(answer.status, 200, "{}: {answer:?}", self.table);
        let generation = answer.header("reel-generation").to_owned();
        let range = answer.header("content-range");
        let total: usize = range.rsplit_once('/').unwrap().1.parse().unwrap();
        let rows = answer.rows();
        assert_eq!(rows.len(), total, "{} of {generation}: one answer, one moment", self.table);
        assert!(total > 0, "{} of {generation} is empty", self.table);
        assert!(
            total >= self.last,
            "{} of {generation} went back from {} of {} to {total}",
            self.table,
            self.last,
            self.generation
        );
        for row in rows {
            assert_eq!(shape(row), shape_of(self.table, &generation), "{} of {generation}: {row}", self.table);
        }
        self.seen.reads += 1;
        self.seen.flips += u32::from(generation != self.generation);
        (self.last, self.generation) = (total, generation);
    }
}

/// The member by which the two plugins' rows differ.
fn shape(row: &Value) -> Option<&'static str> {
    ["likes", "score", "edited_at", "previous"].into_iter().find(|member| row.get(member).is_some())
}

fn shape_of(table: &str, generation: &str) -> Option<&'static str> {
    match (table, generation) {
        ("posts", "posts@1") => Some("likes"),
        ("posts", "posts@2") => Some("score"),
        ("comments", "posts@1") => Some("edited_at"),
        ("comments", "posts@2") => Some("previous"),
        _ => None,
    }
}
