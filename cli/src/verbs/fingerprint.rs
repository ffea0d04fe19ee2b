//! `reel fingerprint`: a digest of each table, of one moment.

use reqwest::Method;
use serde::Deserialize;
use serde_json::Value;

use crate::args::Named;
use crate::client::{Client, Output, escape};
use crate::error::CliError;
use crate::print;

#[derive(Deserialize)]
struct Fingerprint {
    generation: String,
    target: String,
    shards: Vec<Shard>,
    tables: Vec<Table>,
}

#[derive(Deserialize)]
struct Shard {
    position: u64,
}

#[derive(Deserialize)]
struct Table {
    table: String,
    rows: u64,
    digest: String,
}

pub(crate) async fn run(client: &Client, named: &Named) -> Result<(), CliError> {
    let path = format!("/admin/v1/projections/{}/fingerprint", escape(&named.projection));
    let request = client.request(Method::GET, &path, &[("target", named.target.target.as_deref())]);
    let answer: Value = client.json(request).await?;
    if client.output == Output::Json {
        return print::json(&answer);
    }
    let print: Fingerprint = serde_json::from_value(answer)
        .map_err(|error| CliError::caused("the answer is not what this version of reel expects", error))?;
    let positions: Vec<String> = print.shards.iter().map(|shard| shard.position.to_string()).collect();
    print::note(&format!("{} in {} at position {}", print.generation, print.target, positions.join(", ")));
    // Digests are for comparing: they are never cut.
    let wide = print.tables.iter().map(|table| table.table.len()).max().unwrap_or(0);
    for Table { table, rows, digest } in &print.tables {
        print::line(&format!("{digest}  {table:wide$}  {rows} rows"))?;
    }
    Ok(())
}
