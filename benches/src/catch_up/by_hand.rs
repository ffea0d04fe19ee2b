//! Two consumers as a team would write them: one upsert for each event, and batches of a thousand by `UNNEST`. Both keep the offset in
//! the transaction of the rows, and both write the two tables of the posts example.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rdkafka::consumer::{Consumer, StreamConsumer};
use rdkafka::message::{BorrowedMessage, Headers};
use rdkafka::{Message, Offset, TopicPartitionList};
use reel_event_log::topic::kafka::TopicUrl;
use serde_json::Value;
use sqlx::{Connection, PgConnection};

use super::{Measured, used};
use crate::error::BenchError;

/// How a consumer writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// One transaction with its statements for each event.
    OneByOne,
    /// One transaction for a thousand events, folded in memory.
    Batches,
}

const BATCH: usize = 1_000;

const TABLES: &str = "
    DROP SCHEMA IF EXISTS reel_bench_by_hand CASCADE; CREATE SCHEMA reel_bench_by_hand;
    SET search_path TO reel_bench_by_hand;
    CREATE TABLE posts (id text PRIMARY KEY, author text NOT NULL, message text NOT NULL, likes bigint NOT NULL,
        comments bigint NOT NULL, posted_at text NOT NULL);
    CREATE INDEX ON posts (author, posted_at); CREATE INDEX ON posts (likes);
    CREATE TABLE comments (post text, id text, author text NOT NULL, text text NOT NULL, PRIMARY KEY (post, id));
    CREATE INDEX ON comments (author);
    CREATE TABLE place (partition int PRIMARY KEY, next bigint NOT NULL)";

/// Consumers by hand, of one topic.
pub(super) struct ByHand {
    pub(super) url: TopicUrl,
    pub(super) postgres: String,
    pub(super) partitions: u32,
}

/// An event as such a consumer knows it.
struct Event {
    partition: i32,
    offset: i64,
    kind: String,
    post: String,
    at: String,
    data: Value,
}

/// What a batch comes to.
#[derive(Default)]
struct Batch {
    created: BTreeMap<String, (String, String, String)>,
    edited: BTreeMap<String, String>,
    likes: BTreeMap<String, i64>,
    comments: BTreeMap<String, i64>,
    said: BTreeMap<(String, String), (String, String)>,
    unsaid: Vec<(String, String)>,
    removed: Vec<String>,
    places: BTreeMap<i32, i64>,
    events: usize,
}

impl ByHand {
    /// Consumes `events` events from the topic's beginning.
    pub(super) async fn run(&self, way: Way, events: usize) -> Result<Measured, BenchError> {
        let mut database = self.database().await?;
        let consumer = self.consumer()?;
        let (began, processor) = (Instant::now(), used());
        let (mut done, mut rows, mut batch) = (0, 0, Batch::default());
        while done < events {
            let message = consumer.recv().await.map_err(BenchError::doing("consuming by hand"))?;
            let Some(event) = read(&message)? else { continue };
            done += 1;
            if way == Way::OneByOne {
                rows += write_one(&mut database, &event).await.map_err(BenchError::doing("writing by hand"))?;
                continue;
            }
            batch.take(event);
            if batch.events == BATCH || done == events {
                let full = std::mem::take(&mut batch);
                rows += full.write(&mut database).await.map_err(BenchError::doing("writing by hand"))?;
            }
        }
        let who = if way == Way::OneByOne { "one upsert for each event" } else { "UNNEST of 1,000" };
        let (seconds, processor) = (began.elapsed().as_secs_f64(), used() - processor);
        Ok(Measured { who, events: events as u64, seconds, processor, rows })
    }

    /// Drops what was made.
    pub(super) async fn clean(&self) -> Result<(), BenchError> {
        let mut database = self.connect().await?;
        let dropped = sqlx::raw_sql("DROP SCHEMA reel_bench_by_hand CASCADE").execute(&mut database).await;
        dropped.map(drop).map_err(BenchError::doing("dropping the tables by hand"))
    }

    async fn connect(&self) -> Result<PgConnection, BenchError> {
        PgConnection::connect(&self.postgres).await.map_err(BenchError::doing("connecting by hand"))
    }

    async fn database(&self) -> Result<PgConnection, BenchError> {
        let mut database = self.connect().await?;
        sqlx::raw_sql(TABLES).execute(&mut database).await.map_err(BenchError::doing("making tables by hand"))?;
        Ok(database)
    }

    fn consumer(&self) -> Result<StreamConsumer, BenchError> {
        let settings = [("group.id", "reel-bench-by-hand"), ("enable.auto.commit", "false")];
        let consumer: StreamConsumer =
            self.url.configure(&settings).create().map_err(BenchError::doing("making a consumer by hand"))?;
        let mut all = TopicPartitionList::new();
        for partition in 0..self.partitions as i32 {
            all.add_partition_offset(self.url.topic(), partition, Offset::Beginning)
                .map_err(BenchError::doing("assigning by hand"))?;
        }
        consumer.assign(&all).map_err(BenchError::doing("assigning by hand"))?;
        // The broker is asked now, so that it is not part of what is measured.
        let topic = Some(self.url.topic());
        consumer.fetch_metadata(topic, Duration::from_secs(10)).map_err(BenchError::doing("asking the broker"))?;
        Ok(consumer)
    }
}

fn read(message: &BorrowedMessage<'_>) -> Result<Option<Event>, BenchError> {
    let Some(key) = message.key() else { return Ok(None) };
    let header = |name: &str| {
        let headers = message.headers()?;
        let found = headers.iter().find(|header| header.key == name)?;
        found.value.map(|value| String::from_utf8_lossy(value).into_owned())
    };
    let key = String::from_utf8_lossy(key);
    let data = serde_json::from_slice(message.payload().unwrap_or_default());
    Ok(Some(Event {
        partition: message.partition(),
        offset: message.offset(),
        kind: header("ce_type").unwrap_or_default(),
        post: key.strip_prefix("post-").unwrap_or(&key).to_owned(),
        at: header("ce_time").unwrap_or_default(),
        data: data.map_err(BenchError::doing("reading a payload by hand"))?,
    }))
}

fn text<'a>(event: &'a Event, name: &str) -> &'a str {
    event.data[name].as_str().unwrap_or_default()
}

const PLACE: &str = "INSERT INTO place VALUES ($1, $2) ON CONFLICT (partition) DO UPDATE SET next = excluded.next";

/// Rows that were written.
async fn write_one(database: &mut PgConnection, event: &Event) -> Result<u64, sqlx::Error> {
    let mut transaction = database.begin().await?;
    let rows = apply(&mut transaction, event).await?;
    sqlx::query(PLACE).bind(event.partition).bind(event.offset + 1).execute(&mut *transaction).await?;
    transaction.commit().await?;
    Ok(rows)
}

async fn apply(database: &mut PgConnection, event: &Event) -> Result<u64, sqlx::Error> {
    let (post, comment) = (event.post.as_str(), text(event, "comment"));
    let add = "UPDATE posts SET comments = comments + $1 WHERE id = $2";
    match event.kind.as_str() {
        "post-created" => {
            let upsert = "INSERT INTO posts VALUES ($1, $2, $3, 0, 0, $4) ON CONFLICT (id) DO UPDATE \
                SET author = excluded.author, message = excluded.message, posted_at = excluded.posted_at";
            let upsert = sqlx::query(upsert).bind(post).bind(text(event, "author")).bind(text(event, "message"));
            upsert.bind(&event.at).execute(database).await?;
        }
        "post-edited" => {
            let update = sqlx::query("UPDATE posts SET message = $1 WHERE id = $2").bind(text(event, "message"));
            update.bind(post).execute(database).await?;
        }
        "post-liked" => {
            let update = sqlx::query("UPDATE posts SET likes = likes + 1 WHERE id = $1");
            update.bind(post).execute(database).await?;
        }
        "comment-added" => {
            let upsert = "INSERT INTO comments VALUES ($1, $2, $3, $4) ON CONFLICT (post, id) DO UPDATE \
                SET author = excluded.author, text = excluded.text";
            let upsert = sqlx::query(upsert).bind(post).bind(comment).bind(text(event, "author"));
            upsert.bind(text(event, "text")).execute(&mut *database).await?;
            sqlx::query(add).bind(1_i64).bind(post).execute(database).await?;
            return Ok(2);
        }
        "comment-edited" => {
            let update = sqlx::query("UPDATE comments SET text = $1 WHERE post = $2 AND id = $3");
            update.bind(text(event, "text")).bind(post).bind(comment).execute(database).await?;
        }
        "comment-removed" => {
            let delete = sqlx::query("DELETE FROM comments WHERE post = $1 AND id = $2").bind(post).bind(comment);
            delete.execute(&mut *database).await?;
            sqlx::query(add).bind(-1_i64).bind(post).execute(database).await?;
            return Ok(2);
        }
        _ => {
            sqlx::query("DELETE FROM comments WHERE post = $1").bind(post).execute(&mut *database).await?;
            sqlx::query("DELETE FROM posts WHERE id = $1").bind(post).execute(database).await?;
        }
    }
    Ok(1)
}

impl Batch {
    fn take(&mut self, event: Event) {
        self.events += 1;
        self.places.insert(event.partition, event.offset + 1);
        let comment = || (event.post.clone(), text(&event, "comment").to_owned());
        match event.kind.as_str() {
            "post-created" => {
                let row = (text(&event, "author").to_owned(), text(&event, "message").to_owned(), event.at.clone());
                self.created.insert(event.post, row);
            }
            "post-edited" => drop(self.edited.insert(event.post.clone(), text(&event, "message").to_owned())),
            "post-liked" => *self.likes.entry(event.post).or_default() += 1,
            "comment-added" => {
                let row = (text(&event, "author").to_owned(), text(&event, "text").to_owned());
                self.said.insert(comment(), row);
                *self.comments.entry(event.post).or_default() += 1;
            }
            // Of a comment that is in the table, only the text changes.
            "comment-edited" => self.said.entry(comment()).or_default().1 = text(&event, "text").to_owned(),
            "comment-removed" => {
                self.said.remove(&comment());
                self.unsaid.push(comment());
                *self.comments.entry(event.post).or_default() -= 1;
            }
            _ => self.removed.push(event.post),
        }
    }

    async fn write(self, database: &mut PgConnection) -> Result<u64, sqlx::Error> {
        let mut transaction = database.begin().await?;
        let rows = self.posts(&mut transaction).await? + self.said(&mut transaction).await?;
        for (partition, next) in self.places {
            sqlx::query(PLACE).bind(partition).bind(next).execute(&mut *transaction).await?;
        }
        transaction.commit().await?;
        Ok(rows)
    }

    async fn posts(&self, database: &mut PgConnection) -> Result<u64, sqlx::Error> {
        let ids: Vec<&str> = self.created.keys().map(String::as_str).collect();
        let column = |of: fn(&(String, String, String)) -> &str| self.created.values().map(of).collect::<Vec<_>>();
        let upsert = "INSERT INTO posts SELECT id, author, message, 0, 0, at \
            FROM unnest($1::text[], $2::text[], $3::text[], $4::text[]) AS new (id, author, message, at) \
            ON CONFLICT (id) DO UPDATE SET author = excluded.author, message = excluded.message, posted_at = excluded.posted_at";
        let upsert = sqlx::query(upsert).bind(&ids).bind(column(|row| &row.0)).bind(column(|row| &row.1));
        let mut rows = upsert.bind(column(|row| &row.2)).execute(&mut *database).await?.rows_affected();
        let (ids, messages): (Vec<&str>, Vec<&str>) = self.edited.iter().map(|(a, b)| (a.as_str(), b.as_str())).unzip();
        let edit = "UPDATE posts SET message = new.message FROM unnest($1::text[], $2::text[]) AS new (id, message) \
            WHERE posts.id = new.id";
        rows += sqlx::query(edit).bind(ids).bind(messages).execute(&mut *database).await?.rows_affected();
        for (column, counts) in [("likes", &self.likes), ("comments", &self.comments)] {
            let (ids, more): (Vec<&str>, Vec<i64>) = counts.iter().map(|(id, more)| (id.as_str(), *more)).unzip();
            let add = match column {
                "likes" => {
                    "UPDATE posts SET likes = likes + new.more FROM unnest($1::text[], $2::int8[]) AS new (id, more) \
                     WHERE posts.id = new.id"
                }
                _ => {
                    "UPDATE posts SET comments = comments + new.more \
                     FROM unnest($1::text[], $2::int8[]) AS new (id, more) WHERE posts.id = new.id"
                }
            };
            rows += sqlx::query(add).bind(ids).bind(more).execute(&mut *database).await?.rows_affected();
        }
        Ok(rows)
    }

    async fn said(&self, database: &mut PgConnection) -> Result<u64, sqlx::Error> {
        let (posts, ids): (Vec<&str>, Vec<&str>) = self.unsaid.iter().map(|(a, b)| (a.as_str(), b.as_str())).unzip();
        let delete = "DELETE FROM comments USING unnest($1::text[], $2::text[]) AS old (post, id) \
            WHERE comments.post = old.post AND comments.id = old.id";
        let mut rows = sqlx::query(delete).bind(posts).bind(ids).execute(&mut *database).await?.rows_affected();
        let (posts, ids): (Vec<&str>, Vec<&str>) = self.said.keys().map(|(a, b)| (a.as_str(), b.as_str())).unzip();
        let (who, what): (Vec<&str>, Vec<&str>) = self.said.values().map(|(a, b)| (a.as_str(), b.as_str())).unzip();
        let upsert = "INSERT INTO comments SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[]) \
            ON CONFLICT (post, id) DO UPDATE SET text = excluded.text";
        let upsert = sqlx::query(upsert).bind(posts).bind(ids).bind(who).bind(what);
        rows += upsert.execute(&mut *database).await?.rows_affected();
        for table in ["DELETE FROM comments WHERE post = ANY ($1)", "DELETE FROM posts WHERE id = ANY ($1)"] {
            rows += sqlx::query(table).bind(&self.removed).execute(&mut *database).await?.rows_affected();
        }
        Ok(rows)
    }
}
