//! `live`: events a second into a read database as they arrive, in batches, by the host's own loop; against one transaction with its upserts
//! for each event, on the same server, in the same run.

mod by_hand;
mod tds;

use std::sync::Arc;

use clap::Args;
use reel_events::{EventBatch, LogId};
use uuid::Uuid;

use self::by_hand::ByHand;
use crate::error::BenchError;
use crate::pipeline::{Batches, Parts, run_to};
use crate::posts::{Posts, Runs};
use crate::read_databases::ReadDatabases;
use crate::rebuild::Kind;
use crate::rebuild::place;
use crate::report::Report;
use crate::workload::{Size, Social};

/// Memory for rows that are kept at hand, as a host has it.
const CACHE_BYTES: usize = 64 << 20;

/// Events a second as they arrive, into each read database, against one upsert an event by hand
#[derive(Debug, Args)]
pub(crate) struct Live {
    /// Events
    #[arg(long, default_value_t = 200_000)]
    events: usize,
    /// Events of one batch
    #[arg(long, default_value_t = 1_000)]
    batch: usize,
    /// Events by hand, of the same workload
    #[arg(long, default_value_t = 3_000)]
    by_hand: usize,
    /// Seed of the workload
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// What they go into, repeatable [default: sqlite, and the servers whose URLs are given]
    #[arg(long = "target", value_enum)]
    targets: Vec<Kind>,
    #[command(flatten)]
    databases: ReadDatabases,
    /// The component of the posts example; built where none is given
    #[arg(long, value_name = "FILE")]
    component: Option<std::path::PathBuf>,
}

/// What one target came to, in events a second.
struct Measured {
    live: f64,
    /// Nothing where there is no server to be driven by hand.
    by_hand: Option<f64>,
}

pub(crate) async fn run(live: Live) -> Result<Report, BenchError> {
    let posts = Posts::load(live.component.as_deref())?;
    let mut report = Report::new("live", &["target", "events_per_second", "one_by_one_per_second", "ratio"]);
    for kind in live.targets() {
        let Measured { live: rate, by_hand } = live.measure(kind, &posts).await?;
        let by_hand = by_hand.unwrap_or(f64::NAN);
        report.row(vec![kind.name().into(), rate.round().into(), by_hand.round().into(), (rate / by_hand).into()]);
    }
    report.note(format!("{} events in batches of {}; by hand {} of them", live.events, live.batch, live.by_hand));
    report.note("goals: MariaDB 50,000 events/s; 20 times one by one on every server".into());
    Ok(report)
}

impl Live {
    fn targets(&self) -> Vec<Kind> {
        if !self.targets.is_empty() {
            return self.targets.clone();
        }
        self.databases.kinds()
    }

    fn size(&self) -> Size {
        Size { events: self.events, posts: self.events.div_ceil(20) }
    }

    async fn measure(&self, kind: Kind, posts: &Posts) -> Result<Measured, BenchError> {
        let by_hand = match ByHand::connect(kind, &self.databases).await? {
            None => None,
            Some(by_hand) => Some(by_hand.run(Social::new(self.size(), self.seed).take(self.by_hand)).await?),
        };
        Ok(Measured { live: self.live(kind, posts).await?, by_hand })
    }

    /// The host's loop from the log's beginning, into tables with their keys and indexes.
    async fn live(&self, kind: Kind, posts: &Posts) -> Result<f64, BenchError> {
        let files = tempfile::tempdir().map_err(BenchError::doing("making a temporary directory"))?;
        let target = place::open(kind, files.path(), &self.databases).await?;
        let manifest = Arc::clone(posts.loaded.manifest());
        let log = LogId(Uuid::now_v7());
        let (generation, checkpoint) =
            place::generation(&*target, posts, reel_projector::Manifest::clone(&manifest), log).await?;
        let mut social = Social::new(self.size(), self.seed);
        let batches: Vec<EventBatch> =
            (0..self.events.div_ceil(self.batch)).map(|_| social.batch(self.batch)).collect();
        let parts = Parts {
            manifest,
            source: Box::new(Batches::new(batches)),
            plugin: posts.plugin(Runs::Wasm)?,
            read_model: target.read_model(&generation),
            checkpoint,
            batch: self.batch,
            cache_bytes: CACHE_BYTES,
        };
        let elapsed = run_to(self.events as u64, parts).await?;
        place::drop_generation(&*target, &generation).await?;
        Ok(self.events as f64 / elapsed.as_secs_f64())
    }
}
