//! The catalog through this driver's connections.

use reel_projector::ports::DeadLetter;
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::query::Query;
use sqlx::{Error, PgConnection, Postgres, Row, query};

use super::dialect::{Sql, catalog as sql};
use crate::catalog::{Argument, CatalogSession, Fields, Statements, Word, kept};
use crate::target::GenerationId;

/// Dead letters in one statement.
const LETTERS: usize = 10_000;

impl CatalogSession for PgConnection {
    type Error = Error;
    type Row = PgRow;

    const SQL: Statements = sql::STATEMENTS;

    async fn execute(&mut self, sql: &'static str, arguments: &[Argument<'_>]) -> Result<u64, Error> {
        Ok(bound(sql, arguments).execute(self).await?.rows_affected())
    }

    async fn rows(&mut self, sql: &'static str, arguments: &[Argument<'_>]) -> Result<Vec<PgRow>, Error> {
        bound(sql, arguments).fetch_all(self).await
    }

    async fn define(&mut self, sql: String) -> Result<(), Error> {
        query(Sql::from(sql)).execute(self).await.map(drop)
    }

    async fn lease(&mut self, generation: i64, holder: &str, lasts: i64) -> Result<bool, Error> {
        Ok(self.execute(sql::LEASE, &[holder.into(), lasts.into(), generation.into()]).await? == 1)
    }

    async fn put_dead_letters(&mut self, id: GenerationId, letters: &[DeadLetter]) -> Result<(), Error> {
        for letters in letters.chunks(LETTERS) {
            let texts = |text: fn(&DeadLetter) -> &str| {
                letters.iter().map(|letter| text(letter).to_owned()).collect::<Vec<_>>()
            };
            let put = query(sql::PUT_DEAD_LETTERS)
                .bind(id.0)
                .bind(letters.iter().map(|letter| kept(letter.position.number())).collect::<Vec<_>>())
                .bind(letters.iter().map(|letter| letter.event.to_string()).collect::<Vec<_>>())
                .bind(texts(|letter| &letter.stream))
                .bind(texts(|letter| &letter.kind))
                .bind(texts(|letter| letter.reason.word()))
                .bind(texts(|letter| &letter.code))
                .bind(texts(|letter| &letter.message))
                .bind(letters.iter().map(|letter| letter.original.clone()).collect::<Vec<_>>());
            put.execute(&mut *self).await?;
        }
        Ok(())
    }
}

fn bound<'q>(sql: &'static str, arguments: &[Argument<'q>]) -> Query<'q, Postgres, PgArguments> {
    arguments.iter().fold(query(sql), |query, argument| match *argument {
        Argument::Integer(integer) => query.bind(integer),
        Argument::Text(text) => query.bind(text),
        Argument::Bytes(bytes) => query.bind(bytes),
    })
}

impl Fields for PgRow {
    type Error = Error;

    fn integer(&self, place: usize) -> Result<i64, Error> {
        self.try_get(place)
    }

    fn maybe_integer(&self, place: usize) -> Result<Option<i64>, Error> {
        self.try_get(place)
    }

    fn text(&self, place: usize) -> Result<String, Error> {
        self.try_get(place)
    }

    fn maybe_text(&self, place: usize) -> Result<Option<String>, Error> {
        self.try_get(place)
    }

    fn bytes(&self, place: usize) -> Result<Vec<u8>, Error> {
        self.try_get(place)
    }
}
