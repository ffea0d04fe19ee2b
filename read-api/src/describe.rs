//! What can be read, as JSON for people and programs: projections, their tables with columns and types, their named queries.

use reel_projector::{
    Manifest, Table,
    manifest::{NamedQuery, Parameter},
};
use reel_read_model::Generation;
use serde_json::{Value, json};

use crate::{
    catalog::{label, state_word},
    values::example,
};

/// One generation.
pub(crate) fn describe(generation: &Generation) -> Value {
    let manifest = &generation.manifest;
    json!({
        "name": generation.projection,
        "generation": label(generation),
        "state": state_word(generation.state),
        "version": manifest.version,
        "description": manifest.description,
        "tables": manifest.tables.iter().map(|table| describe_table(manifest, table)).collect::<Vec<_>>(),
        "queries": manifest.queries.iter().map(|query| describe_query(manifest, query)).collect::<Vec<_>>(),
    })
}

fn describe_table(manifest: &Manifest, table: &Table) -> Value {
    let columns = table
        .columns
        .iter()
        .map(|column| json!({ "name": column.name, "type": column.kind.to_string(), "nullable": column.nullable }));
    let references = table.references.iter().map(|reference| {
        let other = manifest.tables.get(usize::from(reference.table)).map(|table| table.name.as_str());
        json!({ "columns": names(table, &reference.columns), "table": other })
    });
    let indexes =
        table.indexes.iter().map(|index| json!({ "columns": names(table, &index.columns), "unique": index.unique }));
    json!({
        "name": table.name,
        "columns": columns.collect::<Vec<_>>(),
        "key": names(table, &table.key),
        "indexes": indexes.collect::<Vec<_>>(),
        "references": references.collect::<Vec<_>>(),
    })
}

fn names<'a>(table: &'a Table, columns: &[u16]) -> Vec<&'a str> {
    columns
        .iter()
        .filter_map(|index| table.columns.get(usize::from(*index)))
        .map(|column| column.name.as_str())
        .collect()
}

fn describe_query(manifest: &Manifest, query: &NamedQuery) -> Value {
    json!({
        "name": query.name,
        "table": manifest.tables.get(usize::from(query.table)).map(|table| table.name.as_str()),
        "query": query.query,
        "parameters": query.parameters.iter().map(describe_parameter).collect::<Vec<_>>(),
    })
}

fn describe_parameter(parameter: &Parameter) -> Value {
    json!({
        "name": parameter.name,
        "type": parameter.kind.to_string(),
        "required": parameter.default.is_none(),
        "default": parameter.default,
        "example": example(parameter.kind),
    })
}
