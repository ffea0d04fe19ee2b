//! Statements of generations' tables, and of the views over them. Values travel as arguments, some rows a statement: see [`Repeated`].
//!
//! How values are kept: as MySQL's own types; UUIDs as 16 bytes in the order of their digits; text and JSON in a binary collation that
//! does not pad, so that it compares bytewise: `varchar` where a key or an index needs a length, else `longtext`. The views show UUIDs
//! as text.

use std::sync::OnceLock;

use reel_projector::{Column, ColumnType, Manifest, Table};

use super::{Sql, quote, typed};
use crate::target::GenerationId;

/// The most arguments of one statement; the server takes 65,535, at a cost that grows with them.
const ARGUMENTS: usize = 8_192;

/// The most rows of one statement.
const ROWS: usize = 512;

/// A statement for some rows at once: 1, 2, 4 and so on, so that a connection keeps few of them prepared.
#[derive(Debug)]
pub(in crate::mysql) struct Repeated {
    head: String,
    each: String,
    tail: String,
    /// For one row, where that is said in another way.
    alone: Option<String>,
    /// For 1 row, 2, 4 and so on.
    texts: Vec<OnceLock<Sql>>,
}

impl Repeated {
    fn new(head: String, (each, arguments): (String, usize), tail: String) -> Repeated {
        let most = (ARGUMENTS / arguments.max(1)).clamp(1, ROWS);
        Repeated { head, each, tail, alone: None, texts: (0..=most.ilog2()).map(|_| OnceLock::new()).collect() }
    }

    /// Of the rows whose columns have some values, one set of them or many.
    fn where_in(head: &str, table: &Table, equal: &[u16], tail: &str) -> Repeated {
        let names = named(table, equal);
        let many = format!("{head}{} IN (", tuple(&names));
        let mut repeated = Repeated::new(many, marks(table, equal), format!("){tail}"));
        if equal.len() > 1 {
            // MariaDB reads the whole table for a list of one tuple, where it is to be deleted.
            let kind = |column: &u16| typed(table.columns[usize::from(*column)].kind);
            let terms: Vec<String> =
                names.iter().zip(equal).map(|(name, column)| format!("{name} = {}", kind(column))).collect();
            repeated.alone = Some(format!("{head}{}{tail}", terms.join(" AND ")));
        }
        repeated
    }

    /// How many of `rows` the next statement takes.
    pub(in crate::mysql) fn fit(&self, rows: usize) -> usize {
        1 << rows.max(1).ilog2().min(self.texts.len() as u32 - 1)
    }

    /// The statement for so many rows, as [`Repeated::fit`] answered.
    pub(in crate::mysql) fn of(&self, rows: usize) -> Sql {
        let many = || format!("{}{}{}", self.head, vec![self.each.as_str(); rows].join(", "), self.tail);
        let make = || self.alone.clone().filter(|_| rows == 1).unwrap_or_else(many).into();
        self.texts[rows.ilog2() as usize].get_or_init(make).clone()
    }
}

/// The physical table, not quoted. No view of readers begins with `_`, so nothing else has this name.
pub(in crate::mysql) fn table_name(id: GenerationId, table: &Table) -> String {
    format!("_g{}_{}", id.0, table.name)
}

/// The physical table, quoted.
pub(in crate::mysql) fn physical(id: GenerationId, table: &Table) -> String {
    quote(&table_name(id, table))
}

/// The name under which readers of SQL see a table, not quoted.
pub(in crate::mysql) fn view_name(schema: &str, table: &Table) -> String {
    format!("{schema}__{}", table.name)
}

/// The name of a generation's view as long as it is not live, not quoted.
pub(in crate::mysql) fn stand_by_name(id: GenerationId, table: &Table) -> String {
    format!("_v{}_{}", id.0, table.name)
}

/// Makes the tables of a generation, with keys and indexes.
pub(in crate::mysql) fn create(id: GenerationId, manifest: &Manifest, collation: &str) -> Vec<Sql> {
    let mut statements = Vec::new();
    for table in &manifest.tables {
        statements.push(create_table(id, table, collation));
        statements.extend(create_indexes(id, table));
    }
    statements
}

/// Makes a table with its key. The rows are kept in the order of the key, so a load in that order needs nothing more.
pub(in crate::mysql) fn create_table(id: GenerationId, table: &Table, collation: &str) -> Sql {
    let indexed: Vec<u16> = table.indexes.iter().flat_map(|index| &index.columns).chain(&table.key).copied().collect();
    let column = |(place, one): (usize, &Column)| column(one, indexed.contains(&(place as u16)), collation);
    let mut parts: Vec<String> = table.columns.iter().enumerate().map(column).collect();
    parts.push(format!("PRIMARY KEY ({})", named(table, &table.key).join(", ")));
    let options = format!("ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE {collation}");
    format!("CREATE TABLE {} ({}) {options}", physical(id, table), parts.join(", ")).into()
}

/// Makes the indexes of a table, all in one pass over it.
pub(in crate::mysql) fn create_indexes(id: GenerationId, table: &Table) -> Option<Sql> {
    let index = |(number, columns): (usize, &Vec<u16>)| {
        format!("ADD INDEX {} ({})", quote(&format!("i{number}")), named(table, columns).join(", "))
    };
    let indexes: Vec<String> = table.indexes.iter().map(|index| &index.columns).enumerate().map(index).collect();
    (!indexes.is_empty()).then(|| format!("ALTER TABLE {} {}", physical(id, table), indexes.join(", ")).into())
}

/// Counts what is in a table, for the server's plans.
pub(in crate::mysql) fn analyze(id: GenerationId, table: &Table) -> Sql {
    format!("ANALYZE NO_WRITE_TO_BINLOG TABLE {}", physical(id, table)).into()
}

/// Deletes a table of ours.
pub(in crate::mysql) fn drop_table(name: &str) -> Sql {
    format!("DROP TABLE IF EXISTS {}", quote(name)).into()
}

fn column(column: &Column, indexed: bool, collation: &str) -> String {
    let kind = match column.kind {
        ColumnType::Boolean => "tinyint(1)".to_owned(),
        ColumnType::Int16 => "smallint".to_owned(),
        ColumnType::Int32 => "int".to_owned(),
        ColumnType::Int64 => "bigint".to_owned(),
        ColumnType::Double => "double".to_owned(),
        ColumnType::Decimal { precision, scale } => format!("decimal({precision}, {scale})"),
        ColumnType::Text { length: Some(length) } if indexed => format!("varchar({length}) COLLATE {collation}"),
        ColumnType::Text { .. } | ColumnType::Json => format!("longtext COLLATE {collation}"),
        ColumnType::Bytes { length: Some(length) } if indexed => format!("varbinary({length})"),
        ColumnType::Bytes { .. } => "longblob".to_owned(),
        ColumnType::Uuid => "binary(16)".to_owned(),
        ColumnType::Date => "date".to_owned(),
        ColumnType::Time => "time(6)".to_owned(),
        ColumnType::Timestamp => "datetime(6)".to_owned(),
    };
    let null = if column.nullable { "NULL" } else { "NOT NULL" };
    format!("{} {kind} {null}", quote(&column.name))
}

/// Inserts rows or replaces them whole.
pub(in crate::mysql) fn upsert(id: GenerationId, table: &Table) -> Repeated {
    let mut set: Vec<String> = (0..table.columns.len() as u16)
        .filter(|column| !table.is_key(*column))
        .map(|column| format!("{0} = VALUES({0})", quote(&table.columns[usize::from(column)].name)))
        .collect();
    if set.is_empty() {
        let key = &named(table, &table.key)[0];
        set.push(format!("{key} = {key}"));
    }
    insert_then(id, table, format!(" ON DUPLICATE KEY UPDATE {}", set.join(", ")))
}

/// Inserts rows; a key that is there already is an error.
pub(in crate::mysql) fn insert(id: GenerationId, table: &Table) -> Repeated {
    insert_then(id, table, String::new())
}

fn insert_then(id: GenerationId, table: &Table, tail: String) -> Repeated {
    let columns: Vec<String> = table.columns.iter().map(|column| quote(&column.name)).collect();
    let head = format!("INSERT INTO {} ({}) VALUES ", physical(id, table), columns.join(", "));
    Repeated::new(head, (format!("({})", vec!["?"; columns.len()].join(", ")), columns.len()), tail)
}

/// Deletes rows by key.
pub(in crate::mysql) fn delete(id: GenerationId, table: &Table) -> Repeated {
    delete_where(id, table, &table.key, &[])
}

/// Deletes rows by the values of some columns, at least one. Those of `null` must be NULL: `IN` never finds them.
pub(in crate::mysql) fn delete_where(id: GenerationId, table: &Table, equal: &[u16], null: &[u16]) -> Repeated {
    let null: Vec<String> = named(table, null).iter().map(|name| format!(" AND {name} IS NULL")).collect();
    Repeated::where_in(&format!("DELETE FROM {} WHERE ", physical(id, table)), table, equal, &null.concat())
}

/// Deletes rows whose columns are all NULL.
pub(in crate::mysql) fn delete_null(id: GenerationId, table: &Table, null: &[u16]) -> Sql {
    let null: Vec<String> = named(table, null).iter().map(|name| format!("{name} IS NULL")).collect();
    format!("DELETE FROM {} WHERE {}", physical(id, table), null.join(" AND ")).into()
}

/// Rows by key, in any order.
pub(in crate::mysql) fn select(id: GenerationId, table: &Table) -> Repeated {
    select_then(id, table, "")
}

/// The same, and locks the rows in the order of the key until the transaction ends.
pub(in crate::mysql) fn select_for_update(id: GenerationId, table: &Table) -> Repeated {
    select_then(id, table, &format!(" ORDER BY {} FOR UPDATE", named(table, &table.key).join(", ")))
}

fn select_then(id: GenerationId, table: &Table, tail: &str) -> Repeated {
    let head = format!("SELECT {} FROM {} WHERE ", all(table), physical(id, table));
    Repeated::where_in(&head, table, &table.key, tail)
}

/// No rows of a table; but nobody drops it until the transaction ends.
pub(in crate::mysql) fn hold(id: GenerationId, table: &Table) -> Sql {
    format!("SELECT 1 FROM {} LIMIT 0", physical(id, table)).into()
}

/// Rows in the order of the key, from the first; the argument is how many at most.
pub(in crate::mysql) fn first(id: GenerationId, table: &Table) -> String {
    let key = named(table, &table.key).join(", ");
    format!("SELECT {} FROM {} ORDER BY {key} LIMIT ?", all(table), physical(id, table))
}

/// The same behind a key. Arguments: for each number of key columns from one, so many values of the key; then how many rows. Written
/// out, because no index is used for `(a, b) > (?, ?)`.
pub(in crate::mysql) fn next(id: GenerationId, table: &Table) -> String {
    let key = named(table, &table.key);
    let kind = |place: usize| typed(table.columns[usize::from(table.key[place])].kind);
    let beyond = |last: usize| {
        let mut terms: Vec<String> = (0..last).map(|place| format!("{} = {}", key[place], kind(place))).collect();
        terms.push(format!("{} > {}", key[last], kind(last)));
        format!("({})", terms.join(" AND "))
    };
    let beyond: Vec<String> = (0..key.len()).map(beyond).collect();
    let (columns, key, from) = (all(table), key.join(", "), physical(id, table));
    format!("SELECT {columns} FROM {from} WHERE {} ORDER BY {key} LIMIT ?", beyond.join(" OR "))
}

/// All columns.
fn all(table: &Table) -> String {
    let columns: Vec<String> = table.columns.iter().map(|column| quote(&column.name)).collect();
    columns.join(", ")
}

/// Arguments for these columns, and how many they are.
fn marks(table: &Table, columns: &[u16]) -> (String, usize) {
    let marks: Vec<String> = columns.iter().map(|column| typed(table.columns[usize::from(*column)].kind)).collect();
    (tuple(&marks), columns.len())
}

/// `a`, or `(a, b)`.
fn tuple(parts: &[String]) -> String {
    if parts.len() == 1 { parts[0].clone() } else { format!("({})", parts.join(", ")) }
}

fn named(table: &Table, columns: &[u16]) -> Vec<String> {
    columns.iter().map(|column| quote(&table.columns[usize::from(*column)].name)).collect()
}

/// Makes a view over a table.
pub(in crate::mysql) fn create_view(name: &str, id: GenerationId, table: &Table) -> Sql {
    let columns: Vec<String> =
        table.columns.iter().map(|column| format!("{} AS {}", shown(column), quote(&column.name))).collect();
    format!("CREATE OR REPLACE VIEW {} AS SELECT {} FROM {}", quote(name), columns.join(", "), physical(id, table))
        .into()
}

/// Gives views other names, all at one moment.
pub(in crate::mysql) fn rename(renames: &[(String, String)]) -> Sql {
    let renames: Vec<String> = renames.iter().map(|(from, to)| format!("{} TO {}", quote(from), quote(to))).collect();
    format!("RENAME TABLE {}", renames.join(", ")).into()
}

/// Deletes a view of ours.
pub(in crate::mysql) fn drop_view(name: &str) -> Sql {
    format!("DROP VIEW IF EXISTS {}", quote(name)).into()
}

/// A column as people read it.
fn shown(column: &Column) -> String {
    let name = quote(&column.name);
    if column.kind != ColumnType::Uuid {
        return name;
    }
    let dashes = [9, 14, 19, 24];
    let dashed = dashes.iter().fold(format!("hex({name})"), |text, place| format!("insert({text}, {place}, 0, '-')"));
    format!("lower({dashed})")
}
