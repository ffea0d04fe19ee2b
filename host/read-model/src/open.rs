//! Opens a read database by its URL.

use std::sync::Arc;

use crate::target::{CatalogError, Target};
use crate::{mysql, postgres, sql_server, sqlite};

/// Opens the read database at `url` and prepares its catalog: `sqlite:PATH`, `postgres://user:password@host/database`,
/// `mysql://user:password@host/database` (MariaDB too), or `sqlserver://user:password@host/database`.
/// Several processes may open one database, at once too.
///
/// # Errors
/// [`CatalogError::Unusable`] where trying again would not help: a URL that is none, a wrong password, no such database, a newer
/// catalog; it says what to do. [`CatalogError::ReadModel`] where the database does not answer.
pub async fn open(name: &str, url: &str) -> Result<Arc<dyn Target>, CatalogError> {
    if let Some(path) = url.strip_prefix("sqlite:") {
        let path = path.strip_prefix("//").unwrap_or(path);
        return sqlite::open(name, path).await;
    }
    if url.starts_with("postgres://") || url.starts_with("postgresql://") {
        return postgres::open(name, url).await;
    }
    if url.starts_with("mysql://") || url.starts_with("mariadb://") {
        return mysql::open(name, url).await;
    }
    if url.starts_with("sqlserver://") {
        return sql_server::open(name, url).await;
    }
    // The URL itself may hold a password: it is never shown.
    let scheme = url.split(':').next().filter(|scheme| scheme.len() < url.len()).unwrap_or("nothing");
    Err(CatalogError::Unusable {
        target: name.to_owned(),
        reason: format!(
            "its URL begins with {scheme:?}: give sqlite:PATH, or one that begins with postgres://, mysql:// or sqlserver:// and goes on user:password@host:port/database"
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn refusal(url: &str) -> String {
        match open("reports", url).await {
            Err(error @ CatalogError::Unusable { .. }) => error.to_string(),
            Err(error) => panic!("{error}"),
            Ok(_) => panic!("{url} was opened"),
        }
    }

    #[tokio::test]
    async fn urls_that_are_none_of_ours_do_not_show_their_secrets() {
        for url in [
            "oracle://user:secret@host/x",
            "secret",
            "mysql://user:secret@host",
            "postgres://user:secret@host:port/x",
            "mysql://user:secret@host:port/x",
            "sqlserver://user:secret@host",
            "sqlserver://user:secret@host:port/x",
            "sqlserver://user:secret@host/x?password=secret",
        ] {
            let refusal = refusal(url).await;
            assert!(refusal.contains("reports") && !refusal.contains("secret"), "{refusal}");
        }
    }

    #[tokio::test]
    async fn files_that_cannot_be_opened_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let nowhere = folder.path().join("missing").join("read.db");
        assert!(refusal(&format!("sqlite:{}", nowhere.display())).await.contains("folder"));
        let other = folder.path().join("letter.txt");
        std::fs::write(&other, "Dear Sir or Madam, this is not a database of any kind. ".repeat(40)).unwrap();
        assert!(refusal(&format!("sqlite:{}", other.display())).await.contains("not a SQLite database"));
        let foreign = folder.path().join("foreign.db");
        rusqlite::Connection::open(&foreign).unwrap().execute_batch("CREATE TABLE reel_things (x)").unwrap();
        assert!(refusal(&format!("sqlite:{}", foreign.display())).await.contains("reel_"));
    }

    #[tokio::test]
    async fn a_server_that_is_not_there_may_come_back() {
        let error = open("reports", "postgres://nobody@127.0.0.1:1/x").await.err().unwrap();
        assert!(matches!(error, CatalogError::ReadModel(_)), "{error}");
    }
}
