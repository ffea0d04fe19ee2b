//! For tests: a projection with a column of every type, and named queries.

use reel_projector::{
    ColumnType, Manifest,
    manifest::{NamedQuery, Parameter},
};
use serde_json::{Value, json};

pub(crate) const TEXT: ColumnType = ColumnType::Text { length: None };

/// A parameter as a manifest holds it.
pub(crate) fn parameter(name: &str, kind: ColumnType, default: Option<&str>) -> Parameter {
    Parameter { name: name.to_owned(), kind, default: default.map(str::to_owned) }
}

/// A query over the first table as a manifest holds it.
pub(crate) fn query(name: &str, query: &str, parameters: Vec<Parameter>) -> NamedQuery {
    NamedQuery { name: name.to_owned(), table: 0, query: query.to_owned(), parameters }
}

/// The projection `posts` with the tables `posts` and `authors`, and the queries `by_author` and `search`.
pub(crate) fn manifest() -> Manifest {
    Manifest::parse(&document().to_string()).unwrap()
}

/// The same, as JSON.
pub(crate) fn document() -> Value {
    json!({
        "manifest": 1, "name": "posts", "version": "1.0.0", "description": "Posts", "kinds": ["*"],
        "tables": [
            {
                "name": "posts",
                "columns": [
                    {"name": "id", "type": "text", "length": 36},
                    {"name": "author", "type": "text", "length": 64, "nullable": true},
                    {"name": "likes", "type": "int64", "nullable": true},
                    {"name": "small", "type": "int16", "nullable": true},
                    {"name": "score", "type": "double", "nullable": true},
                    {"name": "price", "type": "decimal", "precision": 18, "scale": 2, "nullable": true},
                    {"name": "hidden", "type": "boolean", "nullable": true},
                    {"name": "raw", "type": "bytes", "nullable": true},
                    {"name": "extra", "type": "json", "nullable": true},
                    {"name": "uid", "type": "uuid", "nullable": true},
                    {"name": "day", "type": "date", "nullable": true},
                    {"name": "at", "type": "time", "nullable": true},
                    {"name": "posted_at", "type": "timestamp", "nullable": true},
                    {"name": "order", "type": "int32", "nullable": true},
                ],
                "key": ["id"],
                "owner": {"column": "id", "holds": "stream-key"},
                "indexes": [{"columns": ["author"]}],
            },
            {
                "name": "authors",
                "columns": [
                    {"name": "name", "type": "text", "length": 64},
                    {"name": "posts", "type": "int64", "default": 0},
                ],
                "key": ["name"],
                "shared": true,
            },
        ],
        "queries": [
            {
                "name": "by_author", "table": "posts",
                "query": "author=eq.{author}&likes=gte.{least}&order=likes.desc&limit={n}",
                "parameters": [
                    {"name": "author", "type": "text"},
                    {"name": "least", "type": "int64", "default": "0"},
                    {"name": "n", "type": "int32", "default": "10"},
                ],
            },
            {
                "name": "search", "table": "posts",
                "query": "select=id,author&or=(author.ilike.*{word}*,id.in.({word},x))",
                "parameters": [{"name": "word", "type": "text"}],
            },
        ],
    })
}
