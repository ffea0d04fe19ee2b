//! Rows in the order of their keys' bytes, from wherever they come, and two such sequences side by side.

use std::cmp::Ordering;
use std::collections::VecDeque;
use std::vec;

use async_trait::async_trait;
use reel_projector::Table;
use reel_projector::change::{KeyValues, Row};
use reel_projector::key::{encode_value, encoded};
use reel_read_model::{Snapshot, TargetKind};

use super::Subject;
use crate::error::HostError;

/// Rows that are read at once.
pub(super) const PAGE: usize = 2_000;

/// A sequence of rows, a page at a time, in the order of their keys' bytes.
#[async_trait]
pub(super) trait Pages: Send {
    /// The next rows; none behind the last.
    async fn page(&mut self) -> Result<Vec<Row>, HostError>;
}

/// A sequence of rows, and the columns of their key.
pub(super) struct Keyed<'a> {
    pages: Box<dyn Pages + 'a>,
    key: Vec<u16>,
}

impl<'a> Keyed<'a> {
    pub(super) fn new(pages: impl Pages + 'a, table: &Table) -> Keyed<'a> {
        Keyed { pages: Box::new(pages), key: table.key.clone() }
    }

    /// The next rows; none behind the last.
    pub(super) async fn page(&mut self) -> Result<Vec<Row>, HostError> {
        self.pages.page().await
    }
}

/// The rows of table number `number`, from the first. A database that sorts keys in another order than ours has its rows put in order in
/// memory.
pub(super) async fn pages<'a>(
    subject: &'a Subject,
    snapshot: &'a mut dyn Snapshot,
    number: u16,
) -> Result<Keyed<'a>, HostError> {
    let table = &subject.generation.manifest.tables[usize::from(number)];
    let mut pages = SnapshotPages { snapshot, number, table, after: None };
    if sorts_as_we_do(subject.target.kind()) {
        return Ok(Keyed::new(pages, table));
    }
    Ok(Keyed::new(Sorted::read(&mut pages, table).await?, table))
}

/// Whether rows come in the order of their keys' bytes.
fn sorts_as_we_do(kind: TargetKind) -> bool {
    match kind {
        TargetKind::Sqlite | TargetKind::Postgres | TargetKind::MySql => true,
        TargetKind::SqlServer => false,
    }
}

/// A table as a snapshot has it.
struct SnapshotPages<'a> {
    snapshot: &'a mut dyn Snapshot,
    number: u16,
    table: &'a Table,
    after: Option<KeyValues>,
}

#[async_trait]
impl Pages for SnapshotPages<'_> {
    async fn page(&mut self) -> Result<Vec<Row>, HostError> {
        let page = self.snapshot.rows(self.number, self.after.as_ref(), PAGE).await.map_err(HostError::reading)?;
        if let Some(last) = page.last() {
            self.after = Some(key_of(self.table, last));
        }
        Ok(page)
    }
}

/// Rows that were put in order in memory.
struct Sorted(vec::IntoIter<Row>);

impl Sorted {
    async fn read(pages: &mut dyn Pages, table: &Table) -> Result<Sorted, HostError> {
        let mut rows = Vec::new();
        loop {
            let page = pages.page().await?;
            if page.is_empty() {
                rows.sort_by_cached_key(|row| encoded(&key_of(table, row)));
                return Ok(Sorted(rows.into_iter()));
            }
            rows.extend(page);
        }
    }
}

#[async_trait]
impl Pages for Sorted {
    async fn page(&mut self) -> Result<Vec<Row>, HostError> {
        Ok(self.0.by_ref().take(PAGE).collect())
    }
}

/// The primary key of a row.
pub(super) fn key_of(table: &Table, row: &Row) -> KeyValues {
    table.key.iter().map(|column| row[usize::from(*column)].clone()).collect()
}

/// A row that is in one of two sequences, or in both.
#[derive(Debug, PartialEq)]
pub(super) enum Pair {
    Here(Row),
    There(Row),
    Both(Row, Row),
}

/// Two sequences side by side, by key.
pub(super) struct Pairs<'a> {
    here: Side<'a>,
    there: Side<'a>,
}

struct Side<'a> {
    keyed: Keyed<'a>,
    rows: VecDeque<Row>,
    /// The key of the first of `rows`, encoded; empty = there are none.
    first: Vec<u8>,
    ended: bool,
}

impl<'a> Pairs<'a> {
    pub(super) fn new(here: Keyed<'a>, there: Keyed<'a>) -> Pairs<'a> {
        Pairs { here: Side::new(here), there: Side::new(there) }
    }

    pub(super) async fn next(&mut self) -> Result<Option<Pair>, HostError> {
        self.here.fill().await?;
        self.there.fill().await?;
        let order = match (self.here.first.is_empty(), self.there.first.is_empty()) {
            (true, true) => return Ok(None),
            (false, true) => Ordering::Less,
            (true, false) => Ordering::Greater,
            (false, false) => self.here.first.cmp(&self.there.first),
        };
        Ok(match order {
            Ordering::Less => self.here.take().map(Pair::Here),
            Ordering::Greater => self.there.take().map(Pair::There),
            Ordering::Equal => self.here.take().zip(self.there.take()).map(|(here, there)| Pair::Both(here, there)),
        })
    }
}

impl<'a> Side<'a> {
    fn new(keyed: Keyed<'a>) -> Side<'a> {
        Side { keyed, rows: VecDeque::new(), first: Vec::new(), ended: false }
    }

    async fn fill(&mut self) -> Result<(), HostError> {
        if self.rows.is_empty() && !self.ended {
            self.rows = self.keyed.page().await?.into();
            self.ended = self.rows.is_empty();
            self.encode();
        }
        Ok(())
    }

    fn take(&mut self) -> Option<Row> {
        let row = self.rows.pop_front();
        self.encode();
        row
    }

    fn encode(&mut self) {
        self.first.clear();
        if let Some(row) = self.rows.front() {
            self.keyed.key.iter().for_each(|column| encode_value(&row[usize::from(*column)], &mut self.first));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use reel_projector::Value;
    use std::collections::BTreeMap;

    use super::*;

    struct Given(VecDeque<Vec<Row>>);

    impl Given {
        fn of(rows: &BTreeMap<i64, i64>, page: usize) -> Given {
            let rows: Vec<Row> =
                rows.iter().map(|(key, value)| [Value::Int(*key), Value::Int(*value)].into()).collect();
            Given(rows.chunks(page).map(<[Row]>::to_vec).collect())
        }
    }

    #[async_trait]
    impl Pages for Given {
        async fn page(&mut self) -> Result<Vec<Row>, HostError> {
            Ok(self.0.pop_front().unwrap_or_default())
        }
    }

    async fn pairs(here: &BTreeMap<i64, i64>, there: &BTreeMap<i64, i64>, page: usize) -> Vec<Pair> {
        let keyed = |pages| Keyed { pages: Box::new(pages), key: vec![0] };
        let mut pairs = Pairs::new(keyed(Given::of(here, page)), keyed(Given::of(there, 3)));
        let mut all = Vec::new();
        while let Some(pair) = pairs.next().await.unwrap() {
            all.push(pair);
        }
        all
    }

    proptest! {
        #[test]
        fn every_row_is_paired_in_the_order_of_keys(
            here in prop::collection::btree_map(-9..9_i64, 0..3_i64, 0..12),
            there in prop::collection::btree_map(-9..9_i64, 0..3_i64, 0..12),
            page in 1..5_usize,
        ) {
            let row = |key: i64, value: i64| -> Row { [Value::Int(key), Value::Int(value)].into() };
            let expected: Vec<Pair> = (-9..9)
                .filter_map(|key| match (here.get(&key), there.get(&key)) {
                    (Some(a), Some(b)) => Some(Pair::Both(row(key, *a), row(key, *b))),
                    (Some(a), None) => Some(Pair::Here(row(key, *a))),
                    (None, Some(b)) => Some(Pair::There(row(key, *b))),
                    (None, None) => None,
                })
                .collect();
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            prop_assert_eq!(runtime.block_on(pairs(&here, &there, page)), expected);
        }
    }
}
