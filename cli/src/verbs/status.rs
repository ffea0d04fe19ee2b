//! `reel list`, `reel status`.

use std::io::IsTerminal;
use std::time::Duration;

use reqwest::Method;
use serde_json::Value;

use crate::args::{InTarget, Status};
use crate::client::{Client, Output, escape};
use crate::error::CliError;
use crate::print;

pub(crate) async fn list(client: &Client, which: &InTarget) -> Result<(), CliError> {
    let answers = fetch(client, None, which).await?;
    match client.output {
        Output::Json => print::json_lines(&answers),
        Output::Text => show(&answers),
    }
}

pub(crate) async fn status(client: &Client, status: &Status) -> Result<(), CliError> {
    loop {
        let answers = fetch(client, status.projection.as_deref(), &status.target).await?;
        match client.output {
            Output::Json => print::json_lines(&answers)?,
            Output::Text => {
                if status.watch && std::io::stdout().is_terminal() {
                    // Clear the screen, cursor to the top.
                    print::raw(b"\x1b[2J\x1b[H")?;
                }
                show(&answers)?;
            }
        }
        if !status.watch {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

async fn fetch(client: &Client, projection: Option<&str>, which: &InTarget) -> Result<Vec<Value>, CliError> {
    let path = match projection {
        Some(projection) => format!("/admin/v1/projections/{}", escape(projection)),
        None => "/admin/v1/projections".into(),
    };
    client.json(client.request(Method::GET, &path, &[("target", which.target.as_deref())])).await
}

/// Shows statuses as a table, and below it what is wrong.
pub(crate) fn show(answers: &[Value]) -> Result<(), CliError> {
    let number = |value: &Value| value.as_f64().map_or(String::new(), |number| format!("{number:.0}"));
    let rows: Vec<Vec<String>> = answers
        .iter()
        .map(|answer| {
            let text = |member: &str| answer[member].as_str().unwrap_or_default().to_owned();
            let eta = answer["etaSeconds"].as_f64().map_or(String::new(), |eta| format!("{eta:.0} s"));
            vec![
                text("generation"),
                text("target"),
                standing(answer),
                text("condition"),
                number(&answer["position"]),
                number(&answer["lagEvents"]),
                format!("{:.1} s", answer["lagSeconds"].as_f64().unwrap_or(0.0)),
                answer["rowsPerSecond"]
                    .as_f64()
                    .map_or_else(|| number(&answer["eventsPerSecond"]), |rows| format!("{rows:.0} rows")),
                eta,
                text("digest").chars().take(12).collect(),
            ]
        })
        .collect();
    let heading =
        ["GENERATION", "TARGET", "STATE", "CONDITION", "POSITION", "LAG", "AGE", "EVENTS/S", "ETA", "COMPONENT"];
    print::table(&heading, &rows)?;
    for answer in answers {
        if let Some(message) = answer["problem"]["message"].as_str() {
            print::line(&format!("\n{}: {message}", answer["generation"].as_str().unwrap_or_default()))?;
        }
    }
    Ok(())
}

/// `build (folding, pass 3 of 5, went on from part 2 of 5)`
fn standing(answer: &Value) -> String {
    let state = answer["state"].as_str().unwrap_or_default();
    let Some(phase) = answer["phase"].as_str() else { return state.to_owned() };
    let passes = answer["pass"].as_u64().zip(answer["passes"].as_u64());
    let passed = passes.map_or_else(String::new, |(pass, passes)| format!(", pass {pass} of {passes}"));
    let went_on = went_on(answer["takenOver"].as_u64(), passes.map(|(_, passes)| passes));
    format!("{state} ({phase}{passed}{went_on})")
}

/// `, went on from part 2 of 5`, where a build goes on from what an earlier attempt had done.
pub(super) fn went_on(taken_over: Option<u64>, passes: Option<u64>) -> String {
    match (taken_over, passes) {
        (Some(parts), Some(passes)) if parts < passes => format!(", went on from part {} of {passes}", parts + 1),
        (Some(_), _) => ", went on from rows that were folded before".to_owned(),
        (None, _) => String::new(),
    }
}
