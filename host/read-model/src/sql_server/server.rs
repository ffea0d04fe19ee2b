//! What is at the other end: which server, in which version, with which settings.

use super::connection::{Session, query};
use super::dialect::catalog as sql;
use super::error::SqlServerError;
use super::values::{get, maybe};

/// SQL Server 2017, the first with `TRANSLATE`.
const OLDEST: u32 = 14;

/// Below this the database does not know `STRING_SPLIT`, whatever the server.
const OLDEST_LEVEL: i32 = 130;

/// A server and a database, as they describe themselves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Server {
    /// What it calls itself.
    pub(super) version: String,
    pub(super) kind: Kind,
    /// Whether it takes writes.
    pub(super) access: Access,
    /// Whether readers may see one moment of the data without keeping writers waiting.
    pub(super) snapshots: Snapshots,
    /// Whether readers see what was committed last without waiting for writers.
    pub(super) read_committed_snapshot: bool,
    /// How old the database pretends to be.
    pub(super) level: i32,
    /// The rights that the login lacks.
    pub(super) missing: Vec<&'static str>,
    /// Who we are there.
    pub(super) user: String,
    pub(super) database: String,
}

/// Who made the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Its major version.
    SqlServer(u32),
    /// Always current, and its version says nothing.
    Azure,
    /// PostgreSQL that speaks T-SQL.
    Babelfish,
}

/// Whether a database takes writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    ReadWrite,
    ReadOnly,
}

/// Whether a database allows `SNAPSHOT` isolation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Snapshots {
    Allowed,
    Refused,
}

impl Server {
    pub(super) async fn ask(session: &mut Session) -> Result<Server, SqlServerError> {
        let row = query(sql::EXAMINE).one(session).await?;
        let version: String = get::<&str>(&row, 0)?.to_owned();
        let banner: &str = get(&row, 2)?;
        let wanted = ["CREATE SCHEMA", "CREATE TABLE", "CREATE VIEW"];
        let mut missing = Vec::new();
        for (place, right) in wanted.into_iter().enumerate() {
            if maybe::<i32>(&row, 7 + place)? == Some(0) {
                missing.push(right);
            }
        }
        let access = if maybe::<&str>(&row, 3)? == Some("READ_ONLY") { Access::ReadOnly } else { Access::ReadWrite };
        let snapshots = if get::<i32>(&row, 5)? == 1 { Snapshots::Allowed } else { Snapshots::Refused };
        Ok(Server {
            kind: kind(&version, get(&row, 1)?, banner),
            version,
            access,
            snapshots,
            read_committed_snapshot: get::<i32>(&row, 4)? == 1,
            level: get(&row, 6)?,
            missing,
            user: get::<&str>(&row, 10)?.to_owned(),
            database: get::<&str>(&row, 11)?.to_owned(),
        })
    }

    /// Whether our statements are for it.
    pub(super) fn is_supported(&self) -> bool {
        !matches!(self.kind, Kind::SqlServer(major) if major < OLDEST)
    }

    /// Whether the database pretends to be too old for our statements.
    pub(super) fn is_level_too_low(&self) -> bool {
        self.kind != Kind::Babelfish && self.level < OLDEST_LEVEL
    }

    /// Name and version.
    pub(super) fn title(&self) -> String {
        match self.kind {
            Kind::SqlServer(_) => format!("SQL Server {}", self.version),
            Kind::Azure => "Azure SQL".to_owned(),
            Kind::Babelfish => format!("Babelfish {}", self.version),
        }
    }
}

fn kind(version: &str, edition: i32, banner: &str) -> Kind {
    if banner.starts_with("Babelfish") {
        return Kind::Babelfish;
    }
    // SQL Database, Managed Instance, and what came after them.
    if matches!(edition, 5 | 6 | 8 | 9 | 11) {
        return Kind::Azure;
    }
    let major = version.split('.').next().and_then(|major| major.parse().ok());
    Kind::SqlServer(major.unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_that_are_new_enough() {
        let server = |kind| Server {
            version: String::new(),
            kind,
            access: Access::ReadWrite,
            snapshots: Snapshots::Refused,
            read_committed_snapshot: false,
            level: 150,
            missing: Vec::new(),
            user: String::new(),
            database: String::new(),
        };
        for (version, edition, banner, supported) in [
            ("16.0.4135.4", 3, "Microsoft SQL Server 2022", true),
            ("14.0.3456.2", 2, "Microsoft SQL Server 2017", true),
            ("13.0.5026.0", 2, "Microsoft SQL Server 2016", false),
            ("12.0.6024.0", 3, "Microsoft SQL Server 2014", false),
            ("12.0.2000.8", 5, "Microsoft SQL Azure (RTM)", true),
            ("12.0.2000.8", 2, "Babelfish for PostgreSQL", true),
            ("what?", 3, "", false),
        ] {
            assert_eq!(server(kind(version, edition, banner)).is_supported(), supported, "{version} {banner}");
        }
    }
}
