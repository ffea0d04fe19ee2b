//! The change algebra: what one checked change makes of one row. Everything that applies changes — the fold, a merge inside a
//! transaction, the model in memory — goes through [`Step::apply`], so that there is one meaning.

use std::cmp::Ordering;
use std::ops::RangeInclusive;

use rust_decimal::Decimal;

use crate::cells::Place;
use crate::change::{Refusal, Row};
use crate::manifest::{ColumnType, Table};
use crate::value::{Taken, Value};

/// A change of one row that depends on the row as it was.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Step {
    /// Insert this row where there is none.
    InsertIfAbsent { row: Row },
    /// Set columns.
    Patch { event: usize, cells: Box<[(u16, Value)]>, if_missing: IfMissing },
    /// Add to columns: one change, or several folded.
    Sum { events: Events, sums: Box<[Sum]> },
    /// The row is this from now on, or is gone; only behind steps that may still refuse.
    Become { row: Option<Row> },
    /// Lower or raise columns.
    Extreme { event: usize, cells: Box<[(u16, Value)]>, keep: Ordering },
}

/// What a patch does where there is no row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum IfMissing {
    Refuse,
    Nothing,
}

/// The events whose additions a [`Step::Sum`] holds: which one, as long as it is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Events {
    One(usize),
    Several,
}

/// Additions to one column, in its smallest unit. `lowest` and `highest` are the extremes of the running sum, so that an
/// overflow is judged after each event, as if they were applied one by one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sum {
    pub(crate) column: u16,
    total: i128,
    lowest: i128,
    highest: i128,
}

/// Whether a step changed the row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    Changed,
    Unchanged,
}

impl Sum {
    /// One addition of `value`, which is an integer or a decimal of the column's scale.
    pub(crate) fn of(column: u16, value: &Taken<'_>) -> Sum {
        let total = amount(value);
        Sum { column, total, lowest: total, highest: total }
    }

    /// Total and extremes, for [`Sum::from_amounts`].
    pub(crate) fn amounts(&self) -> [i128; 3] {
        [self.total, self.lowest, self.highest]
    }

    pub(crate) fn from_amounts(column: u16, [total, lowest, highest]: [i128; 3]) -> Sum {
        Sum { column, total, lowest, highest }
    }

    fn then(self, later: Sum) -> Sum {
        Sum {
            column: self.column,
            total: self.total + later.total,
            lowest: self.lowest.min(self.total + later.lowest),
            highest: self.highest.max(self.total + later.highest),
        }
    }
}

impl Step {
    /// Takes `later` into this step, if the two can be one: additions to the same columns, or the same extreme of them.
    pub(crate) fn absorb(&mut self, later: &Step) -> bool {
        match (self, later) {
            (Step::Sum { events, sums }, Step::Sum { events: _, sums: more }) => {
                let same = sums.len() == more.len() && sums.iter().zip(more).all(|(a, b)| a.column == b.column);
                if same {
                    *events = Events::Several;
                    sums.iter_mut().zip(more).for_each(|(sum, later)| *sum = sum.then(*later));
                }
                same
            }
            // The first event stays named: it alone may be at fault, where it cannot create the row.
            (Step::Extreme { cells, keep, .. }, Step::Extreme { cells: more, keep: other, .. }) => {
                let same =
                    keep == other && cells.len() == more.len() && cells.iter().zip(more).all(|((a, _), (b, _))| a == b);
                if same {
                    for ((_, value), (_, later)) in cells.iter_mut().zip(more) {
                        if compare(&Taken::from(later), &Taken::from(&*value)) == *keep {
                            value.clone_from(later);
                        }
                    }
                }
                same
            }
            _ => false,
        }
    }

    /// Whether the two change one column: then their order counts.
    pub(crate) fn meets(&self, other: &Step) -> bool {
        let mut meets = false;
        self.each_column(|column| other.each_column(|theirs| meets |= column == theirs));
        meets
    }

    /// Names the columns that the step changes in a row that is there.
    pub(crate) fn each_column(&self, mut name: impl FnMut(u16)) {
        match self {
            Step::InsertIfAbsent { .. } | Step::Become { .. } => {}
            Step::Patch { cells, .. } | Step::Extreme { cells, .. } => {
                cells.iter().for_each(|(column, _)| name(*column));
            }
            Step::Sum { sums, .. } => sums.iter().for_each(|sum| name(sum.column)),
        }
    }

    fn sums(&self) -> Option<&[Sum]> {
        match self {
            Step::Sum { sums, .. } => Some(sums),
            _ => None,
        }
    }

    /// Whether an event may be at fault for it, once the row is known.
    pub(crate) fn may_refuse(&self) -> bool {
        match self {
            Step::InsertIfAbsent { .. } | Step::Become { .. } => false,
            Step::Patch { if_missing, .. } => *if_missing == IfMissing::Refuse,
            Step::Sum { .. } | Step::Extreme { .. } => true,
        }
    }

    /// Applies the step to the row under `key` as it stands, or does not. A row that stands knows its key.
    pub(crate) fn apply(&self, table: &Table, key: &[Value], row: &mut impl Place) -> Result<Effect, Refusal> {
        match self {
            Step::InsertIfAbsent { row: new } => Ok(insert_if_absent(new, row)),
            Step::Become { row: new } => {
                row.put(new.clone());
                Ok(Effect::Changed)
            }
            Step::Patch { cells, .. } if row.stands() => Ok(set(cells, row)),
            Step::Patch { if_missing: IfMissing::Nothing, .. } => Ok(Effect::Unchanged),
            Step::Patch { event, .. } => Err(Refusal::of(*event, "row-missing", missing_row(table, key))),
            Step::Sum { events, sums } => {
                let named = |column| sums.iter().any(|sum| sum.column == column);
                let mut effect = create_if_missing((table, key), row, events.one(), named)?;
                for sum in sums {
                    if add(table, sum, *events, row)? == Effect::Changed {
                        effect = Effect::Changed;
                    }
                }
                Ok(effect)
            }
            Step::Extreme { event, cells, keep } => {
                let named = |column| cells.iter().any(|(named, _)| *named == column);
                let created = create_if_missing((table, key), row, Some(*event), named)?;
                Ok(if extreme(cells, *keep, row) == Effect::Changed { Effect::Changed } else { created })
            }
        }
    }
}

impl Events {
    fn one(self) -> Option<usize> {
        match self {
            Events::One(event) => Some(event),
            Events::Several => None,
        }
    }
}

/// Refuses additions of several writers to one row that begins with the column defaults, where they leave a column's range in some order:
/// whether they do in the order of the log is not known here.
pub(crate) fn stay_in_range(table: &Table, steps: &[Step]) -> Result<(), Refusal> {
    let mut bounds: Vec<(u16, i128, i128)> = Vec::new();
    for sum in steps.iter().filter_map(Step::sums).flatten() {
        let place = bounds.iter().position(|(column, ..)| *column == sum.column).unwrap_or_else(|| {
            let default = table.columns[usize::from(sum.column)].default_value();
            let base = default.as_ref().map_or(0, |default| amount(&Taken::from(default)));
            bounds.push((sum.column, base, base));
            bounds.len() - 1
        });
        bounds[place].1 += sum.lowest.min(0);
        bounds[place].2 += sum.highest.max(0);
    }
    for (column, lowest, highest) in bounds {
        let column = &table.columns[usize::from(column)];
        let range = range(column.kind);
        if !range.contains(&lowest) || !range.contains(&highest) {
            let message = format!("column {} of table {} may leave its range", column.name, table.name);
            return Err(Refusal { event: None, code: "value-out-of-domain", message });
        }
    }
    Ok(())
}

fn insert_if_absent(new: &Row, row: &mut impl Place) -> Effect {
    if row.stands() {
        return Effect::Unchanged;
    }
    row.put(Some(new.clone()));
    Effect::Changed
}

fn set(cells: &[(u16, Value)], row: &mut impl Place) -> Effect {
    let mut effect = Effect::Unchanged;
    for (column, value) in cells {
        if row.cell(*column) != Taken::from(value) {
            row.set(*column, value);
            effect = Effect::Changed;
        }
    }
    effect
}

fn add(table: &Table, sum: &Sum, events: Events, row: &mut impl Place) -> Result<Effect, Refusal> {
    let column = &table.columns[usize::from(sum.column)];
    let standing = row.cell(sum.column);
    let base = amount(&standing);
    let range = range(column.kind);
    if !range.contains(&(base + sum.lowest)) || !range.contains(&(base + sum.highest)) {
        let message = format!(
            "column {} of table {} would leave its range: {} is there",
            column.name,
            table.name,
            shown(column.kind, base)
        );
        return Err(Refusal { event: events.one(), code: "value-out-of-domain", message });
    }
    let value = value_of(column.kind, base + sum.total);
    if standing == Taken::from(&value) {
        return Ok(Effect::Unchanged);
    }
    drop(standing);
    row.set(sum.column, &value);
    Ok(Effect::Changed)
}

fn extreme(cells: &[(u16, Value)], keep: Ordering, row: &mut impl Place) -> Effect {
    let mut effect = Effect::Unchanged;
    for (column, value) in cells {
        let standing = row.cell(*column);
        if standing == Taken::Null || compare(&Taken::from(value), &standing) == keep {
            drop(standing);
            row.set(*column, value);
            effect = Effect::Changed;
        }
    }
    effect
}

/// Makes the row from the column defaults where there is none; a column that the change names starts absent without a default.
fn create_if_missing(
    (table, key): (&Table, &[Value]),
    row: &mut impl Place,
    event: Option<usize>,
    named: impl Fn(u16) -> bool,
) -> Result<Effect, Refusal> {
    if row.stands() {
        return Ok(Effect::Unchanged);
    }
    let mut values = Vec::with_capacity(table.columns.len());
    for (index, column) in table.columns.iter().enumerate() {
        let index = index as u16;
        let value = match (table.key.iter().position(|k| *k == index), column.default_value()) {
            (Some(place), _) => key[place].clone(),
            (None, Some(default)) => default,
            (None, None) if named(index) => Value::Null,
            (None, None) => {
                let message = format!(
                    "table {} has no row with that key, and column {} has no default, so the row cannot be created: insert it first, or declare a default",
                    table.name, column.name
                );
                return Err(Refusal { event, code: "value-missing", message });
            }
        };
        values.push(value);
    }
    row.put(Some(values.into()));
    Ok(Effect::Changed)
}

fn missing_row(table: &Table, key: &[Value]) -> String {
    format!("patch of a row that is not there: table {}, key {}", table.name, show_key(key))
}

/// A key for messages.
pub(crate) fn show_key(key: &[Value]) -> String {
    let shown: Vec<String> = key
        .iter()
        .map(|value| match value {
            Value::Text(text) => format!("{text:?}"),
            Value::Int(int) => int.to_string(),
            Value::Uuid(uuid) => uuid.to_string(),
            other => format!("{other:?}"),
        })
        .collect();
    format!("({})", shown.join(", "))
}

/// An integer or decimal in the column's smallest unit; NULL counts as nothing yet.
fn amount(value: &Taken<'_>) -> i128 {
    match value {
        Taken::Int(int) => i128::from(*int),
        Taken::Decimal(decimal) => decimal.mantissa(),
        _ => 0,
    }
}

fn value_of(kind: ColumnType, amount: i128) -> Value {
    match kind {
        ColumnType::Decimal { scale, .. } => Value::Decimal(Decimal::from_i128_with_scale(amount, u32::from(scale))),
        _ => Value::Int(i64::try_from(amount).expect("within the column's range")),
    }
}

fn shown(kind: ColumnType, amount: i128) -> String {
    match kind {
        ColumnType::Decimal { scale, .. } => Decimal::from_i128_with_scale(amount, u32::from(scale)).to_string(),
        _ => amount.to_string(),
    }
}

fn range(kind: ColumnType) -> RangeInclusive<i128> {
    match kind {
        ColumnType::Int16 => i128::from(i16::MIN)..=i128::from(i16::MAX),
        ColumnType::Int32 => i128::from(i32::MIN)..=i128::from(i32::MAX),
        ColumnType::Decimal { precision, .. } => {
            let most = 10_i128.pow(u32::from(precision)) - 1;
            -most..=most
        }
        _ => i128::from(i64::MIN)..=i128::from(i64::MAX),
    }
}

/// Whether `minimum` and `maximum` know the type.
pub(crate) fn is_ordered(kind: ColumnType) -> bool {
    use ColumnType::{Date, Text, Time, Timestamp};
    is_summable(kind) || matches!(kind, Date | Time | Timestamp | Text { .. })
}

/// Whether `add` knows the type.
pub(crate) fn is_summable(kind: ColumnType) -> bool {
    use ColumnType::{Decimal, Int16, Int32, Int64};
    matches!(kind, Int16 | Int32 | Int64 | Decimal { .. })
}

/// The order of two values of one column.
fn compare(a: &Taken<'_>, b: &Taken<'_>) -> Ordering {
    match (a, b) {
        (Taken::Int(a), Taken::Int(b)) => a.cmp(b),
        (Taken::Decimal(a), Taken::Decimal(b)) => a.cmp(b),
        (Taken::Text(a), Taken::Text(b)) => a.as_bytes().cmp(b.as_bytes()),
        (Taken::Date(a), Taken::Date(b)) => a.cmp(b),
        (Taken::Time(a), Taken::Time(b)) | (Taken::Timestamp(a), Taken::Timestamp(b)) => a.cmp(b),
        _ => Ordering::Equal,
    }
}
