//! A report on its way to whoever asked: what was found, a line at a time, and where the work is meanwhile.

use reel_projector::json::RowWriter;
use reel_projector::{Column, Row, Table, Value};
use serde::Serialize;
use serde_json::value::RawValue;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::ordered::key_of;
use super::{DiffSummary, Verified};
use crate::error::HostError;
use crate::rederive::Rederived;

/// Lines that wait for whoever reads.
const WAITING: usize = 256;

/// One line of a report.
#[derive(Debug, Serialize)]
#[serde(tag = "line", rename_all = "kebab-case")]
pub enum Line {
    /// What two generations have come to: the first line of a `diff`.
    Summary(DiffSummary),
    /// A row that differs.
    Row {
        /// Its table.
        table: String,
        /// Its key: an object of the key's columns.
        key: Box<RawValue>,
        /// The row as the first has it.
        #[serde(skip_serializing_if = "Option::is_none")]
        here: Option<Box<RawValue>>,
        /// The row as the second has it.
        #[serde(skip_serializing_if = "Option::is_none")]
        there: Option<Box<RawValue>>,
        /// The columns that differ, where both have it.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        columns: Vec<String>,
    },
    /// How far the log is folded.
    Progress {
        /// Up to here.
        position: u64,
        /// Of so far.
        until: u64,
    },
    /// A row that is not what the log makes.
    Differs {
        /// Its table.
        table: String,
        /// Its key: an object of the key's columns.
        key: Box<RawValue>,
        /// The row as the read database has it.
        #[serde(skip_serializing_if = "Option::is_none")]
        stored: Option<Box<RawValue>>,
        /// The row as the log makes it.
        #[serde(skip_serializing_if = "Option::is_none")]
        folded: Option<Box<RawValue>>,
        /// The columns that differ, where both have it.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        columns: Vec<String>,
    },
    /// A row that does not keep what the manifest declares.
    Broken {
        /// Its table.
        table: String,
        /// Its key: an object of the key's columns.
        key: Box<RawValue>,
        /// What it breaks.
        rule: String,
    },
    /// What was found in all: the last line of a `verify`.
    Verified(Verified),
    /// What was made anew: the last line of a `replay --stream`.
    Rederived(Rederived),
}

/// The lines of a report, the last of which may say why it broke off. Whoever drops it ends the work.
pub struct Report {
    lines: mpsc::Receiver<Result<Line, HostError>>,
    work: JoinHandle<()>,
}

impl Report {
    /// Starts `work`, which sends lines for as long as somebody listens.
    pub(crate) fn of<F>(work: impl FnOnce(Lines) -> F) -> Report
    where
        F: Future<Output = Result<(), Ended>> + Send + 'static,
    {
        let (sender, lines) = mpsc::channel(WAITING);
        let work = work(Lines(sender.clone()));
        let work = tokio::spawn(async move {
            if let Err(Ended::Failed(error)) = work.await {
                // Nobody listening is no error.
                let _ = sender.send(Err(error)).await;
            }
        });
        Report { lines, work }
    }

    /// The next line; nothing behind the last.
    pub async fn next(&mut self) -> Option<Result<Line, HostError>> {
        self.lines.recv().await
    }
}

impl Drop for Report {
    fn drop(&mut self) {
        self.work.abort();
    }
}

/// Where lines are put.
pub(crate) struct Lines(mpsc::Sender<Result<Line, HostError>>);

/// Why a report ends early.
pub(crate) enum Ended {
    /// Nobody listens any more.
    Unwanted,
    Failed(HostError),
}

impl From<HostError> for Ended {
    fn from(error: HostError) -> Ended {
        Ended::Failed(error)
    }
}

impl Lines {
    pub(crate) async fn put(&self, line: Line) -> Result<(), Ended> {
        self.0.send(Ok(line)).await.map_err(|_| Ended::Unwanted)
    }
}

/// Writes rows of one table as JSON.
pub(super) struct Writer {
    all: RowWriter,
    key: RowWriter,
    table: Table,
}

impl Writer {
    pub(super) fn of(table: &Table) -> Writer {
        let names = |columns: &mut dyn Iterator<Item = &Column>| columns.map(|column| column.name.clone()).collect();
        let (all, key): (Vec<String>, Vec<String>) =
            (names(&mut table.columns.iter()), names(&mut table.key_columns()));
        Writer { all: RowWriter::new(&all), key: RowWriter::new(&key), table: table.clone() }
    }

    /// The whole row, as an object.
    pub(super) fn row(&self, row: &Row) -> Box<RawValue> {
        json(&self.all, row)
    }

    /// The key of a row, as an object.
    pub(super) fn key(&self, row: &Row) -> Box<RawValue> {
        json(&self.key, &key_of(&self.table, row))
    }
}

fn json(writer: &RowWriter, values: &[Value]) -> Box<RawValue> {
    let mut text = Vec::new();
    writer.write(values, &mut text);
    let text = String::from_utf8(text).expect("JSON of texts that are UTF-8");
    RawValue::from_string(text).expect("a row writer writes JSON")
}
