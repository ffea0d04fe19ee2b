//! Which read databases there are to measure. What is measured in them is elsewhere.

use clap::Args;

use crate::rebuild::Kind;

/// Servers' URLs. None is an argument of another process, which everybody sees: they may hold passwords.
#[derive(Debug, Clone, Args)]
pub(crate) struct ReadDatabases {
    /// An empty PostgreSQL database; what is made there is dropped in the end
    #[arg(long, env = "REEL_TEST_POSTGRES", value_name = "URL", hide_env_values = true)]
    postgres: Option<String>,
    /// An empty MySQL or MariaDB database; what is made there is dropped in the end
    #[arg(long, env = "REEL_TEST_MYSQL", value_name = "URL", hide_env_values = true)]
    mysql: Option<String>,
    /// An empty SQL Server database; what is made there is dropped in the end
    #[arg(long, env = "REEL_TEST_SQLSERVER", value_name = "URL", hide_env_values = true)]
    sqlserver: Option<String>,
}

impl ReadDatabases {
    /// The URL of one, if it is given; SQLite has none.
    pub(crate) fn url(&self, kind: Kind) -> Option<&str> {
        match kind {
            Kind::Sqlite => None,
            Kind::Postgres => self.postgres.as_deref(),
            Kind::MySql => self.mysql.as_deref(),
            Kind::SqlServer => self.sqlserver.as_deref(),
        }
    }

    /// What there is: always SQLite, and the servers that are given.
    pub(crate) fn kinds(&self) -> Vec<Kind> {
        let servers = [Kind::Postgres, Kind::MySql, Kind::SqlServer];
        let given = servers.into_iter().filter(|kind| self.url(*kind).is_some());
        std::iter::once(Kind::Sqlite).chain(given).collect()
    }

    /// The same for another process of this program.
    pub(crate) fn environment(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let all = [
            ("REEL_TEST_POSTGRES", &self.postgres),
            ("REEL_TEST_MYSQL", &self.mysql),
            ("REEL_TEST_SQLSERVER", &self.sqlserver),
        ];
        all.into_iter().filter_map(|(variable, url)| Some((variable, url.as_deref()?)))
    }
}
