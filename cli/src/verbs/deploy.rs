//! `reel deploy`, `reel replay`: a new generation, and waiting until it is live.

use std::path::Path;
use std::time::Duration;

use reqwest::Method;
use serde::Deserialize;
use serde_json::Value;

use super::status::went_on;
use super::{dry_run, rederive};
use crate::args::{Deploy, How, OnFailure, Replay};
use crate::client::{Client, Output, escape};
use crate::error::CliError;
use crate::print;

/// What the host says of a generation, as far as it is waited for.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Status {
    generation: String,
    target: String,
    state: String,
    condition: String,
    position: u64,
    head: u64,
    phase: Option<String>,
    pass: Option<u64>,
    passes: Option<u64>,
    taken_over: Option<u64>,
    rows: u64,
    rows_to_load: Option<u64>,
    events_per_second: Option<f64>,
    rows_per_second: Option<f64>,
    problem: Option<Problem>,
    outcome: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Problem {
    message: String,
}

pub(crate) async fn deploy(client: &Client, deploy: Deploy) -> Result<(), CliError> {
    let component = read(&deploy.file)?;
    let mut parameters = parameters(&deploy.how);
    parameters.push(("name", deploy.name.clone()));
    make(client, "/admin/v1/projections", (parameters, Some(component)), &deploy.how).await
}

pub(crate) async fn replay(client: &Client, replay: Replay) -> Result<(), CliError> {
    if !replay.stream.is_empty() {
        return rederive::run(client, &replay).await;
    }
    let component = replay.with.as_deref().map(read).transpose()?;
    if replay.dry_run {
        return dry_run::run(client, &replay.projection, (parameters(&replay.how), component)).await;
    }
    let path = format!("/admin/v1/projections/{}/replay", escape(&replay.projection));
    let mut parameters = parameters(&replay.how);
    parameters.push(("until", replay.until.clone()));
    // What shows the past is ready when it is built.
    let how = How { no_promote: replay.how.no_promote || replay.until.is_some(), ..replay.how };
    make(client, &path, (parameters, component), &how).await
}

fn read(file: &Path) -> Result<Vec<u8>, CliError> {
    let bytes = std::fs::read(file).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => CliError::NotFound(format!("there is no file {}", file.display())),
        _ => CliError::caused(format!("{} cannot be read", file.display()), error),
    })?;
    if bytes.is_empty() {
        // Over HTTP a replay with an empty body is one through the component that is deployed.
        return Err(CliError::Failed(format!("{} is empty: it is no WebAssembly component", file.display())));
    }
    Ok(bytes)
}

pub(super) type Parameters = Vec<(&'static str, Option<String>)>;

fn parameters(how: &How) -> Parameters {
    let policy = how.on_failure.map(|policy| match policy {
        OnFailure::Halt => "halt",
        OnFailure::Skip => "skip",
        OnFailure::Park => "park",
    });
    vec![
        ("target", how.target.clone()),
        ("settings", how.settings.clone()),
        ("on-failure", policy.map(str::to_owned)),
        ("promote", how.no_promote.then(|| "false".to_owned())),
    ]
}

async fn make(
    client: &Client,
    path: &str,
    (parameters, component): (Parameters, Option<Vec<u8>>),
    how: &How,
) -> Result<(), CliError> {
    let given: Vec<(&str, Option<&str>)> = parameters.iter().map(|(name, value)| (*name, value.as_deref())).collect();
    let request = client.request(Method::POST, path, &given).body(component.unwrap_or_default());
    let answer: Value = client.json(request).await?;
    let status = parse(&answer)?;
    if client.output == Output::Text {
        let what = match status.outcome.as_deref() {
            Some("unchanged") => {
                let state = if status.condition == "running" { &status.state } else { &status.condition };
                format!(
                    "{} is the same component with the same settings, and is {state}: nothing to do",
                    status.generation
                )
            }
            _ => format!("{} is being built from history ({} events)", status.generation, status.head),
        };
        print::note(&what);
    }
    let answer =
        if how.wait { wait(client, &status, if how.no_promote { "ready" } else { "live" }).await? } else { answer };
    match client.output {
        Output::Json => print::json(&answer),
        Output::Text => {
            let status = parse(&answer)?;
            print::line(&format!("{} {} at position {}", status.generation, status.state, status.position))
        }
    }
}

impl Status {
    /// Events while they are folded or applied; rows while they are loaded.
    fn show(&self, bar: &indicatif::ProgressBar) {
        let at = self.phase.as_deref().unwrap_or(&self.state);
        let (done, of, rate) = match (at, self.rows_to_load) {
            ("loading" | "indexing", Some(rows)) => (self.rows, rows, self.rows_per_second.map(|rate| (rate, "rows"))),
            _ => (self.position, self.head, self.events_per_second.map(|rate| (rate, "events"))),
        };
        let rate = rate.map_or_else(String::new, |(rate, what)| format!(", {rate:.0} {what}/s"));
        bar.set_length(of);
        bar.set_position(done);
        let pass = self.pass.zip(self.passes);
        let pass = pass.map_or_else(String::new, |(pass, passes)| format!(", pass {pass} of {passes}"));
        let went_on = went_on(self.taken_over, self.passes);
        bar.set_message(format!("{} {at}{pass}{went_on}{rate}", self.generation));
    }
}

fn parse(answer: &Value) -> Result<Status, CliError> {
    serde_json::from_value(answer.clone())
        .map_err(|error| CliError::caused("the answer is not what this version of reel expects", error))
}

/// Waits until the generation is `wanted`, or cannot get there.
async fn wait(client: &Client, made: &Status, wanted: &str) -> Result<Value, CliError> {
    let path = format!("/admin/v1/projections/{}", escape(&made.generation));
    let bar = print::progress(Some(made.head), "{msg} {bar:30} {human_pos}/{human_len}, {eta} to go");
    let mut said = String::new();
    loop {
        let request = client.request(Method::GET, &path, &[("target", Some(&made.target))]);
        let answers: Vec<Value> = client.json(request).await?;
        let answer =
            answers.into_iter().next().ok_or_else(|| CliError::NotFound(format!("{} is gone", made.generation)))?;
        let status = parse(&answer)?;
        status.show(&bar);
        let reached = status.state == wanted || (wanted == "ready" && status.state == "live");
        if reached {
            bar.finish_and_clear();
            return Ok(answer);
        }
        if status.condition == "halted" || matches!(status.state.as_str(), "failed" | "cancelled" | "dropped") {
            bar.finish_and_clear();
            let why = status.problem.map_or(status.state, |problem| problem.message);
            return Err(CliError::Failed(format!("{} stopped: {why}", status.generation)));
        }
        if let Some(problem) = status.problem.filter(|problem| problem.message != said) {
            bar.suspend(|| print::note(&format!("{} waits: {}", status.generation, problem.message)));
            said = problem.message;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
