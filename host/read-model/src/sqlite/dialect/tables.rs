//! Statements of generations' tables, and of the views over them.
//!
//! How values are kept: booleans as 0 and 1, decimals as integers in their smallest unit, dates as days, times and timestamps as
//! microseconds, UUIDs as 16 bytes: so that order, sums and indexes are right. The views show dates and moments as ISO 8601, UUIDs
//! as text, and decimals as numbers (doubles: exact to 15 digits; the read API is exact to all).

use reel_projector::{Column, ColumnType, Manifest, Table};

use super::quote;
use crate::target::GenerationId;

/// The physical table, quoted. No view's name begins with `_`, so nothing else has this name.
pub(in crate::sqlite) fn physical(id: GenerationId, table: &Table) -> String {
    quote(&format!("_g{}_{}", id.0, table.name))
}

/// The name under which readers of SQL see a table.
pub(in crate::sqlite) fn view_name(schema: &str, table: &Table) -> String {
    format!("{schema}__{}", table.name)
}

/// Makes the tables of a generation, with keys and indexes.
pub(in crate::sqlite) fn create(id: GenerationId, manifest: &Manifest) -> Vec<String> {
    let mut statements = Vec::new();
    for (number, table) in manifest.tables.iter().enumerate() {
        statements.push(create_table(id, table));
        statements.extend(create_indexes(id, number, table));
    }
    statements
}

/// Makes the indexes of a table beside its key.
pub(in crate::sqlite) fn create_indexes(id: GenerationId, number: usize, table: &Table) -> Vec<String> {
    let create = |(index, columns): (usize, &Vec<u16>)| {
        let name = quote(&format!("_g{}i{number}_{index}", id.0));
        format!("CREATE INDEX {name} ON {} ({})", physical(id, table), named(table, columns).join(", "))
    };
    table.indexes.iter().map(|index| &index.columns).enumerate().map(create).collect()
}

/// Makes a table anew, empty. It keeps its key: SQLite stores rows in the order of it, so rows that come in that order are
/// appended, and no key made later would be as cheap.
pub(in crate::sqlite) fn create_anew(id: GenerationId, table: &Table) -> [String; 2] {
    [format!("DROP TABLE IF EXISTS {}", physical(id, table)), create_table(id, table)]
}

/// Inserts rows that are not there; arguments are the columns of the first row in order, then those of the next.
pub(in crate::sqlite) fn insert(id: GenerationId, table: &Table, rows: usize) -> String {
    let columns: Vec<String> = table.columns.iter().map(|column| quote(&column.name)).collect();
    let marks = format!("({})", vec!["?"; columns.len()].join(", "));
    format!("INSERT INTO {} ({}) VALUES {}", physical(id, table), columns.join(", "), vec![marks; rows].join(", "))
}

/// Gathers what the planner knows of a table, from a sample.
pub(in crate::sqlite) fn analyze(id: GenerationId, table: &Table) -> String {
    format!("PRAGMA analysis_limit = 1000; ANALYZE {}", physical(id, table))
}

/// Deletes the tables of a generation.
pub(in crate::sqlite) fn drop(id: GenerationId, manifest: &Manifest) -> Vec<String> {
    manifest.tables.iter().map(|table| format!("DROP TABLE IF EXISTS {}", physical(id, table))).collect()
}

/// A key of one integer is SQLite's own row id; every other table is kept in the order of its key.
fn create_table(id: GenerationId, table: &Table) -> String {
    let mut parts: Vec<String> = table.columns.iter().map(column).collect();
    parts.push(format!("PRIMARY KEY ({})", named(table, &table.key).join(", ")));
    let integer = |column: &Column| matches!(column.kind, ColumnType::Int16 | ColumnType::Int32 | ColumnType::Int64);
    let row_id = table.key.len() == 1 && table.key_columns().all(integer);
    let kept = if row_id { "STRICT" } else { "STRICT, WITHOUT ROWID" };
    format!("CREATE TABLE {} ({}) {kept}", physical(id, table), parts.join(", "))
}

fn column(column: &Column) -> String {
    let kind = match column.kind {
        ColumnType::Boolean
        | ColumnType::Int16
        | ColumnType::Int32
        | ColumnType::Int64
        | ColumnType::Decimal { .. }
        | ColumnType::Date
        | ColumnType::Time
        | ColumnType::Timestamp => "INTEGER",
        ColumnType::Double => "REAL",
        ColumnType::Text { .. } | ColumnType::Json => "TEXT",
        ColumnType::Bytes { .. } | ColumnType::Uuid => "BLOB",
    };
    let null = if column.nullable { "" } else { " NOT NULL" };
    if kind == "INTEGER" && !column.nullable {
        // Exactly `INTEGER`, so that it can be the row id.
        return format!("{} INTEGER NOT NULL", quote(&column.name));
    }
    format!("{} {kind}{null}", quote(&column.name))
}

/// Inserts a row or replaces it whole; arguments are the columns in order.
pub(in crate::sqlite) fn upsert(id: GenerationId, table: &Table) -> String {
    let columns: Vec<String> = table.columns.iter().map(|column| quote(&column.name)).collect();
    let marks: Vec<String> = (1..=columns.len()).map(|number| format!("?{number}")).collect();
    let set: Vec<String> = (0..table.columns.len() as u16)
        .filter(|column| !table.is_key(*column))
        .map(|column| format!("{0} = excluded.{0}", columns[usize::from(column)]))
        .collect();
    let action = if set.is_empty() { "NOTHING".to_owned() } else { format!("UPDATE SET {}", set.join(", ")) };
    format!(
        "INSERT INTO {} ({}) VALUES ({}) ON CONFLICT ({}) DO {action}",
        physical(id, table),
        columns.join(", "),
        marks.join(", "),
        named(table, &table.key).join(", "),
    )
}

/// Deletes a row; arguments are the key.
pub(in crate::sqlite) fn delete(id: GenerationId, table: &Table) -> String {
    format!("DELETE FROM {} WHERE {}", physical(id, table), equal(table, &table.key))
}

/// Deletes rows by the values of some columns; NULL equals NULL.
pub(in crate::sqlite) fn delete_where(id: GenerationId, table: &Table, columns: &[u16]) -> String {
    format!("DELETE FROM {} WHERE {}", physical(id, table), equal(table, columns))
}

/// One row by its key.
pub(in crate::sqlite) fn select(id: GenerationId, table: &Table) -> String {
    let columns: Vec<String> = table.columns.iter().map(|column| quote(&column.name)).collect();
    format!("SELECT {} FROM {} WHERE {}", columns.join(", "), physical(id, table), equal(table, &table.key))
}

/// The first rows in the order of the key; the argument is how many.
pub(in crate::sqlite) fn first(id: GenerationId, table: &Table) -> String {
    format!("{} ORDER BY {} LIMIT ?1", select_all(id, table), named(table, &table.key).join(", "))
}

/// The rows behind a key in the order of the key; the arguments are the key, and how many.
pub(in crate::sqlite) fn next(id: GenerationId, table: &Table) -> String {
    let key = named(table, &table.key).join(", ");
    let marks: Vec<String> = (1..=table.key.len()).map(|number| format!("?{number}")).collect();
    let (all, limit) = (select_all(id, table), marks.len() + 1);
    format!("{all} WHERE ({key}) > ({}) ORDER BY {key} LIMIT ?{limit}", marks.join(", "))
}

fn select_all(id: GenerationId, table: &Table) -> String {
    let columns: Vec<String> = table.columns.iter().map(|column| quote(&column.name)).collect();
    format!("SELECT {} FROM {}", columns.join(", "), physical(id, table))
}

fn equal(table: &Table, columns: &[u16]) -> String {
    let terms: Vec<String> =
        named(table, columns).iter().enumerate().map(|(place, name)| format!("{name} IS ?{}", place + 1)).collect();
    terms.join(" AND ")
}

fn named(table: &Table, columns: &[u16]) -> Vec<String> {
    columns.iter().map(|column| quote(&table.columns[usize::from(*column)].name)).collect()
}

/// Makes a view over a table.
pub(in crate::sqlite) fn create_view(name: &str, id: GenerationId, table: &Table) -> String {
    let columns: Vec<String> =
        table.columns.iter().map(|column| format!("{} AS {}", shown(column), quote(&column.name))).collect();
    format!("CREATE VIEW {} AS SELECT {} FROM {}", quote(name), columns.join(", "), physical(id, table))
}

/// Deletes a view.
pub(in crate::sqlite) fn drop_view(name: &str) -> String {
    format!("DROP VIEW IF EXISTS {}", quote(name))
}

/// A column as people read it. The seconds of a moment before 1970 are rounded down, not towards zero.
fn shown(column: &Column) -> String {
    let name = quote(&column.name);
    match column.kind {
        ColumnType::Decimal { scale, .. } if scale > 0 => format!("{name} / 1{}.0", "0".repeat(usize::from(scale))),
        ColumnType::Date => format!("date({name} * 86400, 'unixepoch')"),
        ColumnType::Time => {
            format!("strftime('%H:%M:%S', {name} / 1000000, 'unixepoch') || printf('.%06d', {name} % 1000000)")
        }
        ColumnType::Timestamp => {
            let micros = format!("(({name} % 1000000 + 1000000) % 1000000)");
            format!(
                "strftime('%Y-%m-%dT%H:%M:%S', ({name} - {micros}) / 1000000, 'unixepoch') || printf('.%06dZ', {micros})"
            )
        }
        ColumnType::Uuid => {
            let hex = format!("lower(hex({name}))");
            let parts = [(1, 8), (9, 4), (13, 4), (17, 4), (21, 12)];
            let parts: Vec<String> =
                parts.iter().map(|(from, length)| format!("substr({hex}, {from}, {length})")).collect();
            format!("CASE WHEN {name} IS NOT NULL THEN {} END", parts.join(" || '-' || "))
        }
        _ => name,
    }
}
