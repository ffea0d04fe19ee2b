//! Rows that a `delete-where` took away, without looking at all of them: a row asks, when it is touched again, whether a
//! removal that fits it came since.

use hashbrown::HashMap;

use crate::cells::Cells;
use crate::change::RowFilter;
use crate::key::encode_taken;
use crate::value::Taken;

/// A moment within a sequence of changes: the number of removals before it.
pub(crate) type Moment = u32;

/// The removals of one table, in order.
#[derive(Debug, Default)]
pub(crate) struct Removals {
    filters: Vec<RowFilter>,
    by_columns: Vec<ByColumns>,
}

/// Removals that name the same columns: the moments of each, by the values they name.
#[derive(Debug)]
struct ByColumns {
    columns: Box<[u16]>,
    moments: HashMap<Box<[u8]>, Vec<Moment>>,
}

impl Removals {
    /// The present moment.
    pub(crate) fn now(&self) -> Moment {
        self.filters.len() as Moment
    }

    /// Adds a removal at the present moment, which passes with it. `equal` is in order of columns.
    pub(crate) fn add(&mut self, filter: RowFilter) {
        let moment = self.now();
        let columns: Box<[u16]> = filter.equal.iter().map(|(column, _)| *column).collect();
        let values = encode(filter.equal.iter().map(|(_, value)| Taken::from(value)));
        let found = self.by_columns.iter().position(|by| by.columns == columns);
        let place = found.unwrap_or_else(|| {
            self.by_columns.push(ByColumns { columns, moments: HashMap::new() });
            self.by_columns.len() - 1
        });
        self.by_columns[place].moments.entry(values.into()).or_default().push(moment);
        self.filters.push(filter);
    }

    /// Takes the last removal back.
    pub(crate) fn take_back(&mut self) {
        let Some(filter) = self.filters.pop() else { return };
        let columns = filter.equal.iter().map(|(column, _)| column);
        let by = self.by_columns.iter_mut().find(|by| by.columns.iter().eq(columns.clone()));
        let values = encode(filter.equal.iter().map(|(_, value)| Taken::from(value)));
        if let Some(moments) = by.and_then(|by| by.moments.get_mut(values.as_slice())) {
            moments.pop();
        }
    }

    /// Whether a removal took away `row`, which stood as it is from `from` until `until`.
    pub(crate) fn took(&self, row: &impl Cells, from: Moment, until: Moment) -> bool {
        from < until
            && self.by_columns.iter().any(|by| {
                let values = encode(by.columns.iter().map(|column| row.cell(*column)));
                by.moments.get(values.as_slice()).is_some_and(|moments| {
                    let first = moments.partition_point(|moment| *moment < from);
                    moments.get(first).is_some_and(|moment| *moment < until)
                })
            })
    }

    /// All removals, in order.
    pub(crate) fn into_filters(self) -> Vec<RowFilter> {
        self.filters
    }
}

fn encode<'a>(values: impl Iterator<Item = Taken<'a>>) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(40);
    for value in values {
        encode_taken(&value, &mut bytes);
    }
    bytes
}
