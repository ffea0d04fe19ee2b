//! Fills the tables of a generation at once: multi-row inserts in the order of the key, which SQLite appends, then the indexes.
//!
//! There is one writer, and live generations write through it too: so a load takes it for some thousand rows at a time, and looks
//! at the generation's epoch each time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use reel_projector::Table;
use reel_projector::change::Row;
use rusqlite::{Connection, Error};

use super::connection::Database;
use super::dialect::{catalog as sql, tables};
use super::values;
use crate::adapter::Adapter;
use crate::filling::{self, Filling};
use crate::target::GenerationId;

/// Rows in one transaction.
const TRANSACTION_ROWS: usize = 5_000;
/// Arguments in one statement at most: SQLite takes 32,766, but its own work on them grows faster than the number.
const ARGUMENTS: usize = 500;

type LoadFault = filling::LoadFault<Database>;
type Of = filling::Of<Database>;

/// The tables of a load on its way.
pub(crate) struct Load {
    of: Arc<Of>,
    /// Which tables this load has made anew.
    made: Vec<AtomicBool>,
}

impl Load {
    /// Does `work` on one table, unless the generation was lost.
    async fn on_table(
        &self,
        number: usize,
        work: impl FnOnce(&Connection, &Table) -> Result<(), Error> + Send,
    ) -> Result<(), LoadFault> {
        let table = &self.of.manifest.tables[number];
        let mut transaction = self.of.database.write_rows().await?;
        let done = async move {
            self.of.check(&mut transaction, sql::STATE_AND_EPOCH).await?;
            if !self.made[number].load(Ordering::Relaxed) {
                for statement in tables::create_anew(self.of.id, table) {
                    transaction.execute_batch(&statement)?;
                }
            }
            work(&transaction, table)?;
            Ok::<_, LoadFault>(transaction.commit()?)
        };
        Database::run(done).await?;
        self.made[number].store(true, Ordering::Relaxed);
        Ok(())
    }
}

impl Filling<Database> for Load {
    fn new(of: &Arc<Of>) -> Load {
        Load { of: Arc::clone(of), made: of.manifest.tables.iter().map(|_| AtomicBool::new(false)).collect() }
    }

    async fn fill(&self, table: usize, rows: &[Row]) -> Result<(), LoadFault> {
        for some in rows.chunks(TRANSACTION_ROWS) {
            self.on_table(table, |connection, table| insert(connection, self.of.id, table, some)).await?;
        }
        Ok(())
    }

    async fn index(&self, number: usize) -> Result<(), LoadFault> {
        self.on_table(number, |connection, table| {
            for statement in tables::create_indexes(self.of.id, number, table) {
                connection.execute(&statement, [])?;
            }
            connection.execute_batch(&tables::analyze(self.of.id, table))
        })
        .await
    }
}

fn insert(connection: &Connection, id: GenerationId, table: &Table, rows: &[Row]) -> Result<(), Error> {
    for some in rows.chunks((ARGUMENTS / table.columns.len()).max(1)) {
        let mut insert = connection.prepare_cached(&tables::insert(id, table, some.len()))?;
        values::bind(&mut insert, some.iter().flatten())?;
        insert.raw_execute()?;
    }
    Ok(())
}
