//! Tables: columns, key, ownership, indexes, references. What a column may hold is in `column`, how wide keys may be in `width`.

use super::names::Named;
use super::reader::{Node, Object, nearest, shown};
use super::{Column, ColumnType, Index, ManifestError, Order, Ownership, Reference, StreamPart, Table};
use super::{literal, queries, width};

/// Most columns of a table: MySQL takes 1,017, SQL Server 1,024, PostgreSQL 1,600.
const MAX_COLUMNS: usize = 1_000;
/// Most indexes of a table: MySQL takes 64.
const MAX_INDEXES: usize = 64;
const MAX_REFERENCES: usize = 64;
/// Longest declared length of text and bytes: PostgreSQL takes no greater one.
const MAX_LENGTH: u32 = 10_485_760;
/// Most digits of a decimal: what 64 bits hold.
const MAX_PRECISION: u32 = 18;

const MEMBERS: [&str; 7] = ["name", "columns", "key", "owner", "shared", "indexes", "references"];
const TYPES: [&str; 13] = [
    "boolean",
    "int16",
    "int32",
    "int64",
    "double",
    "decimal",
    "text",
    "bytes",
    "json",
    "uuid",
    "date",
    "time",
    "timestamp",
];

/// Reads the tables at `nodes`.
pub(super) fn read(nodes: &[Node<'_>], order: Order) -> Result<Vec<Table>, ManifestError> {
    let mut tables: Vec<Table> = Vec::with_capacity(nodes.len());
    for node in nodes {
        let table = table(&node.object(&MEMBERS)?, order)?;
        if let Some(other) = tables.iter().position(|other| other.name == table.name) {
            return Err(
                node.error(format!("table {} is there already, at tables[{other}]: rename one of them", table.name))
            );
        }
        tables.push(table);
    }
    // A reference may name a table that comes later.
    for (at, node) in nodes.iter().enumerate() {
        tables[at].references = references(&node.object(&MEMBERS)?, &tables, at)?;
    }
    Ok(tables)
}

fn table(object: &Object<'_>, order: Order) -> Result<Table, ManifestError> {
    let name = Named::Table.read(&object.required("name", "name the table")?)?;
    let nodes = object.required("columns", "list the table's columns")?.list(1..=MAX_COLUMNS)?;
    let mut columns = columns(&nodes)?;
    let key = key(&object.required("key", "list the columns of the primary key")?, &columns)?;
    let indexes = indexes(&object.list("indexes", MAX_INDEXES)?, &columns)?;
    for index in key.iter().chain(indexes.iter().flat_map(|index| &index.columns)) {
        columns[usize::from(*index)].indexed = true;
    }
    // Last, since what a default may be depends on whether its column is indexed.
    for (column, node) in columns.iter_mut().zip(&nodes) {
        if let Some(node) = node.object(&COLUMN_MEMBERS)?.optional("default") {
            column.default = literal::read(&node, column)?;
        }
    }
    let ownership = ownership(object, (&columns, &key), order)?;
    if ownership == Ownership::Shared {
        every_column_has_a_default(&nodes, &columns, &key)?;
    }
    Ok(Table { name, columns, key, indexes, references: Vec::new(), ownership })
}

const COLUMN_MEMBERS: [&str; 7] = ["name", "type", "length", "precision", "scale", "nullable", "default"];

/// The columns without their defaults.
fn columns(nodes: &[Node<'_>]) -> Result<Vec<Column>, ManifestError> {
    let mut columns: Vec<Column> = Vec::with_capacity(nodes.len());
    for node in nodes {
        let object = node.object(&COLUMN_MEMBERS)?;
        let name = Named::Column.read(&object.required("name", "name the column")?)?;
        if let Some(other) = columns.iter().position(|other| other.name == name) {
            return Err(node.error(format!("column {name} is there already, at columns[{other}]: rename one of them")));
        }
        let kind = column_type(&object)?;
        let nullable = object.flag("nullable")?;
        columns.push(Column { name, kind, nullable, default: None, indexed: false });
    }
    Ok(columns)
}

/// Reads `type`, `length`, `precision` and `scale` of a column or a parameter.
pub(super) fn column_type(object: &Object<'_>) -> Result<ColumnType, ManifestError> {
    let node = object.required("type", &format!("give one of {}", TYPES.join(", ")))?;
    let name = node.text()?;
    let length = object.optional("length").map(|node| node.number(1..=MAX_LENGTH)).transpose()?;
    let kind = match name {
        "boolean" => ColumnType::Boolean,
        "int16" => ColumnType::Int16,
        "int32" => ColumnType::Int32,
        "int64" => ColumnType::Int64,
        "double" => ColumnType::Double,
        "decimal" => decimal(object)?,
        "text" => ColumnType::Text { length },
        "bytes" => ColumnType::Bytes { length },
        "json" => ColumnType::Json,
        "uuid" => ColumnType::Uuid,
        "date" => ColumnType::Date,
        "time" => ColumnType::Time,
        "timestamp" => ColumnType::Timestamp,
        _ => return Err(unknown(&node, "type", &TYPES)),
    };
    let takes = |member: &str| match kind {
        ColumnType::Text { .. } | ColumnType::Bytes { .. } => member == "length",
        ColumnType::Decimal { .. } => member != "length",
        _ => false,
    };
    for (member, of) in [("length", "text and bytes"), ("precision", "decimal"), ("scale", "decimal")] {
        if let Some(node) = object.optional(member).filter(|_| !takes(member)) {
            return Err(node.error(format!("{member:?} is for {of}, but the type is {name}: remove it")));
        }
    }
    Ok(kind)
}

fn decimal(object: &Object<'_>) -> Result<ColumnType, ManifestError> {
    let precision =
        object.required("precision", "a decimal needs its digits in all, 1 to 18")?.number(1..=MAX_PRECISION)?;
    let scale = object
        .required("scale", "a decimal needs its digits behind the point, 0 to its precision")?
        .number(0..=precision)?;
    Ok(ColumnType::Decimal { precision: precision as u8, scale: scale as u8 })
}

fn key(node: &Node<'_>, columns: &[Column]) -> Result<Vec<u16>, ManifestError> {
    let nodes = node.list(1..=width::MAX_COLUMNS)?;
    let key = column_list(&nodes, columns)?;
    for (index, node) in key.iter().zip(&nodes) {
        let column = &columns[usize::from(*index)];
        if column.nullable {
            return Err(node.error(format!("column {} is nullable, which a key column must not be", column.name)));
        }
    }
    is_narrow(node, &nodes, &key, columns)?;
    Ok(key)
}

fn indexes(nodes: &[Node<'_>], columns: &[Column]) -> Result<Vec<Index>, ManifestError> {
    let mut indexes: Vec<Index> = Vec::with_capacity(nodes.len());
    for node in nodes {
        let object = node.object(&["columns", "unique"])?;
        let list = object.required("columns", "list the columns of the index")?;
        let nodes = list.list(1..=width::MAX_COLUMNS)?;
        let index = Index { columns: column_list(&nodes, columns)?, unique: object.flag("unique")? };
        is_narrow(&list, &nodes, &index.columns, columns)?;
        if let Some(other) = indexes.iter().position(|other| other.columns == index.columns) {
            return Err(node.error(format!("indexes[{other}] has the same columns: remove one of them")));
        }
        indexes.push(index);
    }
    Ok(indexes)
}

/// Refuses a key or an index that not every database can have.
fn is_narrow(list: &Node<'_>, nodes: &[Node<'_>], indices: &[u16], columns: &[Column]) -> Result<(), ManifestError> {
    let mut total = 0;
    for (index, node) in indices.iter().zip(nodes) {
        total += width::bytes(&columns[usize::from(*index)]).map_err(|problem| node.error(problem))?;
    }
    if total <= width::MAX_BYTES {
        return Ok(());
    }
    Err(list.error(format!(
        "{total} bytes wide (4 for each character of text), but a key or an index has at most {} in SQL Server ({}), and a read model \
         must fit into each: declare shorter lengths, or use fewer columns",
        width::MAX_BYTES,
        width::OTHERS
    )))
}

/// The indices of the columns that are named at `nodes`, each once.
fn column_list(nodes: &[Node<'_>], columns: &[Column]) -> Result<Vec<u16>, ManifestError> {
    let mut indices = Vec::with_capacity(nodes.len());
    for node in nodes {
        let index = column(node, columns)?;
        if indices.contains(&index) {
            return Err(
                node.error(format!("column {} is named twice: remove one of them", columns[usize::from(index)].name))
            );
        }
        indices.push(index);
    }
    Ok(indices)
}

fn column(node: &Node<'_>, columns: &[Column]) -> Result<u16, ManifestError> {
    let name = node.text()?;
    let index = columns.iter().position(|column| column.name == name);
    index.map(|index| index as u16).ok_or_else(|| {
        let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
        unknown(node, "column", &names)
    })
}

/// The error that what is named at `node` does not exist.
pub(super) fn unknown(node: &Node<'_>, what: &str, known: &[&str]) -> ManifestError {
    let name = shown(node.value.as_str().unwrap_or_default());
    match nearest(&name, known) {
        Some(near) => node.error(format!("unknown {what} {name:?}: did you mean {near:?}?")),
        None => node.error(format!("unknown {what} {name:?}: there are {}", shown_list(known))),
    }
}

fn shown_list(names: &[&str]) -> String {
    let rest = names.len().saturating_sub(20);
    let shown = names[..names.len() - rest].join(", ");
    if rest == 0 { shown } else { format!("{shown} and {rest} more") }
}

fn ownership(
    object: &Object<'_>,
    (columns, key): (&[Column], &[u16]),
    order: Order,
) -> Result<Ownership, ManifestError> {
    let shared = object.flag("shared")?;
    match (order, object.optional("owner"), shared) {
        (Order::Global, None, false) => Ok(Ownership::Global),
        (Order::Global, ..) => Err(object.error(
            "with \"order\": \"global\" one worker changes all rows: remove \"owner\" and \"shared\"",
        )),
        (Order::ByStream, Some(_), true) => Err(object.error("\"owner\" and \"shared\" exclude each other: remove one of them")),
        (Order::ByStream, None, true) => Ok(Ownership::Shared),
        (Order::ByStream, Some(node), false) => owner(&node, columns, key),
        (Order::ByStream, None, false) => Err(object.error(
            "whose are its rows? Name the column that holds the stream's key, \"owner\": {\"column\": …, \"holds\": \
             \"stream-key\"}; or write \"shared\": true (then it takes only add, minimum and maximum); or give the projection \
             \"order\": \"global\"",
        )),
    }
}

/// The owner is text of any length (a stream that does not fit is refused when it comes), or for a stream's key a UUID. It is
/// part of the primary key: rows of different streams are then different rows, and no order of the shards can matter.
fn owner(node: &Node<'_>, columns: &[Column], key: &[u16]) -> Result<Ownership, ManifestError> {
    let object = node.object(&["column", "holds"])?;
    let named = object.required("column", "name the column")?;
    let index = column(&named, columns)?;
    let part = object.required("holds", "write \"stream-key\" (4711 of post-4711) or \"stream-id\" (post-4711)")?;
    let holds = match part.text()? {
        "stream-key" => StreamPart::Key,
        "stream-id" => StreamPart::Id,
        _ => return Err(part.expected("\"stream-key\" or \"stream-id\"")),
    };
    let column = &columns[usize::from(index)];
    let fits = matches!((column.kind, holds), (ColumnType::Text { .. }, _) | (ColumnType::Uuid, StreamPart::Key));
    if !fits {
        let types = if holds == StreamPart::Key { "text or uuid" } else { "text" };
        let what = part.text()?;
        return Err(named.error(format!("column {} is {}, but a {what} is {types}", column.name, column.kind)));
    }
    if !key.contains(&index) {
        return Err(named.error(format!(
            "column {name} holds the stream that owns the row, so it must be part of the primary key: two streams could write one row \
             otherwise, and which of them came last would be chance. Make the key ({name}, …), or give the projection \"order\": \"global\"",
            name = column.name
        )));
    }
    Ok(Ownership::Owned { column: index, holds })
}

/// Rows of a shared table come into being by `add`, `minimum` and `maximum`, which name only some columns.
fn every_column_has_a_default(nodes: &[Node<'_>], columns: &[Column], key: &[u16]) -> Result<(), ManifestError> {
    for (index, (column, node)) in columns.iter().zip(nodes).enumerate() {
        if column.default_value().is_none() && !key.contains(&(index as u16)) {
            return Err(node.error(format!(
                "column {} of a shared table needs a default, or must be nullable: add, minimum and maximum create rows without \
                 naming every column",
                column.name
            )));
        }
    }
    Ok(())
}

fn references(object: &Object<'_>, tables: &[Table], own: usize) -> Result<Vec<Reference>, ManifestError> {
    let columns = &tables[own].columns;
    let mut references = Vec::new();
    for node in object.list("references", MAX_REFERENCES)? {
        let object = node.object(&["columns", "table"])?;
        let other = queries::table(&object.required("table", "name the table that it refers to")?, tables)?;
        let list = object.required("columns", "list the columns that hold the other table's key")?;
        let nodes = list.list(1..=width::MAX_COLUMNS)?;
        let indices = column_list(&nodes, columns)?;
        matches_key(&list, &nodes, (&indices, columns), &tables[usize::from(other)])?;
        references.push(Reference { columns: indices, table: other });
    }
    Ok(references)
}

/// A reference has as many columns as the other table's key, of the same types; lengths may differ.
fn matches_key(
    list: &Node<'_>,
    nodes: &[Node<'_>],
    (indices, columns): (&[u16], &[Column]),
    other: &Table,
) -> Result<(), ManifestError> {
    if indices.len() != other.key.len() {
        let names: Vec<&str> = other.key_columns().map(|column| column.name.as_str()).collect();
        return Err(list.error(format!(
            "{} columns, but the key of table {} has {} ({})",
            indices.len(),
            other.name,
            names.len(),
            names.join(", ")
        )));
    }
    for ((index, node), expected) in indices.iter().zip(nodes).zip(other.key_columns()) {
        let column = &columns[usize::from(*index)];
        let same = match (column.kind, expected.kind) {
            (ColumnType::Text { .. }, ColumnType::Text { .. })
            | (ColumnType::Bytes { .. }, ColumnType::Bytes { .. }) => true,
            (own, other) => own == other,
        };
        if !same {
            return Err(node.error(format!(
                "column {} is {}, but {}.{} is {}: make them the same",
                column.name, column.kind, other.name, expected.name, expected.kind
            )));
        }
    }
    Ok(())
}
