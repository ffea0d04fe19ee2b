//! Rows for queries and snapshots.

use futures::TryStreamExt;
use reel_projector::change::Row;
use reel_projector::{ColumnType, Table};
use sqlx::postgres::PgArguments;
use sqlx::query::Query;
use sqlx::{Error, PgConnection, Postgres, Row as _, query};

use super::dialect::{Sql, tables};
use super::values::{self, Bound, ColumnArray};
use crate::answer::{End, Pieces};
use crate::query_session::QuerySession;
use crate::sql::{Argument, Statement};
use crate::target::GenerationId;

impl QuerySession for PgConnection {
    fn queried(id: GenerationId, table: &Table) -> String {
        tables::physical(id, table)
    }

    async fn hold(&mut self, id: GenerationId, table: &Table) -> Result<(), Error> {
        query(tables::hold(id, table)).execute(self).await.map(drop)
    }

    /// The query's own statement does it.
    async fn hold_for_query(&mut self, _id: GenerationId, _table: &Table) -> Result<(), Error> {
        Ok(())
    }

    async fn count(&mut self, statement: Statement<'_>) -> Result<i64, Error> {
        prepared(statement).fetch_one(self).await?.try_get(0)
    }

    async fn stream(
        &mut self,
        statement: Statement<'_>,
        kinds: &[ColumnType],
        to: &mut Pieces,
    ) -> Result<(), End<Error>> {
        let mut rows = prepared(statement).fetch(self);
        while let Some(row) = rows.try_next().await? {
            to.push(values::row(&row, kinds)?).await?;
        }
        Ok(())
    }

    async fn all(&mut self, statement: Statement<'_>, kinds: &[ColumnType]) -> Result<Vec<Row>, Error> {
        let rows = prepared(statement).fetch_all(self).await?;
        rows.iter().map(|row| values::row(row, kinds)).collect()
    }

    fn first(id: GenerationId, table: &Table) -> String {
        tables::first(id, table)
    }

    fn next(id: GenerationId, table: &Table) -> String {
        tables::next(id, table)
    }
}

fn prepared<'q>(statement: Statement<'q>) -> Query<'q, Postgres, PgArguments> {
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
