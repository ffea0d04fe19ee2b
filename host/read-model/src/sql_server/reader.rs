//! Answers queries: pointer and rows in one read transaction, rows in pieces.

use std::sync::Arc;

use reel_projector::{ColumnType, ReadModelError, Row};
use tokio::sync::{mpsc, oneshot};

use super::connection::{Database, Query as Asked, Session, Transaction, query};
use super::dialect::{SqlServer, catalog as sql, tables};
use super::error::{SqlServerError, SqlServerFault};
use super::values::{self, Bound, get, maybe};
use crate::answer::{CHUNK_ROWS, PATIENCE, PIECES, Piece, too_slow};
use crate::catalog::{Word, no_generation};
use crate::fault::{DriverError, Fault};
use crate::query::{Answer, Count, Query};
use crate::sql::{Argument, Statement};
use crate::target::{CatalogError, Generation, GenerationState, Pointer};

/// What a query needs in its own task.
struct Job {
    database: Arc<Database>,
    generation: Generation,
    pointer: Pointer,
    query: Query,
}

/// Why the rows end before the last.
enum End {
    /// Nobody listens any more.
    Unwanted,
    /// The reader takes too long.
    TooSlow,
    /// The database failed.
    Failed(SqlServerError),
}

impl From<SqlServerError> for End {
    fn from(error: SqlServerError) -> End {
        End::Failed(error)
    }
}

/// Starts a query; the rows follow in the answer's channel.
pub(super) async fn answer(
    database: &Arc<Database>,
    generation: &Generation,
    pointer: Pointer,
    query: &Query,
) -> Result<Answer, SqlServerFault<CatalogError>> {
    let transaction = database.read().await?;
    let job = Job { database: Arc::clone(database), generation: generation.clone(), pointer, query: query.clone() };
    let (head_to, head) = oneshot::channel();
    let (rows_to, rows) = mpsc::channel(PIECES);
    tokio::spawn(job.run(transaction, head_to, rows_to));
    let total = head.await.unwrap_or_else(|_| Err(Fault::Own(interrupted(&database.name))))?;
    Ok(Answer { total, rows })
}

fn interrupted(target: &str) -> CatalogError {
    let source = "the query's task ended before it answered".into();
    ReadModelError::Refused { target: target.to_owned(), action: "answering a query".to_owned(), source }.into()
}

type Head = Result<Option<u64>, SqlServerFault<CatalogError>>;

impl Job {
    async fn run(self, transaction: Transaction, head: oneshot::Sender<Head>, rows: mpsc::Sender<Piece>) {
        let error = match self.work(transaction, head, &rows).await {
            Ok(()) | Err(End::Unwanted) => return,
            Err(End::Failed(error)) => {
                SqlServerFault::<ReadModelError>::from(error).told(&self.database.name, "reading rows for a query")
            }
            Err(End::TooSlow) => too_slow(&self.database.name),
        };
        // The channel may be full, and nothing is held any more while this waits; nobody listening is no error.
        drop(rows.send(Err(error)).await);
    }

    async fn work(
        &self,
        mut transaction: Transaction,
        head: oneshot::Sender<Head>,
        rows: &mpsc::Sender<Piece>,
    ) -> Result<(), End> {
        let begun = self.begin(&mut transaction).await;
        let failed = begun.is_err();
        if head.send(begun).is_err() || failed {
            return Ok(());
        }
        self.stream(&mut transaction, rows).await?;
        Ok(transaction.commit().await?)
    }

    /// Sees to it that the table stays, checks the pointer, and counts.
    async fn begin(&self, session: &mut Session) -> Head {
        let id = self.generation.id;
        query(sql::SHARE_LOCK).bind(tables::generation_lock(id)).execute(session).await?;
        check_pointer(session, &self.generation, self.pointer).await?;
        if self.query.count == Count::None {
            return Ok(None);
        }
        let table = &self.generation.manifest.tables[usize::from(self.query.table)];
        let from = tables::queried(id, table);
        match asked(crate::sql::count(&SqlServer, table, &from, &self.query)).one(session).await {
            Ok(row) => Ok(Some(get::<i64>(&row, 0)?.unsigned_abs())),
            // It was dropped after our moment began: tables go at once, rows of the catalog do not.
            Err(error) if error.is_undefined_table() => Err(Fault::Own(self.gone())),
            Err(error) => Err(error.into()),
        }
    }

    fn gone(&self) -> CatalogError {
        match self.pointer {
            Pointer::Live => CatalogError::Moved,
            Pointer::Fixed => no_generation(self.generation.id),
        }
    }

    async fn stream(&self, session: &mut Session, to: &mpsc::Sender<Piece>) -> Result<(), End> {
        if self.query.limit == Some(0) {
            // The server takes no page of no rows.
            return Ok(());
        }
        let table = &self.generation.manifest.tables[usize::from(self.query.table)];
        let kinds: Vec<ColumnType> =
            self.query.select.iter().map(|column| table.columns[usize::from(*column)].kind).collect();
        let from = tables::queried(self.generation.id, table);
        let mut rows = asked(crate::sql::rows(&SqlServer, table, &from, &self.query)).stream(session).await?;
        let mut chunk = Vec::new();
        while let Some(row) = rows.next().await? {
            chunk.push(values::row(row, &kinds)?);
            if chunk.len() == CHUNK_ROWS {
                send(std::mem::take(&mut chunk), to).await?;
            }
        }
        if chunk.is_empty() { Ok(()) } else { send(chunk, to).await }
    }
}

fn asked<'q>(statement: Statement<'q>) -> Asked<'q> {
    let mut asked = query(statement.sql);
    for argument in statement.arguments {
        asked = match argument {
            Argument::Value(kind, value) => asked.bind(Bound(kind, value)),
            Argument::Values(values) => {
                values.values.iter().fold(asked, |asked, value| asked.bind(Bound(values.kind, value)))
            }
            Argument::Text(text) => asked.bind(text),
            Argument::Number(number) => asked.bind(number),
        };
    }
    asked
}

async fn send(chunk: Vec<Row>, to: &mpsc::Sender<Piece>) -> Result<(), End> {
    match tokio::time::timeout(PATIENCE, to.send(Ok(chunk))).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) => Err(End::Unwanted),
        Err(_) => Err(End::TooSlow),
    }
}

async fn check_pointer(
    session: &mut Session,
    generation: &Generation,
    pointer: Pointer,
) -> Result<(), SqlServerFault<CatalogError>> {
    match pointer {
        Pointer::Live => {
            let row = query(sql::LIVE).bind(&generation.projection).row(session).await?;
            let live = row.map(|row| maybe::<i64>(&row, 0)).transpose()?.flatten();
            if live == Some(generation.id.0) { Ok(()) } else { Err(Fault::Own(CatalogError::Moved)) }
        }
        Pointer::Fixed => {
            let row = query(sql::STATE).bind(generation.id.0).row(session).await?;
            let state = row.as_ref().map(|row| get::<&str>(row, 0)).transpose()?;
            match state {
                Some(state) if state != GenerationState::Dropped.word() => Ok(()),
                _ => Err(Fault::Own(no_generation(generation.id))),
            }
        }
    }
}
