//! How rows of a generation are written and found.
//!
//! Rows and keys come to the server as arguments where they are few, else by bulk load into a temporary table of the session, its stage.

use std::collections::HashMap;
use std::sync::Arc;

use reel_projector::change::{KeyValues, Merge, Row, RowFilter, TableWrites};
use reel_projector::key::encoded;
use reel_projector::ports::CommitError;
use reel_projector::{Column, ColumnType, Manifest, Table, Value};
use tiberius::{ColumnData, SqlBulkCopyOptions};

use super::bulk::Into;
use super::connection::{Query, Session, query};
use super::dialect::tables::Source;
use super::dialect::{catalog as sql, tables};
use super::error::{SqlServerError, SqlServerFault};
use super::values;
use crate::model::{Tables, resolve};
use crate::pieces::{self, Limits, alike};
use crate::target::{Generation, GenerationId};

/// Up to so many rows come as arguments.
const FEW: usize = 32;

/// How many rows one statement writes at most, and about how many bytes.
const CHUNK_ROWS: usize = 10_000;
const CHUNK_BYTES: usize = 16 << 20;

/// The tables of one generation.
pub(crate) struct Writer {
    id: GenerationId,
    manifest: Arc<Manifest>,
}

/// One table of a generation, as statements see it.
#[derive(Clone, Copy)]
struct OneTable<'t> {
    id: GenerationId,
    number: usize,
    table: &'t Table,
}

/// Values where a statement finds them.
struct Placed<'r> {
    source: Source,
    arguments: Vec<ColumnData<'r>>,
}

type CommitFault = SqlServerFault<CommitError>;

impl Writer {
    pub(super) fn new(generation: &Generation) -> Writer {
        Writer { id: generation.id, manifest: Arc::clone(&generation.manifest) }
    }

    fn table(&self, number: usize) -> OneTable<'_> {
        OneTable { id: self.id, number, table: &self.manifest.tables[number] }
    }
}

impl Tables for Writer {
    type Session = Session;

    async fn write(&self, session: &mut Session, table: usize, writes: &TableWrites) -> Result<(), CommitFault> {
        self.table(table).write(session, writes).await
    }

    async fn find(
        &self,
        session: &mut Session,
        table: usize,
        keys: &[KeyValues],
    ) -> Result<Vec<Option<Row>>, SqlServerError> {
        self.table(table).find(session, keys, tables::select).await
    }
}

impl OneTable<'_> {
    async fn write(self, session: &mut Session, writes: &TableWrites) -> Result<(), CommitFault> {
        let OneTable { id, table, .. } = self;
        self.delete_where(session, &writes.delete_where).await?;
        for keys in pieces(&writes.deletes) {
            let placed = self.put(session, &table.key, keys).await?;
            placed.query(|source| tables::delete(id, table, source)).execute(session).await?;
        }
        self.upsert(session, &writes.upserts).await?;
        if !writes.merges.is_empty() {
            self.merge(session, &writes.merges).await?;
        }
        Ok(())
    }

    async fn delete_where(self, session: &mut Session, filters: &[RowFilter]) -> Result<(), SqlServerError> {
        let OneTable { id, table, .. } = self;
        for alike in alike(filters) {
            let (equal, null) = (&alike.equal, &alike.null);
            if equal.is_empty() {
                query(tables::delete_null(id, table, null)).execute(session).await?;
                continue;
            }
            for some in pieces(&alike.values()) {
                let placed = self.put(session, equal, some).await?;
                let delete = placed.query(|source| tables::delete_where(id, table, (equal, null), source));
                delete.execute(session).await?;
            }
        }
        Ok(())
    }

    async fn upsert(self, session: &mut Session, rows: &[Row]) -> Result<(), SqlServerError> {
        let all: Vec<u16> = (0..self.table.columns.len() as u16).collect();
        for some in pieces(rows) {
            let placed = self.put(session, &all, some).await?;
            placed.query(|source| tables::upsert(self.id, self.table, source)).execute(session).await?;
        }
        Ok(())
    }

    /// Reads the rows that are there and writes what the merges make of them, and of those that are not. Whoever merges into this table
    /// waits for his turn: locks on rows and on the gaps between them would be taken in whatever order the server likes.
    async fn merge(self, session: &mut Session, merges: &[Merge]) -> Result<(), CommitFault> {
        query(sql::LOCK).bind(tables::merge_lock(self.id, self.table)).execute(session).await?;
        let keys: Vec<KeyValues> = merges.iter().map(|merge| merge.key.clone()).collect();
        let bases = self.find(session, &keys, tables::select_for_update).await?;
        let rows = resolve(self.table, merges.iter().zip(bases))?;
        Ok(self.upsert(session, &rows).await?)
    }

    /// The rows under `keys`, in their order.
    async fn find(
        self,
        session: &mut Session,
        keys: &[KeyValues],
        select: fn(GenerationId, &Table, &Source) -> String,
    ) -> Result<Vec<Option<Row>>, SqlServerError> {
        let kinds: Vec<ColumnType> = self.table.columns.iter().map(|column| column.kind).collect();
        let mut found: HashMap<Vec<u8>, Row> = HashMap::with_capacity(keys.len());
        for some in pieces(keys) {
            let placed = self.put(session, &self.table.key, some).await?;
            for row in placed.query(|source| select(self.id, self.table, source)).rows(session).await? {
                let row = values::row(row, &kinds)?;
                let key: Vec<Value> = self.table.key.iter().map(|column| row[usize::from(*column)].clone()).collect();
                found.insert(encoded(&key), row);
            }
        }
        Ok(keys.iter().map(|key| found.get(&encoded(key)).cloned()).collect())
    }

    /// Puts values of some columns where a statement finds them.
    async fn put<'r, R: AsRef<[Value]>>(
        self,
        session: &mut Session,
        columns: &[u16],
        rows: &'r [R],
    ) -> Result<Placed<'r>, SqlServerError> {
        if rows.len() <= FEW.min(Source::fit(columns.len())) {
            let named: Vec<&Column> = columns.iter().map(|column| &self.table.columns[usize::from(*column)]).collect();
            let arguments = rows.iter().flat_map(|row| values::arguments(&named, row.as_ref())).collect();
            return Ok(Placed { source: Source::arguments(rows.len(), self.table, columns), arguments });
        }
        let stage = stage(session, self.id, (self.number, self.table), columns, rows).await?;
        Ok(Placed { source: Source::stage(&stage), arguments: Vec::new() })
    }
}

impl<'r> Placed<'r> {
    /// The statement that `make` makes of the source.
    fn query(self, make: impl FnOnce(&Source) -> String) -> Query<'r> {
        self.arguments.into_iter().fold(query(make(&self.source)), Query::bind)
    }
}

/// Loads values of some columns into their stage in this session, which holds nothing else then; its name.
pub(super) async fn stage<R: AsRef<[Value]>>(
    session: &mut Session,
    id: GenerationId,
    (number, table): (usize, &Table),
    columns: &[u16],
    rows: &[R],
) -> Result<String, SqlServerError> {
    let stage = tables::stage_name(id, number, columns);
    if session.stages.contains(&stage) {
        session.batch(&tables::clear_stage(&stage)).await?;
    } else {
        session.batch(&tables::create_stage(&stage, table, columns)).await?;
        session.stages.insert(stage.clone());
    }
    let kinds: Vec<ColumnType> = columns.iter().map(|column| table.columns[usize::from(*column)].kind).collect();
    let staged: Vec<ColumnType> = kinds.iter().map(|kind| tables::staged(*kind)).collect();
    let into = Into { table: &stage, kinds: &staged, options: SqlBulkCopyOptions::empty() };
    into.load(session, rows, |row| values::staged(&kinds, row)).await?;
    Ok(stage)
}

pub(super) fn pieces<T: AsRef<[Value]>>(rows: &[T]) -> impl Iterator<Item = &[T]> {
    pieces::pieces(rows, Limits { fit: |rows: usize| rows.clamp(1, CHUNK_ROWS), bytes: CHUNK_BYTES, size })
}

/// About how many bytes a value takes on its way.
fn size(value: &Value) -> usize {
    match value {
        Value::Text(text) | Value::Json(text) => 2 * text.len() + 4,
        Value::Bytes(bytes) => bytes.len() + 4,
        _ => 12,
    }
}
