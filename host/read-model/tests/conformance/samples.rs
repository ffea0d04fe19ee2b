//! Projections that cases deploy, and short ways to write and read them.

use std::sync::Arc;

use reel_events::{LogId, LogPoint};
use reel_projector::ports::{Commit, CommitError, FailurePolicy};
use reel_projector::{Checkpoint, Manifest, ReadModel, Row, TableWrites, Value, Writes};
use reel_read_model::{
    CatalogError, Component, Count, Generation, GenerationState, NewGeneration, Pointer, Promotion, Query, Target,
};
use serde_json::{Value as Json, json};
use uuid::Uuid;

pub(crate) const LOG: LogId = LogId(Uuid::from_u128(7));

/// Numbers with a text and a moment, by number; and names, which SQL reserves.
pub(crate) fn notes() -> Json {
    json!({
        "manifest": 1, "name": "notes", "version": "1.0.0", "kinds": ["*"], "order": "global",
        "tables": [
            {
                "name": "notes",
                "columns": [
                    {"name": "id", "type": "int64"},
                    {"name": "text", "type": "text", "nullable": true},
                    {"name": "likes", "type": "int32", "nullable": true},
                    {"name": "author", "type": "text", "length": 64, "nullable": true}
                ],
                "key": ["id"],
                "indexes": [{"columns": ["author"], "unique": false}]
            },
            {
                "name": "order",
                "columns": [
                    {"name": "key", "type": "text", "length": 64},
                    {"name": "user", "type": "text", "length": 64, "nullable": true},
                    {"name": "rank", "type": "int64"},
                    {"name": "group", "type": "text", "length": 64},
                    {"name": "select", "type": "boolean"}
                ],
                "key": ["group", "key"],
                "indexes": [{"columns": ["user", "rank"], "unique": false}, {"columns": ["rank"], "unique": true}]
            },
            {
                "name": "pairs",
                "columns": [
                    {"name": "left", "type": "text", "length": 64},
                    {"name": "right", "type": "uuid"}
                ],
                "key": ["left", "right"]
            }
        ]
    })
}

/// A column of every type, twice where edges differ.
pub(crate) fn values() -> Json {
    json!({
        "manifest": 1, "name": "all-values", "version": "1.0.0", "kinds": ["*"], "order": "global",
        "tables": [{
            "name": "values",
            "columns": [
                {"name": "id", "type": "int32"},
                {"name": "truth", "type": "boolean", "nullable": true},
                {"name": "small", "type": "int16", "nullable": true},
                {"name": "middle", "type": "int32", "nullable": true},
                {"name": "big", "type": "int64", "nullable": true},
                {"name": "double", "type": "double", "nullable": true},
                {"name": "money", "type": "decimal", "precision": 18, "scale": 2, "nullable": true},
                {"name": "whole", "type": "decimal", "precision": 18, "scale": 0, "nullable": true},
                {"name": "fraction", "type": "decimal", "precision": 18, "scale": 18, "nullable": true},
                {"name": "text", "type": "text", "nullable": true},
                {"name": "bytes", "type": "bytes", "nullable": true},
                {"name": "json", "type": "json", "nullable": true},
                {"name": "uuid", "type": "uuid", "nullable": true},
                {"name": "date", "type": "date", "nullable": true},
                {"name": "time", "type": "time", "nullable": true},
                {"name": "timestamp", "type": "timestamp", "nullable": true}
            ],
            "key": ["id"]
        }]
    })
}

/// The same under another name.
pub(crate) fn named(mut manifest: Json, name: &str) -> Json {
    manifest["name"] = json!(name);
    manifest
}

pub(crate) fn component(manifest: &Json) -> Component {
    let manifest = manifest.to_string();
    let bytes = manifest.clone().into_bytes();
    Component { digest: blake3::hash(&bytes).to_hex().to_string(), manifest, bytes }
}

pub(crate) fn new_generation(manifest: &Json, shards: u32) -> NewGeneration {
    let parsed = Manifest::parse(&manifest.to_string()).unwrap();
    NewGeneration {
        projection: parsed.name.clone(),
        digest: component(manifest).digest,
        manifest: Arc::new(parsed),
        settings: "{}".to_owned(),
        on_failure: FailurePolicy::Halt,
        promotion: Promotion::Automatic,
        log: LOG,
        shards,
    }
}

pub(crate) async fn try_deploy(target: &dyn Target, manifest: &Json) -> Result<Generation, CatalogError> {
    target.put_component(&component(manifest)).await?;
    target.create_generation(new_generation(manifest, 1)).await
}

pub(crate) async fn deploy(target: &dyn Target, manifest: &Json) -> Generation {
    try_deploy(target, manifest).await.unwrap()
}

pub(crate) async fn make_ready(target: &dyn Target, generation: &Generation) {
    use GenerationState::{Build, CatchUp, Ready};
    target.set_state(generation.id, Build, CatchUp).await.unwrap();
    target.set_state(generation.id, CatchUp, Ready).await.unwrap();
}

pub(crate) fn point(position: u64) -> LogPoint {
    if position == 0 { LogPoint::START } else { LogPoint { position, event: Uuid::from_u128(u128::from(position)) } }
}

/// Writes that touch one table.
pub(crate) fn writes(generation: &Generation, table: usize, of_table: TableWrites) -> Writes {
    let mut tables = vec![TableWrites::default(); generation.manifest.tables.len()];
    tables[table] = of_table;
    Writes { tables }
}

pub(crate) fn commit<'a>(from: Checkpoint, to: u64, writes: &'a Writes) -> Commit<'a> {
    Commit { shard: 0, from, to: point(to), writes, dead_letters: &[], settled: &[] }
}

/// Commits behind whatever the checkpoint is.
pub(crate) async fn write(model: &dyn ReadModel, to: u64, writes: &Writes) -> Result<(), CommitError> {
    let from = model.checkpoint(0).await.unwrap().unwrap();
    model.commit(commit(from, to, writes)).await
}

/// Commits rows of one table, one position further.
pub(crate) async fn upsert(target: &dyn Target, generation: &Generation, table: usize, rows: Vec<Row>) {
    let model = target.read_model(generation);
    let at = model.checkpoint(0).await.unwrap().unwrap().point.position;
    let upserts = TableWrites { upserts: rows, ..TableWrites::default() };
    write(model.as_ref(), at + 1, &writes(generation, table, upserts)).await.unwrap();
}

pub(crate) fn int(number: i64) -> Value {
    Value::Int(number)
}

pub(crate) fn text(text: &str) -> Value {
    Value::Text(text.into())
}

pub(crate) fn note(id: i64, words: &str) -> Row {
    [int(id), text(words), int(id * 2), Value::Null].into()
}

/// All of one table in key order.
pub(crate) fn all(generation: &Generation, table: u16) -> Query {
    let columns = generation.manifest.tables[usize::from(table)].columns.len() as u16;
    Query {
        table,
        select: (0..columns).collect(),
        filter: None,
        order: Vec::new(),
        limit: None,
        offset: 0,
        count: Count::None,
    }
}

/// The rows that a query answers with.
pub(crate) async fn ask(target: &dyn Target, generation: &Generation, query: &Query) -> Vec<Row> {
    let mut answer = target.query(generation, Pointer::Fixed, query).await.unwrap();
    let mut rows = Vec::new();
    while let Some(piece) = answer.rows.recv().await {
        rows.extend(piece.unwrap());
    }
    rows
}
