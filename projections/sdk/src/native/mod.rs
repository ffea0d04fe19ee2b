//! The same projection without Wasm, as a plugin of the host's own pipeline: for the test kit, and for the benches as the baseline
//! that the boundary is measured against. Not on wasm32.

mod convert;
mod sink;

use std::{
    any::Any,
    ops::Range,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use reel_events::{EventBatch, EventRef};
use reel_projector::{ApplyError, Manifest, ManifestError, Plugin, Sink};

use crate::{NoSettings, Projection, RawEvent, Reject, Rows};
pub(crate) use convert::abi_value;
use sink::PluginHost;

/// A projection that runs in this process.
#[derive(Debug)]
pub struct NativePlugin<P: Projection> {
    manifest: Arc<Manifest>,
    settings: P::Settings,
}

impl<P: Projection> NativePlugin<P> {
    /// The projection with the given settings: `NativePlugin::new(posts, settings)`, with the function that `#[projection]` makes.
    ///
    /// # Errors
    /// Where the host would refuse its manifest.
    pub fn new(projection: fn() -> P, settings: P::Settings) -> Result<NativePlugin<P>, ManifestError> {
        let _ = projection;
        Ok(NativePlugin { manifest: Arc::new(Manifest::parse(&P::manifest())?), settings })
    }

    /// Its manifest, as the host reads it.
    #[must_use]
    pub fn manifest(&self) -> &Arc<Manifest> {
        &self.manifest
    }

    fn apply_events(&self, batch: &EventBatch, range: Range<usize>, rows: &mut Rows<'_>) -> Result<(), ApplyError> {
        for index in range {
            let event = batch.get(index);
            let Some(kind) = self.manifest.kind_index(event.kind) else {
                continue;
            };
            rows.begin_event(u32::try_from(index).expect("a batch has far fewer events"));
            P::apply(&self.raw(event, kind), &self.settings, rows).map_err(|reject| refused(index, reject))?;
        }
        rows.flush();
        Ok(())
    }

    fn raw<'a>(&self, event: EventRef<'a>, kind: u16) -> RawEvent<'a> {
        RawEvent {
            position: event.position,
            version: event.version,
            recorded_at: event.recorded_at,
            kind,
            schema: event.schema,
            kind_name: event.kind,
            id: event.id.into_bytes(),
            stream: event.stream,
            payload: event.payload,
            metadata: if self.manifest.metadata { event.metadata } else { "" },
        }
    }
}

impl<P: Projection<Settings = NoSettings>> NativePlugin<P> {
    /// A projection without settings: `NativePlugin::of(posts)`.
    ///
    /// # Errors
    /// Where the host would refuse its manifest.
    pub fn of(projection: fn() -> P) -> Result<NativePlugin<P>, ManifestError> {
        NativePlugin::new(projection, NoSettings)
    }
}

impl<P: Projection + Send> Plugin for NativePlugin<P> {
    /// A panic is a trap here, as it is in Wasm.
    fn apply(&mut self, batch: &EventBatch, range: Range<usize>, sink: &mut dyn Sink) -> Result<(), ApplyError> {
        let mut host = PluginHost::new(sink);
        let applied = catch_unwind(AssertUnwindSafe(|| self.apply_events(batch, range, &mut Rows::new(&mut host))));
        if let Some(refused) = host.into_refusal() {
            return Err(refused.into());
        }
        applied.unwrap_or_else(|panic| Err(ApplyError::Trapped(panic_message(panic.as_ref()))))
    }
}

fn refused(event: usize, reject: Reject) -> ApplyError {
    let Reject { code, message, fatal } = reject;
    if fatal {
        return ApplyError::Fatal(format!("{code}: {message}"));
    }
    ApplyError::Rejected { event, code: code.into_owned(), message }
}

fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!("panicked: {}", text.unwrap_or("with a value that is no text"))
}
