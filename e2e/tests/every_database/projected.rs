//! The drawn events through the host's loop: into a database, and into tables in memory.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use reel_events::{EventBatch, EventRef, LogId, LogPoint};
use reel_projector::memory::MemoryReadModel;
use reel_projector::ports::{Delivery, FailurePolicy};
use reel_projector::{
    ApplyError, Cell, Change, Checkpoint, Manifest, Orders, Plugin, Progress, ReadModel, Row, RunSettings, ShardParts,
    Sink, Source, SourceError, run,
};
use reel_read_model::{Component, NewGeneration, Promotion, Target};
use tokio::sync::{mpsc, watch};
use uuid::Uuid;

use crate::drawn::{Case, DrawnChange};
use crate::values::sent;

const LOG: LogId = LogId(Uuid::from_u128(7));

/// Event N does what the case says at N − 1.
struct Drawn(Vec<Vec<DrawnChange>>);

impl Plugin for Drawn {
    fn apply(&mut self, batch: &EventBatch, range: Range<usize>, sink: &mut dyn Sink) -> Result<(), ApplyError> {
        for event in range {
            for change in &self.0[batch.get(event).position as usize - 1] {
                let mut digits = vec![String::new(); change.cells.len()];
                let cells = change.cells.iter().zip(&mut digits);
                let cells: Vec<Cell<'_>> = cells
                    .map(|((column, value), digits)| Cell { column: *column, value: sent(value, digits) })
                    .collect();
                sink.emit(Change { event, table: 0, operation: change.operation, cells: &cells })?;
            }
        }
        Ok(())
    }
}

fn point(position: u64) -> LogPoint {
    match position {
        0 => LogPoint::START,
        _ => LogPoint { position, event: Uuid::from_u128(position.into()) },
    }
}

/// The events, in batches of the sizes of the case, in turn.
struct Batches {
    next: u64,
    last: u64,
    sizes: Vec<usize>,
}

#[async_trait]
impl Source for Batches {
    async fn next(&mut self, most: usize) -> Result<Delivery, SourceError> {
        if self.next > self.last {
            std::future::pending::<()>().await;
        }
        self.sizes.rotate_left(1);
        let end = self.last.min(self.next + self.sizes[0].min(most) as u64 - 1);
        let events = (self.next..=end).map(|position| EventRef {
            position,
            version: position,
            id: Uuid::from_u128(position.into()),
            stream: "thing-1",
            kind: "drawn",
            schema: 1,
            recorded_at: 0,
            payload: "{}",
            metadata: "{}",
        });
        let delivery = Delivery { events: events.collect(), through: point(end), head: self.last };
        self.next = end + 1;
        Ok(delivery)
    }
}

/// Runs the loop until the read model has all events.
async fn projected(read_model: Arc<dyn ReadModel>, manifest: &Arc<Manifest>, case: &Case) {
    let (stop, stopped) = watch::channel(false);
    let (_open, requests) = mpsc::channel(1);
    let (commits, _) = watch::channel(0);
    let last = case.events.len() as u64;
    let parts = ShardParts {
        manifest: Arc::clone(manifest),
        plugin: Box::new(Drawn(case.events.clone())),
        read_model: Arc::clone(&read_model),
        number: 0,
        shards: 1,
        checkpoint: read_model.checkpoint(0).await.unwrap().unwrap(),
        cache_bytes: case.cache_bytes,
        progress: Arc::new(Progress::new(0, commits)),
    };
    let settings = RunSettings {
        on_failure: FailurePolicy::Skip,
        let_go: HashSet::new(),
        parked: HashSet::new(),
        most_events: 1_000,
    };
    let source = Box::new(Batches { next: 1, last, sizes: case.batches.clone() });
    let running =
        tokio::spawn(async move { run(parts, source, settings, &mut Orders { stop: stopped, requests }).await });
    let there = async || read_model.checkpoint(0).await.unwrap().unwrap().point.position == last;
    while !there().await {
        assert!(!running.is_finished(), "the loop ended: {:?}", running.await);
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    stop.send(true).unwrap();
    running.await.unwrap().unwrap();
}

/// The rows in memory, and the positions of the dead letters.
pub(crate) async fn in_memory(manifest: &Arc<Manifest>, case: &Case) -> (Vec<Row>, Vec<u64>) {
    let checkpoint = Checkpoint { log: LOG, point: LogPoint::START, layout: 1, epoch: 1 };
    let model = Arc::new(MemoryReadModel::new(Arc::clone(manifest), checkpoint));
    projected(model.clone(), manifest, case).await;
    let state = model.state();
    let letters = state.dead_letters.keys().map(|place| place.number()).collect();
    (state.tables.rows(0).cloned().collect(), letters)
}

/// Makes a generation of the projection in a database: its number, and the positions of its dead letters.
pub(crate) async fn into(target: &Arc<dyn Target>, manifest: &Arc<Manifest>, case: &Case) -> (u32, Vec<u64>) {
    let digest = Uuid::new_v4().simple().to_string().repeat(2);
    let component = Component { digest: digest.clone(), manifest: case.manifest.clone(), bytes: b"drawn".to_vec() };
    target.put_component(&component).await.unwrap();
    let generation = NewGeneration {
        projection: manifest.name.clone(),
        digest,
        manifest: Arc::clone(manifest),
        settings: "{}".to_owned(),
        on_failure: FailurePolicy::Skip,
        promotion: Promotion::Automatic,
        log: LOG,
        shards: 1,
    };
    let generation = target.create_generation(generation).await.unwrap();
    projected(target.read_model(&generation), manifest, case).await;
    let letters = target.dead_letters(generation.id, reel_events::Place::START, 1_000).await.unwrap();
    (generation.number, letters.iter().map(|letter| letter.position.number()).collect())
}
