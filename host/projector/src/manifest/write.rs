//! Writing a manifest as JSON again: what [`Manifest::parse`] reads back as the same manifest.

use serde_json::{Map, Value as Json, json};

use super::{
    Column, ColumnType, Index, Manifest, NamedQuery, Order, Ownership, Parameter, Reference, StreamPart, Table,
    literal, parse,
};

impl Manifest {
    /// The manifest as JSON. Members that say what is so without them are left out.
    #[must_use]
    pub fn to_json(&self) -> Json {
        let mut members = object(json!({
            "manifest": parse::MANIFEST_VERSION,
            "name": self.name,
            "version": self.version,
            "kinds": self.kinds.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "tables": self.tables.iter().map(|table| self.table(table)).collect::<Vec<_>>(),
        }));
        if !self.description.is_empty() {
            members.insert("description".to_owned(), self.description.as_str().into());
        }
        if self.order == Order::Global {
            members.insert("order".to_owned(), "global".into());
        }
        for (name, flag) in [("metadata", self.metadata), ("safe-integers", self.safe_integers)] {
            insert_flag(&mut members, name, flag);
        }
        if let Some(settings) = &self.settings {
            members.insert("settings".to_owned(), settings.clone());
        }
        insert_list(&mut members, "queries", self.queries.iter().map(|query| self.query(query)).collect());
        Json::Object(members)
    }

    fn table(&self, table: &Table) -> Json {
        let mut members = object(json!({
            "name": table.name,
            "columns": table.columns.iter().map(column).collect::<Vec<_>>(),
            "key": names(table, &table.key),
        }));
        match table.ownership {
            Ownership::Owned { column, holds } => {
                let holds = match holds {
                    StreamPart::Key => "stream-key",
                    StreamPart::Id => "stream-id",
                };
                let column = &table.columns[usize::from(column)].name;
                members.insert("owner".to_owned(), json!({"column": column, "holds": holds}));
            }
            Ownership::Shared => insert_flag(&mut members, "shared", true),
            Ownership::Global => {}
        }
        insert_list(&mut members, "indexes", table.indexes.iter().map(|own| index(table, own)).collect());
        let reference = |reference: &Reference| {
            let other = &self.tables[usize::from(reference.table)].name;
            json!({"columns": names(table, &reference.columns), "table": other})
        };
        insert_list(&mut members, "references", table.references.iter().map(reference).collect());
        Json::Object(members)
    }

    fn query(&self, query: &NamedQuery) -> Json {
        let table = &self.tables[usize::from(query.table)].name;
        let mut members = object(json!({"name": query.name, "table": table, "query": query.query}));
        insert_list(&mut members, "parameters", query.parameters.iter().map(parameter).collect());
        Json::Object(members)
    }
}

fn column(column: &Column) -> Json {
    let mut members = Map::from_iter([("name".to_owned(), column.name.as_str().into())]);
    insert_type(&mut members, column.kind);
    insert_flag(&mut members, "nullable", column.nullable);
    if let Some(default) = &column.default {
        members.insert("default".to_owned(), literal::write(default));
    }
    Json::Object(members)
}

fn parameter(parameter: &Parameter) -> Json {
    let mut members = Map::from_iter([("name".to_owned(), parameter.name.as_str().into())]);
    insert_type(&mut members, parameter.kind);
    if let Some(default) = &parameter.default {
        members.insert("default".to_owned(), default.as_str().into());
    }
    Json::Object(members)
}

fn index(table: &Table, index: &Index) -> Json {
    let mut members = object(json!({"columns": names(table, &index.columns)}));
    insert_flag(&mut members, "unique", index.unique);
    Json::Object(members)
}

fn names<'t>(table: &'t Table, indices: &[u16]) -> Vec<&'t str> {
    indices.iter().map(|index| table.columns[usize::from(*index)].name.as_str()).collect()
}

fn insert_type(members: &mut Map<String, Json>, kind: ColumnType) {
    members.insert("type".to_owned(), kind.name().into());
    match kind {
        ColumnType::Decimal { precision, scale } => {
            members.insert("precision".to_owned(), precision.into());
            members.insert("scale".to_owned(), scale.into());
        }
        ColumnType::Text { length: Some(length) } | ColumnType::Bytes { length: Some(length) } => {
            members.insert("length".to_owned(), length.into());
        }
        _ => {}
    }
}

/// Inserts a list that has entries.
fn insert_list(members: &mut Map<String, Json>, name: &str, list: Vec<Json>) {
    if !list.is_empty() {
        members.insert(name.to_owned(), list.into());
    }
}

/// Inserts a flag that is set.
fn insert_flag(members: &mut Map<String, Json>, name: &str, flag: bool) {
    if flag {
        members.insert(name.to_owned(), true.into());
    }
}

fn object(value: Json) -> Map<String, Json> {
    match value {
        Json::Object(members) => members,
        other => unreachable!("an object is written above, not {other}"),
    }
}

#[cfg(test)]
mod tests;
