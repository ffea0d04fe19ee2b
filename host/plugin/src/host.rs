//! The functions that a guest may call: `sink.emit`, `rows.get`, `log.write`.

use std::mem;

use tracing::{debug, error, info, trace, warn};

use reel_projector::Change;
use wasmtime::StoreContextMut;
use wasmtime::component::{HasSelf, Linker};

use crate::bindings::reel::projection::types::{KeyBatch, Level, RowBatch};
use crate::bindings::reel::projection::{log, rows, types};
use crate::call::{self, Call};
use crate::lift::{self, Changes, Lifted};
use crate::lower;
use crate::safe_integers::IntegerRule;
use crate::trap::{Stop, cut};
use crate::wire::ChangeBatch;

/// Defines the imports.
///
/// # Errors
/// Where `linker` has one of them already.
pub(crate) fn define(linker: &mut Linker<Call>) -> wasmtime::Result<()> {
    types::add_to_linker::<_, HasSelf<_>>(linker, |call| call)?;
    rows::add_to_linker::<_, HasSelf<_>>(linker, |call| call)?;
    log::add_to_linker::<_, HasSelf<_>>(linker, |call| call)?;
    linker
        .instance("reel:projection/sink@1.0.0")?
        .func_wrap("emit", |store, (changes,): (ChangeBatch,)| Ok(emit(store, &changes)?))
}

/// Hands changes to the sink out of the guest's memory.
fn emit(mut store: StoreContextMut<'_, Call>, changes: &ChangeBatch) -> Result<(), Stop> {
    let batch = changes.sent(&store);
    let (count, weight) = (batch.changes.len(), lift::weight(batch));
    let call = store.data_mut();
    call.only_in_apply("sink.emit")?;
    call.budget.emit(count, weight)?;
    let (rule, mut events) = (call.integer_rule(), mem::take(&mut call.events));
    let taken = call::sink(|sink| {
        let mut changes = Changes::of(changes.sent(&store), rule);
        while let Some(window) = changes.window()? {
            sink.foresee(&mut window.clone().map(|change| (change.table, change.cells)));
            for Lifted { event, table, operation, cells, broken } in window {
                let event = events.name(event)?;
                broken.map_or(Ok(()), |broken| Err(lift::refused(event, broken)))?;
                sink.emit(Change { event, table, operation, cells })?;
            }
        }
        Ok(())
    });
    store.data_mut().events = events;
    taken
}

impl types::Host for Call {}

impl rows::Host for Call {
    fn get(&mut self, keys: KeyBatch) -> wasmtime::Result<RowBatch> {
        Ok(self.read(&keys)?)
    }
}

impl log::Host for Call {
    fn write(&mut self, level: Level, message: String) -> wasmtime::Result<()> {
        self.budget.log_line()?;
        let line = cut(&message, self.budget.limits.log_line);
        let projection: &str = &self.projection;
        match level {
            Level::Trace => trace!(target: "plugin", projection, "{line}"),
            Level::Debug => debug!(target: "plugin", projection, "{line}"),
            Level::Info => info!(target: "plugin", projection, "{line}"),
            Level::Warn => warn!(target: "plugin", projection, "{line}"),
            Level::Error => error!(target: "plugin", projection, "{line}"),
        }
        if level == Level::Error {
            self.last_error = Some(line.to_owned());
        }
        if self.phase == call::Phase::Describe {
            return Err(Stop::malformed(format!("wrote to the log during describe, which nobody may: {line}")).into());
        }
        Ok(())
    }
}

impl Call {
    fn read(&mut self, batch: &KeyBatch) -> Result<RowBatch, Stop> {
        self.only_in_apply("rows.get")?;
        let event = self.events.name(batch.event)?;
        self.budget.output(batch.heap.len().saturating_add(size_of_val(batch.keys.as_slice())))?;
        self.budget.read(self.rows_asked(batch))?;
        let rule = (self.integer_rule(), event);
        let keys = lift::keys(&batch.keys, &batch.heap, rule)?;
        let found = call::sink(|sink| sink.read(event, batch.table, &keys))?;
        let answer = lower::rows(&found, rule)?;
        self.budget.row_bytes(lower::weight(&answer))?;
        Ok(answer)
    }

    /// How many rows a request asks for, as far as the manifest tells; the sink refuses what it does not.
    fn rows_asked(&self, batch: &KeyBatch) -> usize {
        let table = self.manifest.as_ref().and_then(|manifest| manifest.tables.get(usize::from(batch.table)));
        batch.keys.len() / table.map_or(1, |table| table.key.len().max(1))
    }

    fn integer_rule(&self) -> IntegerRule {
        self.manifest.as_ref().map_or(IntegerRule::Any, |manifest| IntegerRule::of(manifest))
    }
}
