//! One moment of a generation: a read transaction, and its rows in pieces by key.
//!
//! Where the database allows `SNAPSHOT` isolation, nobody waits for it. Where it does not, the generation's checkpoints are held: every
//! commit moves one, so none comes in between, and what is read in several statements is of one moment all the same; but its writers
//! wait.

use std::sync::Arc;

use async_trait::async_trait;
use reel_projector::change::{KeyValues, Row};
use reel_projector::{Checkpoint, ColumnType, Manifest, ReadModelError, Value};

use super::catalog::{self, Outcome};
use super::connection::{Database, Query, Transaction, query};
use super::dialect::{catalog as sql, tables};
use super::error::{SqlServerError, SqlServerFault};
use super::server::Snapshots;
use super::values::{self, Bound};
use crate::catalog::no_generation;
use crate::fault::Fault;
use crate::snapshot::Snapshot;
use crate::target::{Generation, GenerationId};

/// A read transaction over a generation.
pub(super) struct Moment {
    target: String,
    id: GenerationId,
    manifest: Arc<Manifest>,
    checkpoints: Vec<Checkpoint>,
    transaction: Transaction,
}

/// Begins to read a generation as it stands now. Its tables cannot be dropped before this ends.
pub(super) async fn begin(database: &Database, generation: &Generation) -> Outcome<Moment> {
    let id = generation.id;
    let mut transaction = database.read().await?;
    query(sql::SHARE_LOCK).bind(tables::generation_lock(id)).execute(&mut transaction).await?;
    let checkpoints = match database.server.snapshots {
        Snapshots::Allowed => catalog::checkpoints(&mut transaction, id).await?,
        Snapshots::Refused => catalog::lock_checkpoints(&mut transaction, id).await?,
    };
    if checkpoints.is_empty() {
        return Err(Fault::Own(no_generation(id)));
    }
    let (target, manifest) = (database.name.clone(), Arc::clone(&generation.manifest));
    Ok(Moment { target, id, manifest, checkpoints, transaction })
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
            SqlServerFault::<ReadModelError>::from(error).told(&self.target, &action)
        })
    }
}

impl Moment {
    async fn read(
        &mut self,
        table: usize,
        after: Option<&KeyValues>,
        limit: usize,
    ) -> Result<Vec<Row>, SqlServerError> {
        let table = &self.manifest.tables[table];
        let kinds: Vec<ColumnType> = table.columns.iter().map(|column| column.kind).collect();
        let (statement, key): (String, &[Value]) = match after {
            None => (tables::first(self.id, table), &[]),
            Some(key) => (tables::next(self.id, table), key),
        };
        let bound = key.iter().zip(table.key_columns()).map(|(value, column)| Bound(column.kind, value));
        let asked = bound.fold(query(statement), Query::bind);
        let rows = asked.bind(limit as i64).rows(&mut self.transaction).await?;
        rows.into_iter().map(|row| values::row(row, &kinds)).collect()
    }
}
