//! One moment of a generation: a read transaction, and its rows in pieces by key.

use std::sync::Arc;

use async_trait::async_trait;
use reel_projector::change::{KeyValues, Row};
use reel_projector::{Checkpoint, ColumnType, Manifest, ReadModelError, Value};
use sqlx::{MySqlTransaction, query};

use super::connection::Database;
use super::dialect::{Sql, tables};
use super::error::{MySqlFault, Outcome};
use super::values::{self, Bound};
use crate::adapter::Adapter;
use crate::catalog::{self, no_generation};
use crate::fault::Fault;
use crate::snapshot::Snapshot;
use crate::target::{Generation, GenerationId};

/// A read transaction over a generation.
pub(super) struct Moment {
    target: String,
    id: GenerationId,
    manifest: Arc<Manifest>,
    checkpoints: Vec<Checkpoint>,
    transaction: MySqlTransaction<'static>,
}

/// Begins to read a generation as it stands now. Its tables cannot be dropped before this ends.
pub(super) async fn begin(database: &Database, generation: &Generation) -> Outcome<Moment> {
    let mut transaction = database.read().await?;
    let checkpoints = catalog::checkpoints(&mut *transaction, generation.id).await?;
    if checkpoints.is_empty() {
        return Err(Fault::Own(no_generation(generation.id)));
    }
    for table in &generation.manifest.tables {
        query(tables::hold(generation.id, table)).execute(&mut *transaction).await?;
    }
    let (target, manifest) = (database.name.clone(), Arc::clone(&generation.manifest));
    Ok(Moment { target, id: generation.id, manifest, checkpoints, transaction })
}

#[async_trait]
impl Snapshot for Moment {
    fn checkpoints(&self) -> &[Checkpoint] {
        &self.checkpoints
    }

    async fn rows(&mut self, table: u16, after: Option<&KeyValues>, limit: usize) -> Result<Vec<Row>, ReadModelError> {
        let read = self.read(usize::from(table), after, limit).await;
        read.map_err(|error| {
            let action = format!("reading all rows of table number {table} of generation {}", self.id.0);
            MySqlFault::<ReadModelError>::from(error).told(&self.target, &action)
        })
    }
}

impl Moment {
    async fn read(&mut self, table: usize, after: Option<&KeyValues>, limit: usize) -> Result<Vec<Row>, sqlx::Error> {
        let table = &self.manifest.tables[table];
        let kinds: Vec<ColumnType> = table.columns.iter().map(|column| column.kind).collect();
        let (statement, values): (Sql, Vec<&Value>) = match after {
            None => (tables::first(self.id, table), Vec::new()),
            Some(key) => (tables::next(self.id, table), (1..=key.len()).flat_map(|many| &key[..many]).collect()),
        };
        let asked = values.into_iter().fold(query(statement), |query, value| query.bind(Bound(value)));
        let rows = asked.bind(limit as i64).fetch_all(&mut *self.transaction).await?;
        rows.iter().map(|row| values::row(row, &kinds)).collect()
    }
}
