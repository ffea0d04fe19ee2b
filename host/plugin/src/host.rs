//! The functions that a guest may call: `sink.emit`, `rows.get`, `log.write`.

use tracing::{debug, error, info, trace, warn};

use reel_projector::Change;

use crate::bindings::reel::projection::types::{ChangeBatch, KeyBatch, Level, RowBatch};
use crate::bindings::reel::projection::{log, rows, sink, types};
use crate::call::{self, Call};
use crate::lift::{self, Lifted};
use crate::lower;
use crate::safe_integers::IntegerRule;
use crate::trap::{Stop, cut};

impl types::Host for Call {}

impl sink::Host for Call {
    fn emit(&mut self, changes: ChangeBatch) -> wasmtime::Result<()> {
        Ok(self.take(&changes)?)
    }
}

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
    fn take(&mut self, batch: &ChangeBatch) -> Result<(), Stop> {
        self.only_in_apply("sink.emit")?;
        self.budget.emit(batch.changes.len(), lift::weight(batch))?;
        let rule = self.integer_rule();
        let events = &mut self.events;
        call::sink(|sink| {
            lift::changes(batch, rule, |change| {
                let Lifted { event, table, operation, cells } = change;
                let event = events.name(event)?;
                let cells = cells.map_err(|broken| lift::refused(event, &broken))?;
                Ok(sink.emit(Change { event, table, operation, cells })?)
            })
        })
    }

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
