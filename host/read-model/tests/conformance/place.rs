//! Where a case runs: a fresh database, opened as a host opens it, and a way for plain SQL to look at it.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use reel_read_model::{CatalogError, Target, TargetKind, open};
use sqlx::{AssertSqlSafe, Connection, MySqlConnection, PgConnection, Row};

use crate::tds;

/// A database of one's own.
pub(crate) struct Place {
    pub(crate) url: String,
    pub(crate) target: Arc<dyn Target>,
}

impl Place {
    /// Opens it once more, as another process would.
    pub(crate) async fn reopen(&self) -> Result<Arc<dyn Target>, CatalogError> {
        open("again", &self.url).await
    }

    pub(crate) fn kind(&self) -> TargetKind {
        self.target.kind()
    }

    /// The name under which readers of SQL see a table.
    pub(crate) fn view(&self, schema: &str, table: &str) -> String {
        match self.kind() {
            TargetKind::Postgres => format!("{schema}.\"{table}\""),
            TargetKind::SqlServer => format!("{schema}.[{table}]"),
            TargetKind::Sqlite | TargetKind::MySql => format!("{schema}__{table}"),
        }
    }

    /// The name of a table of the catalog.
    pub(crate) fn catalog(&self, table: &str) -> String {
        match self.kind() {
            TargetKind::Postgres => format!("reel.{table}"),
            TargetKind::SqlServer => format!("reel.[{table}]"),
            TargetKind::Sqlite | TargetKind::MySql => format!("reel_{table}"),
        }
    }

    /// A role of this case alone: roles belong to the whole server, and other suites may run there.
    pub(crate) fn role(&self) -> String {
        // MySQL takes 32 characters.
        let name = self.database().rsplit('_').next().unwrap();
        format!("role_{}", &name[..name.len().min(24)])
    }

    /// The name of the database.
    pub(crate) fn database(&self) -> &str {
        self.url.rsplit('/').next().unwrap().split('?').next().unwrap()
    }

    /// The URL of another database on the same server.
    pub(crate) fn url_of_database(&self, name: &str) -> String {
        url_of_database(&self.url, name)
    }

    /// The URL of this place for somebody else.
    pub(crate) fn url_of(&self, user: &str) -> String {
        let (scheme, rest) = self.url.split_once("://").unwrap();
        format!("{scheme}://{user}@{}", rest.split_once('@').unwrap().1)
    }

    /// Plain SQL of another client: the first column, as text.
    pub(crate) async fn sql(&self, sql: &str) -> Result<Vec<Option<String>>, String> {
        sql_at(&self.url, sql).await
    }
}

/// The same of whoever the URL names.
pub(crate) async fn sql_at(url: &str, sql: &str) -> Result<Vec<Option<String>>, String> {
    if let Some(path) = url.strip_prefix("sqlite:") {
        return sqlite(path, sql).map_err(|error| error.to_string());
    }
    if url.starts_with("sqlserver:") {
        return tds::sql(url, sql).await.map_err(|error| error.to_string());
    }
    let statement = sqlx::raw_sql(AssertSqlSafe(sql));
    let done = async {
        if url.starts_with("mysql:") {
            let rows = statement.fetch_all(&mut MySqlConnection::connect(url).await?).await?;
            Ok(rows.iter().map(|row| row.get_unchecked(0)).collect())
        } else {
            let rows = statement.fetch_all(&mut PgConnection::connect(url).await?).await?;
            Ok(rows.iter().map(|row| row.get_unchecked(0)).collect())
        }
    };
    done.await.map_err(|error: sqlx::Error| error.to_string())
}

fn sqlite(path: &str, sql: &str) -> rusqlite::Result<Vec<Option<String>>> {
    let connection = rusqlite::Connection::open(path)?;
    let mut statement = connection.prepare(sql)?;
    let text = |row: &rusqlite::Row<'_>| {
        Ok(match row.get_ref(0)? {
            rusqlite::types::ValueRef::Null => None,
            rusqlite::types::ValueRef::Integer(number) => Some(number.to_string()),
            rusqlite::types::ValueRef::Real(number) => Some(number.to_string()),
            other => Some(other.as_str()?.to_owned()),
        })
    };
    statement.query_map([], text)?.collect()
}

/// Runs a case on a new file.
pub(crate) async fn on_sqlite<F: Future<Output = ()> + Send + 'static>(case: fn(Arc<Place>) -> F) {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("read.db").display());
    let target = open("test", &url).await.unwrap();
    case(Arc::new(Place { url, target })).await;
}

/// Runs a case on a new database of the PostgreSQL server that the environment gives.
pub(crate) async fn on_postgres<F: Future<Output = ()> + Send + 'static>(case: fn(Arc<Place>) -> F) {
    let Some(server) = server("postgres", "REEL_TEST_POSTGRES") else { return };
    let make = |name: &str| format!("CREATE DATABASE {name} ENCODING 'UTF8' TEMPLATE template0");
    on_server(&server, make, |name| format!("DROP DATABASE {name} WITH (FORCE)"), case).await;
}

/// Runs a case on a new database of the MySQL or MariaDB server that the environment gives. Its own collation counts no case and pads:
/// nothing of ours may depend on it.
pub(crate) async fn on_mysql<F: Future<Output = ()> + Send + 'static>(case: fn(Arc<Place>) -> F) {
    let Some(server) = server("mysql", "REEL_TEST_MYSQL") else { return };
    let make = |name: &str| format!("CREATE DATABASE {name} CHARACTER SET latin1 COLLATE latin1_swedish_ci");
    on_server(&server, make, |name| format!("DROP DATABASE {name}"), case).await;
}

/// Runs a case on a new database of the SQL Server that the environment gives.
pub(crate) async fn on_sql_server<F: Future<Output = ()> + Send + 'static>(case: fn(Arc<Place>) -> F) {
    let Some(server) = server("sqlserver", "REEL_TEST_SQLSERVER") else { return };
    on_server(&server, |name| format!("CREATE DATABASE {name}"), |name| format!("DROP DATABASE {name}"), case).await;
}

/// Makes or drops a database. Some servers cannot do it while others do the same, or while a session that is closed has not ended.
async fn insist(server: &str, sql: &str) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while let Err(error) = sql_at(server, sql).await {
        assert!(Instant::now() < deadline, "{sql}: {error}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// The URL, but for another database.
fn url_of_database(url: &str, name: &str) -> String {
    let (server, database) = url.rsplit_once('/').unwrap();
    let settings = database.split_once('?').map(|(_, settings)| format!("?{settings}")).unwrap_or_default();
    format!("{server}/{name}{settings}")
}

async fn on_server<F: Future<Output = ()> + Send + 'static>(
    server: &str,
    make: impl Fn(&str) -> String,
    drop: impl Fn(&str) -> String,
    case: fn(Arc<Place>) -> F,
) {
    let name = format!("reel_test_{}", uuid::Uuid::new_v4().simple());
    insist(server, &make(&name)).await;
    let url = url_of_database(server, &name);
    let run = tokio::spawn(async move {
        let target = open("test", &url).await.unwrap();
        case(Arc::new(Place { url, target })).await;
    });
    let outcome = run.await;
    insist(server, &drop(&name)).await;
    if let Err(error) = outcome {
        std::panic::resume_unwind(error.into_panic());
    }
}

fn server(name: &str, variable: &str) -> Option<String> {
    let server = std::env::var(variable).ok();
    let required = std::env::var("REEL_TEST_REQUIRE").unwrap_or_default();
    if server.is_none() {
        let named = required.split(',').any(|required| required.trim() == name);
        assert!(!named, "REEL_TEST_REQUIRE names {name}, but {variable} is not set");
        println!("passed over: {variable} is not set");
    }
    server
}
