//! `reel replay --stream`: the rows of some streams made anew in the live generation.

use reqwest::Method;
use serde::Deserialize;
use serde_json::json;

use crate::args::Replay;
use crate::client::{Client, Output, escape};
use crate::error::CliError;
use crate::print;
use crate::report::{Lines, parse};

#[derive(Deserialize)]
struct Progress {
    position: u64,
    until: u64,
}

#[derive(Deserialize)]
struct Rederived {
    generation: String,
    target: String,
    streams: u64,
    events: u64,
    surplus: u64,
    rows: u64,
}

pub(crate) async fn run(client: &Client, replay: &Replay) -> Result<(), CliError> {
    let path = format!("/admin/v1/projections/{}/rederive", escape(&replay.projection));
    let request = client.request(Method::POST, &path, &[("target", replay.how.target.as_deref())]);
    let mut lines = Lines::ask(client, request.json(&json!({ "streams": replay.stream }))).await?;
    // The log is read twice: to find the streams, and to fold their events.
    let bar = print::progress(Some(0), "reading {bar:30} {human_pos}/{human_len} events, {eta} to go");
    let mut rederived = None;
    while let Some((kind, line)) = lines.next().await? {
        match kind.as_str() {
            "progress" => {
                let Progress { position, until } = parse(&line)?;
                bar.set_length(until);
                bar.set_position(position);
            }
            "rederived" => rederived = Some(line),
            _ => {}
        }
    }
    bar.finish_and_clear();
    let line = rederived.ok_or_else(|| CliError::Failed("the report has no end: it broke off".to_owned()))?;
    if client.output == Output::Json {
        return print::line(&line);
    }
    let Rederived { generation, target, streams, events, surplus, rows } = parse(&line)?;
    let named = |streams| format!("{streams} {}", if streams == 1 { "stream" } else { "streams" });
    let removed =
        if surplus > 0 { format!("; rows of {} without events are gone", named(surplus)) } else { String::new() };
    let streams = named(streams);
    print::line(&format!("{generation} in {target}: {rows} rows made anew from {events} events of {streams}{removed}"))
}
