//! Tables and views of generations, as SQLite is told to make and drop them. It has no schemas: a projection's views share a prefix.

use std::convert::Infallible;

use reel_projector::{Manifest, Table};
use rusqlite::Connection;

use super::connection::Database;
use super::dialect::tables;
use super::error::Outcome;
use crate::catalog::{CatalogSession as _, name_taken};
use crate::definitions::{Defines, Definitions};
use crate::target::{Generation, GenerationId, NewGeneration};

impl Defines for Database {}

impl Definitions for Connection {
    type Grant = Infallible;

    fn view_name(schema: &str, table: &Table) -> String {
        tables::view_name(schema, table)
    }

    async fn make_schema(&mut self, new: &NewGeneration, schema: &str) -> Outcome<()> {
        if format!("{schema}_").starts_with("sqlite_") { Err(name_taken(new, "SQLite itself")) } else { Ok(()) }
    }

    async fn drop_schema(&mut self, _schema: &str) -> Outcome<()> {
        Ok(())
    }

    async fn make_tables(&mut self, id: GenerationId, manifest: &Manifest) -> Outcome<()> {
        for statement in tables::create(id, manifest) {
            self.define(statement).await?;
        }
        Ok(())
    }

    async fn drop_tables(&mut self, generation: &Generation) -> Outcome<()> {
        for statement in tables::drop(generation.id, &generation.manifest) {
            self.define(statement).await?;
        }
        Ok(())
    }

    async fn make_view(&mut self, view: &str, of: &Generation, table: &Table) -> Outcome<()> {
        Ok(self.define(tables::create_view(view, of.id, table)).await?)
    }

    async fn drop_view(&mut self, view: &str) -> Outcome<()> {
        Ok(self.define(tables::drop_view(view)).await?)
    }

    async fn grants(&mut self, _view: &str) -> Outcome<Vec<Infallible>> {
        Ok(Vec::new())
    }

    async fn grant(&mut self, _view: &str, grant: &Infallible) -> Outcome<()> {
        match *grant {}
    }
}
