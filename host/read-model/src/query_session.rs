//! What queries and snapshots ask of a database's driver: rows of generations' tables, as fast as it has them.

use reel_projector::change::{KeyValues, Row};
use reel_projector::{ColumnType, Table};

use crate::answer::{End, Pieces};
use crate::catalog::CatalogSession;
use crate::sql::Statement;
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

    /// At most `limit` whole rows behind the key `after`, by key.
    fn next_rows(
        &mut self,
        of: (GenerationId, &Table),
        after: Option<&KeyValues>,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<Row>, Self::Error>> + Send;
}
