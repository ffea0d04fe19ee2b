//! Opens a read database by its URL.

use std::sync::Arc;

use crate::target::{CatalogError, Target};
use crate::{postgres, sqlite};

/// Opens the read database at `url` and prepares its catalog: `sqlite:PATH`, or `postgres://user:password@host/database`.
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
    // The URL itself may hold a password: it is never shown.
    let scheme = url
        .split(':')
        .next()
        .filter(|scheme| scheme.len() < url.len())
        .unwrap_or("nothing");
    Err(CatalogError::Unusable {
        target: name.to_owned(),
        reason: format!(
            "its URL begins with {scheme:?}: give sqlite:PATH or postgres://user:password@host:port/database"
        ),
    })
}
