//! Tables and views of generations, as PostgreSQL is told to make and drop them.

use reel_projector::{Manifest, Table};
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row, query, query_scalar};

use super::connection::Database;
use super::dialect::tables::Grant;
use super::dialect::{SHORT_LOCKS, SHORTER_LOCKS, catalog as sql, tables};
use super::error::{Outcome, detail, is_depended_on};
use crate::catalog::name_taken;
use crate::definitions::{Defines, Definitions, Granted, LockWait, schema_in_use};
use crate::fault::Fault;
use crate::target::{CatalogError, Generation, GenerationId, NewGeneration};

/// Until the transaction ends nobody else makes a catalog or a generation here, where one can be.
pub(super) async fn lock_catalog(connection: &mut PgConnection, target: &str) -> Outcome<()> {
    let encoding: String = query_scalar(sql::ENCODING).fetch_one(&mut *connection).await?;
    if encoding != "UTF8" {
        let reason = format!("the database's encoding is {encoding}: make one with ENCODING 'UTF8'");
        return Err(Fault::Own(CatalogError::Unusable { target: target.to_owned(), reason }));
    }
    query(sql::LOCK_CATALOG).execute(&mut *connection).await?;
    Ok(())
}

impl Defines for Database {}

impl Definitions for PgConnection {
    type Grant = Grant;

    fn view_name(schema: &str, table: &Table) -> String {
        tables::view_name(schema, table)
    }

    async fn lock_names(&mut self) -> Outcome<()> {
        query(sql::LOCK_CATALOG).execute(self).await?;
        Ok(())
    }

    async fn wait_for_locks(&mut self, wait: LockWait) -> Outcome<()> {
        let setting = match wait {
            LockWait::Short => SHORT_LOCKS,
            LockWait::Shorter => SHORTER_LOCKS,
        };
        query(setting).execute(self).await?;
        Ok(())
    }

    async fn make_schema(&mut self, new: &NewGeneration, schema: &str) -> Outcome<()> {
        if schema.starts_with("pg_") {
            return Err(name_taken(new, "PostgreSQL itself"));
        }
        if query_scalar::<_, i64>(sql::SCHEMA).bind(schema).fetch_one(&mut *self).await? > 0 {
            return Err(name_taken(new, "a schema that Reel did not make"));
        }
        query(tables::create_schema(schema)).execute(self).await?;
        Ok(())
    }

    async fn drop_schema(&mut self, schema: &str) -> Outcome<()> {
        let objects: String = query_scalar(sql::OBJECTS).bind(schema).fetch_one(&mut *self).await?;
        if !objects.is_empty() {
            return Err(Fault::Own(schema_in_use(schema, &objects)));
        }
        query(tables::drop_schema(schema)).execute(self).await?;
        Ok(())
    }

    async fn make_tables(&mut self, id: GenerationId, manifest: &Manifest) -> Outcome<()> {
        for statement in tables::create(id, manifest) {
            query(statement).execute(&mut *self).await?;
        }
        Ok(())
    }

    async fn drop_tables(&mut self, generation: &Generation) -> Outcome<()> {
        for statement in tables::drop(generation.id, &generation.manifest) {
            query(statement).execute(&mut *self).await?;
        }
        Ok(())
    }

    async fn make_view(&mut self, view: &str, of: &Generation, table: &Table) -> Outcome<()> {
        query(tables::replace_view(view, of.id, table)).execute(self).await?;
        Ok(())
    }

    /// A view with the same columns only gets another table below it, and keeps its rights.
    async fn takes_table(&mut self, view: &str, of: &Generation, table: &Table) -> Outcome<bool> {
        Ok(shape(self, view).await? == shape(self, &tables::physical(of.id, table)).await?)
    }

    async fn drop_view(&mut self, view: &str) -> Outcome<()> {
        match query(tables::drop_view(view)).execute(self).await {
            Err(error) if is_depended_on(&error) => Err(Fault::Own(CatalogError::Conflict {
                what: format!("view {view}"),
                actual: format!(
                    "needed by something else ({})",
                    detail(&error).unwrap_or("the server does not say what")
                ),
                wanted: "its columns change or it goes: drop what depends on it first".to_owned(),
            })),
            dropped => Ok(dropped.map(drop)?),
        }
    }

    async fn grants(&mut self, view: &str) -> Outcome<Vec<Grant>> {
        let rows = query(sql::GRANTS).bind(view).fetch_all(self).await?;
        let grant = |row: &PgRow| -> Result<Grant, sqlx::Error> {
            Ok(Grant {
                role: row.try_get(0)?,
                privilege: row.try_get(1)?,
                grantable: row.try_get(2)?,
                column: row.try_get(3)?,
            })
        };
        Ok(rows.iter().map(grant).collect::<Result<_, _>>()?)
    }

    async fn grant(&mut self, view: &str, grant: &Grant) -> Outcome<()> {
        if let Some(statement) = tables::grant(view, grant) {
            query(statement).execute(self).await?;
        }
        Ok(())
    }
}

impl Granted for Grant {
    fn column(&self) -> Option<&str> {
        self.column.as_deref()
    }
}

async fn shape(connection: &mut PgConnection, relation: &str) -> Outcome<Option<String>> {
    Ok(query_scalar(sql::SHAPE).bind(relation).fetch_one(&mut *connection).await?)
}
