//! A consumer that writes each event by itself, as most are written: one transaction with its one or two statements. The same for every
//! database that takes SQL; where they differ is in [`Dialect`].

use serde_json::Value;
use sqlx::{AssertSqlSafe, Connection, MySqlConnection, PgConnection};
use std::time::Instant;

use super::tds::Tds;
use crate::error::BenchError;
use crate::read_databases::ReadDatabases;
use crate::rebuild::Kind;
use crate::workload::Made;

/// What a statement is bound to.
#[derive(Debug, Clone)]
pub(super) enum Bound {
    Text(String),
    Number(i64),
}

/// How a database says what others say otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Dialect {
    Postgres,
    MySql,
    SqlServer,
}

/// A connection with tables of its own.
pub(super) enum ByHand {
    Postgres(PgConnection),
    MySql(MySqlConnection),
    SqlServer(Box<Tds>),
}

const DROP: [&str; 2] =
    ["DROP TABLE IF EXISTS reel_bench_posts_by_hand", "DROP TABLE IF EXISTS reel_bench_comments_by_hand"];
const CREATE: [&str; 2] = [
    "CREATE TABLE reel_bench_posts_by_hand (id varchar(36) PRIMARY KEY, author varchar(64) NOT NULL, message {text} NOT NULL, \
     likes bigint NOT NULL, comments bigint NOT NULL, posted_at bigint NOT NULL)",
    "CREATE TABLE reel_bench_comments_by_hand (post varchar(36) NOT NULL, id varchar(36) NOT NULL, author varchar(64) NOT NULL, \
     text {text} NOT NULL, PRIMARY KEY (post, id))",
];
/// As the posts example declares them.
const INDEXES: [&str; 3] = [
    "CREATE INDEX reel_bench_by_hand_1 ON reel_bench_posts_by_hand (author, posted_at)",
    "CREATE INDEX reel_bench_by_hand_2 ON reel_bench_posts_by_hand (likes)",
    "CREATE INDEX reel_bench_by_hand_3 ON reel_bench_comments_by_hand (author)",
];

impl Dialect {
    /// A statement whose places to be bound are written `?`.
    fn says(self, statement: &str) -> String {
        if self == Dialect::MySql {
            return statement.to_owned();
        }
        let mark = if self == Dialect::SqlServer { "@P" } else { "$" };
        let mut parts = statement.split('?');
        let first = parts.next().unwrap_or_default().to_owned();
        parts.zip(1..).fold(first, |said, (part, nth)| format!("{said}{mark}{nth}{part}"))
    }

    /// An insert that writes these columns where the key is there already.
    fn upsert(self, insert: &str, key: &str, columns: &[&str]) -> String {
        let set = |form: fn(&str) -> String| columns.iter().map(|column| form(column)).collect::<Vec<_>>().join(", ");
        match self {
            Dialect::Postgres => {
                format!(
                    "{insert} ON CONFLICT ({key}) DO UPDATE SET {}",
                    set(|name| format!("{name} = excluded.{name}"))
                )
            }
            // No event of the workload makes what is there already.
            Dialect::SqlServer => insert.to_owned(),
            Dialect::MySql => {
                format!("{insert} ON DUPLICATE KEY UPDATE {}", set(|name| format!("{name} = VALUES({name})")))
            }
        }
    }

    /// What one event comes to.
    fn statements(self, event: &Made) -> Result<Vec<(String, Vec<Bound>)>, BenchError> {
        let data: Value =
            serde_json::from_str(&event.payload).map_err(BenchError::doing("reading a payload by hand"))?;
        let post = || Bound::Text(event.post.to_string());
        let text = |name: &str| Bound::Text(data[name].as_str().unwrap_or_default().to_owned());
        let count = "UPDATE reel_bench_posts_by_hand SET comments = comments + ? WHERE id = ?";
        let said = match event.kind {
            "post-created" => {
                let insert = "INSERT INTO reel_bench_posts_by_hand VALUES (?, ?, ?, 0, 0, ?)";
                let upsert = self.upsert(insert, "id", &["author", "message", "posted_at"]);
                vec![(upsert, vec![post(), text("author"), text("message"), Bound::Number(event.at as i64)])]
            }
            "post-edited" => {
                let update = "UPDATE reel_bench_posts_by_hand SET message = ? WHERE id = ?";
                vec![(update.to_owned(), vec![text("message"), post()])]
            }
            "post-liked" => {
                let update = "UPDATE reel_bench_posts_by_hand SET likes = likes + 1 WHERE id = ?";
                vec![(update.to_owned(), vec![post()])]
            }
            "comment-added" => {
                let insert = "INSERT INTO reel_bench_comments_by_hand VALUES (?, ?, ?, ?)";
                let upsert = self.upsert(insert, "post, id", &["author", "text"]);
                vec![
                    (upsert, vec![post(), text("comment"), text("author"), text("text")]),
                    (count.to_owned(), vec![Bound::Number(1), post()]),
                ]
            }
            "comment-edited" => {
                let update = "UPDATE reel_bench_comments_by_hand SET text = ? WHERE post = ? AND id = ?";
                vec![(update.to_owned(), vec![text("text"), post(), text("comment")])]
            }
            "comment-removed" => {
                let delete = "DELETE FROM reel_bench_comments_by_hand WHERE post = ? AND id = ?";
                vec![
                    (delete.to_owned(), vec![post(), text("comment")]),
                    (count.to_owned(), vec![Bound::Number(-1), post()]),
                ]
            }
            _ => vec![
                ("DELETE FROM reel_bench_comments_by_hand WHERE post = ?".to_owned(), vec![post()]),
                ("DELETE FROM reel_bench_posts_by_hand WHERE id = ?".to_owned(), vec![post()]),
            ],
        };
        Ok(said.into_iter().map(|(statement, bound)| (self.says(&statement), bound)).collect())
    }
}

impl ByHand {
    /// Connects to a server; nothing where the database is no server.
    pub(super) async fn connect(kind: Kind, databases: &ReadDatabases) -> Result<Option<ByHand>, BenchError> {
        let doing = "connecting by hand";
        Ok(match (kind, databases.url(kind)) {
            (Kind::Postgres, Some(url)) => {
                Some(ByHand::Postgres(PgConnection::connect(url).await.map_err(BenchError::doing(doing))?))
            }
            (Kind::MySql, Some(url)) => {
                Some(ByHand::MySql(MySqlConnection::connect(url).await.map_err(BenchError::doing(doing))?))
            }
            (Kind::SqlServer, Some(url)) => {
                Some(ByHand::SqlServer(Box::new(Tds::connect(url).await.map_err(BenchError::doing(doing))?)))
            }
            _ => None,
        })
    }

    /// Writes all events; events a second.
    pub(super) async fn run(mut self, events: impl Iterator<Item = Made>) -> Result<f64, BenchError> {
        for statement in DROP.iter().chain(&CREATE).chain(&INDEXES) {
            let text = if self.dialect() == Dialect::SqlServer { "nvarchar(max)" } else { "text" };
            self.all(&[(statement.replace("{text}", text), Vec::new())]).await?;
        }
        let began = Instant::now();
        let mut written = 0_u64;
        for event in events {
            let statements = self.dialect().statements(&event)?;
            self.all(&statements).await?;
            written += 1;
        }
        let rate = written as f64 / began.elapsed().as_secs_f64();
        for statement in DROP {
            self.all(&[(statement.to_owned(), Vec::new())]).await?;
        }
        Ok(rate)
    }

    fn dialect(&self) -> Dialect {
        match self {
            ByHand::Postgres(_) => Dialect::Postgres,
            ByHand::MySql(_) => Dialect::MySql,
            ByHand::SqlServer(_) => Dialect::SqlServer,
        }
    }

    /// Runs statements in one transaction.
    async fn all(&mut self, statements: &[(String, Vec<Bound>)]) -> Result<(), BenchError> {
        let doing = "writing by hand";
        /// The same text for two types that have no trait in common.
        macro_rules! all_on {
            ($connection:expr) => {{
                let mut transaction = $connection.begin().await.map_err(BenchError::doing(doing))?;
                for (statement, bound) in statements {
                    let mut query = sqlx::query(AssertSqlSafe(statement.clone()));
                    for value in bound {
                        query = match value {
                            Bound::Text(text) => query.bind(text.clone()),
                            Bound::Number(number) => query.bind(*number),
                        };
                    }
                    query.execute(&mut *transaction).await.map_err(BenchError::doing(doing))?;
                }
                transaction.commit().await.map_err(BenchError::doing(doing))
            }};
        }
        match self {
            ByHand::Postgres(connection) => all_on!(connection),
            ByHand::MySql(connection) => all_on!(connection),
            ByHand::SqlServer(connection) => connection.all(statements).await.map_err(BenchError::doing(doing)),
        }
    }
}
