//! Tables and views of generations, as SQL Server is told to make and drop them.

use reel_projector::{Manifest, Table};

use super::connection::{Database, Session, Transaction, query};
use super::dialect::tables::Grant;
use super::dialect::{SHORT_LOCKS, SHORTER_LOCKS, catalog as sql, tables};
use super::error::{Outcome, SqlServerError};
use super::values::{get, maybe_text, text};
use crate::catalog::name_taken;
use crate::definitions::{Defines, Definitions, Granted, LockWait, schema_in_use};
use crate::fault::Fault;
use crate::target::{CatalogError, Generation, GenerationId, NewGeneration};

/// Until the transaction ends nobody else makes a catalog or a generation here; their schemas are there.
pub(super) async fn lock_catalog(session: &mut Session) -> Outcome<()> {
    query(sql::LOCK).bind(sql::CATALOG_LOCK).execute(session).await?;
    for schema in sql::SCHEMAS {
        if !schema_exists(session, schema).await? {
            session.batch(&tables::create_schema(schema)).await?;
        }
    }
    Ok(())
}

/// Whether a schema has this name.
async fn schema_exists(session: &mut Session, schema: &str) -> Outcome<bool> {
    let row = query(sql::SCHEMA).bind(schema).one(session).await?;
    Ok(get::<i32>(&row, 0)? == 1)
}

/// A row of fixed width must fit into a page; only this database is so narrow.
fn check_width(new: &NewGeneration) -> Result<(), CatalogError> {
    let wide = new.manifest.tables.iter().find_map(|table| Some((table, tables::too_wide(table)?)));
    wide.map_or(Ok(()), |(table, (needed, most))| {
        Err(CatalogError::Conflict {
            what: format!("table {} of {}", table.name, new.projection),
            actual: format!("too wide for SQL Server: a row needs {needed} bytes, and {most} is the most"),
            wanted: "give it fewer columns, or spread them over several tables".to_owned(),
        })
    })
}

impl Defines for Database {
    async fn alter(&self) -> Result<Transaction, SqlServerError> {
        Database::alter(self).await
    }
}

impl Definitions for Session {
    type Grant = Grant;

    fn view_name(schema: &str, table: &Table) -> String {
        tables::view_name(schema, table)
    }

    fn check(new: &NewGeneration) -> Result<(), CatalogError> {
        check_width(new)
    }

    async fn lock_names(&mut self) -> Outcome<()> {
        query(sql::LOCK).bind(sql::CATALOG_LOCK).execute(self).await?;
        Ok(())
    }

    async fn wait_for_locks(&mut self, wait: LockWait) -> Outcome<()> {
        let setting = match wait {
            LockWait::Short => SHORT_LOCKS,
            LockWait::Shorter => SHORTER_LOCKS,
        };
        Ok(self.batch(setting).await?)
    }

    async fn make_schema(&mut self, new: &NewGeneration, schema: &str) -> Outcome<()> {
        if schema_exists(self, schema).await? {
            return Err(name_taken(new, "a schema that Reel did not make"));
        }
        Ok(self.batch(&tables::create_schema(schema)).await?)
    }

    async fn drop_schema(&mut self, schema: &str) -> Outcome<()> {
        let rows = query(sql::OBJECTS).bind(schema).rows(self).await?;
        let objects: Vec<&str> = rows.iter().map(|row| get(row, 0)).collect::<Result<_, _>>()?;
        if !objects.is_empty() {
            return Err(Fault::Own(schema_in_use(schema, &objects.join(", "))));
        }
        Ok(self.batch(&tables::drop_schema(schema)).await?)
    }

    async fn make_tables(&mut self, id: GenerationId, manifest: &Manifest) -> Outcome<()> {
        for statement in tables::create(id, manifest) {
            self.batch(&statement).await?;
        }
        Ok(())
    }

    async fn drop_tables(&mut self, generation: &Generation) -> Outcome<()> {
        query(sql::LOCK_SOON).bind(tables::generation_lock(generation.id)).execute(self).await?;
        for table in &generation.manifest.tables {
            self.batch(&tables::drop_table(generation.id, table)).await?;
        }
        Ok(())
    }

    async fn make_view(&mut self, view: &str, of: &Generation, table: &Table) -> Outcome<()> {
        Ok(self.batch(&tables::create_view(view, of.id, table)).await?)
    }

    async fn drop_view(&mut self, view: &str) -> Outcome<()> {
        match self.batch(&tables::drop_view(view)).await {
            Err(error) if error.is_depended_on() => Err(Fault::Own(CatalogError::Conflict {
                what: format!("view {view}"),
                actual: format!("needed by something else ({error})"),
                wanted: "drop what depends on it first".to_owned(),
            })),
            dropped => Ok(dropped?),
        }
    }

    async fn grants(&mut self, view: &str) -> Outcome<Vec<Grant>> {
        let rows = query(sql::GRANTS).bind(view).rows(self).await?;
        let grant = |row: &tiberius::Row| {
            let (role, right, state) = (text(row, 0)?, text(row, 1)?, text(row, 2)?);
            Ok(Grant { role, right: right.trim_end().to_owned(), state, column: maybe_text(row, 3)? })
        };
        rows.iter().map(grant).collect()
    }

    async fn grant(&mut self, view: &str, grant: &Grant) -> Outcome<()> {
        if let Some(statement) = tables::grant(view, grant) {
            self.batch(&statement).await?;
        }
        Ok(())
    }
}

impl Granted for Grant {
    fn column(&self) -> Option<&str> {
        self.column.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use reel_events::LogId;
    use reel_projector::ports::FailurePolicy;
    use uuid::Uuid;

    use super::*;
    use crate::target::Promotion;

    fn with_texts(texts: usize) -> NewGeneration {
        let columns: Vec<String> = (0..texts)
            .map(|number| format!(r#", {{"name": "t{number}", "type": "text", "nullable": true}}"#))
            .collect();
        let manifest = format!(
            r#"{{"manifest": 1, "name": "wide", "version": "1.0.0", "kinds": ["*"], "order": "global", "tables": [
                {{"name": "lines", "columns": [{{"name": "id", "type": "int64"}}{}], "key": ["id"]}}]}}"#,
            columns.concat()
        );
        NewGeneration {
            projection: "wide".to_owned(),
            digest: String::new(),
            manifest: Arc::new(Manifest::parse(&manifest).unwrap()),
            settings: "{}".to_owned(),
            on_failure: FailurePolicy::Halt,
            promotion: Promotion::Automatic,
            log: LogId(Uuid::nil()),
            shards: 1,
        }
    }

    #[test]
    fn a_table_whose_rows_fit_into_no_page_is_refused_by_name() {
        assert!(check_width(&with_texts(300)).is_ok());
        let refused = check_width(&with_texts(400)).unwrap_err().to_string();
        assert!(refused.contains("table lines of wide") && refused.contains("8060"), "{refused}");
    }
}
