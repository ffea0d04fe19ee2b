//! `promote`, `rollback`, `pause`, `resume`, `cancel`, `drop`.

use reqwest::{Method, RequestBuilder};
use serde_json::Value;

use super::status;
use crate::args::{Named, Promote, Rollback};
use crate::client::{Client, Output, escape};
use crate::error::CliError;
use crate::print;

/// A parameter that a request may have.
type Parameter<'a> = (&'a str, Option<&'a str>);

const NOTHING_MORE: Parameter<'_> = ("", None);

pub(crate) async fn promote(client: &Client, promote: &Promote) -> Result<(), CliError> {
    let keep = promote.keep.map(|number| number.to_string());
    one(client, post(client, "promote", &promote.named, ("keep", keep.as_deref()))).await
}

pub(crate) async fn rollback(client: &Client, rollback: &Rollback) -> Result<(), CliError> {
    let force = rollback.force.then_some("true");
    one(client, post(client, "rollback", &rollback.named, ("force", force))).await
}

/// A verb that changes one generation, and answers with its status.
async fn one(client: &Client, request: RequestBuilder) -> Result<(), CliError> {
    let answer: Value = client.json(request).await?;
    match client.output {
        Output::Json => print::json(&answer),
        Output::Text => status::show(&[answer]),
    }
}

/// Resumes, and says of builds where they go on.
pub(crate) async fn resume(client: &Client, named: &Named) -> Result<(), CliError> {
    let answers: Vec<Value> = client.json(post(client, "resume", named, NOTHING_MORE)).await?;
    for build in answers.iter().filter(|status| status["state"] == "build") {
        let name = build["generation"].as_str().unwrap_or_default();
        print::note(&format!(
            "{name} was not built to the end: its build goes on from the parts that this host has put aside, and where there are none \
             begins again from the log's start"
        ));
    }
    show_each(client, &answers)
}

/// A verb that changes one generation or several, and answers with their statuses.
pub(crate) async fn each(client: &Client, verb: &str, named: &Named) -> Result<(), CliError> {
    let answers: Vec<Value> = client.json(post(client, verb, named, NOTHING_MORE)).await?;
    show_each(client, &answers)
}

fn show_each(client: &Client, answers: &[Value]) -> Result<(), CliError> {
    match client.output {
        Output::Json => print::json_lines(answers),
        Output::Text => status::show(answers),
    }
}

pub(crate) async fn cancel(client: &Client, named: &Named) -> Result<(), CliError> {
    gone(client, post(client, "cancel", named, NOTHING_MORE)).await
}

pub(crate) async fn drop(client: &Client, named: &Named) -> Result<(), CliError> {
    let path = format!("/admin/v1/projections/{}", escape(&named.projection));
    gone(client, client.request(Method::DELETE, &path, &[("target", named.target.target.as_deref())])).await
}

fn post(client: &Client, verb: &str, named: &Named, more: Parameter<'_>) -> RequestBuilder {
    let path = format!("/admin/v1/projections/{}/{verb}", escape(&named.projection));
    client.request(Method::POST, &path, &[("target", named.target.target.as_deref()), more])
}

async fn gone(client: &Client, request: RequestBuilder) -> Result<(), CliError> {
    let names: Vec<String> = client.json(request).await?;
    match client.output {
        Output::Json => names.iter().try_for_each(print::json),
        Output::Text => names.iter().try_for_each(|name| print::line(&format!("{name} dropped"))),
    }
}
