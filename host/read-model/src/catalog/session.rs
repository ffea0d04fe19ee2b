//! What the catalog asks of a database's driver: statements with plain arguments, rows of plain fields. Rows of read models go other
//! ways, which each adapter makes as fast as its driver allows.

use std::time::Duration;

use reel_projector::ports::DeadLetter;

use crate::fault::{DriverError, Fault};
use crate::target::{CatalogError, GenerationId};

use super::entries::Unreadable;
use super::statements::Statements;

/// What comes of work on the catalog through a session `S`.
pub(crate) type Outcome<T, S> = Result<T, SessionFault<S, CatalogError>>;

/// What goes wrong in a session `S`; `O` is the error of the port's method.
pub(crate) type SessionFault<S, O> = Fault<<S as CatalogSession>::Error, O>;

/// A connection to a database that has a catalog, mostly inside a transaction.
pub(crate) trait CatalogSession: Send {
    /// The driver's error.
    type Error: DriverError;
    /// The driver's row.
    type Row: Fields<Error = Self::Error> + Send + Sync;

    /// The catalog's statements in this database's dialect.
    const SQL: Statements;

    /// For how long a flip holds the live generation still, and waits for the next one to pass it.
    const PASSING: Duration = Duration::from_millis(500);

    /// Says a statement of the dialect; how many rows it changed.
    fn execute(
        &mut self,
        sql: &'static str,
        arguments: &[Argument<'_>],
    ) -> impl Future<Output = Result<u64, Self::Error>> + Send;

    /// Asks for rows.
    fn rows(
        &mut self,
        sql: &'static str,
        arguments: &[Argument<'_>],
    ) -> impl Future<Output = Result<Vec<Self::Row>, Self::Error>> + Send;

    /// Says a statement that makes a part of the catalog; it has no arguments.
    fn define(&mut self, sql: String) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// Takes or keeps a generation's lease for so many microseconds by the database's clock; whether it is held now.
    fn lease(
        &mut self,
        generation: i64,
        holder: &str,
        lasts: i64,
    ) -> impl Future<Output = Result<bool, Self::Error>> + Send;

    /// Puts dead letters of a generation, each in the place of an earlier one of its event.
    fn put_dead_letters(
        &mut self,
        id: GenerationId,
        letters: &[DeadLetter],
    ) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// Puts a generation's entry, and answers with the number that the database gave it.
    fn put_generation(
        &mut self,
        arguments: &[Argument<'_>],
    ) -> impl Future<Output = Result<Option<i64>, Self::Error>> + Send {
        async move { self.row(Self::SQL.put_generation, arguments).await?.map(|row| row.integer(0)).transpose() }
    }

    /// Asks for one row that may not be there.
    fn row(
        &mut self,
        sql: &'static str,
        arguments: &[Argument<'_>],
    ) -> impl Future<Output = Result<Option<Self::Row>, Self::Error>> + Send {
        async move { Ok(self.rows(sql, arguments).await?.into_iter().next()) }
    }

    /// Puts a row, unless one with its key is there; whether it was put.
    fn put_new(
        &mut self,
        sql: &'static str,
        arguments: &[Argument<'_>],
    ) -> impl Future<Output = Result<bool, Self::Error>> + Send {
        async move { Ok(self.execute(sql, arguments).await? == 1) }
    }
}

/// Asks for the one row that a statement always answers with.
pub(crate) async fn one<S: CatalogSession, O>(
    session: &mut S,
    sql: &'static str,
    arguments: &[Argument<'_>],
) -> Result<S::Row, SessionFault<S, O>> {
    let row = session.row(sql, arguments).await?;
    Ok(row.ok_or_else(|| Unreadable("the database answers with no row where one must be".to_owned()))?)
}

/// An argument of a statement; NULL has a type too.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Argument<'a> {
    Integer(Option<i64>),
    Text(Option<&'a str>),
    Bytes(&'a [u8]),
}

impl From<i64> for Argument<'_> {
    fn from(integer: i64) -> Self {
        Argument::Integer(Some(integer))
    }
}

impl From<Option<i64>> for Argument<'_> {
    fn from(integer: Option<i64>) -> Self {
        Argument::Integer(integer)
    }
}

impl<'a> From<&'a str> for Argument<'a> {
    fn from(text: &'a str) -> Self {
        Argument::Text(Some(text))
    }
}

impl<'a> From<&'a String> for Argument<'a> {
    fn from(text: &'a String) -> Self {
        Argument::Text(Some(text))
    }
}

impl<'a> From<&'a Option<String>> for Argument<'a> {
    fn from(text: &'a Option<String>) -> Self {
        Argument::Text(text.as_deref())
    }
}

impl<'a> From<&'a [u8]> for Argument<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Argument::Bytes(bytes)
    }
}

/// A row's fields by their places, from 0.
pub(crate) trait Fields {
    /// The driver's error, where a field is something else.
    type Error;

    fn integer(&self, place: usize) -> Result<i64, Self::Error>;
    fn maybe_integer(&self, place: usize) -> Result<Option<i64>, Self::Error>;
    fn text(&self, place: usize) -> Result<String, Self::Error>;
    fn maybe_text(&self, place: usize) -> Result<Option<String>, Self::Error>;
    fn bytes(&self, place: usize) -> Result<Vec<u8>, Self::Error>;
}
