//! One call's own state: what an instance's store carries while guest code runs, and where the sink is found.

use std::sync::Arc;

use reel_projector::{Manifest, Sink};
use scoped_tls_hkt::scoped_thread_local;
use wasmtime::{Engine, Store};

use crate::limits::{Budget, CallLimits};
use crate::trap::Stop;

// A store's data must outlive everything, a sink lives for one call: it waits here, on the calling thread, until the call ends.
scoped_thread_local!(static mut SINK: for<'a> &'a mut (dyn Sink + 'a));

/// Runs `call` with `sink` as the one that host functions find.
pub(crate) fn with_sink<R>(sink: &mut dyn Sink, call: impl FnOnce() -> R) -> R {
    SINK.set(sink, call)
}

/// Gives the sink of the running call to a host function.
pub(crate) fn sink<R>(function: impl FnOnce(&mut dyn Sink) -> R) -> R {
    SINK.with(|sink| function(sink))
}

/// What the instance is doing: decides which imports it may call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// `describe`: none.
    Describe,
    /// Instantiation and `init`: the log only.
    Init,
    /// `apply`: all.
    Apply,
}

/// What belongs to one instance.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) phase: Phase,
    pub(crate) budget: Budget,
    /// For the log: which projection.
    pub(crate) projection: Arc<str>,
    /// Nothing before the manifest is known.
    pub(crate) manifest: Option<Arc<Manifest>>,
    pub(crate) events: Events,
    /// The last line that the guest wrote to the log as an error.
    pub(crate) last_error: Option<String>,
}

/// The delivered events, as the guest may name them.
#[derive(Debug, Default)]
pub(crate) struct Events {
    /// For each delivered event its index in the host's batch.
    pub(crate) host_indices: Vec<usize>,
    /// The last index that the guest named.
    last: u32,
}

impl Events {
    /// Whether `event` may be named now, and its index in the host's batch.
    ///
    /// # Errors
    /// Where it was not delivered, or is before one that was named already.
    pub(crate) fn name(&mut self, event: u32) -> Result<usize, Stop> {
        let delivered = self.host_indices.len();
        let Some(host_index) = self.host_indices.get(event as usize) else {
            return Err(Stop::malformed(format!(
                "named event {event} of a batch of {delivered}: events are counted from 0"
            )));
        };
        if event < self.last {
            let last = self.last;
            return Err(Stop::malformed(format!(
                "named event {event} after event {last}: within a call the event never falls"
            )));
        }
        self.last = event;
        Ok(*host_index)
    }

    /// Forgets everything, keeps the memory.
    pub(crate) fn clear(&mut self) {
        self.host_indices.clear();
        self.last = 0;
    }
}

impl Call {
    /// Whether `import` may be called now.
    ///
    /// # Errors
    /// Where only `apply` may.
    pub(crate) fn only_in_apply(&self, import: &str) -> Result<(), Stop> {
        let during = match self.phase {
            Phase::Apply => return Ok(()),
            Phase::Describe => "describe",
            Phase::Init => "init",
        };
        Err(Stop::malformed(format!("called {import} during {during}: only apply may")))
    }
}

/// A store with every limit set, fuelled for starting an instance.
pub(crate) fn store(engine: &Engine, call: Call) -> wasmtime::Result<Store<Call>> {
    let limits = call.budget.limits;
    let mut store = Store::new(engine, call);
    store.limiter(|call| &mut call.budget);
    store.set_fuel(limits.start_fuel)?;
    store.set_hostcall_fuel(lifting_bytes(&limits));
    Ok(store)
}

/// What one host call may make the host allocate. Values are about as large here as in the guest's memory.
fn lifting_bytes(limits: &CallLimits) -> usize {
    limits.output.saturating_add(1 << 16)
}
