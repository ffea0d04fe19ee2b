//! What a SQL Server database is, and lacks.

use super::connection::Database;
use super::dialect::quote;
use super::not_opened;
use super::server::{Server, Snapshots};
use crate::examine::{Examined, Finding};

/// Looks at the database at `url`.
pub(crate) async fn examine(name: &str, url: &str) -> Examined {
    match Database::open(name, url).await {
        Ok(database) => {
            let mut findings = findings(&database.server);
            findings.extend(super::address::is_readable_by_others(url).then(unencrypted));
            Examined { version: Some(database.server.title()), findings }
        }
        Err(error) => Examined::unreachable(&not_opened(name, error)),
    }
}

fn unencrypted() -> Finding {
    Finding::new("connections are not encrypted: whoever listens reads the rows", "encrypt=true in the target's URL")
}

fn findings(server: &Server) -> Vec<Finding> {
    let place = quote(&server.database);
    let mut findings = Vec::new();
    if server.is_level_too_low() {
        findings.push(Finding::new(
            format!("database {} has compatibility level {}, which is too old", server.database, server.level),
            format!("ALTER DATABASE {place} SET COMPATIBILITY_LEVEL = 140"),
        ));
    }
    if !server.missing.is_empty() {
        let rights = server.missing.join(", ");
        findings.push(Finding::new(
            format!("the user {} lacks rights in database {}: {rights}", server.user, server.database),
            format!("GRANT {rights} TO {}", quote(&server.user)),
        ));
    }
    if !server.read_committed_snapshot {
        findings.push(Finding::new(
            "READ_COMMITTED_SNAPSHOT is off: readers and writers wait for each other",
            format!("ALTER DATABASE {place} SET READ_COMMITTED_SNAPSHOT ON WITH ROLLBACK IMMEDIATE"),
        ));
    }
    if server.snapshots == Snapshots::Refused {
        findings.push(Finding::new(
            "ALLOW_SNAPSHOT_ISOLATION is off: writers wait while diff, verify or fingerprint reads a generation",
            format!("ALTER DATABASE {place} SET ALLOW_SNAPSHOT_ISOLATION ON"),
        ));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql_server::server::{Access, Kind};

    #[test]
    fn what_is_missing_comes_with_its_remedy() {
        let fine = Server {
            version: "16.0.4135.4".into(),
            kind: Kind::SqlServer(16),
            access: Access::ReadWrite,
            snapshots: Snapshots::Allowed,
            read_committed_snapshot: true,
            level: 160,
            missing: Vec::new(),
            user: "the reel".into(),
            database: "views".into(),
        };
        assert_eq!((fine.title().as_str(), findings(&fine)), ("SQL Server 16.0.4135.4", Vec::new()));
        let bad = Server {
            snapshots: Snapshots::Refused,
            read_committed_snapshot: false,
            level: 120,
            missing: vec!["CREATE SCHEMA", "CREATE VIEW"],
            ..fine
        };
        let findings = findings(&bad);
        assert_eq!(findings.len(), 4);
        assert_eq!(findings[1].remedy, "GRANT CREATE SCHEMA, CREATE VIEW TO [the reel]");
    }
}
