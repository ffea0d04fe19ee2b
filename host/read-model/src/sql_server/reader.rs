//! Rows for queries and snapshots.

use reel_projector::change::Row;
use reel_projector::{ColumnType, Table};

use super::connection::{Query, Session, query};
use super::dialect::{catalog as sql, tables};
use super::error::SqlServerError;
use super::values::{self, Bound, get};
use crate::answer::{End, Pieces};
use crate::query_session::QuerySession;
use crate::sql::{Argument, Statement};
use crate::target::GenerationId;

impl QuerySession for Session {
    fn queried(id: GenerationId, table: &Table) -> String {
        tables::queried(id, table)
    }

    /// Whoever drops a generation needs the lock that its readers share.
    async fn hold(&mut self, id: GenerationId, _table: &Table) -> Result<(), SqlServerError> {
        self.lock_for_query(id).await
    }

    async fn lock_for_query(&mut self, id: GenerationId) -> Result<(), SqlServerError> {
        query(sql::SHARE_LOCK).bind(tables::generation_lock(id)).execute(self).await.map(drop)
    }

    /// The lock does it, which is held by then.
    async fn hold_for_query(&mut self, _id: GenerationId, _table: &Table) -> Result<(), SqlServerError> {
        Ok(())
    }

    async fn count(&mut self, statement: Statement<'_>) -> Result<i64, SqlServerError> {
        get(&asked(statement).one(self).await?, 0)
    }

    async fn stream(
        &mut self,
        statement: Statement<'_>,
        kinds: &[ColumnType],
        to: &mut Pieces,
    ) -> Result<(), End<SqlServerError>> {
        let mut rows = asked(statement).stream(self).await?;
        while let Some(row) = rows.next().await? {
            to.push(values::row(row, kinds)?).await?;
        }
        Ok(())
    }

    async fn all(&mut self, statement: Statement<'_>, kinds: &[ColumnType]) -> Result<Vec<Row>, SqlServerError> {
        let rows = asked(statement).rows(self).await?;
        rows.into_iter().map(|row| values::row(row, kinds)).collect()
    }

    fn first(id: GenerationId, table: &Table) -> String {
        tables::first(id, table)
    }

    fn next(id: GenerationId, table: &Table) -> String {
        tables::next(id, table)
    }
}

fn asked<'q>(statement: Statement<'q>) -> Query<'q> {
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
