//! MySQL and MariaDB as a read database: catalog, tables and views in one database, told apart by their names. Files of all adapters
//! have the same names and the same order; `views` is only here, because only here views are renamed.

mod connection;
mod dialect;
mod error;
pub(crate) mod examine;
mod generations;
mod load;
mod reader;
mod session;
mod values;
mod views;
mod writer;

use std::sync::Arc;

use sqlx::pool::PoolConnection;
use sqlx::{Connection, MySql, MySqlConnection, MySqlTransaction};

use crate::adapted::Adapted;
use crate::adapter::Adapter;
use crate::catalog::{self, Manifests};
use crate::fault::Fault;
use crate::target::{
    CatalogError, DropScope, FlipOutcome, Generation, GenerationId, IfBehind, NewGeneration, Target, TargetKind,
};
use connection::{Database, NotOpened};
use dialect::catalog as sql;
use error::{MySqlError, MySqlFault, Outcome, is_denied};
use generations::Alteration;
use load::Load;
use writer::Writer;

/// Opens the read database at `url`.
pub(crate) async fn open(name: &str, url: &str) -> Result<Arc<dyn Target>, CatalogError> {
    let database = Database::open(name, url).await.map_err(|error| not_opened(name, error))?;
    let (manifests, collation) = (Manifests::default(), database.server.collation);
    let prepared = async {
        let mut alteration = Alteration::lock(&database).await?;
        catalog::prepare(&mut alteration.schema, name, |statement| sql::create(statement, collation)).await?;
        alteration.mend(&manifests).await?;
        alteration.end().await
    };
    prepared.await.map_err(|fault: MySqlFault<CatalogError>| match fault {
        Fault::Database(MySqlError(error)) => not_opened(name, error.into()),
        fault => fault.told(name, "making the catalog"),
    })?;
    Ok(Adapted::target(database))
}

/// What a user of Reel needs in its database.
const GRANT: &str = "GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, DROP, ALTER, INDEX, CREATE VIEW, SHOW VIEW ON <database>.* TO <user>";

fn not_opened(name: &str, error: NotOpened) -> CatalogError {
    let unusable = |reason: String| CatalogError::Unusable { target: name.to_owned(), reason };
    let error = match error {
        NotOpened::Database(error) => error,
        NotOpened::Unsupported(version) => {
            return unusable(format!("its server is version {version}: use MySQL 8.0.17 or MariaDB 10.6, or newer"));
        }
        NotOpened::ReadOnly => {
            return unusable(
                "its server takes no writes (read_only is on; a replica?): give the primary's URL".to_owned(),
            );
        }
        NotOpened::NoDatabase => {
            return unusable("its URL names no database: give mysql://user:password@host:port/database".to_owned());
        }
    };
    match error::number(&error) {
        Some(1045 | 1698) => unusable(format!("{error}: see that user and password in its URL are right")),
        Some(1049) => unusable(format!("{error}: make it (CREATE DATABASE …), or correct its URL")),
        _ if is_denied(&error) => unusable(format!("{error}: the user needs more rights ({GRANT})")),
        _ => match MySqlError(error) {
            error if error.is_permanent() => unusable(error.to_string()),
            error => Fault::Database(error).told(name, "opening the database"),
        },
    }
}

impl Adapter for Database {
    const KIND: TargetKind = TargetKind::MySql;

    type Session = MySqlConnection;
    type Reader = PoolConnection<MySql>;
    type Reading<'r> = MySqlTransaction<'r>;
    type Moment = MySqlTransaction<'static>;
    type Transaction = MySqlTransaction<'static>;
    type Tables = Writer;
    type Filling = Load;
    type Dialect = dialect::MySql;

    fn name(&self) -> &str {
        &self.name
    }

    fn dialect(&self) -> dialect::MySql {
        dialect::MySql { collation: self.server.collation }
    }

    async fn reader(&self) -> Result<PoolConnection<MySql>, MySqlError> {
        self.readers.acquire().await.map_err(MySqlError)
    }

    async fn begin(reader: &mut PoolConnection<MySql>) -> Result<MySqlTransaction<'_>, MySqlError> {
        reader.begin_with(dialect::BEGIN_READING).await.map_err(MySqlError)
    }

    async fn end(reading: Self::Reading<'_>) -> Result<(), MySqlError> {
        reading.commit().await.map_err(MySqlError)
    }

    /// A connection is cheaper than reading all the rows that the server sends.
    async fn discard(reader: PoolConnection<MySql>) {
        drop(reader.detach().close_hard().await);
    }

    async fn read(&self) -> Result<MySqlTransaction<'static>, MySqlError> {
        self.readers.begin_with(dialect::BEGIN_READING).await.map_err(MySqlError)
    }

    async fn write(&self) -> Result<MySqlTransaction<'static>, MySqlError> {
        self.writers.begin().await.map_err(MySqlError)
    }

    async fn commit(transaction: MySqlTransaction<'static>) -> Result<(), MySqlError> {
        transaction.commit().await.map_err(MySqlError)
    }

    async fn read_rows(&self) -> Result<PoolConnection<MySql>, MySqlError> {
        self.writers.acquire().await.map_err(MySqlError)
    }

    fn tables(&self, generation: &Generation) -> Writer {
        Writer::new(self, generation)
    }

    fn told(&self, fault: MySqlFault<CatalogError>, action: &str) -> CatalogError {
        match fault {
            Fault::Database(MySqlError(error)) if is_denied(&error) => not_opened(&self.name, error.into()),
            fault => fault.told(&self.name, action),
        }
    }

    async fn create(&self, manifests: &Manifests, new: &NewGeneration) -> Outcome<Generation> {
        generations::create(self, manifests, new).await
    }

    async fn flip(&self, manifests: &Manifests, to: GenerationId, behind: IfBehind) -> Outcome<FlipOutcome> {
        generations::flip(self, manifests, to, behind).await
    }

    async fn remove(&self, manifests: &Manifests, id: GenerationId, scope: DropScope) -> Outcome<()> {
        generations::remove(self, manifests, id, scope).await
    }
}
