//! What queries and snapshots ask of a database's driver: rows of generations' tables, as fast as it has them.

use reel_projector::change::{KeyValues, Row};
use reel_projector::{ColumnType, Table};

use crate::answer::{End, Pieces};
use crate::catalog::CatalogSession;
use crate::sql::{Argument, Statement};
use crate::target::GenerationId;

/// A connection in a read transaction.
pub(crate) trait QuerySession: CatalogSession {
    /// What a table's rows are read from, as SQL.
    fn queried(id: GenerationId, table: &Table) -> String;

    /// Sees to it that a table stays until the transaction ends.
    fn hold(&mut self, id: GenerationId, table: &Table) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// Takes the lock of who reads a generation, in a database where that is how tables stay. It comes before anything is read.
    fn lock_for_query(&mut self, _id: GenerationId) -> impl Future<Output = Result<(), Self::Error>> + Send {
        std::future::ready(Ok(()))
    }

    /// The same as [`QuerySession::hold`] for the one query of a transaction, once the pointer was seen.
    fn hold_for_query(
        &mut self,
        id: GenerationId,
        table: &Table,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send {
        self.hold(id, table)
    }

    /// The number that a statement answers with.
    fn count(&mut self, statement: Statement<'_>) -> impl Future<Output = Result<i64, Self::Error>> + Send;

    /// The rows of a statement as they come; `kinds` are the types of its columns.
    fn stream(
        &mut self,
        statement: Statement<'_>,
        kinds: &[ColumnType],
        to: &mut Pieces,
    ) -> impl Future<Output = Result<(), End<Self::Error>>> + Send;

    /// All rows of a statement; `kinds` are the types of its columns.
    fn all(
        &mut self,
        statement: Statement<'_>,
        kinds: &[ColumnType],
    ) -> impl Future<Output = Result<Vec<Row>, Self::Error>> + Send;

    /// The first whole rows of a table by key, as SQL; the argument is how many.
    fn first(id: GenerationId, table: &Table) -> String;

    /// The whole rows behind a key, as SQL; the arguments are [`QuerySession::behind`] it, and how many.
    fn next(id: GenerationId, table: &Table) -> String;

    /// The values of a key as [`QuerySession::next`] takes them.
    fn behind<'k>(table: &Table, key: &'k KeyValues) -> Vec<Argument<'k>> {
        key.iter().zip(table.key_columns()).map(|(value, column)| Argument::Value(column.kind, value)).collect()
    }

    /// At most `limit` whole rows behind the key `after`, by key.
    fn next_rows(
        &mut self,
        (id, table): (GenerationId, &Table),
        after: Option<&KeyValues>,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<Row>, Self::Error>> + Send {
        async move {
            let kinds: Vec<ColumnType> = table.columns.iter().map(|column| column.kind).collect();
            let (sql, mut arguments) = match after {
                None => (Self::first(id, table), Vec::new()),
                Some(key) => (Self::next(id, table), Self::behind(table, key)),
            };
            arguments.push(Argument::Number(limit as i64));
            self.all(Statement { sql, arguments }, &kinds).await
        }
    }
}
