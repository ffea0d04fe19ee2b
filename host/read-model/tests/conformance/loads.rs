//! A bulk load: every row arrives, with key and indexes behind it; it ends in one step, and only for who holds the generation.

use std::sync::Arc;

use reel_events::Place as EventPlace;
use reel_projector::ports::{CommitError, DeadLetter, DeadLetterReason};
use reel_projector::{Checkpoint, ReadModelError, Row, TableWrites, Value, Writes};
use reel_read_model::target::DropScope;
use reel_read_model::{BulkLoad, CatalogError, Generation, GenerationState, Loaded, Target, TargetKind};
use uuid::Uuid;

use crate::place::Place;
use crate::samples::{all, ask, commit, deploy, int, note, notes, point, text, upsert, values, write, writes};

/// Begins to fill a generation that this host has taken.
pub(crate) async fn begin(target: &dyn Target, generation: &Generation) -> Box<dyn BulkLoad> {
    let epoch = target.take(generation.id).await.unwrap()[0].epoch;
    target.bulk_load(generation, epoch).await.unwrap()
}

pub(crate) fn loaded(through: u64, shards: u32, dead_letters: &[DeadLetter]) -> Loaded<'_> {
    Loaded { through: point(through), layout: 3, shards, dead_letters }
}

pub(crate) async fn index_all(load: &dyn BulkLoad, generation: &Generation) -> Result<(), ReadModelError> {
    for table in 0..generation.manifest.tables.len() as u16 {
        load.index(table).await?;
    }
    Ok(())
}

/// Fills the first table of a generation.
pub(crate) async fn fill(target: &dyn Target, generation: &Generation, rows: &[Row]) {
    let load = begin(target, generation).await;
    load.rows(0, rows).await.unwrap();
    index_all(load.as_ref(), generation).await.unwrap();
    load.finish(loaded(9, 1, &[])).await.unwrap();
}

fn letter(position: u64) -> DeadLetter {
    DeadLetter {
        position: EventPlace::from_number(position),
        event: Uuid::from_u128(u128::from(position)),
        stream: "post-1".to_owned(),
        kind: "post-created".to_owned(),
        reason: DeadLetterReason::Skipped,
        code: "rejected".to_owned(),
        message: "it said 'no' 😀".to_owned(),
        original: None,
    }
}

fn order(group: &str, key: &str) -> Row {
    [text(key), Value::Null, int(7), text(group), Value::Boolean(true)].into()
}

pub(crate) async fn every_row_arrives(place: Arc<Place>) {
    let target = place.target.as_ref();
    let generation = deploy(target, &notes()).await;
    let load = begin(target, &generation).await;
    let notes: Vec<Row> = (0..25_000).map(|id| note(id, "many")).collect();
    let orders = [order("a", "b"), order("a", "c"), order("b", "a")];
    let fill_notes = async {
        for some in notes.chunks(7_001) {
            load.rows(0, some).await.unwrap();
        }
        load.index(0).await.unwrap();
    };
    let fill_orders = async {
        load.rows(1, &orders[..1]).await.unwrap();
        load.rows(1, &[]).await.unwrap();
        load.rows(1, &orders[1..]).await.unwrap();
        load.index(1).await.unwrap();
    };
    tokio::join!(fill_notes, fill_orders);
    load.index(2).await.unwrap();
    load.finish(loaded(9, 1, &[])).await.unwrap();

    assert_eq!(ask(target, &generation, &all(&generation, 0)).await, notes);
    assert_eq!(ask(target, &generation, &all(&generation, 1)).await, orders);
    assert_eq!(ask(target, &generation, &all(&generation, 2)).await, [] as [Row; 0]);
    let indexes = match place.kind() {
        TargetKind::Sqlite => {
            "SELECT count(*) FROM sqlite_schema WHERE type = 'index' AND name NOT LIKE 'sqlite_autoindex%'"
        }
        TargetKind::SqlServer => {
            "SELECT count(*) FROM sys.indexes AS i JOIN sys.tables AS t ON t.object_id = i.object_id \
             WHERE t.schema_id = SCHEMA_ID(N'reel_data') AND i.is_primary_key = 0 AND i.type <> 0"
        }
        TargetKind::Postgres => "SELECT (count(*) - 3)::text FROM pg_indexes WHERE schemaname = 'reel_data'",
        TargetKind::MySql => {
            "SELECT count(DISTINCT table_name, index_name) FROM information_schema.statistics \
             WHERE table_schema = database() AND table_name LIKE '\\_g%' AND index_name <> 'PRIMARY'"
        }
    };
    assert_eq!(place.sql(indexes).await.unwrap(), [Some("3".to_owned())], "beside the keys");

    // The key is there: a row of the same key is replaced.
    upsert(target, &generation, 0, vec![note(4, "changed")]).await;
    let now = ask(target, &generation, &all(&generation, 0)).await;
    assert_eq!((now.len(), &now[4]), (notes.len(), &note(4, "changed")));
}

pub(crate) async fn every_edge_is_loaded(place: Arc<Place>) {
    let target = place.target.as_ref();
    let generation = deploy(target, &values()).await;
    let rows = crate::values::rows();
    let load = begin(target, &generation).await;
    load.rows(0, &rows).await.unwrap();
    load.index(0).await.unwrap();
    load.finish(loaded(1, 1, &[])).await.unwrap();
    assert_eq!(ask(target, &generation, &all(&generation, 0)).await, rows);
}

pub(crate) async fn it_ends_in_one_step(place: Arc<Place>) {
    let target = place.target.as_ref();
    let generation = deploy(target, &notes()).await;
    // What an earlier, slower build left is replaced.
    upsert(target, &generation, 0, vec![note(1, "old"), note(2, "old")]).await;
    let model = target.read_model(&generation);
    let start = model.checkpoint(0).await.unwrap().unwrap();
    let nothing = Writes::default();
    let put = reel_projector::ports::Commit { dead_letters: &[letter(1)], ..commit(start, 2, &nothing) };
    model.commit(put).await.unwrap();

    let load = begin(target, &generation).await;
    let held = model.checkpoint(0).await.unwrap().unwrap();
    load.rows(0, &[note(2, "new"), note(3, "new")]).await.unwrap();
    index_all(load.as_ref(), &generation).await.unwrap();
    let before = &target.generations().await.unwrap()[0];
    assert_eq!(before.state, GenerationState::Build);
    let letters: Vec<DeadLetter> = (4..8).map(letter).collect();
    let ended = load.finish(loaded(9, 4, &letters)).await.unwrap();

    let expected = Checkpoint { point: point(9), layout: 3, epoch: held.epoch + 1, ..held };
    assert_eq!(ended, [expected; 4]);
    assert_eq!(target.checkpoints(generation.id).await.unwrap(), ended);
    assert_eq!(target.dead_letters(generation.id, EventPlace::START, 10).await.unwrap(), letters);
    let after = &target.generations().await.unwrap()[0];
    assert_eq!((after.state, after.shards, after.epoch), (GenerationState::CatchUp, 4, before.epoch + 1));
    assert_eq!(ask(target, &generation, &all(&generation, 0)).await, [note(2, "new"), note(3, "new")]);

    // Whoever held it before cannot write; its own loop goes on.
    assert!(matches!(model.commit(commit(held, 10, &nothing)).await, Err(CommitError::Superseded { .. })));
    let upserts = TableWrites { upserts: vec![note(4, "next")], ..TableWrites::default() };
    write(model.as_ref(), 10, &writes(&generation, 0, upserts)).await.unwrap();
}

pub(crate) async fn one_that_is_given_up_leaves_nothing(place: Arc<Place>) {
    let target = place.target.as_ref();
    let generation = deploy(target, &notes()).await;
    let load = begin(target, &generation).await;
    load.rows(0, &(0..12_000).map(|id| note(id, "lost")).collect::<Vec<_>>()).await.unwrap();
    load.rows(1, &[order("a", "b")]).await.unwrap();
    load.index(1).await.unwrap();
    drop(load);

    let load = begin(target, &generation).await;
    load.rows(0, &[note(1, "kept")]).await.unwrap();
    index_all(load.as_ref(), &generation).await.unwrap();
    load.finish(loaded(1, 1, &[])).await.unwrap();
    assert_eq!(ask(target, &generation, &all(&generation, 0)).await, [note(1, "kept")]);
    assert_eq!(ask(target, &generation, &all(&generation, 1)).await, [] as [Row; 0]);

    let load = begin(target, &deploy(target, &values()).await).await;
    load.rows(0, &crate::values::rows()).await.unwrap();
    drop(load);
    let built = target.generations().await.unwrap().pop().unwrap();
    target.drop_generation(built.id, DropScope::Projection).await.unwrap();
    assert_eq!(target.generations().await.unwrap().len(), 1);
}

pub(crate) async fn who_lost_the_generation_fills_nothing(place: Arc<Place>) {
    let target = place.target.as_ref();
    let generation = deploy(target, &notes()).await;
    let epoch = target.take(generation.id).await.unwrap()[0].epoch;
    let (first, second) = (target.bulk_load(&generation, epoch).await.unwrap(), begin(target, &generation).await);
    assert!(matches!(target.bulk_load(&generation, epoch).await, Err(CatalogError::Conflict { .. })));

    // The rows may be on their way still when this answers; what they came to is told at the latest with the index.
    let filled = async {
        first.rows(0, &[note(1, "first")]).await?;
        first.index(0).await
    };
    assert!(matches!(filled.await, Err(ReadModelError::Unavailable { .. })));
    second.rows(0, &[note(1, "second")]).await.unwrap();
    index_all(second.as_ref(), &generation).await.unwrap();
    assert!(matches!(first.finish(loaded(5, 1, &[])).await, Err(CommitError::Superseded { .. })));
    second.finish(loaded(6, 1, &[])).await.unwrap();
    assert_eq!(ask(target, &generation, &all(&generation, 0)).await, [note(1, "second")]);

    let epoch = target.take(generation.id).await.unwrap()[0].epoch;
    let behind = target.bulk_load(&generation, epoch).await;
    assert!(matches!(behind, Err(CatalogError::Conflict { .. })), "it is in state catch-up");
}
