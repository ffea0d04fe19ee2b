//! What was measured, as a table for people and as JSON for programs.

use std::io::Write;

use serde_json::{Map, Value, json};

use crate::error::BenchError;

/// How a report is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Table,
    Json,
}

/// The figures of one benchmark.
#[derive(Debug)]
pub(crate) struct Report {
    name: &'static str,
    columns: &'static [&'static str],
    rows: Vec<Vec<Value>>,
    notes: Vec<String>,
    missed: Option<String>,
}

impl Report {
    /// An empty report; `columns` are headings and, in JSON, names.
    pub(crate) fn new(name: &'static str, columns: &'static [&'static str]) -> Report {
        Report { name, columns, rows: Vec::new(), notes: Vec::new(), missed: None }
    }

    /// Adds a row: a value for each column.
    pub(crate) fn row(&mut self, values: Vec<Value>) {
        debug_assert_eq!(values.len(), self.columns.len(), "a value for each column");
        self.rows.push(values);
    }

    /// Adds a line that is printed below the table.
    pub(crate) fn note(&mut self, note: String) {
        self.notes.push(note);
    }

    /// What was measured is not what it must be: printed, the report is an error.
    pub(crate) fn missed(&mut self, why: String) {
        self.missed = Some(why);
    }

    /// Prints it on standard output.
    pub(crate) fn print(&self, form: Form) -> Result<(), BenchError> {
        let text = match form {
            Form::Table => self.table(),
            Form::Json => format!("{}\n", self.json()),
        };
        let written = std::io::stdout().lock().write_all(text.as_bytes());
        written.map_err(BenchError::doing("writing to standard output"))?;
        self.missed.clone().map_or(Ok(()), |why| Err(BenchError::Failed(why)))
    }

    fn json(&self) -> Value {
        let object = |row: &Vec<Value>| {
            let members = self.columns.iter().zip(row).map(|(name, value)| ((*name).to_owned(), value.clone()));
            Value::Object(members.collect::<Map<_, _>>())
        };
        json!({ "benchmark": self.name, "rows": self.rows.iter().map(object).collect::<Vec<_>>(), "notes": self.notes })
    }

    fn table(&self) -> String {
        let heading: Vec<String> = self.columns.iter().map(|name| name.replace('_', " ")).collect();
        let lines: Vec<Vec<String>> =
            std::iter::once(heading).chain(self.rows.iter().map(|row| row.iter().map(cell).collect())).collect();
        let widths: Vec<usize> = (0..self.columns.len())
            .map(|column| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0))
            .collect();
        let mut text = String::new();
        for line in &lines {
            let cells: Vec<String> = line.iter().zip(&widths).zip(line_kinds(&self.rows)).map(aligned).collect();
            text.push_str(cells.join("  ").trim_end());
            text.push('\n');
        }
        for note in &self.notes {
            text.push_str(note);
            text.push('\n');
        }
        text
    }
}

/// Where a cell stands in its column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Left,
    Right,
}

/// Numbers stand to the right.
fn line_kinds(rows: &[Vec<Value>]) -> impl Iterator<Item = Side> {
    rows.first().into_iter().flatten().map(|value| if value.is_string() { Side::Left } else { Side::Right })
}

fn aligned(((cell, width), side): ((&String, &usize), Side)) -> String {
    match side {
        Side::Left => format!("{cell:<width$}"),
        Side::Right => format!("{cell:>width$}"),
    }
}

/// Large numbers without a fraction, with their thousands apart; small ones with two digits of it.
fn cell(value: &Value) -> String {
    match value {
        Value::Null => "-".into(),
        Value::String(text) => text.clone(),
        Value::Number(number) => match number.as_u64() {
            Some(whole) => thousands(whole),
            None => number.as_f64().map_or_else(|| number.to_string(), fraction),
        },
        other => other.to_string(),
    }
}

fn fraction(number: f64) -> String {
    if number >= 100.0 { thousands(number.round() as u64) } else { format!("{number:.2}") }
}

fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Median, 95th and 99th percentile.
pub(crate) fn percentiles(mut values: Vec<f64>) -> [f64; 3] {
    values.sort_by(f64::total_cmp);
    [50, 95, 99].map(|percent| {
        values.get((values.len() * percent / 100).min(values.len().saturating_sub(1))).copied().unwrap_or(f64::NAN)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_a_table_or_json() {
        let mut report = Report::new("demo", &["what", "events_per_second"]);
        report.row(vec!["sqlite".into(), 1_234_567.0.into()]);
        report.row(vec!["postgres".into(), 2.5.into()]);
        report.note("that was it".into());
        assert_eq!(
            report.table(),
            "what      events per second\nsqlite            1,234,567\npostgres               2.50\nthat was it\n"
        );
        assert_eq!(report.json()["rows"][1], json!({"what": "postgres", "events_per_second": 2.5}));
    }

    #[test]
    fn percentiles_of_a_hundred_numbers() {
        assert_eq!(percentiles((0..100).rev().map(f64::from).collect()), [50.0, 95.0, 99.0]);
    }
}
