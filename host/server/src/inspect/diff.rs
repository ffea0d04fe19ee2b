//! Two generations held against each other: the same projection before and after, or in two read databases.
//!
//! Each side is read in one moment of its own, and the two moments are at the same positions of the log. The tables that both have are
//! read twice: first to count, then to say which rows differ, so that what comes first is how much differs, and memory stays flat.

use std::sync::Arc;

use reel_projector::change::Row;
use reel_projector::{ColumnType, Table};
use reel_read_model::Snapshot;
use serde::Serialize;

use super::ordered::{Pair, Pairs, pages};
use super::report::{Ended, Lines, Writer};
use super::{Line, Report, ShardAt, Subject, Which, alike, shards};
use crate::error::HostError;
use crate::host::Host;

/// What is to be compared.
#[derive(Debug, Clone)]
pub struct DiffRequest {
    /// The first.
    pub here: Which,
    /// The second.
    pub there: Which,
    /// Say at most so many differing rows of each table, spread evenly; nothing = all.
    pub sample: Option<u64>,
    /// Where the two must stand.
    pub positions: Positions,
}

/// Where two generations must stand to be compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Positions {
    /// At the same position: waited for, a bounded time.
    Equal,
    /// Wherever they stand: what happened between is a difference too.
    Any,
}

/// How much differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DiffSummary {
    /// The first.
    pub here: SideSummary,
    /// The second.
    pub there: SideSummary,
    /// Whether both have the same tables with the same columns and rows.
    pub equal: bool,
    /// All tables that any of them has.
    pub tables: Vec<TableDiff>,
}

/// A generation as it was compared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SideSummary {
    /// `posts@2`
    pub generation: String,
    /// The read database.
    pub target: String,
    /// Where its shards stood.
    pub shards: Vec<ShardAt>,
}

/// How much differs in one table.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TableDiff {
    /// The table.
    pub table: String,
    /// Rows that both have, alike in all columns that both have.
    pub equal: u64,
    /// Rows that both have, and that differ.
    pub differing: u64,
    /// Rows whose key only the first has.
    pub only_here: u64,
    /// Rows whose key only the second has.
    pub only_there: u64,
    /// Columns that only the first has: they are not compared.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub columns_only_here: Vec<String>,
    /// Columns that only the second has.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub columns_only_there: Vec<String>,
    /// Why its rows were not compared at all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_compared: Option<String>,
}

impl TableDiff {
    fn is_equal(&self) -> bool {
        self.not_compared.is_none()
            && self.columns_only_here.is_empty()
            && self.columns_only_there.is_empty()
            && self.differences() == 0
    }

    fn differences(&self) -> u64 {
        self.differing + self.only_here + self.only_there
    }
}

impl Host {
    /// Compares two generations. The report begins with a summary; the rows that differ follow, table by table in the order of keys.
    ///
    /// # Errors
    /// Where one of them is not there or being built, they are of different logs, or do not come to the same position in time.
    pub async fn diff(&self, request: DiffRequest) -> Result<Report, HostError> {
        let here = self.subject(&request.here).await?;
        let there = self.subject(&request.there).await?;
        if here.generation.log != there.generation.log && request.positions == Positions::Equal {
            let (first, second) = (here.place(), there.place());
            let message = format!("{first} and {second} are built from different logs: their positions do not compare");
            return Err(HostError::Conflict(message));
        }
        let (here_now, there_now) = match request.positions {
            Positions::Equal => alike::together(self, &here, &there).await?,
            Positions::Any => tokio::try_join!(here.snapshot(), there.snapshot())?,
        };
        let sides = Sides { here, there, here_now, there_now, sample: request.sample };
        Ok(Report::of(|lines| sides.report(lines)))
    }
}

/// Two generations, each at a moment.
struct Sides {
    here: Subject,
    there: Subject,
    here_now: Box<dyn Snapshot>,
    there_now: Box<dyn Snapshot>,
    sample: Option<u64>,
}

/// A table that both have.
#[derive(Debug, Clone)]
struct Common {
    here: u16,
    there: u16,
    /// The columns that both have, by their places.
    columns: Vec<(usize, usize)>,
}

impl Sides {
    async fn report(mut self, lines: Lines) -> Result<(), Ended> {
        let mut tables = Vec::new();
        for (mut table, common) in self.tables() {
            if let Some(common) = &common {
                self.count(common, &mut table).await?;
            }
            tables.push((table, common));
        }
        lines.put(Line::Summary(self.summary(&tables))).await?;
        for (table, common) in &tables {
            if let Some(common) = common
                && table.differences() > 0
            {
                self.say(common, table.differences(), &lines).await?;
            }
        }
        Ok(())
    }

    fn summary(&self, tables: &[(TableDiff, Option<Common>)]) -> DiffSummary {
        let side = |subject: &Subject, now: &dyn Snapshot| SideSummary {
            generation: subject.title(),
            target: subject.target.name().to_owned(),
            shards: shards(now.checkpoints()),
        };
        DiffSummary {
            here: side(&self.here, self.here_now.as_ref()),
            there: side(&self.there, self.there_now.as_ref()),
            equal: tables.iter().all(|(table, _)| table.is_equal()),
            tables: tables.iter().map(|(table, _)| table.clone()).collect(),
        }
    }

    /// The tables of the first, then those that only the second has.
    fn tables(&self) -> Vec<(TableDiff, Option<Common>)> {
        let (here, there) = (&self.here.generation.manifest.tables, &self.there.generation.manifest.tables);
        let place = |tables: &[Table], name: &str| tables.iter().position(|table| table.name == name);
        let only = |table: &Table, side: &Subject| {
            let not_compared = Some(format!("only {} has it", side.place()));
            (TableDiff { table: table.name.clone(), not_compared, ..TableDiff::default() }, None)
        };
        let mut tables = Vec::new();
        for (number, table) in here.iter().enumerate() {
            tables.push(match place(there, &table.name) {
                Some(other) => common((number, table), (other, &there[other])),
                None => only(table, &self.here),
            });
        }
        let missing = there.iter().filter(|table| place(here, &table.name).is_none());
        tables.extend(missing.map(|table| only(table, &self.there)));
        tables
    }

    async fn count(&mut self, common: &Common, into: &mut TableDiff) -> Result<(), HostError> {
        let mut pairs = self.pairs(common).await?;
        while let Some(pair) = pairs.next().await? {
            match &pair {
                Pair::Here(_) => into.only_here += 1,
                Pair::There(_) => into.only_there += 1,
                Pair::Both(here, there) if common.differs(here, there) => into.differing += 1,
                Pair::Both(..) => into.equal += 1,
            }
        }
        Ok(())
    }

    /// Says which rows differ, `differences` in all.
    async fn say(&mut self, common: &Common, differences: u64, lines: &Lines) -> Result<(), Ended> {
        let said = self.sample.unwrap_or(differences).min(differences);
        let (first, second) = (Arc::clone(&self.here.generation.manifest), Arc::clone(&self.there.generation.manifest));
        let (first, second) = (&first.tables[usize::from(common.here)], &second.tables[usize::from(common.there)]);
        let (here, there) = (Writer::of(first), Writer::of(second));
        let (mut pairs, mut number) = (self.pairs(common).await?, 0);
        while let Some(pair) = pairs.next().await? {
            let (key, here, there, columns) = match &pair {
                Pair::Here(row) => (here.key(row), Some(here.row(row)), None, Vec::new()),
                Pair::There(row) => (there.key(row), None, Some(there.row(row)), Vec::new()),
                Pair::Both(one, other) if common.differs(one, other) => {
                    (here.key(one), Some(here.row(one)), Some(there.row(other)), common.differing(first, one, other))
                }
                Pair::Both(..) => continue,
            };
            if is_said(number, said, differences) {
                let table = first.name.clone();
                lines.put(Line::Row { table, key, here, there, columns }).await?;
            }
            number += 1;
        }
        Ok(())
    }

    async fn pairs(&mut self, common: &Common) -> Result<Pairs<'_>, HostError> {
        let Sides { here, there, here_now, there_now, .. } = self;
        let here = pages(here, here_now.as_mut(), common.here).await?;
        let there = pages(there, there_now.as_mut(), common.there).await?;
        Ok(Pairs::new(here, there))
    }
}

impl Common {
    fn differs(&self, here: &Row, there: &Row) -> bool {
        self.columns.iter().any(|(one, other)| here[*one] != there[*other])
    }

    /// The names of the columns in which two rows of `table` differ.
    fn differing(&self, table: &Table, here: &Row, there: &Row) -> Vec<String> {
        let differing = self.columns.iter().filter(|(one, other)| here[*one] != there[*other]);
        differing.map(|(one, _)| table.columns[*one].name.clone()).collect()
    }
}

/// Whether the difference with this number is one of `said` that are spread evenly over `of`.
fn is_said(number: u64, said: u64, of: u64) -> bool {
    let before = |number: u64| u128::from(number) * u128::from(said) / u128::from(of);
    before(number) != before(number + 1)
}

/// How the tables of one name are compared.
fn common((here, first): (usize, &Table), (there, second): (usize, &Table)) -> (TableDiff, Option<Common>) {
    let lacks = |table: &Table, other: &Table| {
        let missing = table.columns.iter().filter(|column| other.column_index(&column.name).is_none());
        missing.map(|column| column.name.clone()).collect()
    };
    let mut diff = TableDiff {
        table: first.name.clone(),
        columns_only_here: lacks(first, second),
        columns_only_there: lacks(second, first),
        ..TableDiff::default()
    };
    if !same_key(first, second) {
        diff.not_compared = Some("its key has other columns or types in one than in the other".to_owned());
        return (diff, None);
    }
    let columns = first.columns.iter().enumerate();
    let columns = columns.filter_map(|(place, column)| Some((place, usize::from(second.column_index(&column.name)?))));
    let columns = columns.collect();
    (diff, Some(Common { here: here as u16, there: there as u16, columns }))
}

/// Whether the keys have the same columns, with values that compare.
fn same_key(first: &Table, second: &Table) -> bool {
    use ColumnType::{Bytes, Decimal, Int16, Int32, Int64, Text};
    let alike = |one: ColumnType, other: ColumnType| match (one, other) {
        (Int16 | Int32 | Int64, Int16 | Int32 | Int64) | (Text { .. }, Text { .. }) | (Bytes { .. }, Bytes { .. }) => {
            true
        }
        (Decimal { scale: one, .. }, Decimal { scale: other, .. }) => one == other,
        (one, other) => one == other,
    };
    let (mut one, mut other) = (first.key_columns(), second.key_columns());
    first.key.len() == second.key.len()
        && one.by_ref().zip(other.by_ref()).all(|(one, other)| one.name == other.name && alike(one.kind, other.kind))
}

#[cfg(test)]
mod tests {
    use reel_projector::Manifest;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_sample_is_as_large_as_asked_for() {
        for of in 1..40 {
            for said in 0..=of {
                let numbers: Vec<u64> = (0..of).filter(|number| is_said(*number, said, of)).collect();
                assert_eq!(numbers.len() as u64, said, "{said} of {of}");
            }
        }
    }

    fn table(columns: &[(&str, &str)], key: &[&str]) -> Table {
        let columns: Vec<_> = columns.iter().map(|(name, kind)| json!({"name": name, "type": kind})).collect();
        let manifest = json!({
            "manifest": 1, "name": "a", "version": "1", "kinds": ["*"], "order": "global",
            "tables": [{"name": "t", "columns": columns, "key": key}]
        });
        Manifest::parse(&manifest.to_string()).unwrap().tables.remove(0)
    }

    #[test]
    fn what_two_shapes_have_in_common_is_compared() {
        let first = table(&[("id", "int64"), ("old", "int32"), ("name", "text")], &["id"]);
        let second = table(&[("name", "text"), ("id", "int32"), ("new", "text")], &["id"]);
        let (diff, common) = common((0, &first), (0, &second));
        let common = common.unwrap();
        assert_eq!(common.columns, [(0, 1), (2, 0)]);
        assert_eq!(
            (diff.columns_only_here.as_slice(), diff.columns_only_there.as_slice()),
            (&["old".to_owned()][..], &["new".to_owned()][..])
        );
        assert!(!diff.is_equal());
    }

    #[test]
    fn other_keys_are_not_compared() {
        let first = table(&[("id", "int64"), ("at", "date")], &["id"]);
        for key in [&["at"][..], &["id", "at"]] {
            let second = table(&[("id", "int64"), ("at", "date")], key);
            let (diff, common) = common((0, &first), (0, &second));
            assert!(common.is_none() && !diff.is_equal());
        }
    }
}
