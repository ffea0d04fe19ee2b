//! `promote`, `rollback`, `pause`, `resume`, `cancel`, `drop`.

use reqwest::Method;
use serde_json::Value;

use super::status;
use crate::args::Named;
use crate::client::{Client, Output, escape};
use crate::error::CliError;
use crate::print;

/// A verb that changes one generation, and answers with its status.
pub(crate) async fn one(client: &Client, verb: &str, named: &Named) -> Result<(), CliError> {
    let answer: Value = client.json(post(client, verb, named)).await?;
    match client.output {
        Output::Json => print::json(&answer),
        Output::Text => status::show(&[answer]),
    }
}

/// A verb that changes one generation or several, and answers with their statuses.
pub(crate) async fn each(client: &Client, verb: &str, named: &Named) -> Result<(), CliError> {
    let answers: Vec<Value> = client.json(post(client, verb, named)).await?;
    match client.output {
        Output::Json => print::json_lines(&answers),
        Output::Text => status::show(&answers),
    }
}

pub(crate) async fn cancel(client: &Client, named: &Named) -> Result<(), CliError> {
    gone(client, post(client, "cancel", named)).await
}

pub(crate) async fn drop(client: &Client, named: &Named) -> Result<(), CliError> {
    let path = format!("/admin/v1/projections/{}", escape(&named.projection));
    gone(client, client.request(Method::DELETE, &path, &[("target", named.target.target.as_deref())])).await
}

fn post(client: &Client, verb: &str, named: &Named) -> reqwest::RequestBuilder {
    let path = format!("/admin/v1/projections/{}/{verb}", escape(&named.projection));
    client.request(Method::POST, &path, &[("target", named.target.target.as_deref())])
}

async fn gone(client: &Client, request: reqwest::RequestBuilder) -> Result<(), CliError> {
    let names: Vec<String> = client.json(request).await?;
    match client.output {
        Output::Json => names.iter().try_for_each(print::json),
        Output::Text => names.iter().try_for_each(|name| print::line(&format!("{name} dropped"))),
    }
}
