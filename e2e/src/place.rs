//! Where a test's generations live: SQLite, PostgreSQL or MariaDB, started and looked into from outside. Not here: what is done to them.

use std::collections::BTreeSet;
use std::path::PathBuf;

use rusqlite::OpenFlags;
use sqlx::{AssertSqlSafe, Connection, MySqlConnection, PgConnection, query_as, raw_sql};
use tempfile::TempDir;

use crate::database::{MySql, Postgres};
use crate::reel::{Reel, Up};

/// A data directory, and a database where the rows are not in it.
#[derive(Debug)]
pub struct Place {
    data: TempDir,
    database: Database,
}

#[derive(Debug)]
enum Database {
    /// A file in the data directory.
    Sqlite,
    Postgres(Postgres),
    MySql(MySql),
}

/// What a read database holds beside Reel's catalog.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Contents {
    /// Physical tables, by name.
    pub tables: BTreeSet<String>,
    /// Views of readers, `projection.table`.
    pub views: BTreeSet<String>,
}

/// A generation's name in the catalog, its number in the database, and its state.
#[derive(Debug)]
pub struct Entry {
    /// Its number in the database, which its tables are named after.
    pub id: i64,
    /// The projection.
    pub projection: String,
    /// Its number within the projection.
    pub number: i64,
    /// Its state, as the catalog spells it.
    pub state: String,
    /// Whether it goes live by itself, as the catalog spells it.
    pub promotion: String,
}

/// What sessions may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// As on a replica.
    ReadOnly,
    /// As ever.
    Writable,
}

const GENERATIONS: &str = "SELECT id, projection, number, state, promotion FROM reel_generation ORDER BY id";
const POSTGRES_GENERATIONS: &str =
    "SELECT id::int8, projection::text, number::int8, state::text, promotion::text FROM reel.generation ORDER BY id";
const MYSQL_GENERATIONS: &str = "SELECT CAST(id AS SIGNED), CAST(projection AS CHAR), CAST(number AS SIGNED), CAST(state AS CHAR), \
     CAST(promotion AS CHAR) FROM reel_generation ORDER BY id";
const SQLITE_OBJECTS: &str = "SELECT type, name FROM sqlite_schema WHERE type IN ('table', 'view') \
     AND name NOT GLOB 'sqlite_*' AND NOT (name GLOB 'reel_*' AND name NOT GLOB '*__*')";
const POSTGRES_OBJECTS: &str = "SELECT c.relkind::text, n.nspname::text, c.relname::text FROM pg_class c \
     JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'v', 'm') \
     AND n.nspname NOT IN ('reel', 'pg_catalog', 'information_schema', 'pg_toast', 'mine')";
const MYSQL_OBJECTS: &str = "SELECT IF(table_type = 'VIEW', 'view', 'table'), '', CAST(table_name AS CHAR) \
     FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name NOT REGEXP '^reel_[a-z_]*$'";

/// What somebody else has in the same database, under names that look like ours: where it is, and what is made there.
const STRANGERS: [&str; 3] = ["g1_posts_of_mine", "_g1_of_mine", "all_of_mine"];

impl Place {
    /// SQLite, in a data directory of its own.
    ///
    /// # Panics
    /// Where no directory can be made.
    #[must_use]
    pub fn sqlite() -> Place {
        Place::on(Database::Sqlite)
    }

    /// A PostgreSQL database of its own; nothing where no server is given.
    pub async fn postgres() -> Option<Place> {
        Postgres::new().await.map(|database| Place::on(Database::Postgres(database)))
    }

    /// A MySQL or MariaDB database of its own; nothing where no server is given.
    pub async fn mysql() -> Option<Place> {
        MySql::new().await.map(|database| Place::on(Database::MySql(database)))
    }

    fn on(database: Database) -> Place {
        Place { data: tempfile::tempdir().expect("a directory can be made"), database }
    }

    /// A Reel there, to be started.
    #[must_use]
    pub fn up(&self) -> Up {
        let target = match &self.database {
            Database::Sqlite => None,
            Database::Postgres(database) => Some(database.url()),
            Database::MySql(database) => Some(database.url()),
        };
        Up::on(self.data.path()).target(target.as_deref())
    }

    /// Starts a Reel there.
    pub async fn start(&self) -> Reel {
        self.up().start().await
    }

    /// What new sessions on the PostgreSQL database may do.
    ///
    /// # Panics
    /// Where it is not on PostgreSQL.
    pub async fn set(&self, access: Access) {
        let mut session = self.session().await.expect("a PostgreSQL database");
        raw_sql("SET default_transaction_read_only = off").execute(&mut session).await.expect("it may be set");
        let name: (String,) =
            query_as("SELECT current_database()::text").fetch_one(&mut session).await.expect("it has a name");
        let read_only = if access == Access::ReadOnly { "on" } else { "off" };
        let set = format!("ALTER DATABASE {} SET default_transaction_read_only = {read_only}", name.0);
        raw_sql(AssertSqlSafe(set)).execute(&mut session).await.expect("its owner may set it");
    }

    /// A session on the PostgreSQL database; nothing elsewhere.
    ///
    /// # Panics
    /// Where it does not answer.
    pub async fn session(&self) -> Option<PgConnection> {
        let Database::Postgres(database) = &self.database else { return None };
        Some(PgConnection::connect(&database.url()).await.expect("the server of REEL_TEST_POSTGRES answers"))
    }

    /// Something of somebody else's in the same database: tables, named as ours may be, and a view.
    ///
    /// # Panics
    /// Where it cannot be made.
    pub async fn settle_stranger(&self) {
        let tables = "CREATE TABLE g1_posts_of_mine (id integer PRIMARY KEY); INSERT INTO g1_posts_of_mine VALUES (1), (2); \
             CREATE TABLE _g1_of_mine (id integer PRIMARY KEY); INSERT INTO _g1_of_mine VALUES (3), (4), (5);";
        let view = "CREATE VIEW all_of_mine AS SELECT id FROM g1_posts_of_mine UNION ALL SELECT id FROM _g1_of_mine;";
        match &self.database {
            Database::Sqlite => self.run(&format!("{tables} {view}")).await,
            Database::MySql(_) => self.run(&format!("{tables} {view}")).await,
            // Both in a schema of theirs, and among our tables.
            Database::Postgres(_) => {
                let beside = "CREATE SCHEMA IF NOT EXISTS reel_data; SET search_path TO reel_data;";
                self.run(&format!(
                    "CREATE SCHEMA mine; SET search_path TO mine; {tables} {view} {beside} {tables} {view}"
                ))
                .await;
            }
        }
        self.assert_stranger_untouched().await;
    }

    async fn run(&self, statements: &str) {
        let made = match &self.database {
            Database::Sqlite => {
                let database = rusqlite::Connection::open(self.file()).expect("the file is there");
                return database.execute_batch(statements).expect("somebody may make tables");
            }
            Database::MySql(database) => {
                let mut session = mysql_session(database).await;
                raw_sql(AssertSqlSafe(statements)).execute(&mut session).await.map(drop)
            }
            Database::Postgres(_) => {
                let mut session = self.session().await.expect("a PostgreSQL database");
                raw_sql(AssertSqlSafe(statements)).execute(&mut session).await.map(drop)
            }
        };
        made.expect("somebody may make tables");
    }

    /// Panics where the stranger's is not as it was.
    ///
    /// # Panics
    /// So it does.
    pub async fn assert_stranger_untouched(&self) {
        let schemas: &[&str] =
            if matches!(self.database, Database::Postgres(_)) { &["mine.", "reel_data."] } else { &[""] };
        for schema in schemas {
            // The view reads both tables, so it says all there is to say.
            let ask = format!("SELECT id FROM {schema}all_of_mine ORDER BY id");
            assert_eq!(self.ids(&ask).await, [1, 2, 3, 4, 5], "rows of somebody else in {schema}");
        }
    }

    async fn ids(&self, ask: &str) -> Vec<i32> {
        let rows: Vec<(i32,)> = match &self.database {
            Database::Sqlite => {
                let database = self.look();
                let mut statement = database.prepare(ask).expect("the view is there");
                let rows = statement.query_map([], |row| row.get(0)).expect("it can be read");
                return rows.map(|row| row.expect("it can be read")).collect();
            }
            Database::MySql(database) => {
                let mut session = mysql_session(database).await;
                query_as(AssertSqlSafe(ask)).fetch_all(&mut session).await.expect("the view is there")
            }
            Database::Postgres(_) => {
                let mut session = self.session().await.expect("a PostgreSQL database");
                query_as(AssertSqlSafe(ask)).fetch_all(&mut session).await.expect("the view is there")
            }
        };
        rows.into_iter().map(|row| row.0).collect()
    }

    /// All generations of the catalog, those that were dropped too.
    ///
    /// # Panics
    /// Where it cannot be read.
    pub async fn entries(&self) -> Vec<Entry> {
        let entry = |(id, projection, number, state, promotion)| Entry { id, projection, number, state, promotion };
        let rows: Vec<(i64, String, i64, String, String)> = match &self.database {
            Database::Sqlite => {
                let database = self.look();
                let mut statement = database.prepare(GENERATIONS).expect("the catalog is there");
                let rows = statement
                    .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?)));
                rows.expect("it can be read").map(|row| row.expect("it can be read")).collect()
            }
            Database::MySql(database) => {
                let mut session = mysql_session(database).await;
                query_as(MYSQL_GENERATIONS).fetch_all(&mut session).await.expect("the catalog is there")
            }
            Database::Postgres(_) => {
                let mut session = self.session().await.expect("a PostgreSQL database");
                query_as(POSTGRES_GENERATIONS).fetch_all(&mut session).await.expect("the catalog is there")
            }
        };
        rows.into_iter().map(entry).collect()
    }

    /// Tables of generations and views of readers, without the stranger's.
    ///
    /// # Panics
    /// Where the schema cannot be read.
    pub async fn contents(&self) -> Contents {
        let mut contents = Contents::default();
        for (kind, schema, name) in self.objects().await {
            match (kind.as_str(), schema.as_str()) {
                _ if STRANGERS.contains(&name.as_str()) => {}
                ("v" | "view", "") => drop(contents.views.insert(name.replacen("__", ".", 1))),
                ("v" | "view", schema) => drop(contents.views.insert(format!("{schema}.{name}"))),
                _ => drop(contents.tables.insert(name.trim_start_matches('_').to_owned())),
            }
        }
        contents
    }

    /// What a generation with these tables adds to the contents.
    pub fn expect(&self, entry: &Entry, tables: &[&str], into: &mut Contents) {
        for table in tables {
            into.tables.insert(format!("g{}_{table}", entry.id));
            if entry.state == "live" {
                into.views.insert(format!("{}.{table}", entry.projection));
            } else if matches!(self.database, Database::MySql(_)) {
                // There every generation has its views, which get their name by the flip.
                into.views.insert(format!("_v{}_{table}", entry.id));
            }
        }
    }

    async fn objects(&self) -> Vec<(String, String, String)> {
        match &self.database {
            Database::Sqlite => {
                let database = self.look();
                let mut statement = database.prepare(SQLITE_OBJECTS).expect("the schema can be read");
                let rows = statement.query_map([], |row| Ok((row.get(0)?, String::new(), row.get(1)?)));
                rows.expect("the schema can be read").map(|row| row.expect("it can be read")).collect()
            }
            Database::MySql(database) => {
                let mut session = mysql_session(database).await;
                query_as(MYSQL_OBJECTS).fetch_all(&mut session).await.expect("the schema can be read")
            }
            Database::Postgres(_) => {
                let mut session = self.session().await.expect("a PostgreSQL database");
                query_as(POSTGRES_OBJECTS).fetch_all(&mut session).await.expect("the schema can be read")
            }
        }
    }

    /// What builds have put aside: the names of their directories.
    #[must_use]
    pub fn put_aside(&self) -> Vec<String> {
        let Ok(directories) = std::fs::read_dir(self.data.path().join("builds")) else { return Vec::new() };
        directories.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
    }

    fn file(&self) -> PathBuf {
        self.data.path().join("read.sqlite")
    }

    fn look(&self) -> rusqlite::Connection {
        rusqlite::Connection::open_with_flags(self.file(), OpenFlags::SQLITE_OPEN_READ_ONLY).expect("the file is there")
    }
}

async fn mysql_session(database: &MySql) -> MySqlConnection {
    MySqlConnection::connect(&database.url()).await.expect("the server of REEL_TEST_MYSQL answers")
}
