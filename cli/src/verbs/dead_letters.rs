//! `reel dead-letters`: events that could not be applied.

use reqwest::Method;
use serde_json::Value;

use super::status;
use crate::args::{DeadLetters, Letter, Named};
use crate::client::{Client, Output, escape};
use crate::error::CliError;
use crate::print;

pub(crate) async fn run(client: &Client, verb: &DeadLetters) -> Result<(), CliError> {
    match verb {
        DeadLetters::List(named) => list(client, named).await,
        DeadLetters::Show(letter) => show(client, letter).await,
        DeadLetters::Skip(letter) => decide(client, (Method::POST, "/skip"), letter).await,
        DeadLetters::Retry(letter) => decide(client, (Method::POST, "/retry"), letter).await,
        DeadLetters::Discard(letter) => decide(client, (Method::DELETE, ""), letter).await,
    }
}

fn path(named: &Named) -> String {
    format!("/admin/v1/projections/{}/dead-letters", escape(&named.projection))
}

async fn page(client: &Client, named: &Named, after: &str, limit: &str) -> Result<Vec<Value>, CliError> {
    let parameters = [("target", named.target.target.as_deref()), ("after", Some(after)), ("limit", Some(limit))];
    client.json(client.request(Method::GET, &path(named), &parameters)).await
}

async fn list(client: &Client, named: &Named) -> Result<(), CliError> {
    let mut all = Vec::new();
    loop {
        let after = all.last().map_or("0".to_owned(), |letter: &Value| print::cell(&letter["position"]));
        let letters = page(client, named, &after, "1000").await?;
        if letters.is_empty() {
            break;
        }
        all.extend(letters);
    }
    if client.output == Output::Json {
        return print::json_lines(&all);
    }
    if all.is_empty() {
        print::note("no dead letters");
        return Ok(());
    }
    let columns = ["position", "stream", "kind", "reason", "code", "message"];
    let rows: Vec<Vec<String>> =
        all.iter().map(|letter| columns.map(|column| print::cell(&letter[column])).into()).collect();
    print::table(&["POSITION", "STREAM", "KIND", "REASON", "CODE", "MESSAGE"], &rows)
}

async fn show(client: &Client, letter: &Letter) -> Result<(), CliError> {
    let path = format!("{}/{}", path(&letter.named), letter.position);
    let target = [("target", letter.named.target.target.as_deref())];
    let mut found: Value = client.json(client.request(Method::GET, &path, &target)).await?;
    // What came from a foreign topic is not in an event store.
    if letter.position.partition().is_none() {
        let (after, until) = (letter.position.before().to_string(), letter.position.to_string());
        let range = [("after", Some(after.as_str())), ("until", Some(until.as_str()))];
        found["cloudEvent"] = client.json(client.request(Method::GET, "/commands/v1/export", &range)).await?;
    }
    match client.output {
        Output::Json => print::json(&found),
        Output::Text => print::line(&serde_json::to_string_pretty(&found).expect("answers are plain data")),
    }
}

async fn decide(client: &Client, (method, decision): (Method, &str), letter: &Letter) -> Result<(), CliError> {
    let path = format!("{}/{}{decision}", path(&letter.named), letter.position);
    let request = client.request(method, &path, &[("target", letter.named.target.target.as_deref())]);
    let answer: Value = client.json(request).await?;
    match client.output {
        Output::Json => print::json(&answer),
        Output::Text => status::show(&[answer]),
    }
}
