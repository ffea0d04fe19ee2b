//! Answers queries: pointer and rows in one read transaction, rows in pieces.

use std::sync::Arc;
use std::time::Duration;

use reel_projector::{ColumnType, ReadModelError, Row};
use rusqlite::{OptionalExtension, Transaction};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};

use super::connection::{Database, Reader};
use super::dialect::{Sqlite, catalog as sql, tables};
use super::error::SqliteFault;
use super::values;
use crate::answer::{CHUNK_ROWS, PATIENCE, PIECES, Piece, too_slow};
use crate::catalog::{Word, no_generation};
use crate::fault::Fault;
use crate::query::{Answer, Count, Query};
use crate::target::{CatalogError, Generation, GenerationState, Pointer};

/// What a query needs on its own thread.
struct Job {
    name: String,
    generation: Generation,
    pointer: Pointer,
    query: Query,
    runtime: Handle,
}

/// Why the rows end before the last.
enum End {
    /// Nobody listens any more.
    Unwanted,
    /// The reader takes too long.
    TooSlow,
    /// The database failed.
    Failed(rusqlite::Error),
}

impl From<rusqlite::Error> for End {
    fn from(error: rusqlite::Error) -> End {
        End::Failed(error)
    }
}

/// Starts a query; the rows follow in the answer's channel.
pub(super) async fn answer(
    database: &Arc<Database>,
    generation: &Generation,
    pointer: Pointer,
    query: &Query,
) -> Result<Answer, SqliteFault<CatalogError>> {
    let reader = database.reader().await?;
    let job = Job {
        name: database.name.clone(),
        generation: generation.clone(),
        pointer,
        query: query.clone(),
        runtime: Handle::current(),
    };
    let (head_to, head) = oneshot::channel();
    let (rows_to, rows) = mpsc::channel(PIECES);
    tokio::task::spawn_blocking(move || job.run(reader, head_to, rows_to));
    let total = head.await.unwrap_or_else(|_| Err(Fault::Own(interrupted(&database.name))))?;
    Ok(Answer { total, rows })
}

fn interrupted(target: &str) -> CatalogError {
    let source = "the query's thread ended before it answered".into();
    ReadModelError::Refused { target: target.to_owned(), action: "answering a query".to_owned(), source }.into()
}

type Head = Result<Option<u64>, SqliteFault<CatalogError>>;

impl Job {
    fn run(self, mut reader: Reader, head: oneshot::Sender<Head>, rows: mpsc::Sender<Piece>) {
        let transaction = match reader.begin() {
            Ok(transaction) => transaction,
            Err(error) => return drop(head.send(Err(error.into()))),
        };
        let begun = self.begin(&transaction);
        let failed = begun.is_err();
        if head.send(begun).is_err() || failed {
            return;
        }
        let end = self.stream(&transaction, &rows);
        drop(transaction);
        drop(reader);
        let error = match end {
            Ok(()) | Err(End::Unwanted) => return,
            Err(End::TooSlow) => too_slow(&self.name),
            Err(End::Failed(error)) => {
                Fault::<_, ReadModelError>::Database(error).told(&self.name, "reading rows for a query")
            }
        };
        // In a task of its own: the channel may be full, and nothing is held any more while it waits.
        self.runtime.spawn(async move { rows.send(Err(error)).await });
    }

    /// Checks the pointer and counts.
    fn begin(&self, transaction: &Transaction<'_>) -> Head {
        check_pointer(transaction, &self.generation, self.pointer)?;
        if self.query.count == Count::None {
            return Ok(None);
        }
        let table = &self.generation.manifest.tables[usize::from(self.query.table)];
        let statement = crate::sql::count(&Sqlite, table, &tables::physical(self.generation.id, table), &self.query);
        let mut prepared = transaction.prepare_cached(&statement.sql)?;
        values::bind_arguments(&mut prepared, &statement.arguments)?;
        let mut rows = prepared.raw_query();
        let count: i64 = rows.next()?.map_or(Ok(0), |row| row.get(0))?;
        Ok(Some(count.unsigned_abs()))
    }

    fn stream(&self, transaction: &Transaction<'_>, to: &mpsc::Sender<Piece>) -> Result<(), End> {
        let table = &self.generation.manifest.tables[usize::from(self.query.table)];
        let kinds: Vec<ColumnType> =
            self.query.select.iter().map(|column| table.columns[usize::from(*column)].kind).collect();
        let statement = crate::sql::rows(&Sqlite, table, &tables::physical(self.generation.id, table), &self.query);
        let mut prepared = transaction.prepare_cached(&statement.sql)?;
        values::bind_arguments(&mut prepared, &statement.arguments)?;
        let mut rows = prepared.raw_query();
        let mut chunk = Vec::new();
        while let Some(row) = rows.next()? {
            chunk.push(values::row(row, &kinds)?);
            if chunk.len() == CHUNK_ROWS {
                self.send(std::mem::take(&mut chunk), to)?;
            }
        }
        if chunk.is_empty() { Ok(()) } else { self.send(chunk, to) }
    }

    fn send(&self, chunk: Vec<Row>, to: &mpsc::Sender<Piece>) -> Result<(), End> {
        match to.try_send(Ok(chunk)) {
            Ok(()) => Ok(()),
            Err(mpsc::error::TrySendError::Closed(_)) => Err(End::Unwanted),
            Err(mpsc::error::TrySendError::Full(piece)) => self.runtime.block_on(send_within(PATIENCE, piece, to)),
        }
    }
}

async fn send_within(patience: Duration, piece: Piece, to: &mpsc::Sender<Piece>) -> Result<(), End> {
    match tokio::time::timeout(patience, to.send(piece)).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) => Err(End::Unwanted),
        Err(_) => Err(End::TooSlow),
    }
}

fn check_pointer(
    transaction: &Transaction<'_>,
    generation: &Generation,
    pointer: Pointer,
) -> Result<(), SqliteFault<CatalogError>> {
    match pointer {
        Pointer::Live => {
            let live: Option<Option<i64>> = transaction
                .prepare_cached(sql::LIVE)?
                .query_row([&generation.projection], |row| row.get(0))
                .optional()?;
            if live.flatten() == Some(generation.id.0) { Ok(()) } else { Err(Fault::Own(CatalogError::Moved)) }
        }
        Pointer::Fixed => {
            let state: Option<String> =
                transaction.prepare_cached(sql::STATE)?.query_row([generation.id.0], |row| row.get(0)).optional()?;
            match state {
                Some(state) if state != GenerationState::Dropped.word() => Ok(()),
                _ => Err(Fault::Own(no_generation(generation.id))),
            }
        }
    }
}
