//! Statements of generations' tables, which are in schema `reel_data`, and of the views over them. Values travel as arrays, one a
//! column, whatever the number of rows.
//!
//! How values are kept: as PostgreSQL's own types; text and JSON as `text COLLATE "C"`, so that it compares bytewise.

use reel_projector::{Column, ColumnType, Manifest, Table};

use super::{Sql, quote};
use crate::target::GenerationId;

/// A right on a view, or on one of its columns.
#[derive(Debug)]
pub(crate) struct Grant {
    /// Nothing = everybody.
    pub(in crate::postgres) role: Option<String>,
    pub(in crate::postgres) privilege: String,
    pub(in crate::postgres) grantable: bool,
    /// Nothing = all.
    pub(in crate::postgres) column: Option<String>,
}

/// The physical table, quoted.
pub(in crate::postgres) fn physical(id: GenerationId, table: &Table) -> String {
    format!("reel_data.{}", quote(&format!("g{}_{}", id.0, table.name)))
}

/// The name under which readers of SQL see a table.
pub(in crate::postgres) fn view_name(schema: &str, table: &Table) -> String {
    format!("{}.{}", quote(schema), quote(&table.name))
}

/// Makes the schema of a projection's views.
pub(in crate::postgres) fn create_schema(schema: &str) -> Sql {
    format!("CREATE SCHEMA {}", quote(schema)).into()
}

/// Deletes the schema of a projection's views, which must be empty.
pub(in crate::postgres) fn drop_schema(schema: &str) -> Sql {
    format!("DROP SCHEMA IF EXISTS {}", quote(schema)).into()
}

/// Makes the tables of a generation, with keys and indexes.
pub(in crate::postgres) fn create(id: GenerationId, manifest: &Manifest) -> Vec<Sql> {
    let mut statements = Vec::new();
    for (number, table) in manifest.tables.iter().enumerate() {
        statements.push(create_table(id, number, table));
        statements.extend(create_indexes(id, number, table));
    }
    statements
}

/// Makes the indexes of a table beside its key.
pub(in crate::postgres) fn create_indexes(id: GenerationId, number: usize, table: &Table) -> Vec<Sql> {
    let create = |(index, columns): (usize, &Vec<u16>)| {
        let name = quote(&format!("g{}i{number}_{index}", id.0));
        format!("CREATE INDEX {name} ON {} ({})", physical(id, table), named(table, columns).join(", ")).into()
    };
    table.indexes.iter().map(|index| &index.columns).enumerate().map(create).collect()
}

/// Nobody else reads or writes a table until the transaction ends.
pub(in crate::postgres) fn lock(id: GenerationId, table: &Table) -> Sql {
    format!("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE", physical(id, table)).into()
}

/// Makes a table anew, empty and without its key.
pub(in crate::postgres) fn create_anew(id: GenerationId, table: &Table) -> [Sql; 2] {
    let columns: Vec<String> = table.columns.iter().map(column).collect();
    let name = physical(id, table);
    [format!("DROP TABLE {name}").into(), format!("CREATE TABLE {name} ({})", columns.join(", ")).into()]
}

/// Takes rows in PostgreSQL's binary format, into a table that this transaction made: they are frozen at once, so that no vacuum
/// has to write them a second time.
pub(in crate::postgres) fn copy_frozen(id: GenerationId, table: &Table) -> String {
    format!("{} (FORMAT binary, FREEZE)", copy_text(id, table))
}

/// Takes rows in PostgreSQL's binary format, whose keys must not be there.
pub(in crate::postgres) fn copy(id: GenerationId, table: &Table) -> String {
    format!("{} (FORMAT binary)", copy_text(id, table))
}

fn copy_text(id: GenerationId, table: &Table) -> String {
    let all: Vec<u16> = (0..table.columns.len() as u16).collect();
    format!("COPY {} ({}) FROM STDIN", physical(id, table), named(table, &all).join(", "))
}

/// Makes the key of a table that has none.
pub(in crate::postgres) fn add_key(id: GenerationId, number: usize, table: &Table) -> Sql {
    format!("ALTER TABLE {} ADD {}", physical(id, table), key(id, number, table)).into()
}

/// Gathers what the planner knows of a table.
pub(in crate::postgres) fn analyze(id: GenerationId, table: &Table) -> Sql {
    format!("ANALYZE {}", physical(id, table)).into()
}

/// Deletes the tables of a generation.
pub(in crate::postgres) fn drop(id: GenerationId, manifest: &Manifest) -> Vec<Sql> {
    manifest.tables.iter().map(|table| format!("DROP TABLE IF EXISTS {}", physical(id, table)).into()).collect()
}

fn create_table(id: GenerationId, number: usize, table: &Table) -> Sql {
    let mut parts: Vec<String> = table.columns.iter().map(column).collect();
    parts.push(key(id, number, table));
    format!("CREATE TABLE {} ({})", physical(id, table), parts.join(", ")).into()
}

fn key(id: GenerationId, number: usize, table: &Table) -> String {
    let name = quote(&format!("g{}k{number}", id.0));
    format!("CONSTRAINT {name} PRIMARY KEY ({})", named(table, &table.key).join(", "))
}

fn column(column: &Column) -> String {
    let kind = match column.kind {
        ColumnType::Int16 => "smallint".to_owned(),
        ColumnType::Int32 => "integer".to_owned(),
        ColumnType::Decimal { precision, scale } => format!("numeric({precision}, {scale})"),
        ColumnType::Text { .. } | ColumnType::Json => "text COLLATE \"C\"".to_owned(),
        other => transported(other).to_owned(),
    };
    let null = if column.nullable { "" } else { " NOT NULL" };
    format!("{} {kind}{null}", quote(&column.name))
}

/// The type in which values of a column travel.
fn transported(kind: ColumnType) -> &'static str {
    match kind {
        ColumnType::Boolean => "boolean",
        ColumnType::Int16 | ColumnType::Int32 | ColumnType::Int64 => "bigint",
        ColumnType::Double => "double precision",
        ColumnType::Decimal { .. } => "numeric",
        ColumnType::Text { .. } | ColumnType::Json => "text",
        ColumnType::Bytes { .. } => "bytea",
        ColumnType::Uuid => "uuid",
        ColumnType::Date => "date",
        ColumnType::Time => "time",
        ColumnType::Timestamp => "timestamptz",
    }
}

/// Inserts rows or replaces them whole; an array a column.
pub(in crate::postgres) fn upsert(id: GenerationId, table: &Table) -> Sql {
    let columns: Vec<String> = table.columns.iter().map(|column| quote(&column.name)).collect();
    let set: Vec<String> = (0..table.columns.len() as u16)
        .filter(|column| !table.is_key(*column))
        .map(|column| format!("{0} = excluded.{0}", columns[usize::from(column)]))
        .collect();
    let action = if set.is_empty() { "NOTHING".to_owned() } else { format!("UPDATE SET {}", set.join(", ")) };
    format!("{} ON CONFLICT ({}) DO {action}", insert_text(id, table), named(table, &table.key).join(", ")).into()
}

/// Inserts the rows whose keys are not there, and answers with the keys that it inserted; an array a column.
pub(in crate::postgres) fn insert_missing(id: GenerationId, table: &Table) -> Sql {
    let key = named(table, &table.key).join(", ");
    format!("{} ON CONFLICT ({key}) DO NOTHING RETURNING {key}", insert_text(id, table)).into()
}

fn insert_text(id: GenerationId, table: &Table) -> String {
    let columns: Vec<String> = table.columns.iter().map(|column| quote(&column.name)).collect();
    let all: Vec<u16> = (0..table.columns.len() as u16).collect();
    format!("INSERT INTO {} ({}) SELECT * FROM {}", physical(id, table), columns.join(", "), arrays(table, &all))
}

/// Deletes rows by key; an array a key column.
pub(in crate::postgres) fn delete(id: GenerationId, table: &Table) -> Sql {
    delete_text(id, table, &table.key, &[]).into()
}

/// Deletes rows by the values of some columns; an array a column of `equal`. Those of `null` must be NULL: `=` never finds them, and
/// what would find both uses no index.
pub(in crate::postgres) fn delete_where(id: GenerationId, table: &Table, equal: &[u16], null: &[u16]) -> Sql {
    if !equal.is_empty() {
        return delete_text(id, table, equal, null).into();
    }
    format!("DELETE FROM {} AS t WHERE {}", physical(id, table), is_null(table, null).join(" AND ")).into()
}

fn delete_text(id: GenerationId, table: &Table, equal: &[u16], null: &[u16]) -> String {
    let mut terms = joined(table, equal);
    terms.extend(is_null(table, null));
    format!("DELETE FROM {} AS t USING {} WHERE {}", physical(id, table), arrays(table, equal), terms.join(" AND "))
}

/// Rows by key with the number of the key, from 1; an array a key column.
pub(in crate::postgres) fn select(id: GenerationId, table: &Table) -> Sql {
    let columns: Vec<String> = table.columns.iter().map(|column| format!("t.{}", quote(&column.name))).collect();
    let arrays = numbered(table, &table.key);
    let terms = joined(table, &table.key).join(" AND ");
    format!("SELECT {}, k.number FROM {arrays} JOIN {} AS t ON {terms}", columns.join(", "), physical(id, table)).into()
}

/// The same, and locks the rows in the order of the keys until the transaction ends.
pub(in crate::postgres) fn select_for_update(id: GenerationId, table: &Table) -> Sql {
    let columns: Vec<String> = table.columns.iter().map(|column| format!("t.{}", quote(&column.name))).collect();
    let arrays = numbered(table, &table.key);
    let terms = joined(table, &table.key).join(" AND ");
    format!(
        "SELECT {}, k.number FROM {arrays} JOIN {} AS t ON {terms} ORDER BY k.number FOR UPDATE OF t",
        columns.join(", "),
        physical(id, table)
    )
    .into()
}

/// Keeps a table from being dropped until the transaction ends.
pub(in crate::postgres) fn hold(id: GenerationId, table: &Table) -> Sql {
    format!("SELECT 1 FROM {} LIMIT 0", physical(id, table)).into()
}

/// The first rows in the order of the key; the argument is how many.
pub(in crate::postgres) fn first(id: GenerationId, table: &Table) -> String {
    format!("{} ORDER BY {} LIMIT $1", select_all(id, table), named(table, &table.key).join(", "))
}

/// The rows behind a key in the order of the key; the arguments are the key, and how many.
pub(in crate::postgres) fn next(id: GenerationId, table: &Table) -> String {
    let key = named(table, &table.key).join(", ");
    let kinds = table.key_columns().map(|column| transported(column.kind));
    let marks: Vec<String> = kinds.enumerate().map(|(place, kind)| format!("${}::{kind}", place + 1)).collect();
    let (all, limit) = (select_all(id, table), marks.len() + 1);
    format!("{all} WHERE ({key}) > ({}) ORDER BY {key} LIMIT ${limit}", marks.join(", "))
}

fn select_all(id: GenerationId, table: &Table) -> String {
    let columns: Vec<String> = table.columns.iter().map(|column| quote(&column.name)).collect();
    format!("SELECT {} FROM {}", columns.join(", "), physical(id, table))
}

/// `unnest($1::text[], …) AS k(c0, …)`
fn arrays(table: &Table, columns: &[u16]) -> String {
    let names: Vec<String> = (0..columns.len()).map(|place| format!("c{place}")).collect();
    format!("unnest({}) AS k({})", marks(table, columns), names.join(", "))
}

fn numbered(table: &Table, columns: &[u16]) -> String {
    let names: Vec<String> = (0..columns.len()).map(|place| format!("c{place}")).collect();
    format!("unnest({}) WITH ORDINALITY AS k({}, number)", marks(table, columns), names.join(", "))
}

fn marks(table: &Table, columns: &[u16]) -> String {
    let marks: Vec<String> = columns
        .iter()
        .enumerate()
        .map(|(place, column)| format!("${}::{}[]", place + 1, transported(table.columns[usize::from(*column)].kind)))
        .collect();
    marks.join(", ")
}

fn joined(table: &Table, columns: &[u16]) -> Vec<String> {
    named(table, columns).iter().enumerate().map(|(place, name)| format!("t.{name} = k.c{place}")).collect()
}

fn is_null(table: &Table, columns: &[u16]) -> Vec<String> {
    named(table, columns).iter().map(|name| format!("t.{name} IS NULL")).collect()
}

fn named(table: &Table, columns: &[u16]) -> Vec<String> {
    columns.iter().map(|column| quote(&table.columns[usize::from(*column)].name)).collect()
}

/// Makes a view over a table, or points one that has the same columns at it.
pub(in crate::postgres) fn replace_view(name: &str, id: GenerationId, table: &Table) -> Sql {
    let columns: Vec<String> = table.columns.iter().map(|column| quote(&column.name)).collect();
    format!("CREATE OR REPLACE VIEW {name} AS SELECT {} FROM {}", columns.join(", "), physical(id, table)).into()
}

/// Deletes a view that nothing depends on.
pub(in crate::postgres) fn drop_view(name: &str) -> Sql {
    format!("DROP VIEW IF EXISTS {name}").into()
}

/// Gives a right again; nothing for a privilege that views do not have.
pub(in crate::postgres) fn grant(view: &str, grant: &Grant) -> Option<Sql> {
    let known = ["SELECT", "INSERT", "UPDATE", "DELETE", "REFERENCES", "TRIGGER", "TRUNCATE"];
    let privilege = known.iter().find(|known| **known == grant.privilege)?;
    let columns = grant.column.as_ref().map_or_else(String::new, |column| format!(" ({})", quote(column)));
    let role = grant.role.as_ref().map_or_else(|| "PUBLIC".to_owned(), |role| quote(role));
    let option = if grant.grantable { " WITH GRANT OPTION" } else { "" };
    Some(format!("GRANT {privilege}{columns} ON {view} TO {role}{option}").into())
}
