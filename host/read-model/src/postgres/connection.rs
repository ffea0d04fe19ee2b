//! Connections to one PostgreSQL database: some that write, some that read.

use std::str::FromStr;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::{ConnectOptions, Connection};

use super::dialect;

/// How many may write at a time, and how many may read.
const CONNECTIONS: u32 = 16;

/// How long to wait for a connection.
const PATIENCE: Duration = Duration::from_secs(3);

/// The oldest server that our statements are written for.
pub(super) const OLDEST: u32 = 130_000;

/// Statements that a connection keeps prepared.
const PREPARED: usize = 256;

/// One database.
pub(super) struct Database {
    /// The target's name.
    pub(super) name: String,
    pub(super) writers: PgPool,
    pub(super) readers: PgPool,
}

impl Database {
    /// Connects nowhere yet.
    pub(super) fn open(name: &str, url: &str) -> Result<Database, sqlx::Error> {
        let options = PgConnectOptions::from_str(url)?
            .application_name("reel")
            .statement_cache_capacity(PREPARED)
            .disable_statement_logging();
        let pool = || PgPoolOptions::new().max_connections(CONNECTIONS).acquire_timeout(PATIENCE);
        let writers = pool().connect_lazy_with(options.clone().options(dialect::WRITER));
        let readers = pool().connect_lazy_with(options.options(dialect::READER));
        Ok(Database { name: name.to_owned(), writers, readers })
    }

    /// Connects once: unlike the pools, it does not wait for a server that is not there, and says what is wrong. The server's version,
    /// as it is counted: 130004.
    pub(super) async fn reach(&self) -> Result<u32, sqlx::Error> {
        let connection = self.writers.connect_options().connect().await?;
        // One that does not tell is none of PostgreSQL's own: it may know our statements.
        let version = connection.server_version_num().unwrap_or(OLDEST);
        connection.close().await?;
        Ok(version)
    }
}
