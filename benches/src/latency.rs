//! `latency`: from a command to the row that readers see, over HTTP: with everything embedded in one process, or through servers with
//! each process apart. How many commands a second there can be is measured by `commands`.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::Args;
use uuid::Uuid;

use crate::error::BenchError;
use crate::http::Client;
use crate::posts::component;
use crate::reel::{Reel, Which, milliseconds};
use crate::report::{Report, percentiles};
use crate::servers::{Apart, Servers};

/// From a command to its row in the read API
#[derive(Debug, Args)]
pub(crate) struct Latency {
    /// Commands that are followed, one after the other
    #[arg(long, default_value_t = 1_000)]
    commands: usize,
    /// Posts that they are about
    #[arg(long, default_value_t = 100)]
    posts: usize,
    #[command(flatten)]
    which: Which,
    /// Through MongoDB, Kafka and PostgreSQL, with command service, host and read API each in a process of its own
    #[arg(long)]
    servers: bool,
    #[command(flatten)]
    places: Servers,
    /// The component of the posts example; built where none is given
    #[arg(long, value_name = "FILE")]
    component: Option<PathBuf>,
}

const PROJECTION: &str = "posts";

/// What is timed, one entry a command. Milliseconds.
#[derive(Debug, Default)]
struct Times {
    command: Vec<f64>,
    visible: Vec<f64>,
    whole: Vec<f64>,
    read: Vec<f64>,
}

pub(crate) async fn run(latency: Latency) -> Result<Report, BenchError> {
    let data = tempfile::tempdir().map_err(BenchError::doing("making a temporary directory"))?;
    let component = component(latency.component.as_deref())?;
    if latency.servers {
        latency.apart(&component, data.path()).await
    } else {
        latency.embedded(&component, data.path()).await
    }
}

impl Latency {
    async fn embedded(&self, component: &[u8], data: &Path) -> Result<Report, BenchError> {
        let reel = Reel::up(&self.which, data).await?;
        let times = self.measure(&Client::of(&reel)?, component).await?;
        reel.stop().await?;
        let mut report = self.report(times);
        report.note("goal: visible within 10 ms at the median".into());
        Ok(report)
    }

    /// Held against what the store's own insert takes: the same documents once more, one after the other.
    async fn apart(&self, component: &[u8], data: &Path) -> Result<Report, BenchError> {
        let apart = Apart::start(&self.places, &self.which, data).await?;
        let client = Client::apart(&apart.commands, &apart.host, &apart.reads)?;
        let times = self.measure(&client, component).await?;
        let inserted = apart.mongodb.write_again(self.commands as u64, 1).await?;
        apart.stop().await?;
        let [sent, ..] = percentiles(times.whole.clone());
        let [insert, p95, p99] = percentiles(inserted);
        let mut report = self.report(times);
        report.row(vec!["the store's own insert".into(), insert.into(), p95.into(), p99.into()]);
        report
            .note(format!("visible {:.1} ms above the store's own insert, at the median; goal: 20 ms", sent - insert));
        Ok(report)
    }

    async fn measure(&self, client: &Client, component: &[u8]) -> Result<Times, BenchError> {
        client.deploy(PROJECTION, component).await?;
        let posts: Vec<Uuid> = (0..self.posts.max(1)).map(|number| Uuid::from_u128(number as u128 + 1)).collect();
        for post in &posts {
            client.create(*post).await?;
        }
        until_visible(client, *posts.last().expect("there is at least one")).await?;
        // The first tenth warms up.
        follow(client, &posts, self.commands / 10).await?;
        follow(client, &posts, self.commands).await
    }

    fn report(&self, times: Times) -> Report {
        let mut report = Report::new("latency", &["measured", "median_ms", "p95_ms", "p99_ms"]);
        let rows = [
            ("command acknowledged → row visible", times.visible),
            ("command sent → row visible", times.whole),
            ("command sent → acknowledged", times.command),
            ("read without waiting", times.read),
        ];
        for (name, values) in rows {
            let [median, p95, p99] = percentiles(values);
            report.row(vec![name.into(), median.into(), p95.into(), p99.into()]);
        }
        report.note(format!("{} commands, one after the other, by one client on this machine", self.commands));
        report
    }
}

async fn until_visible(client: &Client, post: Uuid) -> Result<(), BenchError> {
    let began = Instant::now();
    while !client.is_visible(PROJECTION, post).await? {
        if began.elapsed() > Duration::from_secs(30) {
            return Err(BenchError::Failed("the projection did not go live within 30 s".into()));
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Ok(())
}

/// Likes posts one after the other, and reads each once its like is there.
async fn follow(client: &Client, posts: &[Uuid], commands: usize) -> Result<Times, BenchError> {
    let mut times = Times::default();
    for number in 0..commands {
        let post = posts[number % posts.len()];
        let before = client.likes((PROJECTION, post), None).await?;
        let sent = Instant::now();
        let token = client.like(post).await?;
        let acknowledged = Instant::now();
        let likes = client.likes((PROJECTION, post), Some(&token)).await?;
        times.visible.push(milliseconds(acknowledged));
        times.whole.push(milliseconds(sent));
        times.command.push((acknowledged - sent).as_secs_f64() * 1000.0);
        if likes != before + 1 {
            return Err(BenchError::Failed(format!("{before} likes and one more are seen as {likes}")));
        }
        let reading = Instant::now();
        client.likes((PROJECTION, post), None).await?;
        times.read.push(milliseconds(reading));
    }
    Ok(times)
}
