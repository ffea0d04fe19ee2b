//! Where a case runs: a fresh database, opened as a host opens it, and a way for plain SQL to look at it.

use std::future::Future;
use std::sync::Arc;

use reel_read_model::{CatalogError, Target, TargetKind, open};
use sqlx::{AssertSqlSafe, Connection, PgConnection, Row};

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

    pub(crate) fn is_sqlite(&self) -> bool {
        self.target.kind() == TargetKind::Sqlite
    }

    /// The name under which readers of SQL see a table.
    pub(crate) fn view(&self, schema: &str, table: &str) -> String {
        if self.is_sqlite() { format!("{schema}__{table}") } else { format!("{schema}.\"{table}\"") }
    }

    /// The name of a table of the catalog.
    pub(crate) fn catalog(&self, table: &str) -> String {
        if self.is_sqlite() { format!("reel_{table}") } else { format!("reel.{table}") }
    }

    /// A role of this case alone: roles belong to the whole server, and other suites may run there.
    pub(crate) fn role(&self) -> String {
        format!("{}_role", self.url.rsplit('/').next().unwrap())
    }

    /// Plain SQL of another client: the first column, as text.
    pub(crate) async fn sql(&self, sql: &str) -> Result<Vec<Option<String>>, String> {
        match self.url.strip_prefix("sqlite:") {
            Some(path) => {
                let connection = rusqlite::Connection::open(path).unwrap();
                let mut statement = connection.prepare(sql).map_err(|error| error.to_string())?;
                let text = |row: &rusqlite::Row<'_>| {
                    Ok(match row.get_ref(0)? {
                        rusqlite::types::ValueRef::Null => None,
                        rusqlite::types::ValueRef::Integer(number) => Some(number.to_string()),
                        rusqlite::types::ValueRef::Real(number) => Some(number.to_string()),
                        other => Some(other.as_str().unwrap().to_owned()),
                    })
                };
                let rows = statement.query_map([], text).map_err(|error| error.to_string())?;
                rows.collect::<Result<_, _>>().map_err(|error| error.to_string())
            }
            None => {
                let mut connection = PgConnection::connect(&self.url).await.unwrap();
                let rows = sqlx::raw_sql(AssertSqlSafe(sql)).fetch_all(&mut connection).await;
                let rows = rows.map_err(|error| error.to_string())?;
                Ok(rows.iter().map(|row| row.get_unchecked(0)).collect())
            }
        }
    }
}

/// Runs a case on a new file.
pub(crate) async fn on_sqlite<F: Future<Output = ()> + Send + 'static>(case: fn(Arc<Place>) -> F) {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("read.db").display());
    let target = open("test", &url).await.unwrap();
    case(Arc::new(Place { url, target })).await;
}

/// Runs a case on a new database of the server that the environment gives.
pub(crate) async fn on_postgres<F: Future<Output = ()> + Send + 'static>(case: fn(Arc<Place>) -> F) {
    let Some(server) = server() else { return };
    let name = format!("reel_test_{}", uuid::Uuid::new_v4().simple());
    admin(&server, &format!("CREATE DATABASE {name} ENCODING 'UTF8' TEMPLATE template0")).await;
    let url = format!("{}/{name}", server.rsplit_once('/').unwrap().0);
    let run = tokio::spawn(async move {
        let target = open("test", &url).await.unwrap();
        case(Arc::new(Place { url, target })).await;
    });
    let outcome = run.await;
    admin(&server, &format!("DROP DATABASE {name} WITH (FORCE)")).await;
    if let Err(error) = outcome {
        std::panic::resume_unwind(error.into_panic());
    }
}

fn server() -> Option<String> {
    let server = std::env::var("REEL_TEST_POSTGRES").ok();
    let required = std::env::var("REEL_TEST_REQUIRE").unwrap_or_default();
    if server.is_none() {
        assert!(
            required.split(',').all(|name| name.trim() != "postgres"),
            "REEL_TEST_REQUIRE names postgres, but REEL_TEST_POSTGRES is not set"
        );
        println!("passed over: REEL_TEST_POSTGRES is not set");
    }
    server
}

async fn admin(server: &str, sql: &str) {
    let mut connection = PgConnection::connect(server).await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}
