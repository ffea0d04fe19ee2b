//! PostgreSQL as a read database: the catalog in schema `reel`, tables in `reel_data`, views in a schema for each projection. Files
//! of all adapters have the same names and the same order.

mod connection;
mod copy;
mod dialect;
mod error;
pub(crate) mod examine;
mod generations;
mod load;
mod reader;
mod session;
mod values;
mod writer;

use std::sync::Arc;

use reel_projector::ReadModelError;
use sqlx::pool::PoolConnection;
use sqlx::{Connection, Error, PgConnection, PgTransaction, Postgres};

use crate::adapted::Adapted;
use crate::adapter::Adapter;
use crate::catalog::{self, Manifests};
use crate::definitions;
use crate::fault::{DriverError, Fault, Severity};
use crate::target::{
    CatalogError, DropScope, FlipOutcome, Generation, GenerationId, IfBehind, NewGeneration, Target, TargetKind,
};
use connection::Database;
use error::{Outcome, PostgresFault};
use load::Load;
use writer::Writer;

/// Opens the read database at `url`.
pub(crate) async fn open(name: &str, url: &str) -> Result<Arc<dyn Target>, CatalogError> {
    let database = Database::open(name, url).map_err(|error| not_opened(name, error))?;
    let version = database.reach().await.map_err(|error| not_opened(name, error))?;
    check_version(name, version)?;
    let prepared = async {
        let mut transaction = database.write().await?;
        generations::lock_catalog(&mut transaction, name).await?;
        catalog::prepare(&mut *transaction, name, str::to_owned).await?;
        Ok(transaction.commit().await?)
    };
    prepared.await.map_err(|fault: PostgresFault<CatalogError>| match fault {
        Fault::Database(error) => not_opened(name, error),
        fault => fault.told(name, "making the catalog"),
    })?;
    Ok(Adapted::target(database))
}

/// Refuses a server that is too old for our statements.
fn check_version(name: &str, version: u32) -> Result<(), CatalogError> {
    if version >= connection::OLDEST {
        return Ok(());
    }
    let reason = format!("its server is version {}: use PostgreSQL 13 or newer", version / 10_000);
    Err(CatalogError::Unusable { target: name.to_owned(), reason })
}

fn not_opened(name: &str, error: Error) -> CatalogError {
    let unusable = |reason: String| CatalogError::Unusable { target: name.to_owned(), reason };
    match error::code(&error).as_deref() {
        Some("28P01" | "28000") => unusable(format!("{error}: see that user and password in its URL are right")),
        Some("3D000") => unusable(format!("{error}: make it (CREATE DATABASE … ENCODING 'UTF8'), or correct its URL")),
        Some("42501") => unusable(format!(
            "{error}: the user needs the right to make schemas (GRANT CREATE ON DATABASE …), and those of Reel must be its own"
        )),
        Some("25006") => read_only(name, &error),
        _ if error.severity() == Severity::Permanent => unusable(error.to_string()),
        _ => Fault::Database(error).told(name, "opening the database"),
    }
}

/// A replica may become the primary: so it is tried again, and says what it is meanwhile.
fn read_only(name: &str, error: &Error) -> CatalogError {
    let server = error.as_database_error().map_or_else(|| error.to_string(), |error| error.message().to_owned());
    let source = format!(
        "it takes no writes ({server}): it is a replica, or set to be read only; give the URL of the primary, or make it writable"
    );
    ReadModelError::Unavailable { target: name.to_owned(), source: source.into() }.into()
}

impl Adapter for Database {
    const KIND: TargetKind = TargetKind::Postgres;

    type Session = PgConnection;
    type Reader = PoolConnection<Postgres>;
    type Reading<'r> = PgTransaction<'r>;
    type Moment = PgTransaction<'static>;
    type Transaction = PgTransaction<'static>;
    type Tables = Writer;
    type Filling = Load;
    type Dialect = dialect::Postgres;

    fn name(&self) -> &str {
        &self.name
    }

    fn dialect(&self) -> dialect::Postgres {
        dialect::Postgres
    }

    async fn reader(&self) -> Result<PoolConnection<Postgres>, Error> {
        self.readers.acquire().await
    }

    async fn begin(reader: &mut PoolConnection<Postgres>) -> Result<PgTransaction<'_>, Error> {
        reader.begin_with(dialect::BEGIN_READING).await
    }

    async fn end(reading: Self::Reading<'_>) -> Result<(), Error> {
        reading.commit().await
    }

    /// A connection is cheaper than reading all the rows that the server sends.
    async fn discard(reader: PoolConnection<Postgres>) {
        drop(reader.detach().close_hard().await);
    }

    async fn read(&self) -> Result<PgTransaction<'static>, Error> {
        self.readers.begin_with(dialect::BEGIN_READING).await
    }

    async fn write(&self) -> Result<PgTransaction<'static>, Error> {
        self.writers.begin().await
    }

    async fn commit(transaction: PgTransaction<'static>) -> Result<(), Error> {
        transaction.commit().await
    }

    async fn read_rows(&self) -> Result<PoolConnection<Postgres>, Error> {
        self.writers.acquire().await
    }

    fn tables(&self, generation: &Generation) -> Writer {
        Writer::new(generation)
    }

    fn told(&self, fault: PostgresFault<CatalogError>, action: &str) -> CatalogError {
        if let Fault::Database(error) = &fault
            && error::code(error).as_deref() == Some("25006")
        {
            return read_only(&self.name, error);
        }
        fault.told(&self.name, action)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_that_are_new_enough() {
        for version in [130_000, 150_014, 180_001] {
            assert!(check_version("reports", version).is_ok(), "{version}");
        }
        for (version, named) in [(90_624, "version 9:"), (120_022, "version 12:")] {
            let refused = check_version("reports", version).unwrap_err();
            assert!(matches!(refused, CatalogError::Unusable { .. }), "{refused:?}");
            assert!(refused.to_string().contains(named) && refused.to_string().contains("13 or newer"), "{refused}");
        }
    }
}
