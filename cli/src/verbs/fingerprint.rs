//! `reel fingerprint`: a digest of each table, of one moment.

use serde::Deserialize;
use serde_json::Value;

use crate::args::Named;
use crate::client::{Client, Output};
use crate::error::CliError;
use crate::print;
use crate::report::{self, Subject};

#[derive(Deserialize)]
struct Fingerprint {
    #[serde(flatten)]
    subject: Subject,
    tables: Vec<Table>,
}

#[derive(Deserialize)]
struct Table {
    table: String,
    rows: u64,
    digest: String,
}

pub(crate) async fn run(client: &Client, named: &Named) -> Result<(), CliError> {
    let answer: Value = client.json(report::request(client, named, "fingerprint")).await?;
    if client.output == Output::Json {
        return print::json(&answer);
    }
    let print: Fingerprint = serde_json::from_value(answer)
        .map_err(|error| CliError::caused("the answer is not what this version of reel expects", error))?;
    print::note(&print.subject.of_its_moment());
    // Digests are for comparing: they are never cut.
    let wide = print.tables.iter().map(|table| table.table.len()).max().unwrap_or(0);
    for Table { table, rows, digest } in &print.tables {
        print::line(&format!("{digest}  {table:wide$}  {rows} rows"))?;
    }
    Ok(())
}
