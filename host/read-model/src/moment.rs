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
    transaction: A::Transaction,
}

/// Begins to read a generation as it stands now. Its tables stay until this ends.
pub(crate) async fn begin<A: Adapter>(database: &Arc<A>, generation: &Generation) -> AdapterOutcome<Moment<A>, A> {
    let mut transaction = database.read().await?;
    let checkpoints = catalog::checkpoints(&mut *transaction, generation.id).await?;
    if checkpoints.is_empty() {
        return Err(Fault::Own(no_generation(generation.id)));
    }
    for table in &generation.manifest.tables {
        let held = transaction.hold(generation.id, table).await;
        held.map_err(|error| match error.is_undefined_table() {
            // It was dropped after our moment began: tables go at once, rows of the catalog do not.
            true => Fault::Own(no_generation(generation.id)),
            false => Fault::Database(error),
        })?;
    }
    Ok(Moment { database: Arc::clone(database), generation: generation.clone(), checkpoints, transaction })
}

#[async_trait]
impl<A: Adapter> Snapshot for Moment<A> {
    fn checkpoints(&self) -> &[Checkpoint] {
        &self.checkpoints
    }

    async fn rows(&mut self, table: u16, after: Option<&KeyValues>, limit: usize) -> Result<Vec<Row>, ReadModelError> {
        let id = self.generation.id;
        let of = (id, &self.generation.manifest.tables[usize::from(table)]);
        self.transaction.next_rows(of, after, limit).await.map_err(|error| {
            let action = format!("reading all rows of table number {table} of generation {}", id.0);
            Fault::<AdapterError<A>, ReadModelError>::Database(error).told(self.database.name(), &action)
        })
    }
}
