//! Every rule of a manifest, by example.

use serde_json::{Value as Json, json};

use super::super::{ColumnType, KindPattern, Ownership, StreamPart};
use super::*;
use crate::value::Value;

pub(in super::super) fn posts() -> Json {
    json!({
        "manifest": 1, "name": "posts", "version": "1.0.0", "description": "Posts",
        "kinds": ["post-created", "comment-*"],
        "tables": [
            {
                "name": "posts",
                "columns": [
                    {"name": "id", "type": "text", "length": 36},
                    {"name": "author", "type": "text", "length": 64},
                    {"name": "likes", "type": "int64", "default": 0},
                    {"name": "price", "type": "decimal", "precision": 18, "scale": 2, "nullable": true}
                ],
                "key": ["id"],
                "owner": {"column": "id", "holds": "stream-key"},
                "indexes": [{"columns": ["author"], "unique": false}]
            },
            {
                "name": "comments",
                "columns": [
                    {"name": "id", "type": "uuid"},
                    {"name": "post", "type": "text"}
                ],
                "key": ["id"],
                "owner": {"column": "post", "holds": "stream-key"},
                "references": [{"columns": ["post"], "table": "posts"}]
            }
        ],
        "queries": [{
            "name": "popular", "table": "posts", "query": "likes=gte.{least}&order=likes.desc&limit=10",
            "parameters": [{"name": "least", "type": "int64", "default": "10"}]
        }]
    })
}

#[test]
fn the_example_is_read() {
    let manifest = Manifest::parse(&posts().to_string()).unwrap();
    assert_eq!(
        manifest.kinds,
        [
            KindPattern::Exactly("post-created".into()),
            KindPattern::Prefix("comment-".into())
        ]
    );
    let table = &manifest.tables[0];
    assert_eq!(table.columns[0].kind, ColumnType::Text { length: Some(36) });
    assert_eq!(table.columns[2].default, Some(Value::Int(0)));
    assert_eq!(
        table.columns.iter().map(|column| column.indexed).collect::<Vec<_>>(),
        [true, true, false, false]
    );
    assert_eq!(
        table.ownership,
        Ownership::Owned {
            column: 0,
            holds: StreamPart::Key
        }
    );
    assert_eq!(manifest.tables[1].references[0].table, 0);
    assert_eq!(manifest.queries[0].parameters[0].default.as_deref(), Some("10"));
}
