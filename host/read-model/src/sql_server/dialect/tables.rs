//! Statements of generations' tables, which are in schema `reel_data`, and of the views over them. Values travel as arguments, or by bulk
//! load into a temporary table (a stage): see [`Source`].
//!
//! How values are kept: as SQL Server's own types; text and JSON as `nvarchar` that compares by code units. Text in a key or an index ends
//! in no space, so that `=`, which pads, is exact there.

use reel_projector::{Column, ColumnType, Manifest, Table};

use super::{ARGUMENTS, COLLATION, quote, type_name, typed};
use crate::target::GenerationId;

/// The most bytes of a key that the rows themselves can be kept in the order of.
const CLUSTERED: usize = 900;

/// The most bytes of a row, what is kept beside it left out.
const ROW: usize = 8_060;

/// A right on a view, or on one of its columns.
#[derive(Debug)]
pub(crate) struct Grant {
    pub(in crate::sql_server) role: String,
    pub(in crate::sql_server) right: String,
    /// `G`ranted, granted `W`ith the right to pass it on, or `D`enied.
    pub(in crate::sql_server) state: String,
    /// Nothing = all.
    pub(in crate::sql_server) column: Option<String>,
}

/// Where a statement finds its values, as relation `s` with the columns `c0`, `c1` and so on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::sql_server) enum Source {
    /// The statement itself.
    Arguments {
        /// The relation.
        from: String,
    },
    /// A temporary table.
    Stage {
        /// The relation.
        from: String,
    },
}

impl Source {
    /// So many rows of arguments for some columns of a table. What may be NULL takes a second argument, which says whether it is there: the
    /// driver has no NULL of a type.
    pub(in crate::sql_server) fn arguments(rows: usize, table: &Table, columns: &[u16]) -> Source {
        let mut number = 0;
        let mut mark = |column: &u16| {
            number += 1;
            if !table.columns[usize::from(*column)].nullable {
                return format!("@P{number}");
            }
            number += 1;
            format!("CASE WHEN @P{number} = 1 THEN @P{} END", number - 1)
        };
        let mut row = |_| format!("({})", columns.iter().map(&mut mark).collect::<Vec<_>>().join(", "));
        let rows: Vec<String> = (0..rows).map(&mut row).collect();
        let names: Vec<String> = (0..columns.len()).map(|column| format!("c{column}")).collect();
        Source::Arguments { from: format!("(VALUES {}) AS s ({})", rows.join(", "), names.join(", ")) }
    }

    /// The rows of a stage.
    pub(in crate::sql_server) fn stage(name: &str) -> Source {
        Source::Stage { from: format!("{} AS s", quote(name)) }
    }

    /// How many rows of so many columns one statement takes as arguments.
    pub(in crate::sql_server) fn fit(columns: usize) -> usize {
        (ARGUMENTS / (2 * columns).max(1)).max(1)
    }

    fn from(&self) -> &str {
        match self {
            Source::Arguments { from } | Source::Stage { from } => from,
        }
    }

    /// The value at this place. A stage keeps decimals as integers, in units of their last digit.
    fn value(&self, place: usize, kind: ColumnType) -> String {
        match (self, kind) {
            (Source::Stage { .. }, ColumnType::Decimal { scale, .. }) => {
                let unit = if scale == 0 { "1".to_owned() } else { format!("0.{:0>width$}", 1, width = scale.into()) };
                format!("CAST(s.c{place} AS decimal(18, 0)) * CAST({unit} AS decimal({}, {scale}))", scale + 1)
            }
            _ => format!("s.c{place}"),
        }
    }
}

/// The temporary table for values of some columns of a table.
pub(in crate::sql_server) fn stage_name(id: GenerationId, number: usize, columns: &[u16]) -> String {
    let mut columns: String = columns.iter().map(|column| format!("_{column}")).collect();
    // Many columns would be a longer name than a temporary table may have.
    if columns.len() > 64 {
        columns = format!("_{}", &blake3::hash(columns.as_bytes()).to_hex()[..32]);
    }
    format!("#reel_{}_{number}{columns}", id.0)
}

/// What a stage keeps values of a type as.
pub(in crate::sql_server) fn staged(kind: ColumnType) -> ColumnType {
    match kind {
        ColumnType::Decimal { .. } => ColumnType::Int64,
        kind => kind,
    }
}

/// Makes a stage; it lasts as long as its session.
pub(in crate::sql_server) fn create_stage(name: &str, table: &Table, columns: &[u16]) -> String {
    let column = |(place, column): (usize, &u16)| {
        format!("c{place} {} NULL", collated(staged(table.columns[usize::from(*column)].kind)))
    };
    let columns: Vec<String> = columns.iter().enumerate().map(column).collect();
    format!("CREATE TABLE {} ({})", quote(name), columns.join(", "))
}

/// Empties a stage.
pub(in crate::sql_server) fn clear_stage(name: &str) -> String {
    format!("TRUNCATE TABLE {}", quote(name))
}

/// The physical table, quoted.
pub(in crate::sql_server) fn physical(id: GenerationId, table: &Table) -> String {
    format!("reel_data.{}", quote(&format!("g{}_{}", id.0, table.name)))
}

/// The physical table as queries name it.
pub(in crate::sql_server) fn queried(id: GenerationId, table: &Table) -> String {
    format!("{} AS t", physical(id, table))
}

/// The name under which readers of SQL see a table.
pub(in crate::sql_server) fn view_name(schema: &str, table: &Table) -> String {
    format!("{}.{}", quote(schema), quote(&table.name))
}

/// The lock of who reads or drops a generation's tables, and the one of who merges into a table.
pub(in crate::sql_server) fn generation_lock(id: GenerationId) -> String {
    format!("reel generation {}", id.0)
}

/// See [`generation_lock`].
pub(in crate::sql_server) fn merge_lock(id: GenerationId, table: &Table) -> String {
    format!("reel generation {} table {}", id.0, table.name)
}

/// Makes a schema.
pub(in crate::sql_server) fn create_schema(schema: &str) -> String {
    format!("CREATE SCHEMA {}", quote(schema))
}

/// Deletes a schema, which must be empty.
pub(in crate::sql_server) fn drop_schema(schema: &str) -> String {
    format!("DROP SCHEMA {}", quote(schema))
}

/// Makes the tables of a generation, with keys and indexes.
pub(in crate::sql_server) fn create(id: GenerationId, manifest: &Manifest) -> Vec<String> {
    let mut statements = Vec::new();
    for (number, table) in manifest.tables.iter().enumerate() {
        statements.push(create_heap(id, table));
        statements.push(add_key(id, number, table));
        statements.extend(create_indexes(id, number, table));
        statements.push(keep_row_locks(id, table));
    }
    statements
}

/// Makes a table without its key.
pub(in crate::sql_server) fn create_heap(id: GenerationId, table: &Table) -> String {
    let columns: Vec<String> = table.columns.iter().map(column).collect();
    format!("CREATE TABLE {} ({})", physical(id, table), columns.join(", "))
}

/// Makes the key of a table that has none. The rows are kept in its order where it is narrow enough for that.
pub(in crate::sql_server) fn add_key(id: GenerationId, number: usize, table: &Table) -> String {
    let (name, key) = (quote(&format!("g{}k{number}", id.0)), named(table, &table.key).join(", "));
    let width: usize = table.key_columns().map(|column| key_bytes(column.kind)).sum();
    let kind = if width <= CLUSTERED { "CLUSTERED" } else { "NONCLUSTERED" };
    format!("ALTER TABLE {} ADD CONSTRAINT {name} PRIMARY KEY {kind} ({key})", physical(id, table))
}

/// Makes the indexes of a table beside its key.
pub(in crate::sql_server) fn create_indexes(id: GenerationId, number: usize, table: &Table) -> Vec<String> {
    let create = |(index, columns): (usize, &Vec<u16>)| {
        let name = quote(&format!("g{}i{number}_{index}", id.0));
        format!("CREATE INDEX {name} ON {} ({})", physical(id, table), named(table, columns).join(", "))
    };
    table.indexes.iter().map(|index| &index.columns).enumerate().map(create).collect()
}

/// A statement that changes many rows locks each, never the whole table: others write and read there.
pub(in crate::sql_server) fn keep_row_locks(id: GenerationId, table: &Table) -> String {
    format!("ALTER TABLE {} SET (LOCK_ESCALATION = DISABLE)", physical(id, table))
}

/// Gathers what the optimizer knows of a table.
pub(in crate::sql_server) fn analyze(id: GenerationId, table: &Table) -> String {
    format!("UPDATE STATISTICS {}", physical(id, table))
}

/// Deletes a table.
pub(in crate::sql_server) fn drop_table(id: GenerationId, table: &Table) -> String {
    format!("DROP TABLE IF EXISTS {}", physical(id, table))
}

/// How many bytes a row of a table needs at least, where texts and bytes are kept beside it; nothing where that is not too many.
pub(in crate::sql_server) fn too_wide(table: &Table) -> Option<(usize, usize)> {
    let bytes = |column: &Column| match column.kind {
        // Where the rest of it is kept, and where in the row that is said.
        ColumnType::Text { .. } | ColumnType::Json | ColumnType::Bytes { .. } => 24 + 2,
        kind => key_bytes(kind),
    };
    let nulls = table.columns.len().div_ceil(8);
    let needed = 8 + nulls + table.columns.iter().map(bytes).sum::<usize>();
    (needed > ROW).then_some((needed, ROW))
}

fn key_bytes(kind: ColumnType) -> usize {
    match kind {
        ColumnType::Boolean => 1,
        ColumnType::Int16 => 2,
        ColumnType::Date => 3,
        ColumnType::Int32 => 4,
        ColumnType::Time => 5,
        ColumnType::Int64 | ColumnType::Double | ColumnType::Timestamp => 8,
        ColumnType::Decimal { .. } => 9,
        ColumnType::Uuid => 16,
        ColumnType::Text { length } => 4 * length.unwrap_or(u32::MAX / 8) as usize,
        ColumnType::Bytes { length } => length.unwrap_or(u32::MAX / 8) as usize,
        ColumnType::Json => usize::MAX / 8,
    }
}

fn column(column: &Column) -> String {
    let null = if column.nullable { "NULL" } else { "NOT NULL" };
    format!("{} {} {null}", quote(&column.name), collated(column.kind))
}

/// The type of a column, with its collation.
fn collated(kind: ColumnType) -> String {
    match kind {
        ColumnType::Text { .. } | ColumnType::Json => format!("{} COLLATE {COLLATION}", type_name(kind)),
        _ => type_name(kind),
    }
}

/// Inserts rows or replaces them whole: those that are there are updated, then the others inserted. Nobody else writes a row with one of
/// these keys meanwhile: a shard's transactions wait for its checkpoint, and who merges holds the table's lock.
pub(in crate::sql_server) fn upsert(id: GenerationId, table: &Table, source: &Source) -> String {
    let set: Vec<String> = (0..table.columns.len())
        .filter(|column| !table.is_key(*column as u16))
        .map(|column| (column, &table.columns[column]))
        .map(|(place, column)| format!("{} = {}", quote(&column.name), source.value(place, column.kind)))
        .collect();
    let key: Vec<usize> = table.key.iter().map(|column| usize::from(*column)).collect();
    let terms = joined(table, &table.key, (source, &key));
    let to = physical(id, table);
    let insert = insert(id, table, source);
    let insert = format!("{insert} WHERE NOT EXISTS (SELECT 1 FROM {to} AS t WITH (UPDLOCK) WHERE {terms})");
    if set.is_empty() {
        return insert;
    }
    let from = source.from();
    format!("UPDATE t SET {} FROM {to} AS t INNER JOIN {from} ON {terms}; {insert}", set.join(", "))
}

/// Inserts rows.
pub(in crate::sql_server) fn insert(id: GenerationId, table: &Table, source: &Source) -> String {
    let columns: Vec<String> = table.columns.iter().map(|column| quote(&column.name)).collect();
    let value = |(place, column): (usize, &Column)| source.value(place, column.kind);
    let values: Vec<String> = table.columns.iter().enumerate().map(value).collect();
    let (to, from) = (physical(id, table), source.from());
    format!("INSERT INTO {to} ({}) SELECT {} FROM {from}", columns.join(", "), values.join(", "))
}

/// Inserts one row into a table or a stage. Each argument is followed by the one that says whether it is there.
pub(in crate::sql_server) fn insert_arguments(table: &str, columns: usize) -> String {
    let value = |place: usize| format!("CASE WHEN @P{} = 1 THEN @P{} END", 2 * place + 2, 2 * place + 1);
    let values: Vec<String> = (0..columns).map(value).collect();
    format!("INSERT INTO {table} SELECT {}", values.join(", "))
}

/// Deletes rows by key.
pub(in crate::sql_server) fn delete(id: GenerationId, table: &Table, source: &Source) -> String {
    delete_where(id, table, (&table.key, &[]), source)
}

/// Deletes rows by the values of some columns, at least one. Those of `null` must be NULL: `=` never finds them.
pub(in crate::sql_server) fn delete_where(
    id: GenerationId,
    table: &Table,
    (equal, null): (&[u16], &[u16]),
    source: &Source,
) -> String {
    let places: Vec<usize> = (0..equal.len()).collect();
    let mut terms = vec![joined(table, equal, (source, &places))];
    terms.extend(is_null(table, null));
    let (from, with) = (physical(id, table), source.from());
    format!("DELETE t FROM {from} AS t INNER JOIN {with} ON {}", terms.join(" AND "))
}

/// Deletes rows whose columns are all NULL.
pub(in crate::sql_server) fn delete_null(id: GenerationId, table: &Table, null: &[u16]) -> String {
    format!("DELETE t FROM {} AS t WHERE {}", physical(id, table), is_null(table, null).join(" AND "))
}

/// Rows by key, in any order.
pub(in crate::sql_server) fn select(id: GenerationId, table: &Table, source: &Source) -> String {
    select_with(id, table, source, "")
}

/// The same, and nobody else changes these rows, or makes those that are missing, until the transaction ends.
pub(in crate::sql_server) fn select_for_update(id: GenerationId, table: &Table, source: &Source) -> String {
    select_with(id, table, source, " WITH (UPDLOCK, HOLDLOCK)")
}

fn select_with(id: GenerationId, table: &Table, source: &Source, hint: &str) -> String {
    let places: Vec<usize> = (0..table.key.len()).collect();
    let terms = joined(table, &table.key, (source, &places));
    format!("SELECT {} FROM {} INNER JOIN {}{hint} ON {terms}", all(table), source.from(), queried(id, table))
}

/// The first rows in the order of the key; the argument is how many.
pub(in crate::sql_server) fn first(id: GenerationId, table: &Table) -> String {
    let key = qualified(table, &table.key).join(", ");
    format!("SELECT TOP (@P1) {} FROM {} ORDER BY {key}", all(table), queried(id, table))
}

/// The rows behind a key in the order of the key; the arguments are the key, and how many. Written out, because there is no
/// `(a, b) > (@P1, @P2)`.
pub(in crate::sql_server) fn next(id: GenerationId, table: &Table) -> String {
    let key = qualified(table, &table.key);
    let value = |place: usize| {
        let kind = table.columns[usize::from(table.key[place])].kind;
        typed(&format!("@P{}", place + 1), kind)
    };
    let beyond = |last: usize| {
        let mut terms: Vec<String> = (0..last).map(|place| format!("{} = {}", key[place], value(place))).collect();
        terms.push(format!("{} > {}", key[last], value(last)));
        format!("({})", terms.join(" AND "))
    };
    let beyond: Vec<String> = (0..key.len()).map(beyond).collect();
    let (columns, from, many) = (all(table), queried(id, table), key.len() + 1);
    let order = key.join(", ");
    format!("SELECT TOP (@P{many}) {columns} FROM {from} WHERE {} ORDER BY {order}", beyond.join(" OR "))
}

/// All columns.
fn all(table: &Table) -> String {
    let columns: Vec<u16> = (0..table.columns.len() as u16).collect();
    qualified(table, &columns).join(", ")
}

/// Columns of the table against those of the source at these places.
fn joined(table: &Table, columns: &[u16], (source, places): (&Source, &[usize])) -> String {
    let term = |(column, place): (&u16, &usize)| {
        let column = &table.columns[usize::from(*column)];
        let (name, value) = (quote(&column.name), typed(&source.value(*place, column.kind), column.kind));
        match column.kind {
            // `=` takes 0x01 and 0x0100 for the same.
            ColumnType::Bytes { .. } => format!("t.{name} = {value} AND DATALENGTH(t.{name}) = DATALENGTH({value})"),
            _ => format!("t.{name} = {value}"),
        }
    };
    let terms: Vec<String> = columns.iter().zip(places).map(term).collect();
    terms.join(" AND ")
}

fn is_null(table: &Table, columns: &[u16]) -> Vec<String> {
    qualified(table, columns).iter().map(|name| format!("{name} IS NULL")).collect()
}

fn qualified(table: &Table, columns: &[u16]) -> Vec<String> {
    named(table, columns).iter().map(|name| format!("t.{name}")).collect()
}

fn named(table: &Table, columns: &[u16]) -> Vec<String> {
    columns.iter().map(|column| quote(&table.columns[usize::from(*column)].name)).collect()
}

/// Makes a view over a table.
pub(in crate::sql_server) fn create_view(name: &str, id: GenerationId, table: &Table) -> String {
    let columns: Vec<String> = table.columns.iter().map(|column| quote(&column.name)).collect();
    format!("CREATE VIEW {name} AS SELECT {} FROM {}", columns.join(", "), physical(id, table))
}

/// Deletes a view.
pub(in crate::sql_server) fn drop_view(name: &str) -> String {
    format!("DROP VIEW IF EXISTS {name}")
}

/// Gives a right again, or denies it again; nothing for a right that is not one on a view's rows.
pub(in crate::sql_server) fn grant(view: &str, grant: &Grant) -> Option<String> {
    let known =
        ["SELECT", "INSERT", "UPDATE", "DELETE", "REFERENCES", "VIEW DEFINITION", "CONTROL", "ALTER", "TAKE OWNERSHIP"];
    let right = known.iter().find(|known| **known == grant.right)?;
    let columns = grant.column.as_ref().map_or_else(String::new, |column| format!(" ({})", quote(column)));
    let (verb, option) = match grant.state.as_str() {
        "D" => ("DENY", ""),
        "W" => ("GRANT", " WITH GRANT OPTION"),
        _ => ("GRANT", ""),
    };
    Some(format!("{verb} {right} ON {view}{columns} TO {}{option}", quote(&grant.role)))
}
