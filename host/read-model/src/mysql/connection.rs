//! Connections to one MySQL or MariaDB database: some that write, some that read, and those that make, flip and drop.

use std::str::FromStr;
use std::time::Duration;

use sqlx::mysql::{MySqlConnectOptions, MySqlPool, MySqlPoolOptions};
use sqlx::{ConnectOptions, Connection, Executor, MySqlConnection, Row, query, raw_sql};

use super::dialect;

/// How many may write at a time, and how many may read.
const CONNECTIONS: u32 = 16;

/// How long to wait for a connection.
const PATIENCE: Duration = Duration::from_secs(3);

/// Statements that a connection keeps prepared.
const PREPARED: usize = 256;

/// One database.
pub(super) struct Database {
    /// The target's name.
    pub(super) name: String,
    pub(super) server: Server,
    pub(super) writers: MySqlPool,
    pub(super) readers: MySqlPool,
    options: MySqlConnectOptions,
}

/// What is at the other end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Server {
    /// What it calls itself.
    pub(super) version: String,
    /// A collation that compares bytewise and does not pad.
    pub(super) collation: &'static str,
    /// The most bytes that it takes at once.
    pub(super) packet: usize,
    /// Whether it takes writes.
    pub(super) access: Access,
}

/// Whether a server takes writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    ReadWrite,
    ReadOnly,
}

/// Why a database cannot be had.
#[derive(Debug)]
pub(super) enum NotOpened {
    Database(sqlx::Error),
    /// The URL names none.
    NoDatabase,
    /// Its version, which is too old.
    Unsupported(String),
    ReadOnly,
}

impl From<sqlx::Error> for NotOpened {
    fn from(error: sqlx::Error) -> NotOpened {
        NotOpened::Database(error)
    }
}

impl Database {
    /// Connects once, to learn what server it is: unlike the pools, this does not wait for one that is not there.
    pub(super) async fn open(name: &str, url: &str) -> Result<Database, NotOpened> {
        let options = MySqlConnectOptions::from_str(url)?
            .statement_cache_capacity(PREPARED)
            .pipes_as_concat(false)
            .no_engine_substitution(false)
            .timezone(Some("+00:00".to_owned()))
            .set_names(true)
            .charset("utf8mb4")
            .disable_statement_logging();
        if options.get_database().is_none_or(str::is_empty) {
            return Err(NotOpened::NoDatabase);
        }
        let server = Server::ask(&options).await?;
        if server.access == Access::ReadOnly {
            return Err(NotOpened::ReadOnly);
        }
        let options = options.collation(server.collation);
        let writers = pool(options.clone(), dialect::WRITER);
        let readers = pool(options.clone(), dialect::READER);
        Ok(Database { name: name.to_owned(), server, writers, readers, options })
    }

    /// A connection of one's own to make, flip or drop with: whatever it holds goes with it.
    pub(super) async fn alone(&self) -> Result<MySqlConnection, sqlx::Error> {
        let mut connection = self.options.connect().await?;
        set_up(&mut connection, dialect::SHORT_LOCKS).await?;
        Ok(connection)
    }
}

fn pool(options: MySqlConnectOptions, settings: &'static str) -> MySqlPool {
    MySqlPoolOptions::new()
        .max_connections(CONNECTIONS)
        .acquire_timeout(PATIENCE)
        .after_connect(move |connection, _| Box::pin(set_up(connection, settings)))
        .connect_lazy_with(options)
}

async fn set_up(connection: &mut MySqlConnection, settings: &'static str) -> Result<(), sqlx::Error> {
    connection.execute(raw_sql(dialect::CONNECTION)).await?;
    connection.execute(raw_sql(settings)).await?;
    Ok(())
}

impl Server {
    async fn ask(options: &MySqlConnectOptions) -> Result<Server, NotOpened> {
        let mut connection = options.connect().await?;
        let row = query(dialect::VERSION).fetch_one(&mut connection).await?;
        let (version, packet, read_only): (String, u64, i64) =
            (row.try_get(0)?, row.try_get_unchecked(1)?, row.try_get_unchecked(2)?);
        connection.close().await?;
        let access = if read_only == 0 { Access::ReadWrite } else { Access::ReadOnly };
        match collation(&version) {
            Some(collation) => Ok(Server { collation, version, packet: packet as usize, access }),
            None => Err(NotOpened::Unsupported(version)),
        }
    }
}

/// The collation of a server that is new enough: MariaDB 10.6 renames several views at one moment, whatever happens; MySQL has its
/// collation since 8.0.17.
fn collation(version: &str) -> Option<&'static str> {
    let numbers: Vec<u32> = version
        .split(|letter: char| !letter.is_ascii_digit())
        .map_while(|number| number.parse().ok())
        .take(3)
        .collect();
    if version.to_ascii_lowercase().contains("mariadb") {
        (numbers.as_slice() >= &[10, 6][..]).then_some("utf8mb4_nopad_bin")
    } else {
        (numbers.as_slice() >= &[8, 0, 17][..]).then_some("utf8mb4_0900_bin")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_that_are_new_enough() {
        for (version, expected) in [
            ("10.11.19-MariaDB-0+deb12u1", Some("utf8mb4_nopad_bin")),
            ("11.4.2-MariaDB", Some("utf8mb4_nopad_bin")),
            ("10.5.9-MariaDB-log", None),
            ("8.0.17", Some("utf8mb4_0900_bin")),
            ("8.4.2-commercial", Some("utf8mb4_0900_bin")),
            ("8.0.16", None),
            ("5.7.44-log", None),
            ("what?", None),
        ] {
            assert_eq!(collation(version), expected, "{version}");
        }
    }
}
