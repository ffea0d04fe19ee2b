//! Rows for queries and snapshots.

use futures::TryStreamExt;
use reel_projector::change::{KeyValues, Row};
use reel_projector::{ColumnType, Table};
use sqlx::mysql::MySqlArguments;
use sqlx::query::Query;
use sqlx::{MySql, MySqlConnection, Row as _, query};

use super::dialect::{Sql, tables};
use super::error::MySqlError;
use super::values::{self, Bound};
use crate::answer::{End, Pieces};
use crate::query_session::QuerySession;
use crate::sql::{Argument, Statement};
use crate::target::GenerationId;

impl QuerySession for MySqlConnection {
    fn queried(id: GenerationId, table: &Table) -> String {
        tables::physical(id, table)
    }

    async fn hold(&mut self, id: GenerationId, table: &Table) -> Result<(), MySqlError> {
        query(tables::hold(id, table)).execute(self).await.map(drop).map_err(MySqlError)
    }

    async fn count(&mut self, statement: Statement<'_>) -> Result<i64, MySqlError> {
        prepared(statement).fetch_one(self).await.and_then(|row| row.try_get(0)).map_err(MySqlError)
    }

    async fn stream(
        &mut self,
        statement: Statement<'_>,
        kinds: &[ColumnType],
        to: &mut Pieces,
    ) -> Result<(), End<MySqlError>> {
        let mut rows = prepared(statement).fetch(self);
        while let Some(row) = rows.try_next().await.map_err(MySqlError)? {
            to.push(values::row(&row, kinds).map_err(MySqlError)?).await?;
        }
        Ok(())
    }

    async fn all(&mut self, statement: Statement<'_>, kinds: &[ColumnType]) -> Result<Vec<Row>, MySqlError> {
        let rows = prepared(statement).fetch_all(self).await.map_err(MySqlError)?;
        rows.iter().map(|row| values::row(row, kinds)).collect::<Result<_, _>>().map_err(MySqlError)
    }

    fn first(id: GenerationId, table: &Table) -> String {
        tables::first(id, table)
    }

    fn next(id: GenerationId, table: &Table) -> String {
        tables::next(id, table)
    }

    /// For each number of key columns from one, so many values.
    fn behind<'k>(table: &Table, key: &'k KeyValues) -> Vec<Argument<'k>> {
        let kinds: Vec<ColumnType> = table.key_columns().map(|column| column.kind).collect();
        (1..=key.len())
            .flat_map(|many| kinds.iter().zip(&key[..many]))
            .map(|(kind, value)| Argument::Value(*kind, value))
            .collect()
    }
}

fn prepared<'q>(statement: Statement<'q>) -> Query<'q, MySql, MySqlArguments> {
    let mut prepared = query(Sql::from(statement.sql));
    for argument in statement.arguments {
        prepared = match argument {
            Argument::Value(_, value) => prepared.bind(Bound(value)),
            Argument::Values(values) => {
                values.values.iter().fold(prepared, |prepared, value| prepared.bind(Bound(value)))
            }
            Argument::Text(text) => prepared.bind(text),
            Argument::Number(number) => prepared.bind(number),
        };
    }
    prepared
}
