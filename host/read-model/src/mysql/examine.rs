//! What a MySQL or MariaDB database is, and lacks.

use super::connection::Database;
use super::not_opened;
use crate::examine::{Examined, Finding};

/// Components are kept in pieces, and rows are written many at a time: below this, writing is slow.
const SMALL_PACKET: usize = 4 << 20;

/// Looks at the database at `url`.
pub(crate) async fn examine(name: &str, url: &str) -> Examined {
    match Database::open(name, url).await {
        Ok(database) => {
            let kind = if database.server.version.contains("MariaDB") { "MariaDB" } else { "MySQL" };
            let version = format!("{kind} {}", database.server.version);
            Examined { version: Some(version), findings: findings(database.server.packet) }
        }
        Err(error) => Examined::unreachable(&not_opened(name, error)),
    }
}

fn findings(packet: usize) -> Vec<Finding> {
    if packet >= SMALL_PACKET {
        return Vec::new();
    }
    vec![Finding::new(
        format!("max_allowed_packet is {packet} bytes: rows are written in small pieces"),
        format!("SET GLOBAL max_allowed_packet = {}", 16 << 20),
    )]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_packet_is_said() {
        assert!(findings(16 << 20).is_empty());
        assert!(findings(1 << 20)[0].remedy.contains("16777216"));
    }
}
