//! Which database a campaign's rows are in.

use super::servers::Server;

/// The kind of the read database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Target {
    /// PostgreSQL, started for the campaign.
    Postgres,
    /// MariaDB, started for the campaign.
    Mysql,
    /// A database of its own on the server that `REEL_TEST_SQLSERVER` gives. The server itself is not hit: its connections are cut.
    Sqlserver,
    /// One file, which all processes open: they are on one machine. Nothing hits it.
    Sqlite,
}

impl Target {
    /// The server that has the rows; a file has none.
    pub(super) fn server(self) -> Option<Server> {
        match self {
            Target::Postgres => Some(Server::Postgres),
            Target::Mysql => Some(Server::MySql),
            Target::Sqlserver => Some(Server::Given),
            Target::Sqlite => None,
        }
    }
}
