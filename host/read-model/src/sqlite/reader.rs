//! Rows for queries and snapshots.

use reel_projector::change::Row;
use reel_projector::{ColumnType, Table};
use rusqlite::{Connection, Error};
use tokio::runtime::Handle;

use super::connection::blocking;
use super::dialect::tables;
use super::values;
use crate::answer::{End, Pieces, Stopped};
use crate::query_session::QuerySession;
use crate::sql::Statement;
use crate::target::GenerationId;

impl QuerySession for Connection {
    fn queried(id: GenerationId, table: &Table) -> String {
        tables::physical(id, table)
    }

    /// A reader keeps its moment whole, whoever drops what.
    async fn hold(&mut self, _id: GenerationId, _table: &Table) -> Result<(), Error> {
        Ok(())
    }

    async fn count(&mut self, statement: Statement<'_>) -> Result<i64, Error> {
        blocking(|| {
            let mut prepared = self.prepare_cached(&statement.sql)?;
            values::bind_arguments(&mut prepared, &statement.arguments)?;
            let mut rows = prepared.raw_query();
            rows.next()?.map_or(Ok(0), |row| row.get(0))
        })
    }

    /// A statement cannot wait for a reader without its thread, which it has for itself.
    async fn stream(
        &mut self,
        statement: Statement<'_>,
        kinds: &[ColumnType],
        to: &mut Pieces,
    ) -> Result<(), End<Error>> {
        let mut prepared = self.prepare_cached(&statement.sql)?;
        values::bind_arguments(&mut prepared, &statement.arguments)?;
        let mut rows = prepared.raw_query();
        while let Some(row) = rows.next()? {
            if let Some(piece) = to.add(values::row(row, kinds)?) {
                wait(to.taken(piece))?;
            }
        }
        Ok(())
    }

    async fn all(&mut self, statement: Statement<'_>, kinds: &[ColumnType]) -> Result<Vec<Row>, Error> {
        blocking(|| {
            let mut prepared = self.prepare_cached(&statement.sql)?;
            values::bind_arguments(&mut prepared, &statement.arguments)?;
            let mut rows = prepared.raw_query();
            let mut read = Vec::new();
            while let Some(row) = rows.next()? {
                read.push(values::row(row, kinds)?);
            }
            Ok(read)
        })
    }

    fn first(id: GenerationId, table: &Table) -> String {
        tables::first(id, table)
    }

    fn next(id: GenerationId, table: &Table) -> String {
        tables::next(id, table)
    }
}

/// Waits on this thread for what another one does.
fn wait(done: impl Future<Output = Result<(), Stopped>> + Send + 'static) -> Result<(), Stopped> {
    let (tell, told) = std::sync::mpsc::sync_channel(1);
    Handle::current().spawn(async move { tell.send(done.await) });
    // Where it is never told the runtime has ended, and whoever wanted the rows with it.
    told.recv().unwrap_or(Err(Stopped::Unwanted))
}
