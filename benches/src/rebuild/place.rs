//! Where a measured build goes: a generation of its own, and the rows that were built.

use std::path::Path;
use std::sync::Arc;

use reel_events::LogId;
use reel_projector::ports::FailurePolicy;
use reel_projector::{Checkpoint, Manifest, Row};
use reel_read_model::target::DropScope;
use reel_read_model::{Component, Count, Generation, Loaded, NewGeneration, Pointer, Promotion, Query, Target};

use super::Kind;
use crate::error::BenchError;
use crate::posts::Posts;
use crate::read_databases::ReadDatabases;

/// The name that the projection has in a target: no one else's.
const PROJECTION: &str = "reel-bench-posts";
/// Rows that are handed over at once.
const ROWS: usize = 5_000;

/// A read database.
pub(crate) async fn open(kind: Kind, files: &Path, databases: &ReadDatabases) -> Result<Arc<dyn Target>, BenchError> {
    let url = match (kind, databases.url(kind)) {
        (Kind::Sqlite, _) => format!("sqlite:{}", files.join("read.db").display()),
        (_, Some(url)) => url.to_owned(),
        (kind, None) => return Err(BenchError::Failed(format!("{0} is not given: say --{0} URL", kind.name()))),
    };
    let target = reel_read_model::open("bench", &url).await.map_err(BenchError::doing("opening the read database"))?;
    let catalog = "making a generation in the read database";
    // What an earlier run left behind goes.
    for old in target.generations().await.map_err(BenchError::doing(catalog))? {
        if old.projection == PROJECTION {
            drop_generation(&*target, &old).await?;
        }
    }
    Ok(target)
}

/// A new generation of the projection, and where it stands.
pub(crate) async fn generation(
    target: &dyn Target,
    posts: &Posts,
    manifest: Manifest,
    log: LogId,
) -> Result<(Generation, Checkpoint), BenchError> {
    let catalog = "making a generation in the read database";
    let digest = posts.loaded.digest().to_owned();
    let component =
        Component { digest: digest.clone(), manifest: posts.loaded.manifest_json().into(), bytes: posts.bytes.clone() };
    target.put_component(&component).await.map_err(BenchError::doing(catalog))?;
    let new = NewGeneration {
        projection: PROJECTION.into(),
        digest,
        manifest: Arc::new(manifest),
        settings: "{}".into(),
        on_failure: FailurePolicy::Halt,
        promotion: Promotion::Manual,
        log,
        shards: 1,
    };
    let generation = target.create_generation(new).await.map_err(BenchError::doing(catalog))?;
    let checkpoints = target.take(generation.id).await.map_err(BenchError::doing("taking the generation"))?;
    let first = checkpoints.first().ok_or_else(|| BenchError::Failed("a new generation has no checkpoint".into()))?;
    Ok((generation, *first))
}

/// Deletes a generation; with the last one the projection.
pub(crate) async fn drop_generation(target: &dyn Target, generation: &Generation) -> Result<(), BenchError> {
    let all = target.generations().await.map_err(BenchError::doing("reading the catalog"))?;
    let last = all.iter().filter(|other| other.projection == PROJECTION).count() == 1;
    let scope = if last { DropScope::Projection } else { DropScope::Generation };
    target.drop_generation(generation.id, scope).await.map_err(BenchError::doing("dropping what was built"))
}

/// All rows of a generation, by table, in key order.
pub(crate) async fn rows(target: &dyn Target, generation: &Generation) -> Result<Vec<Vec<Row>>, BenchError> {
    let mut tables = Vec::new();
    for (number, table) in generation.manifest.tables.iter().enumerate() {
        let query = Query {
            table: number as u16,
            select: (0..table.columns.len() as u16).collect(),
            filter: None,
            order: Vec::new(),
            limit: None,
            offset: 0,
            count: Count::None,
        };
        let asked = target.query(generation, Pointer::Fixed, &query).await;
        let mut answer = asked.map_err(BenchError::doing("reading what was built"))?;
        let mut rows = Vec::new();
        while let Some(piece) = answer.rows.recv().await {
            rows.extend(piece.map_err(BenchError::doing("reading what was built"))?);
        }
        tables.push(rows);
    }
    Ok(tables)
}

/// Writes rows and keys, and nothing else.
pub(crate) async fn load(
    target: &dyn Target,
    (generation, checkpoint): (&Generation, Checkpoint),
    tables: &[Vec<Row>],
) -> Result<(), BenchError> {
    let doing = "loading rows alone";
    let load = target.bulk_load(generation, checkpoint.epoch).await.map_err(BenchError::doing(doing))?;
    let fill = async |number: usize| {
        for rows in tables[number].chunks(ROWS) {
            load.rows(number as u16, rows).await?;
        }
        load.index(number as u16).await
    };
    let filled = tokio::join!(fill(0), fill(1));
    filled.0.and(filled.1).map_err(BenchError::doing(doing))?;
    let loaded = Loaded { through: checkpoint.point, layout: checkpoint.layout, shards: 1, dead_letters: &[] };
    load.finish(loaded).await.map(drop).map_err(BenchError::doing(doing))
}
