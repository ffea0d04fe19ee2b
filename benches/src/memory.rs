//! `memory`: what memory a host takes while it follows millions of events: `reel serve host` in a process of its own, over MongoDB, Kafka
//! and PostgreSQL. It must not take more the further it gets.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Args;
use reel_event_log::{EventStore, Limits, MongoStore};
use tokio::sync::watch;

use crate::error::BenchError;
use crate::http::Client;
use crate::posts::component;
use crate::process::{Resident, resident_of};
use crate::reel::{Reel, Which};
use crate::report::Report;
use crate::servers::{Apart, Servers};
use crate::workload::{Size, Social};

/// The name that the projection has.
const PROJECTION: &str = "posts";
/// Where the host is held against where it was at the first: tenths of all events.
const MARKS: [usize; 4] = [1, 3, 6, 10];
/// Events that are made at once, about this many posts.
const PORTION: Size = Size { events: 20_000, posts: 200 };
/// How often the host is looked at.
const LOOK: Duration = Duration::from_millis(200);
/// How long it may stand still.
const PATIENCE: Duration = Duration::from_secs(120);

/// Memory of a host over millions of events; fails where it grows
#[derive(Debug, Args)]
pub(crate) struct Memory {
    /// Events that the host follows
    #[arg(long, default_value_t = 10_000_000)]
    events: usize,
    /// How far the log may be ahead of the host: what is live is close behind
    #[arg(long, default_value_t = 200_000)]
    ahead: u64,
    /// By how many percent the memory behind the first tenth may be more than in it
    #[arg(long, default_value_t = 25, value_name = "PERCENT")]
    growth: u64,
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
    let data = tempfile::tempdir().map_err(BenchError::doing("making a temporary directory"))?;
    let component = component(memory.component.as_deref())?;
    let apart = Apart::start(&memory.servers, &memory.which, data.path()).await?;
    let measured = memory.measure(&apart, &component).await;
    apart.stop().await?;
    Ok(memory.report(&measured?))
}

impl Memory {
    async fn measure(&self, apart: &Apart, component: &[u8]) -> Result<Vec<Stretch>, BenchError> {
        let client = Client::apart(&apart.commands, &apart.host, &apart.reads)?;
        client.deploy(PROJECTION, component).await?;
        let store = MongoStore::open(&apart.mongodb.store(), Limits::default()).await;
        let store = store.map_err(BenchError::doing("opening the event store"))?;
        let (followed, position) = watch::channel(0);
        let feeding = tokio::spawn(feed(store, self.events, self.ahead, position));
        let walk = Walk { host: &apart.host, client, followed, began: Instant::now() };
        let mut stretches = Vec::new();
        for mark in MARKS {
            stretches.push(walk.to((self.events * mark / MARKS[MARKS.len() - 1]) as u64).await?);
        }
        feeding.await.map_err(BenchError::doing("feeding the log"))??;
        Ok(stretches)
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
            "the posts example, never more than {} events and a portion behind the log; most resident: in this part of the way",
            self.ahead
        ));
        let first = stretches.first().map_or(0, |stretch| stretch.most);
        let later = stretches.iter().skip(1).map(|stretch| stretch.most).max().unwrap_or(0);
        let bound = first + first * self.growth / 100;
        let compared = format!("{later} MiB behind the first tenth, {first} in it; at most {bound} are taken for flat");
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
    client: Client,
    followed: watch::Sender<u64>,
    began: Instant,
}

impl Walk<'_> {
    /// Waits until the host's rows are at `events`, and looks at its memory meanwhile.
    async fn to(&self, events: u64) -> Result<Stretch, BenchError> {
        let (mut moved, mut most) = (Instant::now(), 0);
        loop {
            let resident = self.host.process().and_then(resident_of);
            let end = resident.ok_or_else(|| BenchError::Failed("the host has ended".into()))?;
            most = most.max(end.now);
            let position = self.client.position(PROJECTION).await?.unwrap_or(0);
            if self.followed.send_replace(position) != position {
                moved = Instant::now();
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

/// Appends so many events, as far ahead of who follows them as is allowed.
async fn feed(
    store: MongoStore,
    events: usize,
    ahead: u64,
    mut followed: watch::Receiver<u64>,
) -> Result<(), BenchError> {
    for (seed, begin) in (0..).zip((0..events).step_by(PORTION.events)) {
        let behind = followed.wait_for(|followed| begin as u64 <= followed + ahead);
        behind.await.map_err(BenchError::doing("waiting for the host"))?;
        let commits = Social::new(PORTION, seed).commits_by_post((events - begin).min(PORTION.events));
        for answer in store.append_all(commits).await {
            answer.map_err(BenchError::doing("feeding the log"))?;
        }
    }
    Ok(())
}
