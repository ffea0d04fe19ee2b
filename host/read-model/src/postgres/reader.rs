//! Answers queries: pointer and rows in one read transaction, rows in pieces.

use std::sync::Arc;

use futures::TryStreamExt;
use reel_projector::{ColumnType, ReadModelError, Row};
use sqlx::pool::PoolConnection;
use sqlx::postgres::PgArguments;
use sqlx::{Connection, PgConnection, Postgres, Row as _, query};
use tokio::sync::{mpsc, oneshot};

use super::connection::Database;
use super::dialect::{self, BEGIN_READING, Sql, tables};
use super::error::{PostgresFault, is_undefined_table};
use super::values::{self, Bound, ColumnArray};
use crate::answer::{CHUNK_ROWS, PATIENCE, PIECES, Piece, too_slow};
use crate::catalog::{self, no_generation};
use crate::fault::Fault;
use crate::query::{Answer, Count, Query};
use crate::sql::{Argument, Statement};
use crate::target::{CatalogError, Generation, Pointer};

/// What a query needs in its own task.
struct Job {
    name: String,
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
    Failed(sqlx::Error),
}

impl From<sqlx::Error> for End {
    fn from(error: sqlx::Error) -> End {
        End::Failed(error)
    }
}

/// Starts a query; the rows follow in the answer's channel.
pub(super) async fn answer(
    database: &Arc<Database>,
    generation: &Generation,
    pointer: Pointer,
    query: &Query,
) -> Result<Answer, PostgresFault<CatalogError>> {
    let reader = database.readers.acquire().await?;
    let job = Job { name: database.name.clone(), generation: generation.clone(), pointer, query: query.clone() };
    let (head_to, head) = oneshot::channel();
    let (rows_to, rows) = mpsc::channel(PIECES);
    tokio::spawn(job.run(reader, head_to, rows_to));
    let total = head.await.unwrap_or_else(|_| Err(Fault::Own(interrupted(&database.name))))?;
    Ok(Answer { total, rows })
}

fn interrupted(target: &str) -> CatalogError {
    let source = "the query's task ended before it answered".into();
    ReadModelError::Refused { target: target.to_owned(), action: "answering a query".to_owned(), source }.into()
}

type Head = Result<Option<u64>, PostgresFault<CatalogError>>;

impl Job {
    async fn run(self, mut reader: PoolConnection<Postgres>, head: oneshot::Sender<Head>, rows: mpsc::Sender<Piece>) {
        let end = self.work(&mut reader, head, &rows).await;
        let error = match end {
            Ok(()) => return,
            Err(End::Failed(error)) => {
                drop(reader);
                Fault::<_, ReadModelError>::Database(error).told(&self.name, "reading rows for a query")
            }
            // The server is still sending rows: a connection is cheaper than reading them all.
            Err(End::Unwanted) => return drop(reader.detach().close_hard().await),
            Err(End::TooSlow) => {
                drop(reader.detach().close_hard().await);
                too_slow(&self.name)
            }
        };
        // The channel may be full, and nothing is held any more while this waits; nobody listening is no error.
        drop(rows.send(Err(error)).await);
    }

    async fn work(
        &self,
        reader: &mut PgConnection,
        head: oneshot::Sender<Head>,
        rows: &mpsc::Sender<Piece>,
    ) -> Result<(), End> {
        let mut transaction = match reader.begin_with(BEGIN_READING).await {
            Ok(transaction) => transaction,
            Err(error) => {
                drop(head.send(Err(error.into())));
                return Ok(());
            }
        };
        let begun = self.begin(&mut transaction).await;
        let failed = begun.is_err();
        if head.send(begun).is_err() || failed {
            return Ok(());
        }
        self.stream(&mut transaction, rows).await?;
        Ok(transaction.commit().await?)
    }

    /// Checks the pointer and counts.
    async fn begin(&self, connection: &mut PgConnection) -> Head {
        catalog::check_pointer(connection, &self.generation, self.pointer).await?;
        if self.query.count == Count::None {
            return Ok(None);
        }
        let table = &self.generation.manifest.tables[usize::from(self.query.table)];
        let from = tables::physical(self.generation.id, table);
        let statement = crate::sql::count(&dialect::Postgres, table, &from, &self.query);
        let counted = prepared(statement).fetch_one(&mut *connection).await;
        let counted = counted.and_then(|row| row.try_get::<i64, _>(0));
        match counted {
            Ok(count) => Ok(Some(count.unsigned_abs())),
            // It was dropped after our snapshot was taken: tables go at once, rows of the catalog do not.
            Err(error) if is_undefined_table(&error) => Err(Fault::Own(self.gone())),
            Err(error) => Err(error.into()),
        }
    }

    fn gone(&self) -> CatalogError {
        match self.pointer {
            Pointer::Live => CatalogError::Moved,
            Pointer::Fixed => no_generation(self.generation.id),
        }
    }

    async fn stream(&self, connection: &mut PgConnection, to: &mpsc::Sender<Piece>) -> Result<(), End> {
        let table = &self.generation.manifest.tables[usize::from(self.query.table)];
        let kinds: Vec<ColumnType> =
            self.query.select.iter().map(|column| table.columns[usize::from(*column)].kind).collect();
        let from = tables::physical(self.generation.id, table);
        let statement = crate::sql::rows(&dialect::Postgres, table, &from, &self.query);
        let mut rows = prepared(statement).fetch(&mut *connection);
        let mut chunk = Vec::new();
        while let Some(row) = rows.try_next().await? {
            chunk.push(values::row(&row, &kinds)?);
            if chunk.len() == CHUNK_ROWS {
                send(std::mem::take(&mut chunk), to).await?;
            }
        }
        if chunk.is_empty() { Ok(()) } else { send(chunk, to).await }
    }
}

fn prepared<'q>(statement: Statement<'q>) -> sqlx::query::Query<'q, Postgres, PgArguments> {
    let mut prepared = query(Sql::from(statement.sql));
    for argument in statement.arguments {
        prepared = match argument {
            Argument::Value(_, value) => prepared.bind(Bound(value)),
            Argument::Values(values) => prepared.bind(ColumnArray::of(values.kind, values.values.iter())),
            Argument::Text(text) => prepared.bind(text),
            Argument::Number(number) => prepared.bind(number),
        };
    }
    prepared
}

async fn send(chunk: Vec<Row>, to: &mpsc::Sender<Piece>) -> Result<(), End> {
    match tokio::time::timeout(PATIENCE, to.send(Ok(chunk))).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) => Err(End::Unwanted),
        Err(_) => Err(End::TooSlow),
    }
}
