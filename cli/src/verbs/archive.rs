//! `reel archive`: what is sealed of the log, whether it is sound, and to remove what nobody reads any more.

use reqwest::Method;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::args::Archive;
use crate::client::{Client, Output};
use crate::error::CliError;
use crate::print;

/// What verifying came to, so far.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Verified {
    sound: u64,
    events: u64,
    bytes: u64,
    damaged: Vec<Damaged>,
    #[serde(skip_serializing)]
    next: Option<u64>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Damaged {
    segment: String,
    reason: String,
    put_aside: bool,
}

#[derive(Debug, Serialize, Deserialize)]
struct Pruned {
    removed: Vec<String>,
    bytes: u64,
}

pub(crate) async fn run(client: &Client, verb: &Archive) -> Result<(), CliError> {
    match verb {
        Archive::Status => status(client).await,
        Archive::Verify { mend } => verify(client, *mend).await,
        Archive::Prune => prune(client).await,
    }
}

async fn status(client: &Client) -> Result<(), CliError> {
    let status: Value = client.json(client.request(Method::GET, "/admin/v1/archive", &[])).await?;
    if client.output == Output::Json {
        return print::json(&status);
    }
    let number = |member: &str| status[member].as_u64().unwrap_or_default();
    let gaps = status["gaps"].as_array().map_or(0, Vec::len);
    print::line(&format!("archive    {}", print::cell(&status["location"])))?;
    print::line(&format!("log        {}", print::cell(&status["log"])))?;
    print::line(&format!("segments   {} ({})", number("segments"), size(number("bytes"))))?;
    let (sealed, head) = (number("sealed"), number("head"));
    print::line(&format!("sealed     {sealed} of {head} events, through position {}", number("sealedThrough")))?;
    if gaps > 0 {
        print::line(&format!("missing    {gaps} range(s); they are sealed again in the background"))?;
    }
    let (superseded, aside) = (number("superseded"), number("aside"));
    if superseded + aside > 0 {
        print::line(&format!(
            "unused     {superseded} superseded, {aside} put aside; `reel archive prune` removes them"
        ))?;
    }
    Ok(())
}

async fn verify(client: &Client, mend: bool) -> Result<(), CliError> {
    let status: Value = client.json(client.request(Method::GET, "/admin/v1/archive", &[])).await?;
    let bar = print::progress(status["segments"].as_u64(), "{wide_bar} {pos}/{len} segments {eta}");
    let mut total = Verified::default();
    let mut after = 0_u64;
    loop {
        let (from, mended) = (after.to_string(), mend.to_string());
        let parameters = [("after", Some(from.as_str())), ("mend", Some(mended.as_str()))];
        let page: Verified = client.json(client.request(Method::POST, "/admin/v1/archive/verify", &parameters)).await?;
        bar.inc(page.sound + page.damaged.len() as u64);
        (total.sound, total.events, total.bytes) =
            (total.sound + page.sound, total.events + page.events, total.bytes + page.bytes);
        total.damaged.extend(page.damaged);
        match page.next {
            Some(next) => after = next,
            None => break,
        }
    }
    bar.finish_and_clear();
    show(client, &total)
}

fn show(client: &Client, total: &Verified) -> Result<(), CliError> {
    match client.output {
        Output::Json => print::json(total)?,
        Output::Text => {
            for damaged in &total.damaged {
                let done = if damaged.put_aside { "; put aside, it is sealed again" } else { "" };
                print::line(&format!("{}{done}", damaged.reason))?;
            }
            print::line(&format!("{} segments sound: {} events, {}", total.sound, total.events, size(total.bytes)))?;
        }
    }
    match total.damaged.iter().filter(|damaged| !damaged.put_aside).count() {
        0 => Ok(()),
        count => Err(CliError::Failed(format!(
            "{count} segment(s) cannot be read: nothing is lost, builds read those events from the event store; \
             --mend has them sealed again"
        ))),
    }
}

async fn prune(client: &Client) -> Result<(), CliError> {
    let pruned: Pruned = client.json(client.request(Method::POST, "/admin/v1/archive/prune", &[])).await?;
    match client.output {
        Output::Json => print::json(&pruned),
        Output::Text => {
            pruned.removed.iter().try_for_each(|name| print::line(&format!("{name} removed")))?;
            print::note(&format!("{} removed, {}", pruned.removed.len(), size(pruned.bytes)));
            Ok(())
        }
    }
}

fn size(bytes: u64) -> String {
    match bytes {
        0..10_240 => format!("{bytes} bytes"),
        10_240..10_485_760 => format!("{} KiB", bytes >> 10),
        _ => format!("{} MiB", bytes >> 20),
    }
}
