//! What a PostgreSQL database is, and lacks.

use super::connection::{Database, OLDEST};
use super::{dialect, not_opened};
use crate::examine::{Examined, Finding};

/// As [`dialect::catalog::EXAMINE`] answers it.
type Columns = (String, i32, String, bool, bool, Option<bool>, String, String);

struct Answer {
    version: String,
    number: i32,
    encoding: String,
    standby: bool,
    may_create: bool,
    /// Nothing where there is no schema `reel` yet.
    may_write: Option<bool>,
    login: String,
    database: String,
}

/// Looks at the database at `url`.
pub(crate) async fn examine(name: &str, url: &str) -> Examined {
    let asked = async {
        let database = Database::open(name, url)?;
        database.reach().await?;
        let columns: Columns = sqlx::query_as(dialect::catalog::EXAMINE).fetch_one(&database.readers).await?;
        Ok(Answer::from(columns))
    };
    match asked.await {
        Ok(answer) => {
            let findings = answer.findings();
            Examined { version: Some(format!("PostgreSQL {}", answer.version)), findings }
        }
        Err(error) => Examined::unreachable(&not_opened(name, error)),
    }
}

impl From<Columns> for Answer {
    fn from(columns: Columns) -> Answer {
        let (version, number, encoding, standby, may_create, may_write, login, database) = columns;
        Answer { version, number, encoding, standby, may_create, may_write, login, database }
    }
}

impl Answer {
    fn findings(&self) -> Vec<Finding> {
        let Answer { version, encoding, login, database, .. } = self;
        let (user, place) = (dialect::quote(login), dialect::quote(database));
        let mut findings = Vec::new();
        if self.number.unsigned_abs() < OLDEST {
            findings.push(Finding::new(format!("PostgreSQL {version} is too old"), "13 or newer is needed"));
        }
        if encoding != "UTF8" {
            let remedy = "make one with CREATE DATABASE … ENCODING 'UTF8'";
            findings.push(Finding::new(format!("database {database} has the encoding {encoding}"), remedy));
        }
        if self.standby {
            findings.push(Finding::new("it is a standby, which cannot be written", "give the primary's address"));
        }
        if !self.may_create {
            let what = format!("the user {login} may not make schemas in database {database}");
            findings.push(Finding::new(what, format!("GRANT CREATE ON DATABASE {place} TO {user}")));
        }
        if self.may_write == Some(false) {
            let what = format!("the schema reel belongs to somebody else than {login}");
            findings.push(Finding::new(what, format!("ALTER SCHEMA reel OWNER TO {user}, or connect as its owner")));
        }
        findings
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_comes_with_its_remedy() {
        let fine = Answer {
            version: "15.14".into(),
            number: 150_014,
            encoding: "UTF8".into(),
            standby: false,
            may_create: true,
            may_write: None,
            login: "the reel".into(),
            database: "views".into(),
        };
        assert!(fine.findings().is_empty());
        let bad = Answer {
            number: 120_000,
            encoding: "LATIN1".into(),
            standby: true,
            may_create: false,
            may_write: Some(false),
            ..fine
        };
        let findings = bad.findings();
        assert_eq!(findings.len(), 5);
        assert_eq!(findings[3].remedy, r#"GRANT CREATE ON DATABASE "views" TO "the reel""#);
    }
}
