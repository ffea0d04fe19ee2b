//! What a SQLite file is, and lacks.

use std::path::Path;

use rusqlite::{Connection, OpenFlags};

use super::dialect;
use crate::examine::{Examined, Finding};

/// Looks at the file at `path`. One that is not there yet is fine: it is made at the first start.
pub(crate) fn examine(name: &str, path: &str) -> Examined {
    let version = Some(format!("SQLite {}", rusqlite::version()));
    let file = Path::new(path);
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut findings = Vec::new();
    if file.exists() {
        let looked = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY)
            .and_then(|connection| connection.query_row(dialect::catalog::EXAMINE, [], |row| row.get::<_, i64>(0)));
        if let Err(error) = looked {
            findings
                .push(Finding::new(format!("the file {path} of {name} cannot be read: {error}"), "give another file"));
        }
        if file.metadata().is_ok_and(|metadata| metadata.permissions().readonly()) {
            findings.push(Finding::new(format!("the file {path} may not be written"), "permit it to the user of Reel"));
        }
    } else if !folder.is_dir() {
        findings
            .push(Finding::new(format!("there is no folder {}", folder.display()), "make it, or give another path"));
    }
    Examined { version, findings }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_looked_at_and_never_made() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).display().to_string();
        assert!(examine("default", &path("new.sqlite")).findings.is_empty());
        assert!(!Path::new(&path("new.sqlite")).exists());
        assert!(examine("default", &path("missing/new.sqlite")).findings[0].what.contains("missing"));
        std::fs::write(path("letter.txt"), "Dear Sir or Madam, this is not a database of any kind. ".repeat(40))
            .unwrap();
        assert!(examine("default", &path("letter.txt")).findings[0].what.contains("letter.txt"));
    }
}
