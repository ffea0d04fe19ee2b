//! Every rule that one change must obey on its own, before it is folded: tables and columns exist, values are inside the domain,
//! the key is named, the event owns the row.

use std::cmp::Ordering;

use reel_events::EventRef;

use crate::change::{Cell, Change, KeyValues, Operation, Refusal, Row, RowFilter};
use crate::manifest::{Manifest, Ownership, StreamPart, Table};
use crate::step::{Events, IfMissing, Step, Sum, is_ordered, is_summable};
use crate::value::{Value, ValueRef};

/// A change that obeys the rules.
#[derive(Debug)]
pub(crate) enum Checked {
    /// The row is this now.
    Put { key: KeyValues, row: Row },
    /// There is no such row now.
    Delete { key: KeyValues },
    /// The row becomes what the step makes of it.
    Step { key: KeyValues, step: Step },
    /// These rows are gone.
    DeleteWhere(RowFilter),
}

/// Checks a change of `event`.
pub(crate) fn check(manifest: &Manifest, event: &EventRef<'_>, change: &Change<'_>) -> Result<Checked, Refusal> {
    let Some(table) = manifest.tables.get(usize::from(change.table)) else {
        let message = format!("table {} does not exist: the manifest has {}", change.table, manifest.tables.len());
        return Err(Refusal::of(change.event, "unknown-table", message));
    };
    let rules = Rules { table, event, change };
    rules.operation_fits_ownership()?;
    let mut cells = rules.accept_cells()?;
    rules.owns(&cells)?;
    if change.operation == Operation::DeleteWhere {
        return rules.delete_where(cells);
    }
    rules.names_key(&cells)?;
    match change.operation {
        Operation::Upsert => rules.row(cells).map(|row| Checked::Put { key: rules.key_of(&row), row }),
        Operation::InsertIfAbsent => {
            let row = rules.row(cells)?;
            Ok(Checked::Step { key: rules.key_of(&row), step: Step::InsertIfAbsent { row } })
        }
        Operation::Delete => rules.only_key(&cells).map(|()| Checked::Delete { key: rules.take_key(&mut cells) }),
        _ => Ok(Checked::Step { key: rules.take_key(&mut cells), step: rules.step(cells)? }),
    }
}

/// Checks the keys of a read of `event`, and owns them.
pub(crate) fn check_read(
    manifest: &Manifest,
    event: &EventRef<'_>,
    (index, table): (usize, u16),
    keys: &[ValueRef<'_>],
) -> Result<Vec<KeyValues>, Refusal> {
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
    keys.chunks(table.key.len())
        .map(|values| {
            let cells: Vec<_> =
                table.key.iter().zip(values).map(|(column, value)| Cell { column: *column, value: *value }).collect();
            let change = Change { event: index, table: 0, operation: Operation::Delete, cells: &cells };
            let rules = Rules { table, event, change: &change };
            let mut cells = rules.accept_cells()?;
            rules.owns(&cells)?;
            rules.names_key(&cells)?;
            Ok(rules.take_key(&mut cells))
        })
        .collect()
}

type Cells = Vec<(u16, Value)>;

struct Rules<'a> {
    table: &'a Table,
    event: &'a EventRef<'a>,
    change: &'a Change<'a>,
}

impl Rules<'_> {
    fn refuse(&self, code: &'static str, message: String) -> Refusal {
        Refusal::of(self.change.event, code, message)
    }

    fn operation_fits_ownership(&self) -> Result<(), Refusal> {
        let commutes = matches!(self.change.operation, Operation::Add | Operation::Minimum | Operation::Maximum);
        if self.table.ownership == Ownership::Shared && !commutes {
            let message = format!(
                "{:?} on table {}, which is shared: only add, minimum and maximum give the same rows in any order; use an owned table, or order global",
                self.change.operation, self.table.name
            );
            return Err(self.refuse("not-commuting", message));
        }
        Ok(())
    }

    fn accept_cells(&self) -> Result<Cells, Refusal> {
        let mut cells: Cells = Vec::with_capacity(self.change.cells.len());
        for cell in self.change.cells {
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
                .accept(cell.value)
                .map_err(|error| self.refuse("value-out-of-domain", format!("table {}, {error}", self.table.name)))?;
            cells.push((cell.column, value));
        }
        Ok(cells)
    }

    /// An owned row names the stream it belongs to, and that must be the event's.
    fn owns(&self, cells: &Cells) -> Result<(), Refusal> {
        let Ownership::Owned { column, holds } = self.table.ownership else { return Ok(()) };
        let name = &self.table.columns[usize::from(column)].name;
        let stream = match holds {
            StreamPart::Key => self.event.stream_key(),
            StreamPart::Id => self.event.stream,
        };
        let owned = match cells.iter().find(|(named, _)| *named == column) {
            None => {
                let message = format!(
                    "table {} is owned by column {name}, which every change and read must name",
                    self.table.name
                );
                return Err(self.refuse("not-owned", message));
            }
            Some((_, Value::Text(text))) => text.as_ref() == stream,
            Some((_, Value::Uuid(uuid))) => uuid::Uuid::try_parse(stream).is_ok_and(|stream| stream == *uuid),
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

    fn names_key(&self, cells: &Cells) -> Result<(), Refusal> {
        if self.table.key.iter().all(|column| cells.iter().any(|(named, _)| named == column)) {
            return Ok(());
        }
        let names: Vec<_> = self.table.key_columns().map(|column| column.name.as_str()).collect();
        let (operation, table) = (self.change.operation, &self.table.name);
        let message = format!("{operation:?} on table {table} must name its whole primary key ({})", names.join(", "));
        Err(self.refuse("key-incomplete", message))
    }

    /// The key's values, out of the cells: what is left of them there is not looked at any more.
    fn take_key(&self, cells: &mut Cells) -> KeyValues {
        let take = |column: &u16| {
            let cell = cells.iter_mut().find(|(named, _)| named == column).expect("checked: the whole key is named");
            std::mem::replace(&mut cell.1, Value::Null)
        };
        self.table.key.iter().map(take).collect()
    }

    fn key_of(&self, row: &Row) -> KeyValues {
        self.table.key.iter().map(|column| row[usize::from(*column)].clone()).collect()
    }

    fn only_key(&self, cells: &Cells) -> Result<(), Refusal> {
        if cells.len() == self.table.key.len() {
            return Ok(());
        }
        Err(self.refuse(
            "unexpected-column",
            format!("delete on table {} names more than its primary key", self.table.name),
        ))
    }

    /// A whole row: what is not named takes its default.
    fn row(&self, mut cells: Cells) -> Result<Row, Refusal> {
        if cells.len() == self.table.columns.len() {
            cells.sort_unstable_by_key(|(column, _)| *column);
            return Ok(cells.into_iter().map(|(_, value)| value).collect());
        }
        let mut row: Vec<Option<Value>> = vec![None; self.table.columns.len()];
        for (column, value) in cells {
            row[usize::from(column)] = Some(value);
        }
        row.into_iter()
            .zip(&self.table.columns)
            .map(|(value, column)| {
                value.or_else(|| column.default_value()).ok_or_else(|| {
                    let message =
                        format!("table {}: column {} has no default and must be named", self.table.name, column.name);
                    self.refuse("value-missing", message)
                })
            })
            .collect()
    }

    fn step(&self, mut cells: Cells) -> Result<Step, Refusal> {
        cells.retain(|(column, _)| !self.table.is_key(*column));
        let event = self.change.event;
        let cells = match self.change.operation {
            Operation::Patch => return Ok(Step::Patch { event, cells: cells.into(), if_missing: IfMissing::Refuse }),
            Operation::PatchIfPresent => {
                return Ok(Step::Patch { event, cells: cells.into(), if_missing: IfMissing::Nothing });
            }
            _ => cells,
        };
        let knows = if self.change.operation == Operation::Add { is_summable } else { is_ordered };
        for (column, value) in &cells {
            let column = &self.table.columns[usize::from(*column)];
            if *value == Value::Null || !knows(column.kind) {
                let message = format!(
                    "{:?} on column {} of table {}, with {value:?}",
                    self.change.operation, column.name, self.table.name
                );
                return Err(self.refuse("value-out-of-domain", message));
            }
        }
        Ok(match self.change.operation {
            Operation::Add => cells_sorted(cells, |cells| Step::Sum {
                events: Events::One(event),
                sums: cells.iter().map(|(c, v)| Sum::of(*c, v)).collect(),
            }),
            Operation::Minimum => Step::Extreme { event, cells: cells.into(), keep: Ordering::Less },
            _ => Step::Extreme { event, cells: cells.into(), keep: Ordering::Greater },
        })
    }

    fn delete_where(&self, mut cells: Cells) -> Result<Checked, Refusal> {
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
        Ok(Checked::DeleteWhere(RowFilter { equal: cells.into() }))
    }
}

fn cells_sorted(mut cells: Cells, make: impl Fn(&Cells) -> Step) -> Step {
    cells.sort_unstable_by_key(|(column, _)| *column);
    make(&cells)
}
