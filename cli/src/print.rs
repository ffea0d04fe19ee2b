//! What people and scripts read: tables in aligned columns, JSON, progress on a terminal. Data goes to standard output, the rest to
//! standard error.

use std::io::{self, IsTerminal, Write};

use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use serde_json::Value;

use crate::error::CliError;

/// The widest cell of a table; longer ones are cut where a person looks, never in JSON.
const WIDEST: usize = 60;

/// Writes a line to standard output. Whoever closes it early (`head`) ends the process quietly.
pub(crate) fn line(text: &str) -> Result<(), CliError> {
    raw(format!("{text}\n").as_bytes())
}

/// Writes bytes to standard output.
pub(crate) fn raw(bytes: &[u8]) -> Result<(), CliError> {
    match io::stdout().lock().write_all(bytes) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => std::process::exit(0),
        Err(error) => Err(CliError::caused("standard output cannot be written", error)),
    }
}

/// Writes a note to standard error.
pub(crate) fn note(text: &str) {
    // Whoever closed standard error does not want notes.
    let _ = writeln!(io::stderr(), "{text}");
}

/// Writes one JSON document.
pub(crate) fn json(value: &impl Serialize) -> Result<(), CliError> {
    line(&serde_json::to_string(value).expect("answers are plain data"))
}

/// Writes a list as JSON, one document a line.
pub(crate) fn json_lines(values: &[Value]) -> Result<(), CliError> {
    values.iter().try_for_each(json)
}

/// Writes a table: a heading, and rows of as many cells.
pub(crate) fn table(heading: &[&str], rows: &[Vec<String>]) -> Result<(), CliError> {
    let rows: Vec<Vec<String>> = rows.iter().map(|row| row.iter().map(|cell| shorten(cell)).collect()).collect();
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.chain([heading[column].chars().count()]).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..heading.len()).map(width).collect();
    let mut text = String::new();
    let heading: Vec<String> = heading.iter().map(ToString::to_string).collect();
    for row in std::iter::once(&heading).chain(&rows) {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            line.push_str(cell);
            line.push_str(&" ".repeat(width - cell.chars().count() + 2));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    raw(text.as_bytes())
}

/// A JSON value as a cell: text without its quotes, the rest as it is.
pub(crate) fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.replace(['\n', '\r', '\t'], " "),
        other => other.to_string(),
    }
}

fn shorten(cell: &str) -> String {
    if cell.chars().count() <= WIDEST {
        return cell.to_owned();
    }
    cell.chars().take(WIDEST - 1).chain(['…']).collect()
}

/// A progress bar on a terminal; nothing elsewhere.
pub(crate) fn progress(total: Option<u64>, template: &str) -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = total.map_or_else(ProgressBar::new_spinner, ProgressBar::new);
    bar.with_style(ProgressStyle::with_template(template).expect("the templates are ours"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_cut_for_people_only() {
        assert_eq!(shorten(&"x".repeat(60)).chars().count(), 60);
        assert_eq!(shorten(&"é".repeat(61)).chars().last(), Some('…'));
        assert_eq!(cell(&Value::String("a\nb".into())), "a b");
        assert_eq!(cell(&Value::Null), "");
        assert_eq!(cell(&serde_json::json!([1, "x"])), "[1,\"x\"]");
    }
}
