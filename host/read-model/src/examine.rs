//! A look at a read database that changes nothing: is it there, which version is it, what is missing for Reel, and what to do.

use reel_projector::chain;

use crate::target::CatalogError;
use crate::{mysql, open, postgres, sql_server, sqlite};

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Examined {
    /// Kind and version: `PostgreSQL 15.14`. Nothing where it could not be asked.
    pub version: Option<String>,
    /// Nothing where all is well.
    pub findings: Vec<Finding>,
}

/// Something that is not as it must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What is wrong.
    pub what: String,
    /// What to do about it; empty where that is said with it.
    pub remedy: String,
}

impl Finding {
    /// What is wrong, and what to do about it.
    #[must_use]
    pub fn new(what: impl Into<String>, remedy: impl Into<String>) -> Finding {
        Finding { what: what.into(), remedy: remedy.into() }
    }
}

impl Examined {
    /// It could not be asked.
    pub(crate) fn unreachable(error: &CatalogError) -> Examined {
        Examined { version: None, findings: vec![Finding::new(chain(error), "")] }
    }
}

/// Looks at the read database at `url`. What is not of a kind that is looked at more closely is opened, as a process opens it.
pub async fn examine(name: &str, url: &str) -> Examined {
    if let Some(path) = url.strip_prefix("sqlite:") {
        return sqlite::examine::examine(name, path.strip_prefix("//").unwrap_or(path));
    }
    if url.starts_with("postgres://") || url.starts_with("postgresql://") {
        return postgres::examine::examine(name, url).await;
    }
    if url.starts_with("mysql://") || url.starts_with("mariadb://") {
        return mysql::examine::examine(name, url).await;
    }
    if url.starts_with("sqlserver://") {
        return sql_server::examine::examine(name, url).await;
    }
    match open::open(name, url).await {
        Ok(target) => Examined { version: Some(format!("{:?}", target.kind())), findings: Vec::new() },
        Err(error) => Examined::unreachable(&error),
    }
}
