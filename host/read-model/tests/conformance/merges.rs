//! Rows of shared tables, which two shards change at the same time, by real loops.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use reel_events::{EventBatch, EventRef};
use reel_projector::ports::{Delivery, FailurePolicy};
use reel_projector::{
    ApplyError, Cell, Change, Operation, Orders, Plugin, Progress, RunError, RunSettings, ShardParts, Sink, Source,
    SourceError, ValueRef, run,
};
use reel_read_model::{Generation, Target};
use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use uuid::Uuid;

use crate::place::Place;
use crate::samples::{all, ask, component, int, new_generation, point, text};

const EVENTS: u64 = 400;
const BATCH: u64 = 20;
const NAMES: u64 = 13;
const SHARDS: u32 = 2;

/// Counts events by a name that all shards share.
struct Counter;

impl Plugin for Counter {
    fn apply(&mut self, batch: &EventBatch, range: Range<usize>, sink: &mut dyn Sink) -> Result<(), ApplyError> {
        for event in range {
            let name = format!("name-{}", batch.get(event).position % NAMES);
            let cell = |column, value| Cell { column, value };
            let cells = [cell(0, ValueRef::Text(name.as_bytes())), cell(1, ValueRef::Int(1))];
            sink.emit(Change { event, table: 0, operation: Operation::Add, cells: &cells })?;
        }
        Ok(())
    }
}

/// The same events for each shard, in batches, then silence.
struct Events {
    next: u64,
}

#[async_trait]
impl Source for Events {
    async fn next(&mut self, _most: usize) -> Result<Delivery, SourceError> {
        if self.next > EVENTS {
            std::future::pending::<()>().await;
        }
        let mut events = EventBatch::new();
        for position in self.next..self.next + BATCH {
            events.push(EventRef {
                position,
                version: position,
                id: Uuid::from_u128(u128::from(position)),
                stream: "all-1",
                kind: "counted",
                schema: 1,
                recorded_at: 0,
                payload: "{}",
                metadata: "{}",
            });
        }
        self.next += BATCH;
        Ok(Delivery { events, through: point(self.next - 1), head: EVENTS })
    }
}

/// How much of each name there is, in a table that all shards share.
fn counts() -> Value {
    json!({
        "manifest": 1, "name": "counts", "version": "1.0.0", "kinds": ["*"],
        "tables": [{
            "name": "counts",
            "columns": [
                {"name": "name", "type": "text", "length": 64},
                {"name": "count", "type": "int64", "default": 0},
                {"name": "note", "type": "text", "default": "new"}
            ],
            "key": ["name"],
            "shared": true
        }]
    })
}

/// A shard's loop, which runs until it is stopped.
struct Loop {
    stop: watch::Sender<bool>,
    running: JoinHandle<Result<(), RunError>>,
}

impl Loop {
    async fn start(target: &dyn Target, generation: &Generation, number: u32) -> Loop {
        let (stop, stopped) = watch::channel(false);
        let (commits, _) = watch::channel(0);
        let read_model = target.read_model(generation);
        let parts = ShardParts {
            manifest: Arc::clone(&generation.manifest),
            plugin: Box::new(Counter),
            checkpoint: read_model.checkpoint(number).await.unwrap().unwrap(),
            read_model,
            number,
            shards: SHARDS,
            cache_bytes: 1 << 20,
            progress: Arc::new(Progress::new(0, commits)),
        };
        let settings = RunSettings {
            on_failure: FailurePolicy::Halt,
            let_go: HashSet::new(),
            parked: HashSet::new(),
            most_events: BATCH as usize,
        };
        let running = tokio::spawn(async move {
            let (_open, requests) = mpsc::channel(1);
            run(parts, Box::new(Events { next: 1 }), settings, &mut Orders { stop: stopped, requests }).await
        });
        Loop { stop, running }
    }
}

pub(crate) async fn two_shards_add_to_the_same_rows(place: Arc<Place>) {
    let target = place.target.as_ref();
    let manifest = counts();
    target.put_component(&component(&manifest)).await.unwrap();
    let generation = target.create_generation(new_generation(&manifest, SHARDS)).await.unwrap();
    let mut loops = Vec::new();
    for number in 0..SHARDS {
        loops.push(Loop::start(target, &generation, number).await);
    }
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(60);
    while target.checkpoints(generation.id).await.unwrap().iter().any(|at| at.point.position < EVENTS) {
        assert!(tokio::time::Instant::now() < deadline, "the loops do not get there");
        assert!(loops.iter().all(|one| !one.running.is_finished()), "a loop ended");
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    for Loop { stop, running } in loops {
        stop.send(true).unwrap();
        running.await.unwrap().unwrap();
    }
    let rows = ask(target, &generation, &all(&generation, 0)).await;
    assert_eq!(rows.len() as u64, NAMES);
    for row in rows {
        let events = (1..=EVENTS).filter(|position| row[0] == text(&format!("name-{}", position % NAMES))).count();
        assert_eq!((&row[1], &row[2]), (&int(i64::from(SHARDS) * events as i64), &text("new")));
    }
}
