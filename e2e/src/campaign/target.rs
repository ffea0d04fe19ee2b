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
}

impl Target {
    pub(super) fn server(self) -> Server {
        match self {
            Target::Postgres => Server::Postgres,
            Target::Mysql => Server::MySql,
            Target::Sqlserver => Server::Given,
        }
    }
}
