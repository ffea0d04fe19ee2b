//! The catalog through this driver's connections, whose calls block.

use std::time::Duration;

use reel_projector::ports::DeadLetter;
use rusqlite::types::{FromSql, Value, ValueRef};
use rusqlite::{Connection, Error, Row, Statement};

use super::connection::blocking;
use super::dialect::catalog as sql;
use crate::catalog::{self, Argument, CatalogSession, Fields, Statements};
use crate::target::GenerationId;

impl CatalogSession for Connection {
    type Error = Error;
    type Row = Kept;

    const SQL: Statements = sql::STATEMENTS;

    /// Nobody passes anybody while this session writes.
    const PASSING: Duration = Duration::ZERO;

    async fn execute(&mut self, sql: &'static str, arguments: &[Argument<'_>]) -> Result<u64, Error> {
        blocking(|| {
            let mut statement = self.prepare_cached(sql)?;
            Ok(bound(&mut statement, arguments)?.raw_execute()? as u64)
        })
    }

    async fn rows(&mut self, sql: &'static str, arguments: &[Argument<'_>]) -> Result<Vec<Kept>, Error> {
        blocking(|| {
            let mut statement = self.prepare_cached(sql)?;
            let mut rows = bound(&mut statement, arguments)?.raw_query();
            let mut kept = Vec::new();
            while let Some(row) = rows.next()? {
                kept.push(Kept::of(row)?);
            }
            Ok(kept)
        })
    }

    async fn define(&mut self, sql: String) -> Result<(), Error> {
        blocking(|| self.execute_batch(&sql))
    }

    async fn lease(&mut self, generation: i64, holder: &str, lasts: i64) -> Result<bool, Error> {
        Ok(CatalogSession::execute(self, sql::LEASE, &[holder.into(), lasts.into(), generation.into()]).await? == 1)
    }

    async fn put_dead_letters(&mut self, id: GenerationId, letters: &[DeadLetter]) -> Result<(), Error> {
        for letter in letters {
            let event = letter.event.to_string();
            CatalogSession::execute(self, sql::PUT_DEAD_LETTER, &catalog::letter(id, letter, &event)).await?;
        }
        Ok(())
    }
}

fn bound<'s, 'c>(statement: &'s mut Statement<'c>, arguments: &[Argument<'_>]) -> Result<&'s mut Statement<'c>, Error> {
    for (place, argument) in arguments.iter().enumerate() {
        match argument {
            Argument::Integer(integer) => statement.raw_bind_parameter(place + 1, integer)?,
            Argument::Text(text) => statement.raw_bind_parameter(place + 1, text)?,
            Argument::Bytes(bytes) => statement.raw_bind_parameter(place + 1, bytes)?,
        }
    }
    Ok(statement)
}

/// A row that was read whole: the driver's own row goes with its statement.
pub(crate) struct Kept(Vec<Value>);

impl Kept {
    pub(super) fn of(row: &Row<'_>) -> Result<Kept, Error> {
        (0..row.as_ref().column_count()).map(|place| row.get(place)).collect::<Result<_, _>>().map(Kept)
    }

    fn get<T: FromSql>(&self, place: usize) -> Result<T, Error> {
        let kept = ValueRef::from(&self.0[place]);
        T::column_result(kept)
            .map_err(|error| Error::FromSqlConversionFailure(place, kept.data_type(), Box::new(error)))
    }
}

impl Fields for Kept {
    type Error = Error;

    fn integer(&self, place: usize) -> Result<i64, Error> {
        self.get(place)
    }

    fn maybe_integer(&self, place: usize) -> Result<Option<i64>, Error> {
        self.get(place)
    }

    fn text(&self, place: usize) -> Result<String, Error> {
        self.get(place)
    }

    fn maybe_text(&self, place: usize) -> Result<Option<String>, Error> {
        self.get(place)
    }

    fn bytes(&self, place: usize) -> Result<Vec<u8>, Error> {
        self.get(place)
    }
}
