//! `reel diff`: two generations held against each other, counts first, then the rows that differ. Exit code 1 where anything differs.

use reqwest::Method;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::args::Diff;
use crate::client::{Client, Output};
use crate::error::CliError;
use crate::print;
use crate::report::{Lines, Subject, Values, parse, value};

#[derive(Deserialize)]
struct Summary {
    here: Subject,
    there: Subject,
    equal: bool,
    tables: Vec<Table>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Table {
    table: String,
    equal: u64,
    differing: u64,
    only_here: u64,
    only_there: u64,
    #[serde(default)]
    columns_only_here: Vec<String>,
    #[serde(default)]
    columns_only_there: Vec<String>,
    not_compared: Option<String>,
}

/// A row that differs.
#[derive(Deserialize)]
struct Row<'a> {
    table: String,
    #[serde(borrow)]
    key: &'a RawValue,
    #[serde(borrow)]
    here: Option<Values<'a>>,
    #[serde(borrow)]
    there: Option<Values<'a>>,
    #[serde(default)]
    columns: Vec<String>,
}

pub(crate) async fn run(client: &Client, diff: &Diff) -> Result<(), CliError> {
    let sample = diff.sample.map(|rows| rows.to_string());
    let parameters = [
        ("here", Some(diff.here.as_str())),
        ("there", Some(diff.there.as_deref().unwrap_or(&diff.here))),
        ("target", diff.target.target.as_deref()),
        ("other-target", diff.other_target.as_deref()),
        ("sample", sample.as_deref()),
        ("any-position", diff.any_position.then_some("true")),
    ];
    let mut lines = Lines::ask(client, client.request(Method::GET, "/admin/v1/diff", &parameters)).await?;
    let mut compared = None;
    while let Some((kind, line)) = lines.next().await? {
        if client.output == Output::Json {
            print::line(&line)?;
        }
        match kind.as_str() {
            "summary" => {
                let summary: Summary = parse(&line)?;
                if client.output == Output::Text {
                    summary.show()?;
                }
                compared = Some(summary);
            }
            "row" if client.output == Output::Text => parse::<Row<'_>>(&line)?.show()?,
            _ => {}
        }
    }
    match compared {
        Some(Summary { equal: true, .. }) => Ok(()),
        Some(Summary { here, there, .. }) => Err(CliError::Failed(format!("{here} and {there} differ"))),
        None => Err(CliError::Failed("the report has no summary: it broke off".to_owned())),
    }
}

impl Summary {
    fn show(&self) -> Result<(), CliError> {
        for (sign, side) in [('-', &self.here), ('+', &self.there)] {
            print::note(&format!("{sign} {}", side.of_its_moment()));
        }
        let heading = ["TABLE", "EQUAL", "DIFFERING", "ONLY -", "ONLY +", "NOTE"];
        let row = |table: &Table| {
            let numbers = [table.equal, table.differing, table.only_here, table.only_there];
            let cells = match &table.not_compared {
                Some(_) => vec![String::new(); numbers.len()],
                None => numbers.iter().map(u64::to_string).collect(),
            };
            [vec![table.table.clone()], cells, vec![table.note()]].concat()
        };
        print::table(&heading, &self.tables.iter().map(row).collect::<Vec<_>>())
    }
}

impl Table {
    /// Why it was not compared, or not wholly.
    fn note(&self) -> String {
        let only = [('-', &self.columns_only_here), ('+', &self.columns_only_there)];
        let only = only.iter().filter(|(_, names)| !names.is_empty());
        let only = only.map(|(sign, names)| format!("only {sign} has {}", names.join(", ")));
        self.not_compared.clone().into_iter().chain(only).collect::<Vec<_>>().join("; ")
    }
}

impl Row<'_> {
    fn show(&self) -> Result<(), CliError> {
        let Row { table, key, here, there, columns } = self;
        let all = |row: &Values<'_>| {
            let values: Vec<String> = row.iter().map(|(name, value)| format!("{name} {value}")).collect();
            values.join(", ")
        };
        print::line(&match (here, there) {
            (Some(here), None) => format!("- {table} {key}  {}", all(here)),
            (None, Some(there)) => format!("+ {table} {key}  {}", all(there)),
            _ => {
                let (here, there) = (here.as_ref(), there.as_ref());
                let changes: Vec<String> = columns
                    .iter()
                    .map(|name| format!("{name} {} → {}", value(here, name), value(there, name)))
                    .collect();
                format!("~ {table} {key}  {}", changes.join(", "))
            }
        })
    }
}
