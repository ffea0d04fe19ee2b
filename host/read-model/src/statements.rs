//! What the snapshots of all dialects' statements are made of: one table with every type, and one query with everything in it. A change
//! of any statement shows in review, as the files in `snapshots/` beside each dialect.

use reel_projector::{Manifest, Value};
use serde_json::json;

use crate::query::{Case, Comparison, Count, Direction, Filter, Nulls, OrderBy, Query};
use crate::sql::{Dialect, count, rows};

/// A table with every type, whose key and indexes have several columns; and one of a key only.
pub(crate) fn manifest() -> Manifest {
    let manifest = json!({
        "manifest": 1, "name": "shop", "version": "1.0.0", "kinds": ["*"], "order": "global",
        "tables": [
            {
                "name": "order",
                "columns": [
                    {"name": "key", "type": "text", "length": 64},
                    {"name": "line", "type": "int16"},
                    {"name": "price", "type": "decimal", "precision": 18, "scale": 2, "nullable": true},
                    {"name": "amount", "type": "int32"},
                    {"name": "total", "type": "int64"},
                    {"name": "weight", "type": "double", "nullable": true},
                    {"name": "paid", "type": "boolean"},
                    {"name": "note", "type": "text", "length": 100, "nullable": true},
                    {"name": "words", "type": "text"},
                    {"name": "seal", "type": "bytes", "length": 32},
                    {"name": "picture", "type": "bytes", "nullable": true},
                    {"name": "more", "type": "json"},
                    {"name": "customer", "type": "uuid"},
                    {"name": "day", "type": "date"},
                    {"name": "hour", "type": "time"},
                    {"name": "at", "type": "timestamp"}
                ],
                "key": ["key", "line"],
                "indexes": [
                    {"columns": ["note", "price"], "unique": false},
                    {"columns": ["seal"], "unique": true}
                ]
            },
            {"name": "pairs", "columns": [{"name": "left", "type": "int64"}], "key": ["left"]}
        ]
    });
    Manifest::parse(&manifest.to_string()).expect("a manifest")
}

/// A query of the first table, and its count, as the dialect writes them.
pub(crate) fn queries(dialect: &impl Dialect, manifest: &Manifest, from: &str) -> Vec<String> {
    let (table, query) = (&manifest.tables[0], query());
    vec![rows(dialect, table, from, &query).sql, count(dialect, table, from, &query).sql]
}

fn query() -> Query {
    let text = |text: &str| Value::Text(text.into());
    let compare = |column, comparison, value| Filter::Compare { column, comparison, value };
    let like = |case| Filter::Like { column: 7, pattern: "a%".to_owned(), case };
    let filter = Filter::And(vec![
        Filter::Or(vec![
            compare(0, Comparison::Equal, text("a")),
            compare(2, Comparison::GreaterOrEqual, Value::Decimal(rust_decimal::Decimal::new(150, 2))),
            compare(15, Comparison::Less, Value::Timestamp(0)),
        ]),
        Filter::Not(Box::new(Filter::In { column: 7, values: vec![text("a"), text("b")] })),
        Filter::In { column: 1, values: Vec::new() },
        like(Case::Sensitive),
        like(Case::Insensitive),
        Filter::IsNull { column: 10 },
        Filter::Or(Vec::new()),
    ]);
    let by = |column, direction, nulls| OrderBy { column, direction, nulls };
    let order = vec![
        by(2, Direction::Descending, Nulls::Last),
        by(5, Direction::Ascending, Nulls::Last),
        by(7, Direction::Descending, Nulls::First),
        by(4, Direction::Descending, Nulls::First),
    ];
    Query {
        table: 0,
        select: vec![0, 1, 0],
        filter: Some(filter),
        order,
        limit: Some(10),
        offset: 5,
        count: Count::Exact,
    }
}
