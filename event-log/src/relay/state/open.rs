//! Opening the relay's record by the store's URL: it is kept beside the log, in the same kind of database.

use std::sync::Arc;

use super::{MongoRelayState, RelayState, SqliteRelayState};
use crate::store::{StoreError, mongodb};

/// Opens the record that belongs to the event store at `url`: a file beside a SQLite store (`PATH.relay`), a collection beside
/// MongoDB's, over a connection of its own. MongoDB is not waited for; where it does not answer, each call says so.
///
/// # Errors
/// [`StoreError::Refused`] where the URL must be changed; the others as in [`StoreError`]. No error shows a password.
pub async fn open_relay_state(url: &str) -> Result<Arc<dyn RelayState>, StoreError> {
    match url.split_once(':') {
        Some(("sqlite", path)) if !path.is_empty() => Ok(Arc::new(SqliteRelayState::open(format!("{path}.relay"))?)),
        Some(("mongodb" | "mongodb+srv", _)) => {
            let (database, location) = mongodb::database(url).await?;
            Ok(Arc::new(MongoRelayState::new(&database, &location)))
        }
        _ => {
            let location = url.split(':').next().unwrap_or_default().to_owned();
            let reason = "its address is sqlite:PATH or mongodb://HOST:PORT/DATABASE".to_owned();
            Err(StoreError::Refused { location, reason })
        }
    }
}
