//! `reel verify`: the rows of a generation held against a new fold of the log. Exit code 1 where anything is not as it should be.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::args::Named;
use crate::client::{Client, Output};
use crate::error::CliError;
use crate::print;
use crate::report::{self, Lines, Subject, Values, parse, value};

#[derive(Deserialize)]
struct Progress {
    position: u64,
    until: u64,
}

/// A row that is not what the log makes.
#[derive(Deserialize)]
struct Differs<'a> {
    table: String,
    #[serde(borrow)]
    key: &'a RawValue,
    #[serde(borrow)]
    stored: Option<Values<'a>>,
    #[serde(borrow)]
    folded: Option<Values<'a>>,
    #[serde(default)]
    columns: Vec<String>,
}

#[derive(Deserialize)]
struct Broken<'a> {
    table: String,
    #[serde(borrow)]
    key: &'a RawValue,
    rule: String,
}

#[derive(Deserialize)]
struct Verified {
    #[serde(flatten)]
    subject: Subject,
    sound: bool,
    tables: Vec<Table>,
}

#[derive(Deserialize)]
struct Table {
    table: String,
    rows: u64,
    changed: u64,
    missing: u64,
    surplus: u64,
    broken: u64,
}

pub(crate) async fn run(client: &Client, named: &Named) -> Result<(), CliError> {
    let mut lines = Lines::ask(client, report::request(client, named, "verify")).await?;
    let bar = print::progress(Some(0), "folding {bar:30} {human_pos}/{human_len} events, {eta} to go");
    let mut verified = None;
    while let Some((kind, line)) = lines.next().await? {
        if kind == "progress" {
            let Progress { position, until } = parse(&line)?;
            bar.set_length(until);
            bar.set_position(position);
            continue;
        }
        bar.finish_and_clear();
        if kind == "verified" {
            verified = Some(parse::<Verified>(&line)?);
        }
        if client.output == Output::Json {
            print::line(&line)?;
            continue;
        }
        match kind.as_str() {
            "differs" => parse::<Differs<'_>>(&line)?.show()?,
            "broken" => {
                let Broken { table, key, rule } = parse(&line)?;
                print::line(&format!("{table} {key} breaks: {rule}"))?;
            }
            _ => {}
        }
    }
    let verified = verified.ok_or_else(|| CliError::Failed("the report has no end: it broke off".to_owned()))?;
    if client.output == Output::Text {
        verified.show()?;
    }
    if verified.sound {
        return Ok(());
    }
    Err(CliError::Failed(format!(
        "{} is not what its log and its manifest say (`reel replay` makes the rows anew)",
        verified.subject
    )))
}

impl Differs<'_> {
    fn show(&self) -> Result<(), CliError> {
        let Differs { table, key, stored, folded, columns } = self;
        print::line(&match (stored, folded) {
            (Some(_), None) => format!("{table} {key} is not of the log"),
            (None, Some(_)) => format!("{table} {key} is missing"),
            _ => {
                let (stored, folded) = (stored.as_ref(), folded.as_ref());
                let change =
                    |name: &String| format!("{name} is {}, should be {}", value(stored, name), value(folded, name));
                format!("{table} {key} differs: {}", columns.iter().map(change).collect::<Vec<_>>().join(", "))
            }
        })
    }
}

impl Verified {
    fn show(&self) -> Result<(), CliError> {
        print::note(&self.subject.of_its_moment());
        let row = |table: &Table| {
            let numbers = [table.rows, table.changed, table.missing, table.surplus, table.broken];
            [vec![table.table.clone()], numbers.iter().map(u64::to_string).collect()].concat()
        };
        let heading = ["TABLE", "ROWS", "CHANGED", "MISSING", "SURPLUS", "BREAKING"];
        print::table(&heading, &self.tables.iter().map(row).collect::<Vec<_>>())
    }
}
