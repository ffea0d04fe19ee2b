//! For tests: a projection with a column of every type, and named queries.

use std::sync::Arc;

use reel_projector::manifest::{Index, KindPattern, NamedQuery, Order, Ownership, Parameter, StreamPart};
use reel_projector::{Column, ColumnType, Manifest, Table};

pub(crate) const TEXT: ColumnType = ColumnType::Text { length: None };

fn column(name: &str, kind: ColumnType) -> Column {
    Column {
        name: name.to_owned(),
        kind,
        nullable: true,
        default: None,
    }
}

fn key(name: &str) -> Column {
    Column {
        nullable: false,
        ..column(name, ColumnType::Text { length: Some(36) })
    }
}

pub(crate) fn parameter(name: &str, kind: ColumnType, default: Option<&str>) -> Parameter {
    Parameter {
        name: name.to_owned(),
        kind,
        default: default.map(str::to_owned),
    }
}

pub(crate) fn query(name: &str, query: &str, parameters: Vec<Parameter>) -> NamedQuery {
    NamedQuery {
        name: name.to_owned(),
        table: 0,
        query: query.to_owned(),
        parameters,
    }
}

fn posts() -> Table {
    Table {
        name: "posts".to_owned(),
        columns: vec![
            key("id"),
            column("author", ColumnType::Text { length: Some(64) }),
            column("likes", ColumnType::Int64),
            column("small", ColumnType::Int16),
            column("score", ColumnType::Double),
            column(
                "price",
                ColumnType::Decimal {
                    precision: 18,
                    scale: 2,
                },
            ),
            column("hidden", ColumnType::Boolean),
            column("raw", ColumnType::Bytes { length: None }),
            column("extra", ColumnType::Json),
            column("uid", ColumnType::Uuid),
            column("day", ColumnType::Date),
            column("at", ColumnType::Time),
            column("posted_at", ColumnType::Timestamp),
            column("order", ColumnType::Int32),
        ],
        key: vec![0],
        indexes: vec![Index {
            columns: vec![1],
            unique: false,
        }],
        references: Vec::new(),
        ownership: Ownership::Owned {
            column: 0,
            holds: StreamPart::Key,
        },
    }
}

/// The projection `posts` with the tables `posts` and `authors`, and the queries `by_author` and `search`.
pub(crate) fn manifest() -> Manifest {
    let authors = Table {
        name: "authors".to_owned(),
        columns: vec![key("name"), column("posts", ColumnType::Int64)],
        key: vec![0],
        indexes: Vec::new(),
        references: Vec::new(),
        ownership: Ownership::Shared,
    };
    let by_author = query(
        "by_author",
        "author=eq.{author}&likes=gte.{least}&order=likes.desc&limit={n}",
        vec![
            parameter("author", TEXT, None),
            parameter("least", ColumnType::Int64, Some("0")),
            parameter("n", ColumnType::Int32, Some("10")),
        ],
    );
    let search = query(
        "search",
        "select=id,author&or=(author.ilike.*{word}*,id.in.({word},x))",
        vec![parameter("word", TEXT, None)],
    );
    Manifest {
        name: "posts".to_owned(),
        version: "1.0.0".to_owned(),
        description: "Posts".to_owned(),
        kinds: vec![KindPattern::All],
        tables: vec![posts(), authors],
        queries: vec![by_author, search],
        order: Order::ByStream,
        metadata: false,
        settings: None,
        safe_integers: false,
    }
}

/// The same, shared.
pub(crate) fn shared_manifest() -> Arc<Manifest> {
    Arc::new(manifest())
}
