//! Where a test's generations live: SQLite or PostgreSQL, started and looked into from outside. Not here: what is done to them.

use std::collections::BTreeSet;
use std::path::PathBuf;

use reel_e2e::database::Postgres;
use reel_e2e::reel::{Reel, Up};
use rusqlite::OpenFlags;
use sqlx::{AssertSqlSafe, Connection, PgConnection, query_as, raw_sql};
use tempfile::TempDir;

/// A data directory, and a database where the rows are not in it.
pub(crate) struct Place {
    data: TempDir,
    database: Option<Postgres>,
}

/// What a read database holds beside Reel's catalog.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Contents {
    /// Physical tables, by name.
    pub(crate) tables: BTreeSet<String>,
    /// Views of readers, `projection.table`.
    pub(crate) views: BTreeSet<String>,
}

/// A generation's name in the catalog, its number in the database, and its state.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) id: i64,
    pub(crate) projection: String,
    pub(crate) number: i64,
    pub(crate) state: String,
    pub(crate) promotion: String,
}

/// What sessions may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// As on a replica.
    ReadOnly,
    Writable,
}

const SQLITE_GENERATIONS: &str = "SELECT id, projection, number, state, promotion FROM reel_generation ORDER BY id";
const SQLITE_OBJECTS: &str = "SELECT type, name FROM sqlite_schema WHERE type IN ('table', 'view') \
     AND name NOT GLOB 'sqlite_*' AND NOT (name GLOB 'reel_*' AND name NOT GLOB '*__*')";
const POSTGRES_GENERATIONS: &str =
    "SELECT id::int8, projection::text, number::int8, state::text, promotion::text FROM reel.generation ORDER BY id";
const POSTGRES_OBJECTS: &str = "SELECT c.relkind::text, n.nspname::text, c.relname::text FROM pg_class c \
     JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'v', 'm') \
     AND n.nspname NOT IN ('reel', 'pg_catalog', 'information_schema', 'pg_toast')";

impl Place {
    pub(crate) fn sqlite() -> Place {
        Place { data: tempfile::tempdir().unwrap(), database: None }
    }

    /// Nothing where no server is given.
    pub(crate) async fn postgres() -> Option<Place> {
        let database = Postgres::new().await;
        if database.is_none() {
            println!("passed over: REEL_TEST_POSTGRES is not set");
        }
        Some(Place { data: tempfile::tempdir().unwrap(), database: Some(database?) })
    }

    pub(crate) fn up(&self) -> Up {
        Up::on(self.data.path()).target(self.database.as_ref().map(Postgres::url).as_deref())
    }

    pub(crate) async fn start(&self) -> Reel {
        self.up().start().await
    }

    /// What new sessions on the PostgreSQL database may do.
    pub(crate) async fn set(&self, access: Access) {
        let mut session = self.session().await.unwrap();
        raw_sql("SET default_transaction_read_only = off").execute(&mut session).await.unwrap();
        let name: (String,) = query_as("SELECT current_database()::text").fetch_one(&mut session).await.unwrap();
        let read_only = if access == Access::ReadOnly { "on" } else { "off" };
        let set = format!("ALTER DATABASE {} SET default_transaction_read_only = {read_only}", name.0);
        raw_sql(AssertSqlSafe(set)).execute(&mut session).await.unwrap();
    }

    /// A session on the PostgreSQL database; nothing on SQLite.
    pub(crate) async fn session(&self) -> Option<PgConnection> {
        let url = self.database.as_ref()?.url();
        Some(PgConnection::connect(&url).await.unwrap())
    }

    fn file(&self) -> PathBuf {
        self.data.path().join("read.sqlite")
    }

    fn look(&self) -> rusqlite::Connection {
        rusqlite::Connection::open_with_flags(self.file(), OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap()
    }

    /// Something of somebody else's in the same database.
    pub(crate) async fn settle_stranger(&self) {
        let make =
            "CREATE TABLE g1_posts_of_mine (id integer PRIMARY KEY); INSERT INTO g1_posts_of_mine VALUES (1), (2)";
        match self.session().await {
            Some(mut session) => {
                raw_sql("CREATE SCHEMA mine; SET search_path TO mine").execute(&mut session).await.unwrap();
                raw_sql(make).execute(&mut session).await.unwrap();
            }
            None => rusqlite::Connection::open(self.file()).unwrap().execute_batch(make).unwrap(),
        }
    }

    /// Panics where the stranger's is not as it was.
    pub(crate) async fn assert_stranger_untouched(&self) {
        let count = match self.session().await {
            Some(mut session) => {
                let counted: (i64,) =
                    query_as("SELECT count(*) FROM mine.g1_posts_of_mine").fetch_one(&mut session).await.unwrap();
                counted.0
            }
            None => self.look().query_row("SELECT count(*) FROM g1_posts_of_mine", [], |row| row.get(0)).unwrap(),
        };
        assert_eq!(count, 2, "rows of somebody else");
    }

    /// All generations of the catalog, those that were dropped too.
    pub(crate) async fn entries(&self) -> Vec<Entry> {
        let entry = |(id, projection, number, state, promotion)| Entry { id, projection, number, state, promotion };
        if let Some(mut session) = self.session().await {
            let rows: Vec<(i64, String, i64, String, String)> =
                query_as(POSTGRES_GENERATIONS).fetch_all(&mut session).await.unwrap();
            return rows.into_iter().map(entry).collect();
        }
        let database = self.look();
        let mut statement = database.prepare(SQLITE_GENERATIONS).unwrap();
        let rows = statement
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?)))
            .unwrap();
        rows.map(|row| entry(row.unwrap())).collect()
    }

    /// Tables of generations and views of readers, without the stranger's.
    pub(crate) async fn contents(&self) -> Contents {
        let mut contents = Contents { tables: BTreeSet::new(), views: BTreeSet::new() };
        for (kind, schema, name) in self.objects().await {
            match (kind.as_str(), schema.as_str()) {
                (_, "mine") => {}
                ("v" | "view", "") => drop(contents.views.insert(name.replacen("__", ".", 1))),
                ("v" | "view", schema) => drop(contents.views.insert(format!("{schema}.{name}"))),
                _ if name == "g1_posts_of_mine" => {}
                _ => drop(contents.tables.insert(name.trim_start_matches('_').to_owned())),
            }
        }
        contents
    }

    async fn objects(&self) -> Vec<(String, String, String)> {
        if let Some(mut session) = self.session().await {
            return query_as(POSTGRES_OBJECTS).fetch_all(&mut session).await.unwrap();
        }
        let database = self.look();
        let mut statement = database.prepare(SQLITE_OBJECTS).unwrap();
        let rows = statement.query_map([], |row| Ok((row.get(0)?, String::new(), row.get(1)?))).unwrap();
        rows.map(Result::unwrap).collect()
    }
}
