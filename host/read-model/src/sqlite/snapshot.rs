//! One moment of a generation: a read transaction, and its rows in pieces by key.

use std::sync::Arc;

use async_trait::async_trait;
use reel_projector::change::{KeyValues, Row};
use reel_projector::{Checkpoint, ColumnType, Manifest, ReadModelError, Value};
use rusqlite::Connection;

use super::catalog::{self, Outcome};
use super::connection::{Database, Reader};
use super::dialect::tables;
use super::error::SqliteFault;
use super::values;
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
    reader: Reader,
}

/// Begins to read a generation as it stands now. Its tables are there until this ends, whoever drops them.
pub(super) async fn begin(database: &Arc<Database>, generation: &Generation) -> Outcome<Moment> {
    let mut reader = database.reader().await?;
    let checkpoints = reader.hold(|transaction| catalog::checkpoints(transaction, generation.id))?;
    if checkpoints.is_empty() {
        return Err(Fault::Own(no_generation(generation.id)));
    }
    let (target, manifest) = (database.name.clone(), Arc::clone(&generation.manifest));
    Ok(Moment { target, id: generation.id, manifest, checkpoints, reader })
}

#[async_trait]
impl Snapshot for Moment {
    fn checkpoints(&self) -> &[Checkpoint] {
        &self.checkpoints
    }

    async fn rows(&mut self, table: u16, after: Option<&KeyValues>, limit: usize) -> Result<Vec<Row>, ReadModelError> {
        let (id, manifest) = (self.id, &self.manifest);
        let read = self.reader.held(|connection| read(connection, (id, manifest, table), after, limit));
        read.map_err(|error| {
            let action = format!("reading all rows of table number {table} of generation {}", id.0);
            SqliteFault::<ReadModelError>::from(error).told(&self.target, &action)
        })
    }
}

fn read(
    connection: &Connection,
    (id, manifest, table): (GenerationId, &Manifest, u16),
    after: Option<&KeyValues>,
    limit: usize,
) -> rusqlite::Result<Vec<Row>> {
    let table = &manifest.tables[usize::from(table)];
    let kinds: Vec<ColumnType> = table.columns.iter().map(|column| column.kind).collect();
    let statement = match after {
        None => tables::first(id, table),
        Some(_) => tables::next(id, table),
    };
    let mut statement = connection.prepare_cached(&statement)?;
    let limit = Value::Int(limit as i64);
    values::bind(&mut statement, after.into_iter().flatten().chain([&limit]))?;
    let mut rows = statement.raw_query();
    let mut read = Vec::new();
    while let Some(row) = rows.next()? {
        read.push(values::row(row, &kinds)?);
    }
    Ok(read)
}
