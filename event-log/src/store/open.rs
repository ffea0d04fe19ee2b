//! Opening a store by its URL: the one place that knows which kinds there are.

use std::sync::Arc;

use super::{EventStore, Limits, StoreError, mongodb::MongoStore, sqlite::SqliteStore};

/// Opens the event store at `url`, and makes it where there is none: `sqlite:PATH`, or `mongodb://…` and `mongodb+srv://…` as
/// MongoDB's drivers take them. It works within a tokio runtime.
///
/// # Errors
/// [`StoreError::Refused`] where the URL, a permission or the kind of server must be changed; the others as in [`StoreError`].
/// No error shows a password.
pub async fn open_store(url: &str, limits: Limits) -> Result<Arc<dyn EventStore>, StoreError> {
    match url.split_once(':') {
        Some(("sqlite", path)) if !path.is_empty() => Ok(Arc::new(SqliteStore::open(path, limits)?)),
        Some(("mongodb" | "mongodb+srv", _)) => Ok(Arc::new(MongoStore::open(url, limits).await?)),
        _ => {
            // Whatever it is, there may be a password in it.
            let location = url.split(':').next().unwrap_or_default().to_owned();
            let reason = "its address is sqlite:PATH or mongodb://HOST:PORT/DATABASE".to_owned();
            Err(StoreError::Refused { location, reason })
        }
    }
}
