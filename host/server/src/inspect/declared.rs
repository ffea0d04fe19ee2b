//! What a manifest declares and no database enforces: unique indexes, and references to the keys of other tables. As in SQL, a row that
//! has NULL in one of the columns breaks neither.

use std::collections::{HashMap, HashSet};

use reel_projector::change::Row;
use reel_projector::key::encode_value;
use reel_projector::{Manifest, Table, Value};

/// Keys of tables, each as a hash: 16 bytes a row.
#[derive(Debug, Default)]
pub(super) struct Keys(HashMap<u16, HashSet<u128>>);

impl Keys {
    pub(super) fn add(&mut self, number: u16, table: &Table, rows: &[Row]) {
        let keys = self.0.entry(number).or_default();
        keys.extend(rows.iter().filter_map(|row| hashed(row, &table.key)));
    }
}

/// What one table must keep.
pub(super) struct Declared<'a> {
    manifest: &'a Manifest,
    table: &'a Table,
    keys: &'a Keys,
    /// What was seen of each unique index, by its place among the indexes.
    seen: HashMap<usize, HashSet<u128>>,
}

impl<'a> Declared<'a> {
    pub(super) fn of(manifest: &'a Manifest, number: usize, keys: &'a Keys) -> Declared<'a> {
        let table = &manifest.tables[number];
        let unique = table.indexes.iter().enumerate().filter(|(_, index)| index.unique);
        Declared { manifest, table, keys, seen: unique.map(|(place, _)| (place, HashSet::new())).collect() }
    }

    /// What the next row breaks, for people.
    pub(super) fn broken_by(&mut self, row: &Row) -> Vec<String> {
        let mut broken = Vec::new();
        for (place, index) in self.table.indexes.iter().enumerate() {
            if let Some(seen) = self.seen.get_mut(&place)
                && let Some(values) = hashed(row, &index.columns)
                && !seen.insert(values)
            {
                let columns = named(self.table, &index.columns);
                broken.push(format!("unique index on ({columns}): a row before it has the same values"));
            }
        }
        for reference in &self.table.references {
            let keys = self.keys.0.get(&reference.table);
            if let Some(values) = hashed(row, &reference.columns)
                && !keys.is_some_and(|keys| keys.contains(&values))
            {
                let columns = named(self.table, &reference.columns);
                let other = &self.manifest.tables[usize::from(reference.table)].name;
                broken.push(format!("reference of ({columns}) to {other}: there is no such row"));
            }
        }
        broken
    }
}

fn named(table: &Table, columns: &[u16]) -> String {
    let names: Vec<&str> = columns.iter().map(|column| table.columns[usize::from(*column)].name.as_str()).collect();
    names.join(", ")
}

/// The values of some columns as a hash; nothing where one is NULL.
fn hashed(row: &Row, columns: &[u16]) -> Option<u128> {
    let mut bytes = Vec::with_capacity(48);
    for column in columns {
        match &row[usize::from(*column)] {
            Value::Null => return None,
            value => encode_value(value, &mut bytes),
        }
    }
    let hash = blake3::hash(&bytes);
    Some(u128::from_le_bytes(hash.as_bytes()[..16].try_into().expect("a hash has 32 bytes")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn manifest() -> Manifest {
        let manifest = json!({
            "manifest": 1, "name": "a", "version": "1", "kinds": ["*"], "order": "global",
            "tables": [
                {
                    "name": "posts",
                    "columns": [
                        {"name": "id", "type": "int64"},
                        {"name": "title", "type": "text", "length": 9, "nullable": true}
                    ],
                    "key": ["id"],
                    "indexes": [{"columns": ["title"], "unique": true}, {"columns": ["id", "title"], "unique": false}]
                },
                {
                    "name": "comments",
                    "columns": [{"name": "id", "type": "int64"}, {"name": "post", "type": "int64", "nullable": true}],
                    "key": ["id"],
                    "references": [{"columns": ["post"], "table": "posts"}]
                }
            ]
        });
        Manifest::parse(&manifest.to_string()).unwrap()
    }

    fn row(id: i64, value: Value) -> Row {
        [Value::Int(id), value].into()
    }

    #[test]
    fn values_that_are_there_twice_and_references_to_nothing_are_named() {
        let (manifest, text) = (manifest(), |text: &str| Value::Text(text.into()));
        let posts = [row(1, text("a")), row(2, text("b")), row(3, text("a")), row(4, Value::Null), row(5, Value::Null)];
        let mut keys = Keys::default();
        keys.add(0, &manifest.tables[0], &posts);
        let mut declared = Declared::of(&manifest, 0, &keys);
        let broken: Vec<Vec<String>> = posts.iter().map(|row| declared.broken_by(row)).collect();
        let third = vec!["unique index on (title): a row before it has the same values".to_owned()];
        assert_eq!(broken, [vec![], vec![], third, vec![], vec![]]);

        let mut declared = Declared::of(&manifest, 1, &keys);
        assert_eq!(declared.broken_by(&row(1, Value::Int(5))), [] as [String; 0]);
        assert_eq!(declared.broken_by(&row(2, Value::Null)), [] as [String; 0]);
        assert_eq!(declared.broken_by(&row(3, Value::Int(6))), ["reference of (post) to posts: there is no such row"]);
    }
}
