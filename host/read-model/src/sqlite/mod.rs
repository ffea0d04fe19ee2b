//! SQLite as a read database: one file, which holds catalog, tables and views. Files of all adapters have the same names and the
//! same order.

mod connection;
mod dialect;
mod error;
pub(crate) mod examine;
mod generations;
mod load;
mod reader;
mod session;
mod values;
mod writer;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::FutureExt;
use reel_projector::ReadModelError;
use rusqlite::{Connection, Error};
use tokio::runtime::Handle;

use crate::adapted::Adapted;
use crate::adapter::Adapter;
use crate::catalog::{self, Manifests};
use crate::definitions;
use crate::fault::{DriverError, Fault, Severity};
use crate::target::{
    CatalogError, DropScope, FlipOutcome, Generation, GenerationId, IfBehind, NewGeneration, Target, TargetKind,
};
use connection::{Database, Reader, Synchronous, Writing, blocking};
use error::Outcome;
use load::Load;
use writer::Writer;

/// How long opening waits for whoever opens the same file.
const PATIENCE: Duration = Duration::from_secs(5);

/// Opens the read database in the file at `path`, making it where it does not exist. Where several do that at once, some are told that
/// it is locked: SQLite does not wait for the lock that makes a new file a WAL one.
pub(crate) async fn open(name: &str, path: &str) -> Result<Arc<dyn Target>, CatalogError> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match open_now(name, path).await {
            Err(CatalogError::ReadModel(ReadModelError::Unavailable { .. })) if Instant::now() < deadline => {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            opened => return opened,
        }
    }
}

async fn open_now(name: &str, path: &str) -> Result<Arc<dyn Target>, CatalogError> {
    let database = Database::open(name, Path::new(path)).map_err(|error| not_opened(name, path, error))?;
    let made: Outcome<()> = async {
        if !catalog::is_current(&mut *Adapter::read(&database).await?).await? {
            let mut transaction = database.begin(Synchronous::Full).await?;
            catalog::prepare(&mut *transaction, name, str::to_owned).await?;
            transaction.commit()?;
        }
        Ok(())
    }
    .await;
    made.map_err(|fault| fault.told(name, "making the catalog"))?;
    Ok(Adapted::target(database))
}

fn not_opened(name: &str, path: &str, error: rusqlite::Error) -> CatalogError {
    use rusqlite::ErrorCode::{CannotOpen, NotADatabase, PermissionDenied, ReadOnly};
    let unusable = |reason: String| CatalogError::Unusable { target: name.to_owned(), reason };
    match error.sqlite_error_code() {
        Some(CannotOpen) => unusable(format!(
            "the file {path} cannot be opened: see that its folder exists and that this user may write there"
        )),
        Some(NotADatabase) => unusable(format!("the file {path} is not a SQLite database: use another one")),
        Some(PermissionDenied | ReadOnly) => unusable(format!("the file {path} cannot be written by this user")),
        _ if error.severity() == Severity::Permanent => unusable(format!("the file {path} cannot be opened: {error}")),
        _ => Fault::Database(error).told(name, "opening the file"),
    }
}

impl Adapter for Database {
    const KIND: TargetKind = TargetKind::Sqlite;

    type Session = Connection;
    type Reader = Reader;
    type Reading<'r> = &'r mut Connection;
    type Moment = Reader;
    type Transaction = Writing;
    type Tables = Writer;
    type Filling = Load;
    type Dialect = dialect::Sqlite;

    fn name(&self) -> &str {
        &self.name
    }

    fn dialect(&self) -> dialect::Sqlite {
        dialect::Sqlite
    }

    async fn reader(&self) -> Result<Reader, Error> {
        Database::reader(self).await
    }

    async fn begin(reader: &mut Reader) -> Result<&mut Connection, Error> {
        reader.hold()?;
        Ok(reader)
    }

    /// Its reader ends it.
    async fn end(_reading: Self::Reading<'_>) -> Result<(), Error> {
        Ok(())
    }

    async fn discard(reader: Reader) {
        drop(reader);
    }

    /// On a thread that it may block: its rows wait for whoever takes them.
    fn spawn(query: impl Future<Output = ()> + Send + 'static) {
        let runtime = Handle::current();
        tokio::task::spawn_blocking(move || runtime.block_on(query));
    }

    async fn read(&self) -> Result<Reader, Error> {
        let mut reader = Database::reader(self).await?;
        reader.hold()?;
        Ok(reader)
    }

    async fn write(&self) -> Result<Writing, Error> {
        self.begin(Synchronous::Full).await
    }

    async fn commit(transaction: Writing) -> Result<(), Error> {
        transaction.commit()
    }

    async fn read_rows(&self) -> Result<Reader, Error> {
        Adapter::read(self).await
    }

    async fn write_rows(&self) -> Result<Writing, Error> {
        self.begin(Synchronous::Normal).await
    }

    /// No call of SQLite waits for anything but the disk: all of them are one step, off the runtime.
    async fn run<T: Send>(work: impl Future<Output = T> + Send) -> T {
        blocking(|| work.now_or_never()).expect("what blocks never waits for another task")
    }

    fn tables(&self, generation: &Generation) -> Writer {
        Writer::new(generation)
    }

    async fn create(&self, manifests: &Manifests, new: &NewGeneration) -> Outcome<Generation> {
        definitions::create(self, manifests, new).await
    }

    async fn flip(&self, manifests: &Manifests, to: GenerationId, behind: IfBehind) -> Outcome<FlipOutcome> {
        definitions::flip(self, manifests, to, behind).await
    }

    async fn remove(&self, manifests: &Manifests, id: GenerationId, scope: DropScope) -> Outcome<()> {
        definitions::remove(self, manifests, id, scope).await
    }
}
