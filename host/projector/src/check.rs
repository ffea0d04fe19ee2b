//! Every rule that one change must obey on its own, before it is folded: tables and columns exist, values are inside the domain,
//! the key is named, the event owns the row.

use std::cmp::Ordering;

use reel_events::key_part;
use smallvec::SmallVec;

use crate::change::{Cell, Change, KeyValues, Operation, Refusal, Row, RowFilter};
use crate::key::encode_taken;
use crate::manifest::{Manifest, Ownership, StreamPart, Table};
use crate::step::{Events, IfMissing, Step, Sum, is_ordered, is_summable};
use crate::value::{Taken, Value, ValueRef};

/// A change that obeys the rules.
#[derive(Debug)]
pub(crate) enum Checked<'a> {
    /// The row is this now: a value for each column, in declared order.
    Put { row: TakenRow<'a> },
    /// There is no such row now.
    Delete { key: Key<'a> },
    /// The row becomes what the step makes of it.
    Step { key: Key<'a>, step: Step },
    /// These rows are gone.
    DeleteWhere(RowFilter),
}

/// The values of a row, a value for each column, in declared order, before anybody owns them.
pub(crate) type TakenRow<'a> = SmallVec<[Taken<'a>; 8]>;

/// The values of a primary key, in key order, before anybody owns them: most keys are only looked up.
#[derive(Debug, Clone)]
pub(crate) struct Key<'a>(SmallVec<[Taken<'a>; 3]>);

impl Key<'_> {
    /// Appends its encoding: see [`crate::key::encode_key`].
    pub(crate) fn encode(&self, into: &mut Vec<u8>) {
        self.0.iter().for_each(|value| encode_taken(value, into));
    }

    pub(crate) fn own(self) -> KeyValues {
        self.0.into_iter().map(Value::from).collect()
    }
}

/// The key of a row, owned.
pub(crate) fn key_of(table: &Table, row: &Row) -> KeyValues {
    table.key.iter().map(|column| row[usize::from(*column)].clone()).collect()
}

/// Appends the encoding of a row's key.
pub(crate) fn encode_key_of(table: &Table, row: &TakenRow<'_>, into: &mut Vec<u8>) {
    table.key.iter().for_each(|column| encode_taken(&row[usize::from(*column)], into));
}

/// Appends the encoding of the key that cells name, as it is where they are legal; false where they name none.
pub(crate) fn encode_named_key(table: &Table, cells: &[Cell<'_>], into: &mut Vec<u8>) -> bool {
    table.key.iter().all(|column| {
        let named = cells.iter().find(|cell| cell.column == *column);
        let taken = named.and_then(|cell| table.columns[usize::from(*column)].take(cell.value).ok());
        taken.inspect(|value| encode_taken(value, into)).is_some()
    })
}

/// Checks a change of an event of `stream`.
pub(crate) fn check<'a>(manifest: &Manifest, stream: &str, change: &Change<'a>) -> Result<Checked<'a>, Refusal> {
    let Some(table) = manifest.tables.get(usize::from(change.table)) else {
        let message = format!("table {} does not exist: the manifest has {}", change.table, manifest.tables.len());
        return Err(Refusal::of(change.event, "unknown-table", message));
    };
    let rules = Rules { table, stream, event: change.event, operation: change.operation };
    rules.operation_fits_ownership()?;
    let mut cells = rules.accept_cells(change.cells.iter().copied())?;
    rules.owns(&cells)?;
    if change.operation == Operation::DeleteWhere {
        return rules.delete_where(cells);
    }
    rules.names_key(&cells)?;
    match change.operation {
        Operation::Upsert => rules.row(cells).map(|row| Checked::Put { row }),
        Operation::InsertIfAbsent => {
            let key = rules.key(&cells);
            let row = rules.row(cells)?.into_iter().map(Value::from).collect();
            Ok(Checked::Step { key, step: Step::InsertIfAbsent { row } })
        }
        Operation::Delete => rules.only_key(&cells).map(|()| Checked::Delete { key: rules.take_key(&mut cells) }),
        _ => Ok(Checked::Step { key: rules.take_key(&mut cells), step: rules.step(cells)? }),
    }
}

/// Checks the keys of a read of an event of `stream`.
pub(crate) fn check_read<'a>(
    manifest: &Manifest,
    stream: &str,
    (index, table): (usize, u16),
    keys: &'a [ValueRef<'a>],
) -> Result<Vec<Key<'a>>, Refusal> {
    let Some(table) = manifest.tables.get(usize::from(table)) else {
        return Err(Refusal::of(index, "unknown-table", format!("table {table} does not exist")));
    };
    if table.ownership == Ownership::Shared {
        let message = format!("table {} is shared: its rows cannot be read by a projection", table.name);
        return Err(Refusal::of(index, "not-owned", message));
    }
    if !keys.len().is_multiple_of(table.key.len()) {
        let message = format!(
            "{} values are no whole keys of table {}, which has {} key columns",
            keys.len(),
            table.name,
            table.key.len()
        );
        return Err(Refusal::of(index, "key-incomplete", message));
    }
    let rules = Rules { table, stream, event: index, operation: Operation::Delete };
    keys.chunks(table.key.len())
        .map(|values| {
            let cells = table.key.iter().zip(values).map(|(column, value)| Cell { column: *column, value: *value });
            let mut cells = rules.accept_cells(cells)?;
            rules.owns(&cells)?;
            Ok(rules.take_key(&mut cells))
        })
        .collect()
}

/// Most changes name few columns.
type Cells<'v> = SmallVec<[(u16, Taken<'v>); 8]>;

struct Rules<'a> {
    table: &'a Table,
    stream: &'a str,
    event: usize,
    operation: Operation,
}

impl Rules<'_> {
    fn refuse(&self, code: &'static str, message: String) -> Refusal {
        Refusal::of(self.event, code, message)
    }

    fn operation_fits_ownership(&self) -> Result<(), Refusal> {
        let commutes = matches!(self.operation, Operation::Add | Operation::Minimum | Operation::Maximum);
        if self.table.ownership == Ownership::Shared && !commutes {
            let message = format!(
                "{:?} on table {}, which is shared: only add, minimum and maximum give the same rows in any order; use an owned table, or order global",
                self.operation, self.table.name
            );
            return Err(self.refuse("not-commuting", message));
        }
        Ok(())
    }

    fn accept_cells<'v>(&self, given: impl Iterator<Item = Cell<'v>>) -> Result<Cells<'v>, Refusal> {
        let mut cells = Cells::new();
        for cell in given {
            let Some(column) = self.table.columns.get(usize::from(cell.column)) else {
                let message = format!(
                    "table {} has no column {}: it has {}",
                    self.table.name,
                    cell.column,
                    self.table.columns.len()
                );
                return Err(self.refuse("unknown-column", message));
            };
            if cells.iter().any(|(seen, _)| *seen == cell.column) {
                return Err(self.refuse(
                    "column-twice",
                    format!("column {} of table {} is named twice", column.name, self.table.name),
                ));
            }
            let value = column
                .take(cell.value)
                .map_err(|error| self.refuse("value-out-of-domain", format!("table {}, {error}", self.table.name)))?;
            cells.push((cell.column, value));
        }
        Ok(cells)
    }

    /// An owned row names the stream it belongs to, and that must be the event's.
    fn owns(&self, cells: &Cells<'_>) -> Result<(), Refusal> {
        let Ownership::Owned { column, holds } = self.table.ownership else { return Ok(()) };
        let name = &self.table.columns[usize::from(column)].name;
        let stream = match holds {
            StreamPart::Key => key_part(self.stream),
            StreamPart::Id => self.stream,
        };
        let owned = match cells.iter().find(|(named, _)| *named == column) {
            None => {
                let message = format!(
                    "table {} is owned by column {name}, which every change and read must name",
                    self.table.name
                );
                return Err(self.refuse("not-owned", message));
            }
            Some((_, Taken::Text(text))) => &**text == stream,
            Some((_, Taken::Uuid(uuid))) => uuid::Uuid::try_parse(stream).is_ok_and(|stream| stream == *uuid),
            Some(_) => false,
        };
        if owned {
            return Ok(());
        }
        let message = format!(
            "a row of table {} that belongs to another stream: column {name} must hold {stream:?}",
            self.table.name
        );
        Err(self.refuse("not-owned", message))
    }

    fn names_key(&self, cells: &Cells<'_>) -> Result<(), Refusal> {
        if self.table.key.iter().all(|column| cells.iter().any(|(named, _)| named == column)) {
            return Ok(());
        }
        let names: Vec<_> = self.table.key_columns().map(|column| column.name.as_str()).collect();
        let (operation, table) = (self.operation, &self.table.name);
        let message = format!("{operation:?} on table {table} must name its whole primary key ({})", names.join(", "));
        Err(self.refuse("key-incomplete", message))
    }

    /// The key's values, out of the cells: what is left of them there is not looked at any more.
    fn take_key<'v>(&self, cells: &mut Cells<'v>) -> Key<'v> {
        let take = |column: &u16| {
            let cell = cells.iter_mut().find(|(named, _)| named == column).expect("checked: the whole key is named");
            std::mem::replace(&mut cell.1, Taken::Null)
        };
        Key(self.table.key.iter().map(take).collect())
    }

    /// The same, and the cells stay whole.
    fn key<'v>(&self, cells: &Cells<'v>) -> Key<'v> {
        self.take_key(&mut cells.clone())
    }

    fn only_key(&self, cells: &Cells<'_>) -> Result<(), Refusal> {
        if cells.len() == self.table.key.len() {
            return Ok(());
        }
        Err(self.refuse(
            "unexpected-column",
            format!("delete on table {} names more than its primary key", self.table.name),
        ))
    }

    /// A whole row: what is not named takes its default.
    fn row<'v>(&self, mut cells: Cells<'v>) -> Result<TakenRow<'v>, Refusal> {
        if cells.len() == self.table.columns.len() {
            cells.sort_unstable_by_key(|(column, _)| *column);
            return Ok(cells.into_iter().map(|(_, value)| value).collect());
        }
        let mut row: SmallVec<[Option<Taken<'v>>; 8]> = SmallVec::from_elem(None, self.table.columns.len());
        for (column, value) in cells {
            row[usize::from(column)] = Some(value);
        }
        row.into_iter()
            .zip(&self.table.columns)
            .map(|(value, column)| {
                value.or_else(|| column.default_value().map(Taken::from)).ok_or_else(|| {
                    let message =
                        format!("table {}: column {} has no default and must be named", self.table.name, column.name);
                    self.refuse("value-missing", message)
                })
            })
            .collect()
    }

    fn step(&self, mut cells: Cells<'_>) -> Result<Step, Refusal> {
        cells.retain(|(column, _)| !self.table.is_key(*column));
        let event = self.event;
        match self.operation {
            Operation::Patch => {
                return Ok(Step::Patch { event, cells: own(cells), if_missing: IfMissing::Refuse });
            }
            Operation::PatchIfPresent => {
                return Ok(Step::Patch { event, cells: own(cells), if_missing: IfMissing::Nothing });
            }
            _ => {}
        }
        let knows = if self.operation == Operation::Add { is_summable } else { is_ordered };
        for (column, value) in &cells {
            let column = &self.table.columns[usize::from(*column)];
            if *value == Taken::Null || !knows(column.kind) {
                let message = format!(
                    "{:?} on column {} of table {}, with {:?}",
                    self.operation,
                    column.name,
                    self.table.name,
                    Value::from(value.clone())
                );
                return Err(self.refuse("value-out-of-domain", message));
            }
        }
        Ok(match self.operation {
            Operation::Add => {
                cells.sort_unstable_by_key(|(column, _)| *column);
                let sums = cells.iter().map(|(column, value)| Sum::of(*column, value)).collect();
                Step::Sum { events: Events::One(event), sums }
            }
            Operation::Minimum => Step::Extreme { event, cells: own(cells), keep: Ordering::Less },
            _ => Step::Extreme { event, cells: own(cells), keep: Ordering::Greater },
        })
    }

    fn delete_where<'v>(&self, mut cells: Cells<'v>) -> Result<Checked<'v>, Refusal> {
        let named: Vec<u16> = cells.iter().map(|(column, _)| *column).collect();
        let leads =
            |columns: &[u16]| columns.len() >= named.len() && columns[..named.len()].iter().all(|c| named.contains(c));
        let indexed = leads(&self.table.key) || self.table.indexes.iter().any(|index| leads(&index.columns));
        if named.is_empty() || !indexed {
            let message =
                format!("delete-where on table {} must name the leading columns of an index", self.table.name);
            return Err(self.refuse("no-index", message));
        }
        cells.sort_unstable_by_key(|(column, _)| *column);
        Ok(Checked::DeleteWhere(RowFilter { equal: own(cells) }))
    }
}

fn own(cells: Cells<'_>) -> Box<[(u16, Value)]> {
    cells.into_iter().map(|(column, value)| (column, value.into())).collect()
}
