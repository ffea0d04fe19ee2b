//! The catalog through this driver's connections.

use reel_projector::ports::DeadLetter;
use sqlx::mysql::{MySqlArguments, MySqlRow};
use sqlx::query::Query;
use sqlx::{MySql, MySqlConnection, Row, query, raw_sql};

use super::dialect::{Sql, catalog as sql};
use super::error::{MySqlError, is_duplicate, is_duplicate_column};
use crate::catalog::{self, Argument, CatalogSession, Fields, Statements};
use crate::target::GenerationId;

impl CatalogSession for MySqlConnection {
    type Error = MySqlError;
    type Row = MySqlRow;

    const SQL: Statements = sql::STATEMENTS;

    async fn execute(&mut self, sql: &'static str, arguments: &[Argument<'_>]) -> Result<u64, MySqlError> {
        Ok(bound(sql, arguments).execute(self).await.map_err(MySqlError)?.rows_affected())
    }

    async fn rows(&mut self, sql: &'static str, arguments: &[Argument<'_>]) -> Result<Vec<MySqlRow>, MySqlError> {
        bound(sql, arguments).fetch_all(self).await.map_err(MySqlError)
    }

    async fn define(&mut self, sql: String) -> Result<(), MySqlError> {
        match raw_sql(Sql::from(sql)).execute(self).await {
            // Whoever upgraded the catalog before was interrupted behind this statement.
            Err(error) if is_duplicate_column(&error) => Ok(()),
            done => done.map(drop).map_err(MySqlError),
        }
    }

    async fn lease(&mut self, generation: i64, holder: &str, lasts: i64) -> Result<bool, MySqlError> {
        let keep = [holder.into(), lasts.into(), generation.into(), holder.into()];
        if self.execute(sql::KEEP_LEASE, &keep).await? == 1 {
            return Ok(true);
        }
        self.put_new(sql::PUT_LEASE, &[generation.into(), holder.into(), lasts.into()]).await
    }

    async fn put_dead_letters(&mut self, id: GenerationId, letters: &[DeadLetter]) -> Result<(), MySqlError> {
        for letter in letters {
            let event = letter.event.to_string();
            self.execute(sql::PUT_DEAD_LETTER, &catalog::letter(id, letter, &event)).await?;
        }
        Ok(())
    }

    async fn put_generation(&mut self, arguments: &[Argument<'_>]) -> Result<Option<i64>, MySqlError> {
        let put = bound(sql::PUT_GENERATION, arguments).execute(self).await.map_err(MySqlError)?;
        Ok(i64::try_from(put.last_insert_id()).ok())
    }

    /// `INSERT IGNORE` would say by itself whether it put the row, but it cuts values to fit.
    async fn put_new(&mut self, sql: &'static str, arguments: &[Argument<'_>]) -> Result<bool, MySqlError> {
        match self.execute(sql, arguments).await {
            Ok(_) => Ok(true),
            Err(MySqlError(error)) if is_duplicate(&error) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

fn bound<'q>(sql: &'static str, arguments: &[Argument<'q>]) -> Query<'q, MySql, MySqlArguments> {
    arguments.iter().fold(query(sql), |query, argument| match *argument {
        Argument::Integer(integer) => query.bind(integer),
        Argument::Text(text) => query.bind(text),
        Argument::Bytes(bytes) => query.bind(bytes),
    })
}

impl Fields for MySqlRow {
    type Error = MySqlError;

    fn integer(&self, place: usize) -> Result<i64, MySqlError> {
        self.try_get(place).map_err(MySqlError)
    }

    fn maybe_integer(&self, place: usize) -> Result<Option<i64>, MySqlError> {
        self.try_get(place).map_err(MySqlError)
    }

    fn text(&self, place: usize) -> Result<String, MySqlError> {
        self.try_get(place).map_err(MySqlError)
    }

    fn maybe_text(&self, place: usize) -> Result<Option<String>, MySqlError> {
        self.try_get(place).map_err(MySqlError)
    }

    fn bytes(&self, place: usize) -> Result<Vec<u8>, MySqlError> {
        self.try_get(place).map_err(MySqlError)
    }
}
