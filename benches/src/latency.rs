//! `latency`: from a command to the row that readers see, over HTTP, with everything embedded in one process; and how many commands
//! a second there can be.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Args;
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::error::BenchError;
use crate::http::Client;
use crate::posts::component;
use crate::reel::{Reel, Which, milliseconds};
use crate::report::{Report, percentiles};

/// From a command to its row in the read API; and commands a second
#[derive(Debug, Args)]
pub(crate) struct Latency {
    /// Commands that are followed, one after the other
    #[arg(long, default_value_t = 1_000)]
    commands: usize,
    /// Posts that they are about
    #[arg(long, default_value_t = 100)]
    posts: usize,
    /// Clients that send commands at once, for commands a second
    #[arg(long, default_value_t = 64)]
    clients: usize,
    /// For how many seconds they do
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    #[command(flatten)]
    which: Which,
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
    let reel = Reel::up(&latency.which, data.path()).await?;
    let client = Client::of(&reel)?;
    client.deploy(PROJECTION, &component(latency.component.as_deref())?).await?;
    let posts: Vec<Uuid> = (0..latency.posts.max(1)).map(|number| Uuid::from_u128(number as u128 + 1)).collect();
    for post in &posts {
        client.create(*post).await?;
    }
    until_visible(&client, *posts.last().expect("there is at least one")).await?;
    // The first tenth warms up.
    follow(&client, &posts, latency.commands / 10).await?;
    let times = follow(&client, &posts, latency.commands).await?;
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
    let rate = flood(&client, &posts, (latency.clients, Duration::from_secs(latency.seconds))).await?;
    report.note(format!("{} commands, one after the other, by one client on this machine", latency.commands));
    report.note(format!("{} clients: {rate:.0} commands/s (client and Reel share this machine)", latency.clients));
    report.note("goal: visible within 10 ms at the median".into());
    reel.stop().await?;
    Ok(report)
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

/// Many clients that like posts as fast as they are answered; commands a second.
async fn flood(client: &Client, posts: &[Uuid], (clients, long): (usize, Duration)) -> Result<f64, BenchError> {
    let began = Instant::now();
    let mut all = JoinSet::new();
    for number in 0..clients {
        let (client, post) = (client.clone(), posts[number % posts.len()]);
        all.spawn(async move {
            let mut sent = 0_u64;
            while began.elapsed() < long {
                client.like(post).await?;
                sent += 1;
            }
            Ok::<u64, BenchError>(sent)
        });
    }
    let mut sent = 0;
    while let Some(done) = all.join_next().await {
        sent += done.map_err(BenchError::doing("waiting for a client"))??;
    }
    Ok(sent as f64 / began.elapsed().as_secs_f64())
}
