//! `deploy`: from sending a component until readers see a row that it made.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Args;
use uuid::Uuid;

use crate::error::BenchError;
use crate::http::Client;
use crate::posts::component;
use crate::reel::{Reel, Which, milliseconds};
use crate::report::{Report, percentiles};

/// From sending a component until it processes, compiled for the first time and again
#[derive(Debug, Args)]
pub(crate) struct Deploy {
    /// How often each is measured
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    #[command(flatten)]
    which: Which,
    /// The component of the posts example; built where none is given
    #[arg(long, value_name = "FILE")]
    component: Option<PathBuf>,
}

pub(crate) async fn run(deploy: Deploy) -> Result<Report, BenchError> {
    let component = component(deploy.component.as_deref())?;
    let (mut cold, mut warm) = (Vec::new(), Vec::new());
    for _ in 0..deploy.rounds.max(1) {
        let data = tempfile::tempdir().map_err(BenchError::doing("making a temporary directory"))?;
        let reel = Reel::up(&deploy.which, data.path()).await?;
        let (client, post) = (Client::of(&reel)?, Uuid::from_u128(1));
        client.create(post).await?;
        cold.push(until_processing(&client, ("posts", post), &component).await?);
        // The same bytes under another name: compiled already.
        warm.push(until_processing(&client, ("posts-again", post), &component).await?);
        reel.stop().await?;
    }
    let mut report = Report::new("deploy", &["measured", "median_ms", "slowest_ms"]);
    for (name, values) in [("first deploy (compiles)", cold), ("the same component again", warm)] {
        let slowest = values.iter().copied().fold(0.0, f64::max);
        let [median, ..] = percentiles(values);
        report.row(vec![name.into(), median.into(), slowest.into()]);
    }
    report.note(format!(
        "a component of {} KiB, {} rounds, each with an empty cache first",
        component.len() / 1024,
        deploy.rounds
    ));
    report.note("goal: under 1,000 ms".into());
    Ok(report)
}

/// Milliseconds.
async fn until_processing(
    client: &Client,
    (projection, post): (&str, Uuid),
    component: &[u8],
) -> Result<f64, BenchError> {
    let began = Instant::now();
    client.deploy(projection, component).await?;
    while !client.is_visible(projection, post).await? {
        if began.elapsed() > Duration::from_secs(60) {
            return Err(BenchError::Failed(format!("{projection} shows no row after 60 s")));
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    Ok(milliseconds(began))
}
