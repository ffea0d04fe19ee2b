//! A component with its settings, as the loop's [`Plugin`]: one fresh instance for each call.

use std::fmt;
use std::mem;
use std::ops::Range;
use std::sync::Arc;

use reel_events::EventBatch;
use reel_projector::{ApplyError, Plugin, Sink};
use wasmtime::Store;

use crate::bindings::reel::projection::types::{Failure, FailureKind};
use crate::call::{self, Call, Events, Phase};
use crate::deliver::Delivery;
use crate::limits::Budget;
use crate::load::{Fresh, Shared};
use crate::trap::{Fuel, apply_error, cut};

/// Bytes of a failure's code and message that are kept.
const CODE_BYTES: usize = 64;
const MESSAGE_BYTES: usize = 4_096;

/// A component with its settings. Made by [`crate::LoadedComponent::instantiate_plugin`].
pub struct WasmPlugin {
    component: Arc<Shared>,
    settings: String,
    delivery: Delivery,
    /// Kept from call to call for its memory.
    events: Events,
}

impl Plugin for WasmPlugin {
    fn apply(&mut self, batch: &EventBatch, range: Range<usize>, sink: &mut dyn Sink) -> Result<(), ApplyError> {
        self.events.clear();
        self.delivery.fill(batch, range, &mut self.events.host_indices)?;
        if self.events.host_indices.is_empty() {
            return Ok(());
        }
        let engine = self.component.engine.clone();
        let _place = engine.place();
        let mut store = self.store()?;
        let applied = call::with_sink(sink, || self.run(&mut store));
        self.events = mem::take(&mut store.data_mut().events);
        applied
    }
}

impl WasmPlugin {
    pub(crate) fn new(component: Arc<Shared>, settings_json: &str) -> WasmPlugin {
        let delivery = Delivery::new(component.manifest.clone());
        WasmPlugin { component, settings: settings_json.to_owned(), delivery, events: Events::default() }
    }

    /// Starts an instance and throws it away.
    pub(crate) fn try_settings(&mut self) -> Result<(), ApplyError> {
        let engine = self.component.engine.clone();
        let _place = engine.place();
        let mut store = self.store()?;
        self.start(&mut store).map(|_| ())
    }

    fn store(&mut self) -> Result<Store<Call>, ApplyError> {
        let component = &self.component;
        let call = Call {
            phase: Phase::Init,
            budget: Budget::new(component.engine.limits()),
            projection: component.projection.clone(),
            manifest: Some(component.manifest.clone()),
            events: mem::take(&mut self.events),
            last_error: None,
        };
        call::store(component.engine.wasmtime(), call)
            .map_err(|error| ApplyError::Fatal(format!("no store: {error:#}")))
    }

    /// A fresh instance that took its settings. No event is at fault where that fails.
    fn start(&self, store: &mut Store<Call>) -> Result<Fresh<'_>, ApplyError> {
        let started = self.component.compiled.instantiate(store).and_then(|instance| {
            let answer = instance.projector().call_init(&mut *store, &self.settings)?;
            Ok((instance, answer))
        });
        match started {
            Ok((instance, Ok(()))) => Ok(instance),
            Ok((_, Err(message))) => Err(ApplyError::Fatal(cut(&message, MESSAGE_BYTES).to_owned())),
            Err(error) => {
                let said = store.data().last_error.as_deref();
                let limits = self.component.engine.limits();
                Err(ApplyError::Fatal(format!("init: {}", apply_error(error, said, (&limits, Fuel::Start)))))
            }
        }
    }

    fn run(&self, store: &mut Store<Call>) -> Result<(), ApplyError> {
        let instance = self.start(store)?;
        let limits = self.component.engine.limits();
        store.data_mut().phase = Phase::Apply;
        let applied = store.set_fuel(limits.fuel).and_then(|()| instance.apply(store, &self.delivery.batch));
        match applied {
            Ok(Ok(())) => Ok(()),
            Ok(Err(failure)) => Err(failed(failure, &store.data().events)),
            Err(error) => Err(apply_error(error, store.data().last_error.as_deref(), (&limits, Fuel::Call))),
        }
    }
}

/// What the guest itself said of an event.
fn failed(failure: Failure, events: &Events) -> ApplyError {
    let code = cut(&failure.code, CODE_BYTES).to_owned();
    let message = cut(&failure.message, MESSAGE_BYTES).to_owned();
    match (failure.kind, events.host_indices.get(failure.event as usize)) {
        (FailureKind::Fatal, _) => ApplyError::Fatal(format!("{code}: {message}")),
        (FailureKind::Reject, Some(event)) => ApplyError::Rejected { event: *event, code, message },
        (FailureKind::Reject, None) => {
            let (event, delivered) = (failure.event, events.host_indices.len());
            ApplyError::Trapped(format!("rejected event {event} of a batch of {delivered} ({code}: {message})"))
        }
    }
}

impl fmt::Debug for WasmPlugin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("WasmPlugin").field("projection", &self.component.projection).finish_non_exhaustive()
    }
}
