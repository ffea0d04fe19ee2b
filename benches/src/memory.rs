//! `memory`: what memory a host takes while it follows millions of events: `reel serve host` in a process of its own, its topic in Kafka, its
//! rows in PostgreSQL. It must not take more the further it gets.
//!
//! The store is the embedded one, which admits one process at a time: the projection goes live over an empty log, then the log is written and
//! published without the host, which is as far behind as can be when it begins to follow.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::Args;
use reel_event_log::topic::kafka::TopicUrl;

use crate::error::BenchError;
use crate::http::Client;
use crate::posts::component;
use crate::process::{Resident, resident_of};
use crate::reel::{Reel, Which};
use crate::relayed::{Relayed, delete, own_topic};
use crate::report::Report;
use crate::servers::{Database, Servers, given};
use crate::store;
use crate::workload::Size;

/// The name that the projection has.
const PROJECTION: &str = "posts";
/// Where the host is looked at: tenths of all events.
const MARKS: [usize; 4] = [1, 3, 6, 10];
/// So many stretches are its beginning, in which batches grow: what comes behind is held against it.
const BEGINNING: usize = 2;
/// How often its memory is looked at in between.
const LOOK: Duration = Duration::from_millis(100);
/// How long it may stand still.
const PATIENCE: Duration = Duration::from_secs(120);

/// Memory of a host over millions of events; fails where it grows
#[derive(Debug, Args)]
pub(crate) struct Memory {
    /// Events that the host follows
    #[arg(long, default_value_t = 10_000_000)]
    events: usize,
    /// Partitions of the topic, and shards
    #[arg(long, default_value_t = 8)]
    partitions: u32,
    /// By how many percent the memory behind the first three tenths may be more than in them
    #[arg(long, default_value_t = 25, value_name = "PERCENT")]
    growth: u64,
    /// Seed of the workload
    #[arg(long, default_value_t = 1)]
    seed: u64,
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    servers: Servers,
    /// The component of the posts example; built where none is given
    #[arg(long, value_name = "FILE")]
    component: Option<PathBuf>,
}

/// A part of the way.
#[derive(Debug, Clone, Copy)]
struct Stretch {
    /// Where it ends.
    events: u64,
    seconds: f64,
    /// The most that was resident in it, of what was seen.
    most: u64,
    /// At its end.
    end: Resident,
}

pub(crate) async fn run(memory: Memory) -> Result<Report, BenchError> {
    let files = tempfile::tempdir().map_err(BenchError::doing("making a temporary directory"))?;
    let component = component(memory.component.as_deref())?;
    let topic = own_topic(given(memory.servers.kafka.as_deref(), "kafka")?)?;
    let postgres = Database::make(given(memory.servers.postgres.as_deref(), "postgres")?).await?;
    let place = Place { files: files.path(), topic: topic.clone(), target: postgres.url()? };
    let measured = memory.measure(&place, &component).await;
    postgres.delete().await?;
    delete(&[&topic]).await?;
    Ok(memory.report(&measured?))
}

/// Where all of it is.
struct Place<'a> {
    files: &'a Path,
    topic: TopicUrl,
    target: String,
}

impl Place<'_> {
    async fn host(&self, which: &Which) -> Result<Reel, BenchError> {
        let store = format!("sqlite:{}", self.files.join("events.db").display());
        let topic = format!("kafka://{}/{}", self.topic.brokers(), self.topic.topic());
        let arguments = ["serve", "host", "--store", &store, "--topic", &topic, "--target", &self.target];
        Reel::start(which, &arguments, self.files).await
    }
}

impl Memory {
    async fn measure(&self, place: &Place<'_>, component: &[u8]) -> Result<Vec<Stretch>, BenchError> {
        self.publish(place, 0).await?;
        let host = place.host(&self.which).await?;
        let client = Client::of(&host)?;
        client.deploy(PROJECTION, component).await?;
        Walk::of(&host, &client).until_live().await?;
        host.stop().await?;
        self.publish(place, self.events).await?;

        let host = place.host(&self.which).await?;
        let client = Client::of(&host)?;
        let walk = Walk::of(&host, &client);
        let mut stretches = Vec::new();
        for mark in MARKS {
            stretches.push(walk.to((self.events * mark / MARKS[MARKS.len() - 1]) as u64).await?);
        }
        host.stop().await?;
        Ok(stretches)
    }

    /// Writes so many events, and has the relay publish them.
    async fn publish(&self, place: &Place<'_>, events: usize) -> Result<(), BenchError> {
        let relayed = Relayed::new(place.files, place.topic.clone(), self.partitions).await?;
        if events > 0 {
            store::fill(&*relayed.store, Size { events, posts: events.div_ceil(20) }, self.seed).await?;
        }
        relayed.published(events as u64).await?;
        relayed.stop().await;
        Ok(())
    }

    fn report(&self, stretches: &[Stretch]) -> Report {
        let columns =
            &["events", "seconds", "events_per_second", "resident_mib", "most_resident_mib", "peak_so_far_mib"];
        let mut report = Report::new("memory", columns);
        let (mut before, mut began) = (0, 0.0);
        for Stretch { events, seconds, most, end } in stretches {
            let rate = (events - before) as f64 / (seconds - began);
            (before, began) = (*events, *seconds);
            let figures = [(*events).into(), (*seconds).into(), rate.round().into()];
            report.row([&figures[..], &[end.now.into(), (*most).into(), end.peak.into()]].concat());
        }
        report.note(format!(
            "the posts example in {} shards, all events published before; most resident: in this part of the way",
            self.partitions
        ));
        let most = |stretches: &[Stretch]| stretches.iter().map(|stretch| stretch.most).max().unwrap_or(0);
        let (beginning, rest) = stretches.split_at(BEGINNING.min(stretches.len()));
        let (first, later) = (most(beginning), most(rest));
        let bound = first + first * self.growth / 100;
        let compared =
            format!("{later} MiB behind the first three tenths, {first} in them; at most {bound} are taken for flat");
        if later > bound {
            report.missed(format!("the host's memory grows: {compared}"));
        } else {
            report.note(format!("flat: {compared}"));
        }
        report
    }
}

/// A host on its way.
struct Walk<'a> {
    host: &'a Reel,
    client: &'a Client,
    began: Instant,
}

impl<'a> Walk<'a> {
    fn of(host: &'a Reel, client: &'a Client) -> Walk<'a> {
        Walk { host, client, began: Instant::now() }
    }

    async fn until_live(&self) -> Result<(), BenchError> {
        while self.client.position(PROJECTION).await?.is_none() {
            if self.began.elapsed() > PATIENCE {
                return Err(BenchError::Failed("the projection does not go live".into()));
            }
            tokio::time::sleep(LOOK).await;
        }
        Ok(())
    }

    /// Waits until the host's rows are at `events`, and looks at its memory meanwhile.
    async fn to(&self, events: u64) -> Result<Stretch, BenchError> {
        let (mut moved, mut at, mut most) = (Instant::now(), 0, 0);
        loop {
            let resident = self.host.process().and_then(resident_of);
            let end = resident.ok_or_else(|| BenchError::Failed("the host has ended".into()))?;
            most = most.max(end.now);
            let position = self.client.position(PROJECTION).await?.unwrap_or(0);
            if position > at {
                (at, moved) = (position, Instant::now());
            }
            if position >= events {
                return Ok(Stretch { events, seconds: self.began.elapsed().as_secs_f64(), most, end });
            }
            if moved.elapsed() > PATIENCE {
                return Err(BenchError::Failed(format!("the host stands still at {position}")));
            }
            tokio::time::sleep(LOOK).await;
        }
    }
}
