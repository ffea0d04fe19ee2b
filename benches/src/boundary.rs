//! `boundary`: what an event costs that goes through a WebAssembly component, against the same logic compiled into this program.

use std::hint::black_box;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use clap::Args;
use reel_events::{EventBatch, LogId, LogPoint};
use reel_projector::ports::SinkError;
use reel_projector::{Change, Checkpoint, Plugin, Row, Sink, ValueRef};
use uuid::Uuid;

use crate::error::BenchError;
use crate::held::Held;
use crate::pipeline::{Batches, Parts, run_to};
use crate::posts::{Posts, Runs};
use crate::report::{Report, percentiles};
use crate::workload::{Size, Social};

/// The plugin boundary: nanoseconds an event, WebAssembly against native
#[derive(Debug, Args)]
pub(crate) struct Boundary {
    /// Events that are applied
    #[arg(long, default_value_t = 200_000)]
    events: usize,
    /// Events in one call
    #[arg(long, default_value_t = 1_000)]
    batch: usize,
    /// How often each is measured; the median counts
    #[arg(long, default_value_t = 7)]
    rounds: usize,
    /// Seed of the workload
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Only this one, over and over, so that a profiler sees nothing else
    #[arg(long, value_enum)]
    only: Option<Runs>,
    /// The component of the posts example; built where none is given
    #[arg(long, value_name = "FILE")]
    component: Option<PathBuf>,
}

/// Counts what is emitted, and forgets it.
#[derive(Debug, Default)]
struct Counting {
    changes: u64,
}

impl Sink for Counting {
    fn emit(&mut self, change: Change<'_>) -> Result<(), SinkError> {
        black_box(&change);
        self.changes += 1;
        Ok(())
    }

    fn read(&mut self, _event: usize, _table: u16, keys: &[ValueRef<'_>]) -> Result<Vec<Option<Row>>, SinkError> {
        Ok(vec![None; keys.len()])
    }
}

/// What the events go into.
#[derive(Debug, Clone, Copy)]
enum Through {
    /// A sink that counts: the projection's code and the boundary, no more.
    Counter,
    /// The whole loop, with checks and fold, and rows held in memory.
    Fold,
}

pub(crate) async fn run(boundary: Boundary) -> Result<Report, BenchError> {
    let posts = Posts::load(boundary.component.as_deref())?;
    let size = Size { events: boundary.events, posts: boundary.events.div_ceil(20) };
    let mut social = Social::new(size, boundary.seed);
    let batches: Vec<EventBatch> =
        (0..size.events.div_ceil(boundary.batch)).map(|_| social.batch(boundary.batch)).collect();
    if let Some(runs) = boundary.only {
        return only(&posts, runs, (&batches, boundary.rounds)).await;
    }
    let mut report =
        Report::new("boundary", &["measured", "native_ns_per_event", "wasm_ns_per_event", "wasm_to_native"]);
    for (name, through) in [("plugin alone", Through::Counter), ("loop with fold, rows in memory", Through::Fold)] {
        let (mut native, mut wasm) = (Vec::new(), Vec::new());
        // One round more than asked for: the first warms up. They take turns, so that a busy moment of the machine meets both.
        for _ in 0..=boundary.rounds {
            native.push(measure(&posts, Runs::Native, through, &batches).await?);
            wasm.push(measure(&posts, Runs::Wasm, through, &batches).await?);
        }
        let [native, ..] = percentiles(native.split_off(1));
        let [wasm, ..] = percentiles(wasm.split_off(1));
        report.row(vec![name.into(), native.into(), wasm.into(), (wasm / native).into()]);
    }
    let ones: Vec<EventBatch> = batches[0].iter().take(500).map(|event| std::iter::once(event).collect()).collect();
    let call = measure(&posts, Runs::Wasm, Through::Counter, &ones).await?;
    report.note(format!(
        "{} events, {} a call; a call with one event takes {:.1} µs",
        size.events,
        boundary.batch,
        call / 1000.0
    ));
    report.note("goal: wasm at most 500 ns an event alone, and at most 2.5 times native".into());
    Ok(report)
}

async fn only(posts: &Posts, runs: Runs, (batches, rounds): (&[EventBatch], usize)) -> Result<Report, BenchError> {
    let mut report = Report::new("boundary", &["runs", "ns_per_event"]);
    for _ in 0..rounds {
        report.row(vec![runs.name().into(), measure(posts, runs, Through::Counter, batches).await?.into()]);
    }
    Ok(report)
}

/// Nanoseconds an event.
async fn measure(posts: &Posts, runs: Runs, through: Through, batches: &[EventBatch]) -> Result<f64, BenchError> {
    let plugin = posts.plugin(runs)?;
    let events: usize = batches.iter().map(EventBatch::len).sum();
    let elapsed = match through {
        Through::Counter => alone(plugin, batches)?,
        Through::Fold => {
            let manifest = Arc::clone(posts.loaded.manifest());
            let checkpoint = Checkpoint { log: LogId(Uuid::nil()), point: LogPoint::START, layout: 1, epoch: 1 };
            let parts = Parts {
                read_model: Arc::new(Held::new(Arc::clone(&manifest), checkpoint)),
                manifest,
                plugin,
                source: Box::new(Batches::new(batches.to_vec())),
                checkpoint,
                batch: events,
                cache_bytes: 4 << 30,
            };
            run_to(events as u64, parts).await?
        }
    };
    Ok(elapsed.as_secs_f64() * 1e9 / events as f64)
}

fn alone(mut plugin: Box<dyn Plugin>, batches: &[EventBatch]) -> Result<std::time::Duration, BenchError> {
    let mut sink = Counting::default();
    let began = Instant::now();
    for batch in batches {
        plugin.apply(batch, 0..batch.len(), &mut sink).map_err(BenchError::doing("applying events"))?;
    }
    let elapsed = began.elapsed();
    if sink.changes == 0 {
        return Err(BenchError::Failed("the projection emitted nothing: what was measured means nothing".into()));
    }
    Ok(elapsed)
}
