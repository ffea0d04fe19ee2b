//! SQL Server (and Azure SQL) as a read database: the catalog in schema `reel`, tables in `reel_data`, views in a schema for each
//! projection. Files of all adapters have the same names and the same order; `address`, `bulk` and `server` are only here,
//! because here the driver neither reads a URL, nor loads what is long, nor says what server it met.

mod address;
mod bulk;
mod connection;
mod dialect;
mod error;
pub(crate) mod examine;
mod generations;
mod load;
mod reader;
mod server;
mod session;
mod values;
#[cfg(test)]
mod wire;
mod writer;

use std::sync::Arc;

use crate::adapted::Adapted;
use crate::adapter::Adapter;
use crate::catalog::{self, Manifests};
use crate::definitions;
use crate::fault::Fault;
use crate::target::{
    CatalogError, DropScope, FlipOutcome, Generation, GenerationId, IfBehind, NewGeneration, Target, TargetKind,
};
use connection::{Database, Held, NotOpened, Session, Transaction, query};
use dialect::catalog as sql;
use error::{Outcome, SqlServerError, SqlServerFault};
use load::Load;
use server::Snapshots;
use writer::Writer;

/// Opens the read database at `url`.
pub(crate) async fn open(name: &str, url: &str) -> Result<Arc<dyn Target>, CatalogError> {
    let database = Database::open(name, url).await.map_err(|error| not_opened(name, error))?;
    let prepared = async {
        let mut transaction = database.write().await?;
        generations::lock_catalog(&mut transaction).await?;
        catalog::prepare(&mut *transaction, name, str::to_owned).await?;
        Ok(transaction.commit().await?)
    };
    prepared.await.map_err(|fault: SqlServerFault<CatalogError>| match fault {
        Fault::Database(error) => not_opened(name, error.into()),
        fault => fault.told(name, "making the catalog"),
    })?;
    if address::is_readable_by_others(url) {
        tracing::warn!(target = name, "connections are not encrypted: encrypt=true in the URL does it");
    }
    Ok(Adapted::target(database))
}

/// What a user of Reel needs in its database; what it makes is its own.
const GRANT: &str = "GRANT CREATE SCHEMA, CREATE TABLE, CREATE VIEW TO <user>";

fn not_opened(name: &str, error: NotOpened) -> CatalogError {
    let unusable = |reason: String| CatalogError::Unusable { target: name.to_owned(), reason };
    let error = match error {
        NotOpened::Database(error) => error,
        NotOpened::Address(what) => return unusable(what),
        NotOpened::Unsupported(version) => {
            return unusable(format!(
                "its server is version {version}: use SQL Server 2017 (14.0) or newer, or Azure SQL"
            ));
        }
        NotOpened::ReadOnly => {
            return unusable("it takes no writes (a secondary replica?): give the primary's URL".to_owned());
        }
    };
    match error.number() {
        Some(18_456) => unusable(format!("{error}: see that user and password in its URL are right")),
        Some(911 | 4060) => unusable(format!("{error}: make it (CREATE DATABASE …), or correct its URL")),
        Some(916) => unusable(format!("{error}: make the login a user there (CREATE USER … FOR LOGIN …)")),
        _ if error.is_denied() => {
            unusable(format!("{error}: the user needs more rights ({GRANT}), and the schemas of Reel must be its own"))
        }
        _ if matches!(&error, SqlServerError::Driver(tiberius::error::Error::Tls(_))) => unusable(format!(
            "{error}: give certificate-authority=FILE in its URL, or trust-server-certificate=true on a network that you trust"
        )),
        _ if error.is_permanent() => unusable(error.to_string()),
        _ => Fault::Database(error).told(name, "opening the database"),
    }
}

impl Adapter for Database {
    const KIND: TargetKind = TargetKind::SqlServer;

    type Session = Session;
    type Reader = Held;
    type Reading<'r> = &'r mut Session;
    type Moment = Transaction;
    type Transaction = Transaction;
    type Tables = Writer;
    type Filling = Load;
    type Dialect = dialect::SqlServer;

    fn name(&self) -> &str {
        &self.name
    }

    fn dialect(&self) -> dialect::SqlServer {
        dialect::SqlServer
    }

    async fn reader(&self) -> Result<Held, SqlServerError> {
        self.readers.get().await
    }

    async fn begin(reader: &mut Held) -> Result<&mut Session, SqlServerError> {
        reader.begin().await?;
        Ok(reader)
    }

    async fn end(reading: Self::Reading<'_>) -> Result<(), SqlServerError> {
        // What failed half-way is not spoken to again.
        if reading.is_in_transaction() { reading.end("COMMIT TRANSACTION").await } else { Ok(()) }
    }

    /// The pool keeps no session that was given up half-way.
    async fn discard(reader: Held) {
        drop(reader);
    }

    /// One moment of the data only where the database keeps snapshots: see [`Adapter::still`].
    async fn read(&self) -> Result<Transaction, SqlServerError> {
        Transaction::begin(self.readers.get().await?).await
    }

    async fn still(&self, session: &mut Session, id: GenerationId) -> Result<(), SqlServerError> {
        match self.server.snapshots {
            Snapshots::Allowed => Ok(()),
            Snapshots::Refused => query(sql::LOCK_CHECKPOINTS).bind(id.0).execute(session).await.map(drop),
        }
    }

    async fn write(&self) -> Result<Transaction, SqlServerError> {
        Transaction::begin(self.writer().await?).await
    }

    async fn commit(transaction: Transaction) -> Result<(), SqlServerError> {
        transaction.commit().await
    }

    async fn read_rows(&self) -> Result<Held, SqlServerError> {
        self.writer().await
    }

    fn tables(&self, generation: &Generation) -> Writer {
        Writer::new(generation)
    }

    fn told(&self, fault: SqlServerFault<CatalogError>, action: &str) -> CatalogError {
        match fault {
            Fault::Database(error) if error.is_denied() => not_opened(&self.name, error.into()),
            fault => fault.told(&self.name, action),
        }
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
