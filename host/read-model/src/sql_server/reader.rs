//! Rows for queries and snapshots.

use reel_projector::change::{KeyValues, Row};
use reel_projector::{ColumnType, Table, Value};

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

    async fn next_rows(
        &mut self,
        (id, table): (GenerationId, &Table),
        after: Option<&KeyValues>,
        limit: usize,
    ) -> Result<Vec<Row>, SqlServerError> {
        let kinds: Vec<ColumnType> = table.columns.iter().map(|column| column.kind).collect();
        let (statement, key): (String, &[Value]) = match after {
            None => (tables::first(id, table), &[]),
            Some(key) => (tables::next(id, table), key),
        };
        let bound = key.iter().zip(table.key_columns()).map(|(value, column)| Bound(column.kind, value));
        let rows = bound.fold(query(statement), Query::bind).bind(limit as i64).rows(self).await?;
        rows.into_iter().map(|row| values::row(row, &kinds)).collect()
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
