//! The catalog through this driver's connections.

use reel_projector::ports::DeadLetter;
use tiberius::Row;

use super::connection::{Query, Session, query};
use super::dialect::catalog as sql;
use super::error::SqlServerError;
use super::values::{get, maybe, maybe_text, text};
use crate::catalog::{self, Argument, CatalogSession, Fields, Statements};
use crate::target::GenerationId;

impl CatalogSession for Session {
    type Error = SqlServerError;
    type Row = Row;

    const SQL: Statements = sql::STATEMENTS;

    async fn execute(&mut self, sql: &'static str, arguments: &[Argument<'_>]) -> Result<u64, SqlServerError> {
        bound(sql, arguments).execute(self).await
    }

    async fn rows(&mut self, sql: &'static str, arguments: &[Argument<'_>]) -> Result<Vec<Row>, SqlServerError> {
        bound(sql, arguments).rows(self).await
    }

    async fn define(&mut self, sql: String) -> Result<(), SqlServerError> {
        self.batch(&sql).await
    }

    async fn lease(&mut self, generation: i64, holder: &str, lasts: i64) -> Result<bool, SqlServerError> {
        let lease = [holder.into(), lasts.into(), generation.into()];
        Ok(self.execute(sql::KEEP_LEASE, &lease).await? == 1 || self.put_new(sql::PUT_LEASE, &lease).await?)
    }

    async fn put_dead_letters(&mut self, id: GenerationId, letters: &[DeadLetter]) -> Result<(), SqlServerError> {
        for letter in letters {
            let event = letter.event.to_string();
            let arguments = catalog::letter(id, letter, &event);
            // The last argument says whether the text before it is one.
            let is_original = i64::from(letter.original.is_some());
            bound(sql::PUT_DEAD_LETTER, &arguments).bind(is_original).execute(self).await?;
        }
        Ok(())
    }
}

/// A text that there is none of goes as an empty one: the driver has no NULL of a type.
fn bound<'q>(sql: &'static str, arguments: &[Argument<'q>]) -> Query<'q> {
    arguments.iter().fold(query(sql), |query, argument| match *argument {
        Argument::Integer(integer) => query.bind(integer),
        Argument::Text(text) => query.bind(text.unwrap_or_default()),
        Argument::Bytes(bytes) => query.bind(bytes),
    })
}

impl Fields for Row {
    type Error = SqlServerError;

    fn integer(&self, place: usize) -> Result<i64, SqlServerError> {
        get(self, place)
    }

    fn maybe_integer(&self, place: usize) -> Result<Option<i64>, SqlServerError> {
        maybe(self, place)
    }

    fn text(&self, place: usize) -> Result<String, SqlServerError> {
        text(self, place)
    }

    fn maybe_text(&self, place: usize) -> Result<Option<String>, SqlServerError> {
        maybe_text(self, place)
    }

    fn bytes(&self, place: usize) -> Result<Vec<u8>, SqlServerError> {
        Ok(get::<&[u8]>(self, place)?.to_vec())
    }
}
