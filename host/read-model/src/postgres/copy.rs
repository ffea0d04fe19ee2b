//! Rows by binary `COPY`: how they are cut into messages, and how a commit takes those that are most likely new.
//!
//! Not here: the load of a build (`load`), and how a value is encoded (`values`).

use std::sync::atomic::{AtomicU32, Ordering};

use reel_projector::change::Row;
use reel_projector::{ColumnType, Table};
use sqlx::{Connection as _, PgConnection};

use super::dialect::tables;
use super::error::is_duplicate;
use super::values;
use crate::target::GenerationId;

/// About how many bytes go to the server in one message.
const MESSAGE_BYTES: usize = 256 << 10;
/// So many rows are worth a `COPY`, which takes four more ways to the server and back than an upsert.
const WORTH_IT: usize = 1_000;
/// How often rows are upserted at once after some of them were there.
const CAUTION: u32 = 64;

/// Rows in the binary format, in messages of a bearable size; what they begin and end with is not among them.
pub(super) fn messages<'r>(rows: &'r [Row], kinds: &'r [ColumnType]) -> impl Iterator<Item = Vec<u8>> + Send + 'r {
    let mut rest = rows.iter();
    std::iter::from_fn(move || {
        let mut bytes = Vec::with_capacity(MESSAGE_BYTES + (MESSAGE_BYTES >> 3));
        while bytes.len() < MESSAGE_BYTES
            && let Some(row) = rest.next()
        {
            values::copy_row(row, kinds, &mut bytes);
        }
        (!bytes.is_empty()).then_some(bytes)
    })
}

/// Takes rows of one table that are most likely new. An upsert looks for each of them first, and writes a word into the server's log
/// to say that nobody came in between; `COPY` does neither, and takes a third less of the server's time.
pub(super) struct LikelyNew {
    statement: String,
    kinds: Vec<ColumnType>,
    /// How many times more it is not tried.
    caution: AtomicU32,
}

/// What became of rows that were taken for new ones.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// All are inserted.
    All,
    /// None is: some may be there, or it was not worth trying.
    None,
}

impl LikelyNew {
    pub(super) fn new(id: GenerationId, table: &Table) -> LikelyNew {
        LikelyNew {
            statement: tables::copy(id, table),
            kinds: table.columns.iter().map(|column| column.kind).collect(),
            caution: AtomicU32::new(0),
        }
    }

    /// Inserts all rows or none, in the transaction of `connection`.
    pub(super) async fn insert(&self, connection: &mut PgConnection, rows: &[Row]) -> Result<Taken, sqlx::Error> {
        if rows.len() < WORTH_IT || self.is_cautious() {
            return Ok(Taken::None);
        }
        let mut savepoint = connection.begin().await?;
        match self.copy(&mut savepoint, rows).await {
            Ok(()) => savepoint.commit().await.map(|()| Taken::All),
            Err(error) if is_duplicate(&error) => {
                self.caution.store(CAUTION, Ordering::Relaxed);
                savepoint.rollback().await.map(|()| Taken::None)
            }
            Err(error) => Err(error),
        }
    }

    fn is_cautious(&self) -> bool {
        let less = |caution: u32| caution.checked_sub(1);
        self.caution.try_update(Ordering::Relaxed, Ordering::Relaxed, less).is_ok()
    }

    async fn copy(&self, connection: &mut PgConnection, rows: &[Row]) -> Result<(), sqlx::Error> {
        let mut copy = connection.copy_in_raw(&self.statement).await?;
        copy.send(values::COPY_BEGIN).await?;
        for message in messages(rows, &self.kinds) {
            copy.send(message).await?;
        }
        copy.send(values::COPY_END).await?;
        copy.finish().await.map(drop)
    }
}
