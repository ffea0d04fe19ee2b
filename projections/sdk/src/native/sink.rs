//! Hands the SDK's batches to the projector's sink, change by change.

use reel_projector::{Cell, Change, Operation, Sink, ports::SinkError};

use super::convert::{row_batch, value_ref};
use crate::{
    abi::{self, ChangeBatch, RowBatch},
    rows::Host,
};

/// How many changes the projector foresees, as it does of a component's.
const WINDOW: usize = 64;

/// The projector as the host of a projection. A refusal is kept, and everything after it is void: in Wasm the instance would be
/// gone.
pub(super) struct PluginHost<'a> {
    sink: &'a mut dyn Sink,
    refusal: Option<SinkError>,
}

impl<'a> PluginHost<'a> {
    pub(super) fn new(sink: &'a mut dyn Sink) -> PluginHost<'a> {
        PluginHost { sink, refusal: None }
    }

    pub(super) fn into_refusal(self) -> Option<SinkError> {
        self.refusal
    }
}

impl Host for PluginHost<'_> {
    fn emit(&mut self, batch: &ChangeBatch) {
        if self.refusal.is_some() {
            return;
        }
        let cells: Vec<Cell<'_>> = batch
            .cells
            .iter()
            .map(|cell| Cell { column: cell.column, value: value_ref(cell.value, &batch.heap) })
            .collect();
        let mut rest = cells.as_slice();
        for window in batch.changes.chunks(WINDOW) {
            let changes: Vec<Change<'_>> = window.iter().map(|change| taken(*change, &mut rest)).collect();
            self.sink.foresee(&mut changes.iter().map(|change| (change.table, change.cells)));
            if let Err(refusal) = changes.into_iter().try_for_each(|change| self.sink.emit(change)) {
                self.refusal = Some(refusal);
                return;
            }
        }
    }

    fn get(&mut self, event: u32, table: u16, key: &[abi::Value], heap: &[u8]) -> RowBatch {
        let keys: Vec<_> = key.iter().map(|value| value_ref(*value, heap)).collect();
        let nothing = RowBatch { found: vec![false], ..RowBatch::default() };
        if self.refusal.is_some() {
            return nothing;
        }
        match self.sink.read(event as usize, table, &keys) {
            Ok(rows) => row_batch(&rows),
            Err(refusal) => {
                self.refusal = Some(refusal);
                nothing
            }
        }
    }
}

/// A change as the projector takes it, with the first of the cells that are left.
fn taken<'c, 'a>(change: abi::Change, rest: &mut &'c [Cell<'a>]) -> Change<'c>
where
    'a: 'c,
{
    let (cells, behind) = rest.split_at(usize::from(change.cells));
    *rest = behind;
    Change { event: change.event as usize, table: change.table, operation: operation(change.operation), cells }
}

fn operation(operation: abi::Operation) -> Operation {
    match operation {
        abi::Operation::Upsert => Operation::Upsert,
        abi::Operation::InsertIfAbsent => Operation::InsertIfAbsent,
        abi::Operation::Patch => Operation::Patch,
        abi::Operation::PatchIfPresent => Operation::PatchIfPresent,
        abi::Operation::Add => Operation::Add,
        abi::Operation::Minimum => Operation::Minimum,
        abi::Operation::Maximum => Operation::Maximum,
        abi::Operation::Delete => Operation::Delete,
        abi::Operation::DeleteWhere => Operation::DeleteWhere,
    }
}
