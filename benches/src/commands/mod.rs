//! `commands`: how many commands a second a command service takes, over HTTP, with the embedded store and with MongoDB; there against
//! what the same server takes of the same documents in bare ordered batches.

mod flood;

use std::path::Path;
use std::time::Duration;

use clap::Args;

use self::flood::{Clients, Flood};
use crate::error::BenchError;
use crate::mongodb::Server;
use crate::reel::{Reel, Which};
use crate::report::{Report, percentiles};

/// Commands a second that a command service takes
#[derive(Debug, Args)]
pub(crate) struct Commands {
    /// Clients that send commands at once
    #[arg(long, default_value_t = 64)]
    clients: usize,
    /// Posts that the commands are about, one after the other
    #[arg(long, default_value_t = 1_000)]
    posts: usize,
    /// For how many seconds, each time
    #[arg(long, default_value_t = 3)]
    seconds: u64,
    /// How often each is measured; the best counts, as other work on the machine only slows it down
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// A MongoDB server, measured as well; the database that is made there is dropped in the end
    #[arg(long, env = "REEL_TEST_MONGODB", value_name = "URL", hide_env_values = true)]
    mongodb: Option<String>,
    #[command(flatten)]
    which: Which,
}

pub(crate) async fn run(commands: Commands) -> Result<Report, BenchError> {
    let columns = &["store", "commands_per_second", "median_ms", "p95_ms", "p99_ms", "bare_per_second", "ratio"];
    let mut report = Report::new("commands", columns);
    let embedded = commands.embedded().await?;
    row(&mut report, "embedded", &embedded, None);
    if let Some(address) = &commands.mongodb {
        let server = Server::at(address).await?;
        let measured = commands.on(&server).await;
        server.clean().await?;
        let (flood, bare) = measured?;
        row(&mut report, "mongodb", &flood, Some(bare));
    }
    report.note(format!(
        "{} clients, which share this machine with the service; the best of {} times {} s",
        commands.clients, commands.rounds, commands.seconds
    ));
    report.note(format!("bare: the same documents once more, in ordered batches of {}", commands.clients));
    report.note("goals: 10,000 commands/s embedded; a ratio of 0.7 with MongoDB".into());
    Ok(report)
}

fn row(report: &mut Report, store: &str, flood: &Flood, bare: Option<f64>) {
    let [median, p95, p99] = percentiles(flood.waited.clone());
    let (rate, bare) = (flood.rate(), bare.unwrap_or(f64::NAN));
    report.row(vec![
        store.into(),
        rate.round().into(),
        median.into(),
        p95.into(),
        p99.into(),
        bare.round().into(),
        (rate / bare).into(),
    ]);
}

impl Commands {
    async fn embedded(&self) -> Result<Flood, BenchError> {
        let data = tempfile::tempdir().map_err(BenchError::doing("making a temporary directory"))?;
        let reel = self.service(data.path(), &[]).await?;
        let mut clients = Clients::of(&reel.url, self.clients, self.posts).await?;
        let mut best = Flood::default();
        for _ in 0..self.rounds.max(1) {
            best = better(best, clients.like(self.long()).await?);
        }
        reel.stop().await?;
        Ok(best)
    }

    /// The best of the service and the best of bare batches, in turns.
    async fn on(&self, server: &Server) -> Result<(Flood, f64), BenchError> {
        let data = tempfile::tempdir().map_err(BenchError::doing("making a temporary directory"))?;
        let reel = self.service(data.path(), &["--store", &server.store()]).await?;
        let mut clients = Clients::of(&reel.url, self.clients, self.posts).await?;
        let (mut best, mut bare) = (Flood::default(), 0.0_f64);
        for _ in 0..self.rounds.max(1) {
            let flood = clients.like(self.long()).await?;
            let took: f64 = server.write_again(flood.answered, self.clients).await?.iter().sum();
            bare = bare.max(flood.answered as f64 * 1_000.0 / took);
            best = better(best, flood);
        }
        reel.stop().await?;
        Ok((best, bare))
    }

    async fn service(&self, data: &Path, further: &[&str]) -> Result<Reel, BenchError> {
        let arguments = [&["serve", "command-service"], further].concat();
        Reel::start(&self.which, &arguments, data).await
    }

    fn long(&self) -> Duration {
        Duration::from_secs(self.seconds)
    }
}

fn better(one: Flood, other: Flood) -> Flood {
    if one.answered == 0 || other.rate() > one.rate() { other } else { one }
}
