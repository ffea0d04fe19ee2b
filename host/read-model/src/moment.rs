//! One moment of a generation: a read transaction, and its rows in pieces by key.

use std::sync::Arc;

use async_trait::async_trait;
use reel_projector::change::{KeyValues, Row};
use reel_projector::{Checkpoint, ReadModelError};

use crate::adapter::{Adapter, AdapterError, AdapterOutcome};
use crate::catalog::{self, no_generation};
use crate::fault::{DriverError, Fault};
use crate::query_session::QuerySession;
use crate::snapshot::Snapshot;
use crate::target::Generation;

/// A read transaction over a generation.
pub(crate) struct Moment<A: Adapter> {
    database: Arc<A>,
    generation: Generation,
    checkpoints: Vec<Checkpoint>,
    rows: A::Moment,
}

/// Begins to read a generation as it stands now. Its tables stay until this ends.
pub(crate) async fn begin<A: Adapter>(database: &Arc<A>, generation: &Generation) -> AdapterOutcome<Moment<A>, A> {
    let id = generation.id;
    let mut rows = database.read().await?;
    for table in &generation.manifest.tables {
        let held = rows.hold(id, table).await;
        held.map_err(|error| match error.is_undefined_table() {
            // It was dropped at this moment: tables go at once, rows of the catalog do not.
            true => Fault::Own(no_generation(id)),
            false => Fault::Database(error),
        })?;
    }
    database.still(&mut rows, id).await?;
    let checkpoints = catalog::checkpoints(&mut *rows, id).await?;
    if checkpoints.is_empty() {
        return Err(Fault::Own(no_generation(id)));
    }
    Ok(Moment { database: Arc::clone(database), generation: generation.clone(), checkpoints, rows })
}

#[async_trait]
impl<A: Adapter> Snapshot for Moment<A> {
    fn checkpoints(&self) -> &[Checkpoint] {
        &self.checkpoints
    }

    async fn rows(&mut self, table: u16, after: Option<&KeyValues>, limit: usize) -> Result<Vec<Row>, ReadModelError> {
        let id = self.generation.id;
        let of = (id, &self.generation.manifest.tables[usize::from(table)]);
        self.rows.next_rows(of, after, limit).await.map_err(|error| {
            let action = format!("reading all rows of table number {table} of generation {}", id.0);
            Fault::<AdapterError<A>, ReadModelError>::Database(error).told(self.database.name(), &action)
        })
    }
}
