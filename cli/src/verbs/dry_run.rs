//! `reel replay --dry-run`: what a replay would read and make, and about how long it would take.

use reqwest::Method;
use serde::Deserialize;
use serde_json::Value;

use super::deploy::Parameters;
use crate::client::{Client, Output, escape};
use crate::error::CliError;
use crate::print;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct DryRun {
    projection: String,
    target: String,
    version: String,
    digest: String,
    head: u64,
    events: u64,
    kinds: Vec<Kind>,
    counted: String,
    tables: Vec<Table>,
    folded: u64,
    events_per_second: Option<f64>,
    seconds: Option<f64>,
    assumed_rows_per_second: u64,
    problem: Option<String>,
}

#[derive(Deserialize)]
struct Kind {
    kind: String,
    events: u64,
}

#[derive(Deserialize)]
struct Table {
    table: String,
    columns: Vec<String>,
    key: Vec<String>,
    rows: u64,
}

pub(super) async fn run(
    client: &Client,
    projection: &str,
    (parameters, component): (Parameters, Option<Vec<u8>>),
) -> Result<(), CliError> {
    let path = format!("/admin/v1/projections/{}/dry-run", escape(projection));
    let given: Vec<(&str, Option<&str>)> = parameters.iter().map(|(name, value)| (*name, value.as_deref())).collect();
    let request = client.request(Method::POST, &path, &given).body(component.unwrap_or_default());
    let answer: Value = client.json(request).await?;
    if client.output == Output::Json {
        return print::json(&answer);
    }
    let planned: DryRun = serde_json::from_value(answer)
        .map_err(|error| CliError::caused("the answer is not what this version of reel expects", error))?;
    planned.show()
}

impl DryRun {
    fn show(&self) -> Result<(), CliError> {
        let about = if self.counted == "all" { "" } else { "about " };
        let digest: String = self.digest.chars().take(12).collect();
        print::line(&format!("{} {} ({digest}) into {}", self.projection, self.version, self.target))?;
        print::line(&format!("reads {about}{} of {} events", self.events, self.head))?;
        let kinds: Vec<_> = self.kinds.iter().map(|kind| vec![kind.kind.clone(), kind.events.to_string()]).collect();
        print::table(&["KIND", "EVENTS"], &kinds)?;
        let table = |table: &Table| {
            vec![table.table.clone(), table.rows.to_string(), table.key.join(", "), table.columns.join(", ")]
        };
        print::table(&["TABLE", "ROWS", "KEY", "COLUMNS"], &self.tables.iter().map(table).collect::<Vec<_>>())?;
        if let (Some(seconds), Some(rate)) = (self.seconds, self.events_per_second) {
            print::line(&format!(
                "takes about {seconds:.1} s: a worker folded {rate:.0} events/s of the first {}; {} rows/s written are assumed",
                self.folded, self.assumed_rows_per_second
            ))?;
        }
        match &self.problem {
            Some(problem) => print::line(&format!("it would stop: {problem}")),
            None => Ok(()),
        }
    }
}
